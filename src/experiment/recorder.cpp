#include "experiment/recorder.hpp"

#include <algorithm>

#include "experiment/states.hpp"

namespace gradflow {

namespace {

SavePlan merged(const std::vector<double>& record_times, std::vector<double> snapshot_times) {
  for (double& t : snapshot_times) {  // 7/21 and 1/3 of the way are one time, though rounded differently
    const auto record = std::lower_bound(record_times.begin(), record_times.end(), t * (1 - 1e-12));
    if (record != record_times.end() && *record <= t * (1 + 1e-12)) t = *record;
  }
  SavePlan plan;
  std::merge(record_times.begin(), record_times.end(), snapshot_times.begin(), snapshot_times.end(),
             std::back_inserter(plan.times));
  plan.times.erase(std::unique(plan.times.begin(), plan.times.end()), plan.times.end());
  for (const double t : plan.times) {
    plan.record.push_back(std::binary_search(record_times.begin(), record_times.end(), t));
    plan.snapshot.push_back(std::binary_search(snapshot_times.begin(), snapshot_times.end(), t));
  }
  return plan;
}

/// Evenly spaced to `until`, then on to `later`, which ends them whatever the spacing.
std::vector<double> extended(const solvers::Clock<double>& clock, double until, std::size_t count, double later) {
  std::vector<double> times = clock.evenly_spaced(0, until, count);
  const double spacing = clock.tau(until) / static_cast<double>(count - 1);
  for (std::size_t k = count; clock.time(static_cast<double>(k) * spacing) < later * (1 - 1e-12); ++k)
    times.push_back(clock.time(static_cast<double>(k) * spacing));
  if (later > until) times.push_back(later);
  return times;
}

}  // namespace

SavePlan save_plan(const solvers::Clock<double>& clock, double until, std::size_t records, std::size_t snapshots) {
  return extended_plan(clock, until, records, snapshots, until);
}

SavePlan extended_plan(const solvers::Clock<double>& clock, double until, std::size_t records, std::size_t snapshots,
                       double later) {
  return merged(extended(clock, until, records, later), extended(clock, until, snapshots, later));
}

SavePlan after(const SavePlan& plan, const solvers::Clock<double>& clock, double tau) {
  SavePlan rest;
  for (std::size_t i = 0; i < plan.times.size(); ++i) {
    if (!(clock.tau(plan.times[i]) > tau)) continue;
    rest.times.push_back(plan.times[i]);
    rest.record.push_back(plan.record[i]);
    rest.snapshot.push_back(plan.snapshot[i]);
  }
  return rest;
}

Recorder::Recorder(trajectory::RunGroupWriter& writer, const Flow<double>& flow, const Observables& observables,
                   const CoupledDrift& drift, const std::vector<FlowEvent>& events, std::vector<std::size_t> event_rows,
                   const SavePlan& plan, Listener& listener)
    : writer_(writer),
      flow_(flow),
      observables_(observables),
      drift_(drift),
      events_(events),
      event_rows_(std::move(event_rows)),
      plan_(plan),
      listener_(listener),
      moment_(flow),
      row_(observables.size()) {}

void Recorder::resume(const trajectory::RunReader& run, std::span<const std::int64_t> rows) {
  const auto last = [](const std::vector<double>& t, std::int64_t count) {
    return count > 0 ? t.at(static_cast<std::size_t>(count - 1)) : -1;
  };
  last_record_ = last(run.t(), rows[0]);
  last_snapshot_ = last(run.state_t(), rows[1]);
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  for (const trajectory::Crossing& c : std::span(crossings).first(static_cast<std::size_t>(rows[2]))) {
    crossings_.push_back({.event = static_cast<std::size_t>(c.event),
                          .t = c.t,
                          .t_error = trajectory::unknown,
                          .slope = c.slope,
                          .direction = static_cast<int>(c.direction)});
    const auto row = std::ranges::find(event_rows_, crossings_.back().event);
    located_.push_back({.event = row - event_rows_.begin(),
                        .t = c.t,
                        .tau = c.clock_time,
                        .direction = crossings_.back().direction,
                        .slope = c.slope,
                        .local_error = c.local_error});
  }
}

void Recorder::output(std::size_t index, const solvers::Point<double>& at) {
  if (plan_.record[index]) record(at);
  if (plan_.snapshot[index]) snapshot(at);
}

void Recorder::record(const solvers::Point<double>& at) {
  moment_.set(at, true);
  observables_.evaluate(moment_, row_);
  writer_.record(at.t(), row_);
  last_record_ = at.t();
}

void Recorder::snapshot(const solvers::Point<double>& at) {
  const std::vector<std::vector<double>> values = state_values(flow_, at.x());
  writer_.snapshot(at.t(), std::vector<std::span<const double>>(values.begin(), values.end()));
  last_snapshot_ = at.t();
}

void Recorder::crossing(const solvers::Crossing<double>& crossing, std::span<const double> x) {
  EventCrossing found{.event = event_rows_[static_cast<std::size_t>(crossing.event)],
                      .t = crossing.t,
                      .t_error = trajectory::unknown,
                      .slope = crossing.slope,
                      .direction = crossing.direction};
  moment_.set(crossing.t, x);
  writer_.crossing({.event = static_cast<std::int64_t>(found.event),
                    .t = found.t,
                    .slope = found.slope,
                    .direction = found.direction,
                    .values = drift_.evaluate(moment_),
                    .clock_time = crossing.tau,
                    .local_error = crossing.local_error});
  located_.push_back(crossing);
  crossings_.push_back(found);
  listener_.crossing(events_[found.event], found);
}

void Recorder::step(const solvers::Step<double>& step, std::span<const double>) {
  writer_.step(step.t, step.clock_step, step.ratio);
}

void Recorder::finish(double t, std::span<const double> x) {
  if (t > last_record_) record({t, x});
  if (t > last_snapshot_) snapshot({t, x});
  writer_.flush();
}

}  // namespace gradflow
