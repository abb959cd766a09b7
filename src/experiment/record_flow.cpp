#include "experiment/record_flow.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "experiment/layout.hpp"
#include "experiment/solve.hpp"

namespace gradflow {
namespace {

/// The file first, then whoever looks on beside it.
class Both final : public solvers::Observer<double> {
 public:
  Both(solvers::Observer<double>& first, solvers::Observer<double>& second) : first_(first), second_(second) {}
  void output(std::size_t index, const solvers::Point<double>& at) override {
    first_.output(index, at);
    const auto begin = std::chrono::steady_clock::now();
    second_.output(index, at);
    seconds_beside_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double> x) override {
    first_.crossing(crossing, x);
    second_.crossing(crossing, x);
  }
  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    first_.step(step, x);
    second_.step(step, x);
  }
  void finish(double t, std::span<const double> x) override {
    first_.finish(t, x);
    second_.finish(t, x);
  }
  bool interrupt() override { return first_.interrupt() || second_.interrupt(); }

  /// What the second did with the outputs took so long, which is no part of the solve.
  double seconds_beside() const { return seconds_beside_; }

 private:
  solvers::Observer<double>&first_, &second_;
  double seconds_beside_ = 0;
};

/// Has states kept between the steps that another observer sees.
class Checkpoints final : public solvers::Observer<double> {
 public:
  /// `before`: what the solve goes on from, or null.
  Checkpoints(solvers::Observer<double>& observer, const KeepCheckpoint& keep, double every_seconds,
              const SolveState* before, Listener& listener)
      : observer_(observer), keep_(keep), every_seconds_(every_seconds), before_(before), listener_(listener) {}

  void output(std::size_t index, const solvers::Point<double>& at) override { observer_.output(index, at); }
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double> x) override {
    observer_.crossing(crossing, x);
  }
  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    observer_.step(step, x);
    stepper_ = &step.stepper;
    report_ = &step.report;
    if (keep_ && (listener_.checkpoint() || seconds_since(latest_) >= every_seconds_)) keep();
  }
  /// Before the rows that only the present end has: who goes on from here has no use for them.
  void finish(double t, std::span<const double> x) override {
    if (keep_ && report_ != nullptr) keep();
    observer_.finish(t, x);
  }
  bool interrupt() override { return observer_.interrupt(); }

 private:
  using Timer = std::chrono::steady_clock;
  static double seconds_since(Timer::time_point begin) {
    return std::chrono::duration<double>(Timer::now() - begin).count();
  }

  void keep() {
    solvers::Report<double> whole = *report_;
    whole.wall_seconds = seconds_since(begin_);
    if (before_ != nullptr) whole = before_->joined(std::move(whole));
    SolveState state(*stepper_, whole, whole.wall_seconds);
    keep_(state);
    latest_ = Timer::now();
  }

  solvers::Observer<double>& observer_;
  const KeepCheckpoint& keep_;
  double every_seconds_;
  const SolveState* before_;
  Listener& listener_;
  const solvers::Stepper<double>* stepper_ = nullptr;  // of the latest step; both live until the end
  const solvers::Report<double>* report_ = nullptr;
  Timer::time_point begin_ = Timer::now(), latest_ = begin_;
};

void reduce(solvers::Limits<double>& limits, const solvers::Counts& used) {
  limits.steps = std::max<Index>(1, limits.steps - used.accepted);
  limits.rejections = std::max<Index>(1, limits.rejections - used.rejected_error - used.rejected_not_finite);
}

/// The companion solve sees events only.
class CompanionObserver final : public solvers::Observer<double> {
 public:
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double>) override {
    located.push_back(crossing);
  }
  std::vector<solvers::Crossing<double>> located;
};

/// Whether each event holds, how often it crossed, how the run ended: as far as it is known.
void write_results(trajectory::RunGroupWriter& writer, const std::vector<FlowEvent>& events, const RunResult& result) {
  write_summaries(writer, events, result.crossings, result.report.sign_at_start, result.report.sign_at_end);
  writer.set_run(run_end(result.report, result.companion));
}

