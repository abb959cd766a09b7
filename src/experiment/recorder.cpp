#include "experiment/recorder.hpp"

#include <algorithm>

#include "experiment/states.hpp"

namespace gradflow {

SavePlan save_plan(const solvers::Clock<double>& clock, double until, std::size_t records, std::size_t snapshots) {
  const std::vector<double> record_times = clock.evenly_spaced(0, until, records);
  std::vector<double> snapshot_times = clock.evenly_spaced(0, until, snapshots);
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

void Recorder::output(std::size_t index, double t, std::span<const double> x) {
  if (plan_.record[index]) record(t, x);
  if (plan_.snapshot[index]) snapshot(t, x);
}

void Recorder::record(double t, std::span<const double> x) {
  moment_.set(t, x);
  observables_.evaluate(moment_, row_);
  writer_.record(t, row_);
  last_record_ = t;
}

void Recorder::snapshot(double t, std::span<const double> x) {
  const std::vector<std::vector<double>> values = state_values(flow_, x);
  writer_.snapshot(t, std::vector<std::span<const double>>(values.begin(), values.end()));
  last_snapshot_ = t;
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
                    .values = drift_.evaluate(moment_)});
  located_.push_back(crossing);
  crossings_.push_back(found);
  listener_.crossing(events_[found.event], found);
}

void Recorder::step(const solvers::Step<double>& step, std::span<const double>) {
  writer_.step(step.t, step.clock_step, step.ratio);
}

void Recorder::finish(double t, std::span<const double> x) {
  if (t > last_record_) record(t, x);
  if (t > last_snapshot_) snapshot(t, x);
  writer_.flush();
}

}  // namespace gradflow
