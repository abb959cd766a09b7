#include <fmt/format.h>

#include <gradflow/analysis/certify.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "cli/command.hpp"
#include "cli/format.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

const char* const footer =
    "The run is solved twice more from what its file holds: by a method of another family at a thousandth of its\n"
    "tolerances or less (the reference), and at ten times those (the check), which tells how uncertain the errors "
    "themselves\n"
    "are. --order adds every method at 1000 to 0.1 times the run's tolerances: error against work.\n"
    "\n"
    "Examples:\n"
    "  gradflow certify paper.h5\n"
    "  gradflow certify paper.h5 --order --json > paper-certificate.json\n"
    "\n"
    "Exit code 4: an event's error bar is shorter than its true error, or the crossings differ in number. NaN and\n"
    "infinity are null in the JSON document.";

struct Options {
  std::string run;
  bool json = false, order = false, quiet = false;
};

std::string figure(double value) { return std::isnan(value) ? "-" : fmt::format("{:.2g}", value); }

/// "(check 1e-10)": what else a solve was.
std::string described(const solvers::SolveOptions<double>& options) {
  return fmt::format("{}, rtol {:.3g}, atol {:.3g}", options.method, options.tolerances.rtol, options.tolerances.atol);
}

const char* finding(const solvers::CertifiedCrossing<double>& crossing) {
  if (std::isnan(crossing.error)) return "the reference has no such crossing";
  if (std::isnan(crossing.bar)) return "no bar";
  if (!crossing.holds()) return "BAR TOO SHORT";
  return crossing.bar < crossing.uncertainty ? "the reference is too coarse to judge" : "holds";
}

std::string events_table(const CertifyReport& report) {
  Rows rows{{"event", "becomes", "t", "error bar", "true error", "uncertainty", ""}};
  for (const EventErrors& event : report.events) {
    std::string name = event.name;
    for (const auto& c : event.crossings)
      rows.push_back({std::exchange(name, ""), c.crossing.direction > 0 ? "true" : "false",
                      with_error(c.crossing.t, c.error), figure(c.bar), figure(c.error), figure(c.uncertainty),
                      finding(c)});
    for (const auto& missing : event.missing)
      rows.push_back({std::exchange(name, ""), missing.direction > 0 ? "true" : "false",
                      fmt::format("{:.6g}", missing.t), "-", "-", "-", "MISSING: only the reference has it"});
  }
  return rows.size() > 1 ? table(rows) : "No event crosses, neither in the run nor in the reference.\n";
}

/// All but the monitors, whose own values are errors.
std::string errors_table(const char* what, const std::vector<QuantityError>& quantities, const std::vector<double>& t) {
  Rows rows{{what, "largest error", "relative", "at t", "uncertainty", "error at the end"}};
  for (const QuantityError& q : quantities) {
    if (q.error.empty() || q.name.starts_with("drift_") || q.name == "energy_defect") continue;
    rows.push_back({q.name, figure(q.largest()), figure(q.relative()), fmt::format("{:.4g}", t[q.worst()]),
                    figure(q.uncertainty[q.worst()]), figure(q.error.back())});
  }
  return table(rows);
}

std::string ladder_table(const std::vector<Rung>& ladder) {
  Rows rows{
      {"method", "rtol", "steps", "rejected", "evaluations", "for events", "state error", "event error", "crossings"}};
  for (const Rung& rung : ladder)
    rows.push_back({rung.method, fmt::format("{:.0e}", rung.rtol), fmt::format("{}", rung.accepted),
                    fmt::format("{}", rung.rejected), fmt::format("{}", rung.evaluations),
                    fmt::format("{}", rung.event_evaluations), figure(rung.state_error), figure(rung.event_error),
                    fmt::format("{} ({} in the reference)", rung.crossings, rung.matched)});
  return table(rows);
}

struct Tally {
  std::size_t crossings = 0, holding = 0, barred = 0, missing = 0;
};

Tally tally(const CertifyReport& report) {
  Tally tally;
  for (const EventErrors& event : report.events) {
    tally.crossings += event.crossings.size();
    tally.missing += event.missing.size();
    for (const auto& crossing : event.crossings) {
      tally.holding += crossing.holds() ? 1 : 0;
      tally.barred += std::isnan(crossing.bar) ? 0 : 1;
    }
  }
  return tally;
}

