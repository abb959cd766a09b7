#include <fmt/format.h>

#include <cmath>
#include <gradflow/analysis/phases.hpp>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "cli/claims.hpp"
#include "cli/command.hpp"
#include "cli/format.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* const footer =
    "Examples:\n"
    "  gradflow phases paper.h5\n"
    "  gradflow phases paper.h5 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"T1\"])'\n"
    "  gradflow phases paper.h5 --markdown > claims.md   the claims as tables for a paper's appendix\n"
    "  gradflow phases paper-compare.h5 --descent 0      of a comparison: the first descent instead of the flow\n"
    "\n"
    "For the claims the run is solved once more from what its file holds, with the same steps. Where the paper says\n"
    "\"small\" or \"for some constant\", the options say what is taken for it; the report has the number itself, too.\n"
    "\n"
    "\"up\" in the JSON document: the condition becomes true; \"down\": it is lost. NaN and infinity are null.";

struct Options {
  std::string run;
  std::optional<std::int64_t> descent;
  bool json = false, markdown = false, no_claims = false, quiet = false;
  ClaimOptions claims;
};

Json crossings_json(const std::vector<CrossingReport>& crossings) {
  Json result = Json::array();
  for (const CrossingReport& crossing : crossings) {
    result.push_back({{"t", number(crossing.t)},
                      {"error", number(crossing.error)},
                      {"slope", number(crossing.slope)},
                      {"certain", crossing.certain < 0 ? Json(nullptr) : Json(crossing.certain == 1)}});
    if (crossing.step_before < 0) continue;
    result.back()["step_before"] = crossing.step_before;
    result.back()["step_after"] = crossing.step_after;
  }
  return result;
}

Json json(const PhasesReport& report, const std::optional<ClaimsReport>& claims) {
  Json events = Json::array();
  for (const EventReport& event : report.events)
    events.push_back({{"name", event.name},
                      {"condition", event.condition},
                      {"applicable", event.applicable},
                      {"true_at_start", event.true_at_start},
                      {"true_at_end", event.true_at_end},
                      {"verdict", event.verdict},
                      {"up", crossings_json(event.up)},
                      {"down", crossings_json(event.down)}});
  Json at_T1 = Json::object();
  for (const auto& [name, value] : report.at_T1) at_T1[name] = number(value);
  return {{"events", events},
          {"T1", report.T1 ? number(*report.T1) : Json(nullptr)},
          {"T1_error", number(report.T1_error)},
          {"T1_theory", number(report.T1_theory)},
          {"T1_constant", number(report.T1_constant)},
          {"T1_theory_from", !report.has_phases        ? Json(nullptr)
                             : report.T1_theory_from_U ? Json("U(0)")
                                                       : Json("s1^2 m m1")},
          {"T2", number(report.T2)},
          {"at_T1", at_T1},
          {"t_end", number(report.t_end)},
          {"finished", report.finished},
          {"claims", claims ? claims_json(*claims) : Json::array()},
          {"claim_constants", claims ? claim_constants_json(claims->options) : Json(nullptr)}};
}

/// Which of the two conditions leaves T1 without a time.
std::string why_no_T1(const PhasesReport& report) {
  for (const EventReport& event : report.events)
    if ((event.name == "classified" || event.name.starts_with("aligned")) && !event.true_at_end)
      return fmt::format(" ({} {})", event.name, event.applicable ? "does not hold at the end" : "does not apply");
  return "";
}

std::string text(const PhasesReport& report) {
  std::string text;
  if (!report.finished)
    text +=
        fmt::format("The run has not reached its target: this is how things stand at t = {:.6g}.\n\n", report.t_end);
  text += events_text(report) + "\n";

  std::vector<std::vector<std::string>> conditions;
  for (const EventReport& event : report.events) conditions.push_back({event.name, event.condition});
  text += "Conditions:\n" + table(conditions) + "\n";

  if (!report.has_phases) return text;
  text += table(
      {{"T1",
        report.T1         ? with_error(*report.T1, report.T1_error)
        : report.finished ? "never"
                          : "not yet",
        fmt::format("end of Phase 1{}: the later of classified and aligned, each for good{}",
                    report.finished || !report.T1 ? "" : ", as things stand", report.T1 ? "" : why_no_T1(report))},
       {"T1(C)", fmt::format("{:.6g}", report.T1_theory),
        fmt::format("the theory's: C / {}, C = {:g}", report.T1_theory_from_U ? "U(0)" : "(s1^2 m m1)",
                    report.T1_constant)},
       {"T2", fmt::format("{:.6g}", report.T2), "end of Phase 2"}});
  if (report.at_T1.empty()) return text;
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : report.at_T1) rows.push_back({name, fmt::format("{:.4g}", value)});
  return text + "\nAt T1, relative changes since t = 0 and shares of the power:\n" + table(rows);
}

