#include <gradflow/analysis/phases.hpp>
#include <gradflow/trajectory/reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <solvers/events.hpp>

namespace gradflow {
namespace {

using trajectory::RunReader;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::string verdict_text(std::int64_t code, std::size_t crossings) {
  const std::string count = fmt::format("{} crossing{}", crossings, crossings == 1 ? "" : "s");
  switch (static_cast<solvers::Verdict>(code)) {
    case solvers::Verdict::not_applicable:
      return "not applicable";
    case solvers::Verdict::never:
      return "never";
    case solvers::Verdict::from_start:
      return "at start and for good";
    case solvers::Verdict::once:
      return "crossed once and for good";
    case solvers::Verdict::crossings_holds:
      return count + ", holds at the end";
    case solvers::Verdict::crossings_lost:
      return count + ", does not hold at the end";
  }
  return count + " so far";  // the run has not ended, or was killed
}

/// What a descent keeps beside a crossing; it is none of the quantities at T1.
constexpr std::string_view step_before = "step_before", step_after = "step_after";

std::vector<EventReport> read_events(const RunReader& run) {
  const std::vector<std::string> names = run.crossing_values();
  const auto step = [&](const trajectory::Crossing& crossing, std::string_view name) {
    const auto place = std::ranges::find(names, name) - names.begin();
    return place < std::ssize(names) ? static_cast<std::int64_t>(crossing.values[static_cast<std::size_t>(place)]) : -1;
  };
  const std::vector<trajectory::EventInfo> infos = run.events();
  const std::vector<trajectory::EventSummary> summaries = run.summary();
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  std::vector<EventReport> events;
  for (std::size_t i = 0; i < infos.size(); ++i) {
    EventReport event{.name = infos[i].name,
                      .condition = infos[i].condition,
                      .applicable = summaries[i].applicable != 0,
                      .true_at_start = summaries[i].true_at_start == 1,
                      .true_at_end = summaries[i].true_at_end == 1,
                      .verdict = {},
                      .up = {},
                      .down = {},
                      .for_good = {}};
    const bool ended = summaries[i].true_at_end >= 0;  // else this is how things stand, as far as crossings tell
    bool first = true;
    for (const trajectory::Crossing& c : crossings) {
      if (c.event != static_cast<std::int64_t>(i)) continue;
      (c.direction > 0 ? event.up : event.down)
          .push_back({c.t, c.t_error, c.slope, static_cast<int>(c.certain), step(c, step_before), step(c, step_after)});
      if (!ended) event.true_at_end = c.direction > 0;
      if (!ended && first) event.true_at_start = c.direction < 0;
      first = false;
    }
    if (event.true_at_end && !event.up.empty()) event.for_good = event.up.back();
    event.verdict = verdict_text(summaries[i].verdict, event.up.size() + event.down.size());
    events.push_back(std::move(event));
  }
  return events;
}

/// T1 and its error. Of several `aligned(c)` the one with c = 0 counts, or else the first.
void find_T1(PhasesReport& report) {
  for (const char* name : {"classified", "aligned"}) {
    const EventReport* event = find_event(report, name);
    if (event == nullptr || !event->applicable || !event->true_at_end) {
      report.T1.reset();
      report.T1_error = unknown;
      return;
    }
    const double t = event->for_good ? event->for_good->t : 0, error = event->for_good ? event->for_good->error : 0;
    if (!report.T1 || t > *report.T1) report.T1 = t, report.T1_error = error;
  }
}

}  // namespace

const EventReport* find_event(const PhasesReport& report, const std::string& name) {
  const auto& events = report.events;
  auto found = std::ranges::find(events, name, &EventReport::name);
  if (found == events.end())
    found = std::ranges::find_if(events, [&](const EventReport& e) { return e.name.starts_with(name + "("); });
  return found == events.end() ? nullptr : &*found;
}

PhasesReport phases(const std::filesystem::path& file) { return phases(RunReader(file)); }

PhasesReport phases(const RunReader& run) {
  PhasesReport report{.events = read_events(run),
                      .T1 = {},
                      .T1_error = unknown,
                      .T1_theory = unknown,
                      .T1_constant = unknown,
                      .T1_theory_from_U = false,
                      .T2 = unknown,
                      .at_T1 = {},
                      .t_end = run.t().empty() ? unknown : run.t().back(),
                      .finished = false,
                      .discrete = false,
                      .has_phases = false};
  const std::string outcome = run.outcome(run.end().outcome);
  report.finished = outcome == "reached_end" || outcome == "stopped_by_event";
  // The phases are this transformer's: the file of another flow has its events, and no T1.
  const auto attributes = run.attributes();
  const auto has = [&](const char* name) {
    return std::ranges::find(attributes, name, &trajectory::Attribute::first) != attributes.end();
  };
  report.discrete = has("t_per_step");
  report.has_phases = has("T1_constant");
  if (!report.has_phases) return report;
  report.T1_constant = run.number_attribute("T1_constant");
  report.T1_theory = report.T1_constant / run.number_attribute("T1_theory_rate");
  report.T1_theory_from_U = run.text_attribute("T1_theory_rate_is") == "U(0)";
  report.T2 = run.number_attribute("T2");
  if (std::isnan(report.T2)) report.T2 = report.t_end;
  find_T1(report);
  const std::vector<std::string> names = run.crossing_values();
  for (const trajectory::Crossing& crossing : run.crossings())
    if (report.T1 && crossing.t == *report.T1 && report.at_T1.empty())
      for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] != step_before && names[i] != step_after) report.at_T1.emplace_back(names[i], crossing.values[i]);
  return report;
}

}  // namespace gradflow