/// The second solve, and the error bars that follow from it.
void add_error_bars(const Problem& problem, trajectory::RunGroupWriter& writer, const Recorder& recorder,
                    RunResult& result, Listener& listener) {
  solvers::SolveOptions<double> looser = solvers::loosened(solve_options(problem), 10.0);
  if (looser.limits.wall_seconds) *looser.limits.wall_seconds -= result.report.wall_seconds;
  const bool time_left = !looser.limits.wall_seconds || *looser.limits.wall_seconds > 0;
  if (!problem.experiment.solver.error_bars || !result.report.reached_target() || !time_left) return;
  CompanionObserver companion;
  result.companion = solve(problem, looser, {problem.experiment.solver.until, {}}, "error bars", companion, listener);
  if (result.companion->reached_target()) {
    const auto bars = solvers::error_bars(recorder.located(), companion.located, problem.clock);
    for (std::size_t i = 0; i < bars.size(); ++i) {
      EventCrossing& crossing = result.crossings[i];
      const double rounding = problem.events[crossing.event].rounding / std::abs(crossing.slope);
      crossing.t_error = bars[i].error < rounding ? rounding : bars[i].error;
      crossing.certain = bars[i].certain ? 1 : 0;
      writer.set_crossing_error(static_cast<std::int64_t>(i), crossing.t_error, crossing.certain);
    }
  }
  write_results(writer, problem.events, result);
}

}  // namespace

std::size_t snapshot_count(const settings::Experiment& experiment, const Flow<double>& flow) {
  if (experiment.save.states) return static_cast<std::size_t>(*experiment.save.states);
  const Index values = flow.has_weights() ? flow.width() * (flow.hidden() + 3 * flow.task().words())
                                          : 4 * std::ssize(flow.words()) * std::ssize(flow.words());
  return static_cast<std::size_t>(std::clamp<Index>(256'000'000 / (8 * values), 2, 20));
}

SavePlan save_plan(const Problem& problem, std::optional<double> spaced_until) {
  const settings::Experiment& experiment = problem.experiment;
  const double until = experiment.solver.until;
  return extended_plan(problem.clock, spaced_until.value_or(until), static_cast<std::size_t>(experiment.save.records),
                       snapshot_count(experiment, *problem.flow), until);
}

RunResult record_flow(Problem& problem, trajectory::RunGroupWriter& writer, const SavePlan& plan,
                      solvers::Observer<double>& beside, Listener& listener, const KeepCheckpoint& keep,
                      const EarlierPart* earlier) {
  const CoupledDrift drift(problem.start, problem.observables.context().words);
  std::vector<std::size_t> rows;  // of the events that are integrated, among all
  for (std::size_t i = 0; i < problem.events.size(); ++i)
    if (problem.events[i].applicable) rows.push_back(i);

  const SolveState* from = earlier != nullptr ? &earlier->state : nullptr;
  Recorder recorder(writer, *problem.flow, problem.observables, drift, problem.events, rows, plan, listener);
  if (earlier != nullptr) recorder.resume(earlier->run, earlier->rows);
  Both both(recorder, beside);
  Checkpoints observer(both, keep, problem.experiment.save.checkpoint_seconds, from, listener);
  solvers::SolveOptions<double> options = solve_options(problem);
  if (earlier != nullptr && !earlier->budgets_anew) reduce(options.limits, from->counts);
  RunResult result;
  result.report = solve(problem, options, {problem.experiment.solver.until, plan.times}, "", observer, listener, from);
  result.report.wall_seconds -= both.seconds_beside();
  result.crossings = recorder.crossings();
  write_results(writer, problem.events, result);
  add_error_bars(problem, writer, recorder, result, listener);
  return result;
}

}  // namespace gradflow