/// Of a run's file, or of a comparison's flow or one of its descents.
PhasesReport read_phases(const std::string& file, std::optional<std::int64_t> descent) {
  require_run(file);
  if (!is_hdf5(file) || !trajectory::is_comparison(file)) {
    if (descent) throw UsageError(fmt::format("'{}' is a run and has no descents; leave out --descent", file));
    return phases(std::filesystem::path(file));
  }
  const trajectory::ComparisonReader comparison(file);
  if (!descent) return phases(comparison.flow());
  if (*descent < 0 || *descent >= comparison.descents()) {
    std::string list;
    for (std::int64_t d = 0; d < comparison.descents(); ++d)
      list += fmt::format("{}{} ({})", d > 0 ? ", " : "", d, comparison.labels()[static_cast<std::size_t>(d)]);
    throw UsageError(fmt::format("'{}' has no descent {}; it has {}", file, *descent, list));
  }
  return phases(comparison.descent(*descent));
}

/// Of the run's, or the comparison's, flow; of a descent none applies.
ClaimsReport read_claims(const Options& options, const PhasesReport& report) {
  if (options.descent) return claims_not_applicable("a descent is no gradient flow", options.claims);
  Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
  catch_interrupts();
  try {
    return claims(options.run, report, options.claims, talk);
  } catch (const FileError& problem) {
    throw FileError(fmt::format("{}; --no-claims needs nothing of it but the events", problem.what()));
  }
}

int tell_phases(const Options& options) {
  if (options.markdown && (options.json || options.no_claims))
    throw UsageError("--markdown is a table of the claims: it goes neither with --json nor with --no-claims");
  try {
    PhasesReport report = read_phases(options.run, options.descent);
    std::optional<ClaimsReport> claims;
    if (!options.no_claims) claims = read_claims(options, report);
    // Of a run that was killed only the solve knows what held at the start and has not crossed since.
    if (claims && !report.T1 && !std::isnan(claims->T1)) report.T1 = claims->T1;
    if (options.json)
      fmt::print("{}", document(json(report, claims)));
    else if (options.markdown)
      fmt::print("{}", claims_markdown(*claims));
    else
      fmt::print("{}{}", text(report), claims ? claims_text(*claims) : "");
    return done;
  } catch (const ClaimsUnfinished& reason) {
    fmt::print(stderr, "gradflow: {}; --no-claims tells the rest\n", reason.what());
    return interrupt_requested() ? interrupted_run : ended_early;
  }
}

/// --small and the like.
void add_constant(CLI::App& command, const char* name, double& value, double least, const char* description) {
  command.add_option(name, value, description)
      ->capture_default_str()
      ->type_name("NUMBER")
      ->check([least](const std::string& text) {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && std::isfinite(number) && number >= least) return std::string();
        return fmt::format("'{}' must be a number of at least {:g}", text, least);
      });
}

}  // namespace

void add_phases(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "phases", "Every event of a run with its times, errors and verdict; T1 and T2; the paper's claims, one by one");
  command->add_option("RUN.h5", options->run, "the run's file")->required()->type_name("");
  command->add_option("--descent", options->descent, "of a comparison: this descent, from 0, instead of the flow")
      ->type_name("N");
  command->add_flag("--json", options->json, "one JSON document and nothing else");
  command->add_flag("--markdown", options->markdown, "the claims alone, as tables in Markdown");
  command->add_flag("--no-claims", options->no_claims, "the events alone, without a solve");
  ClaimOptions& constants = options->claims;
  add_constant(*command, "--small", constants.small, 0, "largest drift over Phase 1, imbalance and loss that is small");
  add_constant(*command, "--start", constants.start, 0, "largest standard deviation that is a small start");
  add_constant(*command, "--same-order", constants.same_order, 1, "factor within which numbers are of one order");
  add_constant(*command, "--C", constants.bracket, 0, "C of the bracket and of T_0.5(C)");
  add_constant(*command, "--c", constants.aligned, 0, "c of Theorem 3.1: min(G(1), G(2), -G(3)) > c");
  command->add_flag("--quiet", options->quiet, "no progress");
  command->footer(footer);
  command->callback([options, &action] { action = [options](const std::string&) { return tell_phases(*options); }; });
}

}  // namespace gradflow::cli