std::string text(const CertifyReport& report, const std::string& file) {
  const solvers::Counts& counts = report.reference_report.counts;
  std::string text =
      fmt::format("{}: {}, to t = {:g}\nreference: {} ({} steps, {} evaluations); check: rtol {:.3g}\n\n", file,
                  described(report.run), report.t_end, described(report.reference), counts.accepted,
                  counts.evaluations(), report.check.tolerances.rtol);
  if (report.outcome != "reached_end" && report.outcome != "stopped_by_event")
    text += fmt::format("The run has not reached its target t = {:g} ({}): only what it has recorded is judged.\n\n",
                        report.until, report.outcome);
  if (report.reference.tolerances.rtol > report.run.tolerances.rtol / 10)
    text += "So close to rounding the reference is hardly better than the run: look at the uncertainties.\n\n";
  text += events_table(report) + "\n";
  text += errors_table("state, at its snapshots", report.states, report.state_t) + "\n";
  text += errors_table("observable", report.observables, report.record_t) +
          "An observable's error is its largest component's; \"relative\" is to the largest it gets in the run.\n\n";
  Rows rows{{"monitor of the run itself", "largest"}};
  for (const auto& [name, value] : report.monitors) rows.push_back({name, figure(value)});
  text += table(rows) + "\n";
  if (!report.ladder.empty())
    text +=
        ladder_table(report.ladder) +
        "State error: relative, largest over the snapshots. Event error: largest |dt| / (t + t0) of a crossing.\n\n";
  const auto [crossings, holding, barred, missing] = tally(report);
  text += fmt::format("{} of {} crossings hold", holding, crossings);
  if (barred < crossings) text += fmt::format(", but {} of them have no error bar", crossings - barred);
  if (missing > 0) text += fmt::format("; the reference has {} more", missing);
  return text + (report.holds() ? ".\n" : ": the run is NOT certified.\n");
}

Json errors_json(const std::vector<QuantityError>& quantities) {
  const auto list = [](const std::vector<double>& values) {
    Json result = Json::array();
    for (const double v : values) result.push_back(number(v));
    return result;
  };
  Json result = Json::array();
  for (const QuantityError& q : quantities)
    result.push_back({{"name", q.name},
                      {"largest", number(q.largest())},
                      {"relative", number(q.relative())},
                      {"error", list(q.error)},
                      {"size", list(q.size)},
                      {"uncertainty", list(q.uncertainty)}});
  return result;
}

Json events_json(const CertifyReport& report) {
  Json result = Json::array();
  for (const EventErrors& event : report.events) {
    Json crossings = Json::array(), missing = Json::array();
    for (const auto& c : event.crossings)
      crossings.push_back({{"t", c.crossing.t},
                           {"direction", c.crossing.direction},
                           {"bar", number(c.bar)},
                           {"error", number(c.error)},
                           {"uncertainty", number(c.uncertainty)},
                           {"holds", c.holds()}});
    for (const auto& c : event.missing) missing.push_back({{"t", c.t}, {"direction", c.direction}});
    result.push_back({{"name", event.name}, {"holds", event.hold()}, {"crossings", crossings}, {"missing", missing}});
  }
  return result;
}

Json solve_json(const solvers::SolveOptions<double>& options) {
  return {{"method", options.method}, {"rtol", options.tolerances.rtol}, {"atol", options.tolerances.atol}};
}

Json json(const CertifyReport& report, const std::string& file) {
  Json reference = solve_json(report.reference), check = solve_json(report.check), monitors = Json::object(),
       order = Json::array();
  reference["evaluations"] = report.reference_report.counts.evaluations();
  check["evaluations"] = report.check_report.counts.evaluations();
  for (const auto& [name, value] : report.monitors) monitors[name] = number(value);
  for (const Rung& rung : report.ladder)
    order.push_back({{"method", rung.method},
                     {"rtol", rung.rtol},
                     {"atol", rung.atol},
                     {"outcome", std::string(solvers::name(rung.outcome))},
                     {"accepted", rung.accepted},
                     {"rejected", rung.rejected},
                     {"evaluations", rung.evaluations},
                     {"evaluations_events", rung.event_evaluations},
                     {"state_error", number(rung.state_error)},
                     {"event_error", number(rung.event_error)},
                     {"crossings", rung.crossings},
                     {"matched", rung.matched}});
  return {{"file", file},
          {"holds", report.holds()},
          {"run", solve_json(report.run)},
          {"reference", reference},
          {"check", check},
          {"until", report.until},
          {"outcome", report.outcome},
          {"t_end", report.t_end},
          {"events", events_json(report)},
          {"state_t", report.state_t},
          {"states", errors_json(report.states)},
          {"t", report.record_t},
          {"observables", errors_json(report.observables)},
          {"monitors", monitors},
          {"order", order}};
}

int certify_run(const Options& options) {
  require_run(options.run);
  if (is_hdf5(options.run) && trajectory::is_comparison(options.run))
    throw UsageError(fmt::format(
        "'{}' is a comparison: its descents have no error bars. Certify a run of the flow, which 'gradflow simulate' "
        "makes.",
        options.run));
  try {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    const CertifyReport report = certify(options.run, options.order, talk);
    fmt::print("{}", options.json ? document(json(report, options.run)) : text(report, options.run));
    return report.holds() ? done : not_certified;
  } catch (const NotCertified& reason) {
    fmt::print(stderr, "gradflow: {}\n", reason.what());
    return interrupt_requested() ? interrupted_run : ended_early;
  }
}

}  // namespace

void add_certify(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "certify", "The true errors of a run's states, observables and event times, by a far tighter solve");
  command->add_option("RUN.h5", options->run, "the run's file")->required()->type_name("");
  command->add_flag("--json", options->json, "one JSON document and nothing else");
  command->add_flag("--order", options->order, "a ladder of tolerances for every method as well");
  command->add_flag("--quiet", options->quiet, "no progress");
  command->footer(footer);
  command->callback([options, &action] { action = [options](const std::string&) { return certify_run(*options); }; });
}

}  // namespace gradflow::cli
