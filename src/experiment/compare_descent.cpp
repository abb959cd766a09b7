#include "experiment/compare_descent.hpp"

#include <limits>

#include "experiment/compare_equal_loss.hpp"
#include "experiment/layout.hpp"
#include "experiment/states.hpp"

namespace gradflow {

SteadyEvents::SteadyEvents(const Flow<double>& flow, const std::vector<FlowEvent>& events)
    : watched_(flow, events), signs_(watched_.events().size()) {}

void SteadyEvents::event_values(double t, std::span<const double> x, std::span<double> values) const {
  watched_.event_values(t, x, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) values[i] = signs_[i] * std::numeric_limits<double>::denorm_min();
    signs_[i] = values[i] > 0 ? 1 : values[i] < 0 ? -1 : 0;
  }
}

DescentRun::DescentRun(const Problem& problem, const Flow<double>& flow, Update update, std::string label, Index end,
                       const CoupledDrift& drift, trajectory::RunGroupWriter& writer, Listener& listener)
    : problem_(problem),
      flow_(flow),
      drift_(drift),
      writer_(writer),
      listener_(listener),
      end_(end),
      events_(flow, problem.events),
      descent_(flow, update, problem.experiment.seed),
      result_{.label = std::move(label), .update = update, .report = {}, .crossings = {}},
      moment_(flow),
      row_(problem.observables.size()),
      progress_(listener, flow, problem.clock, update.time(end), result_.label.c_str()) {
  for (std::size_t i = 0; i < problem.events.size(); ++i)
    if (problem.events[i].applicable) event_rows_.push_back(i);
  result_.report.sign_at_start.assign(event_rows_.size(), 0);
  result_.report.sign_at_end = result_.report.sign_at_start;
}

void DescentRun::visit(Packing& packing) {
  visit_descent(packing, descent_);
  DescentReport& report = result_.report;
  int outcome = static_cast<int>(report.outcome);
  packing(outcome);
  report.outcome = static_cast<DescentOutcome>(outcome);
  packing(report.steps);
  packing(report.t);
  packing(report.gradients);
  packing(report.event_calls);
  packing(report.wall_seconds);
  packing.optional(report.stopped_by, Index{-1});
  packing(report.sign_at_start);
  packing(report.sign_at_end);
  packing(last_record_);
  events_.visit(packing);
}

void DescentRun::resume(const trajectory::RunReader& run, std::span<const std::int64_t> rows) {
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  for (const trajectory::Crossing& c : std::span(crossings).first(static_cast<std::size_t>(rows[2])))
    result_.crossings.push_back({.event = static_cast<std::size_t>(c.event),
                                 .t = c.t,
                                 .t_error = c.t_error,
                                 .slope = c.slope,
                                 .direction = static_cast<int>(c.direction)});
}

bool DescentRun::advance(Index step) {
  if (!ended()) go_to(step);
  if (descent_.steps() != step) return false;
  record();
  return true;
}

/// One more call of `descend`; its report becomes part of the whole one.
void DescentRun::go_to(Index step) {
  const DescentReport part = descend(descent_, events_, {step, {}}, *this);
  DescentReport& whole = result_.report;
  whole.outcome = part.outcome;
  whole.steps = part.steps;
  whole.t = part.t;
  whole.gradients += part.gradients;
  whole.event_calls += part.event_calls;
  whole.wall_seconds += part.wall_seconds;
  whole.stopped_by = part.stopped_by;
  whole.sign_at_end = part.sign_at_end;
  for (std::size_t i = 0; i < part.sign_at_start.size(); ++i)
    if (whole.sign_at_start[i] == 0) whole.sign_at_start[i] = part.sign_at_start[i];
}

DescentResult DescentRun::conclude(bool go_on) {
  if (!ended() && descent_.steps() < end_) {
    if (go_on)
      go_to(end_);
    else
      result_.report.outcome = DescentOutcome::interrupted;
  }
  record();
  if (descent_.steps() > 0) snapshot();
  write_results();
  writer_.flush();
  return result_;
}

void DescentRun::crossing(const StepCrossing& crossing, std::span<const double> x) {
  const EventCrossing found{
      .event = event_rows_[static_cast<std::size_t>(crossing.event)],
      .t = crossing.t,
      .t_error = (descent_.update().time(crossing.after) - descent_.update().time(crossing.before)) / 2,
      .slope = crossing.slope,
      .direction = crossing.direction};
  moment_.set(descent_.time(), x);
  std::vector<double> values = drift_.evaluate(moment_);
  values.push_back(static_cast<double>(crossing.before));
  values.push_back(static_cast<double>(crossing.after));
  writer_.crossing({.event = static_cast<std::int64_t>(found.event),
                    .t = found.t,
                    .t_error = found.t_error,
                    .slope = found.slope,
                    .direction = found.direction,
                    .values = std::move(values)});
  result_.crossings.push_back(found);
}

void DescentRun::step(Index step, double t, std::span<const double> x) {
  progress_.tell(t, x, step, descent_.gradients());
}

void DescentRun::record() {
  if (descent_.steps() == last_record_) return;
  moment_.set(descent_.time(), descent_.state());
  problem_.observables.evaluate(moment_, row_);
  writer_.record(descent_.time(), row_);
  last_record_ = descent_.steps();
}

void DescentRun::snapshot() {
  const std::vector<std::vector<double>> values = state_values(flow_, descent_.state());
  writer_.snapshot(descent_.time(), std::vector<std::span<const double>>(values.begin(), values.end()));
}

void DescentRun::write_results() const {
  const DescentReport& report = result_.report;
  write_summaries(writer_, problem_.events, result_.crossings, report.sign_at_start, report.sign_at_end);
  writer_.set_run({.outcome = static_cast<std::int64_t>(report.outcome),
                   .message = report.message(),
                   .counts = {report.steps, report.gradients, report.event_calls},
                   .wall_seconds = report.wall_seconds});
}

}  // namespace gradflow
