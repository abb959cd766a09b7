#include "cli/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "cli/format.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t crossings_shown = 6;  // of one event

struct StepSizes {
  double smallest, largest;  // NaN where no step was accepted
};

StepSizes step_sizes(const trajectory::RunReader& run) {
  const std::vector<double> h = run.steps().clock_step;
  if (h.empty()) return {trajectory::unknown, trajectory::unknown};
  const auto [smallest, largest] = std::minmax_element(h.begin(), h.end());
  return {*smallest, *largest};
}

/// "evaluations_steps" -> "evaluations steps"
std::string spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

Json nested(const std::vector<std::vector<std::string>>& labels, std::span<const double> values) {
  if (labels.empty()) return number(values.front());
  Json result = Json::object();
  const std::size_t stride = values.size() / labels.front().size();
  for (std::size_t i = 0; i < labels.front().size(); ++i)
    result[labels.front()[i]] = nested({labels.begin() + 1, labels.end()}, values.subspan(i * stride, stride));
  return result;
}

struct Change {
  CrossingReport crossing;
  bool up;
};

std::vector<Change> changes(const EventReport& event) {
  std::vector<Change> all;
  for (const CrossingReport& crossing : event.up) all.push_back({crossing, true});
  for (const CrossingReport& crossing : event.down) all.push_back({crossing, false});
  std::stable_sort(all.begin(), all.end(),
                   [](const Change& a, const Change& b) { return a.crossing.t < b.crossing.t; });
  return all;
}

}  // namespace

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string document(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string statistics_text(const trajectory::RunReader& run) {
  const trajectory::RunEnd end = run.end();
  std::string outcome = end.message;
  if (end.outcome < 0)
    outcome = run.closed() ? "the file was closed before the run's end" : "it is still running, or was killed";
  std::vector<std::vector<std::string>> rows{{"outcome", fmt::format("{}: {}", run.outcome(end.outcome), outcome)}};
  const std::vector<std::string> names = run.counts();
  for (std::size_t i = 0; i < std::min(names.size(), end.counts.size()); ++i)
    rows.push_back({spaced(names[i]), fmt::format("{}", end.counts[i])});
  if (const StepSizes sizes = step_sizes(run); !std::isnan(sizes.smallest)) {
    rows.push_back({"smallest step", fmt::format("{:.4g} in the clock's time", sizes.smallest)});
    rows.push_back({"largest step", fmt::format("{:.4g} in the clock's time", sizes.largest)});
  }
  rows.push_back({"wall time", duration(end.wall_seconds)});
  return table(rows);
}

Json statistics_json(const trajectory::RunReader& run) {
  const trajectory::RunEnd end = run.end();
  const std::vector<std::string> names = run.counts();
  Json statistics = Json::object();
  for (std::size_t i = 0; i < std::min(names.size(), end.counts.size()); ++i) statistics[names[i]] = end.counts[i];
  const StepSizes sizes = step_sizes(run);
  statistics["smallest_step"] = number(sizes.smallest);
  statistics["largest_step"] = number(sizes.largest);
  statistics["wall_seconds"] = number(end.wall_seconds);
  return statistics;
}

Json end_value(const trajectory::RunReader& run, const std::string& observable) {
  const trajectory::Values all = run.observable(observable);
  std::vector<std::vector<std::string>> labels;
  std::size_t size = 1;
  for (std::size_t d = 1; d < all.dimensions.size(); ++d) {
    labels.push_back(run.dimension(all.dimensions[d]).labels);
    size *= labels.back().size();
  }
  if (size == 0 || all.values.size() < size) return nullptr;
  return nested(labels, std::span(all.values).last(size));
}

std::string events_text(const PhasesReport& report) {
  std::vector<std::vector<std::string>> rows{{"event", "verdict", "becomes", "t", "slope"}};
  bool doubtful = false, bars = false, without_bars = false;
  for (const EventReport& event : report.events) {
    const std::vector<Change> all = changes(event);
    std::vector<std::string> row{event.name, event.verdict};
    for (std::size_t i = 0; i < std::min(all.size(), crossings_shown); ++i) {
      const auto& [crossing, up] = all[i];
      const bool uncertain = crossing.certain == 0;
      doubtful |= uncertain;
      (std::isnan(crossing.error) ? without_bars : bars) |= !uncertain;
      row.insert(row.end(), {up ? "true" : "false", with_error(crossing.t, crossing.error) + (uncertain ? " ?" : ""),
                             fmt::format("{:.3g}", crossing.slope)});
      rows.push_back(row);
      row = {"", ""};
    }
    if (all.empty()) rows.push_back(row);
    if (all.size() > crossings_shown)
      rows.push_back({"", fmt::format("... {} more crossings", all.size() - crossings_shown)});
  }
  std::string text = table(rows);
  if (report.discrete && bars)
    return text + "The times lie between two steps of the descent, by a straight line; the bars are half a step.\n";
  if (bars)
    text +=
        "6.90159(3) stands for 6.90159 +- 0.00003: three times the distance to a solve at ten times the tolerances,\n"
        "at least the method's own estimate of its last step's error.\n";
  if (doubtful)
    text +=
        "?: the solve at ten times the tolerances does not find this crossing, or not clear of the next; a tighter "
        "solver.rtol decides.\n";
  if (without_bars)
    text += "A time without brackets has no error bar (no second solve, or none that reached the end).\n";
  return text;
}

}  // namespace gradflow::cli
