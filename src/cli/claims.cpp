#include "cli/claims.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "cli/format.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t width = 120, intervals_shown = 4;

Json optional(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

std::string figure(double value) { return std::isfinite(value) ? fmt::format("{:.6g}", value) : "-"; }

std::string verdict(const Claim& claim) {
  if (claim.verdict == ClaimVerdict::holds_from) return fmt::format("holds from t = {:.6g} on", claim.from.value_or(0));
  return claim.verdict == ClaimVerdict::fails ? "FAILS" : std::string(name(claim.verdict));
}

std::string measured(const Claim& claim) {
  if (!claim.measured) return "-";
  return figure(*claim.measured);
}

std::string when(const Claim& claim) {
  if (claim.at.empty()) return "";
  if (claim.at.size() == 1) return "t = " + figure(claim.at[0]);
  return fmt::format("t = {} .. {}", figure(claim.at[0]), figure(claim.at[1]));
}

std::string constant(const Claim& claim) {
  return claim.constant ? fmt::format("{}: {}", claim.constant_name, figure(*claim.constant)) : "";
}

/// "0.05 .. 0.06, 1 .. 2 and 3 more"
std::string intervals(const Claim& claim) {
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(claim.fails_on.size(), intervals_shown); ++i)
    shown.push_back(fmt::format("{} .. {}", figure(claim.fails_on[i].first), figure(claim.fails_on[i].second)));
  const std::string more = claim.fails_on.size() > intervals_shown
                               ? fmt::format(" and {} more", claim.fails_on.size() - intervals_shown)
                               : "";
  return fmt::format("{}{}", fmt::join(shown, ", "), more);
}

/// Broken between words, each line indented.
std::string paragraph(const std::string& text, const std::string& indent = "    ") {
  std::string result, line = indent;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const bool first = line == indent;
    if (!first && columns(line) + 1 + columns(word) > width) {
      result += line + "\n";
      line = indent + word;
    } else {
      line += (first ? "" : " ") + word;
    }
  }
  return result + line + "\n";
}

std::string section(const std::vector<Claim>& claims) {
  std::vector<std::vector<std::string>> rows;
  for (const Claim& claim : claims)
    rows.push_back({claim.source, verdict(claim), measured(claim), when(claim), constant(claim)});
  std::istringstream lines(table(rows));
  std::string text, line, note;
  for (const Claim& claim : claims) {
    std::getline(lines, line);
    text += line + "\n" + paragraph(claim.statement);
    if (!claim.fails_on.empty()) text += paragraph("does not hold on t = " + intervals(claim));
    if (!claim.note.empty() && claim.note != note) text += paragraph(claim.note);  // not twice the same
    note = claim.note;
  }
  return text;
}

/// One reason for all of them.
bool none_applies(const ClaimsReport& report) {
  const auto inapplicable = [](const Claim& claim) { return claim.verdict == ClaimVerdict::not_applicable; };
  return std::ranges::all_of(report.conditions, inapplicable) && std::ranges::all_of(report.claims, inapplicable);
}

std::string conditions_sentence(const ClaimsReport& report) {
  std::vector<std::string> failing;
  for (const Claim& claim : report.conditions)
    if (claim.verdict == ClaimVerdict::fails)
      failing.push_back(fmt::format("{} ({})", claim.source, claim.statement.substr(0, claim.statement.find(';'))));
  if (none_applies(report)) return report.conditions.front().note;
  if (failing.empty()) return fmt::format("All {} hold for this run.", report.conditions.size());
  return fmt::format("{} of these {} {} for this run, so that the theorems do not speak of it: {}.", failing.size(),
                     report.conditions.size(), failing.size() == 1 ? "fails" : "fail", fmt::join(failing, "; "));
}

std::string constants_sentence(const ClaimOptions& o) {
  return fmt::format("Constants: --small {:g}, --start {:g}, --same-order {:g}, --C {:g}, --c {:g}.", o.small, o.start,
                     o.same_order, o.bracket, o.aligned);
}

std::string tally(const ClaimsReport& report) {
  std::array<std::size_t, 4> count{};
  for (const Claim& claim : report.claims) ++count[static_cast<std::size_t>(claim.verdict)];
  const auto of = [&](ClaimVerdict v) { return count[static_cast<std::size_t>(v)]; };
  return fmt::format("Of {} claims {} hold, {} hold from some t on, {} fail, {} are not applicable.",
                     report.claims.size(), of(ClaimVerdict::holds), of(ClaimVerdict::holds_from),
                     of(ClaimVerdict::fails), of(ClaimVerdict::not_applicable));
}

Json json(const Claim& claim) {
  Json fails_on = Json::array(), values = Json::object(), at = nullptr;
  for (const auto& [from, to] : claim.fails_on) fails_on.push_back({number(from), number(to)});
  for (const auto& [name, value] : claim.values) values[name] = number(value);
  if (claim.at.size() == 1) at = number(claim.at[0]);
  if (claim.at.size() == 2) at = {number(claim.at[0]), number(claim.at[1])};
  return {{"name", claim.name},
          {"source", claim.source},
          {"statement", claim.statement},
          {"measured", optional(claim.measured)},
          {"unit", claim.unit},
          {"at", at},
          {"constant", optional(claim.constant)},
          {"constant_name", claim.constant_name.empty() ? Json(nullptr) : Json(claim.constant_name)},
          {"verdict", name(claim.verdict)},
          {"from", optional(claim.from)},
          {"fails_on", fails_on},
          {"note", claim.note.empty() ? Json(nullptr) : Json(claim.note)},
          {"values", values}};
}

/// What Markdown would take for its own.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += std::string_view("|_*").find(c) != std::string_view::npos ? std::string("\\") + c : std::string(1, c);
  return result;
}

std::string markdown(const std::vector<Claim>& claims) {
  std::string text = "| source | claim | measured | when | constant | verdict |\n|---|---|---|---|---|---|\n";
  for (const Claim& claim : claims) {
    std::string said = verdict(claim);
    if (!claim.fails_on.empty()) said += "; not on " + intervals(claim);
    if (!claim.note.empty()) said += "; " + claim.note;
    text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", escaped(claim.source), escaped(claim.statement),
                        measured(claim), escaped(when(claim)), escaped(constant(claim)), escaped(said));
  }
  return text;
}

}  // namespace

Json claims_json(const ClaimsReport& report) {
  Json all = Json::array();
  for (const Claim& claim : report.conditions) all.push_back(json(claim));
  for (const Claim& claim : report.claims) all.push_back(json(claim));
  return all;
}

Json claim_constants_json(const ClaimOptions& o) {
  return {{"small", o.small}, {"start", o.start}, {"same_order", o.same_order}, {"C", o.bracket}, {"c", o.aligned}};
}

std::string claims_text(const ClaimsReport& report) {
  const std::string title = "\nClaims of the paper (Yang et al. 2024)\n";
  if (none_applies(report)) return title + "Not applicable: " + report.claims.front().note + ".\n";
  return title + constants_sentence(report.options) + " Words 1, 2: the targets; 3: the common word.\n" +
         "\nWhat the theorems suppose:\n" + section(report.conditions) + paragraph(conditions_sentence(report), "") +
         "\nWhat they claim:\n" + section(report.claims) + tally(report) + "\n";
}

std::string claims_markdown(const ClaimsReport& report) {
  return "## What the theorems suppose\n\n" + markdown(report.conditions) + "\n" + conditions_sentence(report) +
         "\n\n## What they claim\n\n" + markdown(report.claims) + "\n" + tally(report) + " " +
         constants_sentence(report.options) + "\n";
}

}  // namespace gradflow::cli
