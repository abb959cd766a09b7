#pragma once
#include <gradflow/descent/descent.hpp>
#include <gradflow/experiment/compare.hpp>
#include <gradflow/observables/coupled_drift.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/writer.hpp>

#include "experiment/packing.hpp"
#include "experiment/problem.hpp"
#include "experiment/progress_teller.hpp"

namespace gradflow {

/// A flow with its events, for a descent that goes by fits and starts: `descend` forgets between two calls which sign
/// an event had that is exactly zero now. Here such a value keeps the sign it had, as the smallest number there is.
class SteadyEvents final : public solvers::System<double> {
 public:
  /// The flow must outlive it.
  SteadyEvents(const Flow<double>& flow, const std::vector<FlowEvent>& events);

  std::vector<solvers::Block> blocks() const override { return watched_.blocks(); }
  void derivative(double t, std::span<const double> x, std::span<double> dx) const override {
    watched_.derivative(t, x, dx);
  }
  std::vector<solvers::Event> events() const override { return watched_.events(); }
  void event_values(double t, std::span<const double> x, std::span<double> values) const override;
  void visit(Packing& packing) { packing(signs_); }

 private:
  WatchedFlow watched_;
  mutable std::vector<double> signs_;  // of the last values: -1, 1, and 0 where there was none
};

/// One descent of a comparison, which goes on whenever it is told to, and writes itself into its group of the file.
class DescentRun final : private DescentObserver {
 public:
  /// Stands at step 0. `flow`: on whose states it runs; what it records are the problem's observables. `end`: its last
  /// step. All references must outlive it.
  DescentRun(const Problem& problem, const Flow<double>& flow, Update update, std::string label, Index end,
             const CoupledDrift& drift, trajectory::RunGroupWriter& writer, Listener& listener);

  /// To be called first: writes the first snapshot.
  void begin() { snapshot(); }
  /// Or, of a descent that was interrupted: all that it goes on from, and what it has written so far.
  void visit(Packing& packing);
  void resume(const trajectory::RunReader& run, std::span<const std::int64_t> rows);

  /// Goes on to that step, and makes a record there. False where it ended before.
  bool advance(Index step);
  std::span<const double> state() const { return descent_.state(); }
  double t() const { return descent_.time(); }
  bool interrupted() const { return result_.report.outcome == DescentOutcome::interrupted; }

  /// Goes on to the end, or where it is not to counts as interrupted; writes the last record, the last snapshot and how
  /// it went.
  DescentResult conclude(bool go_on);

 private:
  void crossing(const StepCrossing& crossing, std::span<const double> x) override;
  void step(Index step, double t, std::span<const double> x) override;
  bool interrupt() override { return listener_.interrupt(); }

  bool ended() const { return result_.report.outcome != DescentOutcome::reached_end; }
  void go_to(Index step);
  void record();
  void snapshot();
  void write_results() const;

  const Problem& problem_;
  const Flow<double>& flow_;
  const CoupledDrift& drift_;
  trajectory::RunGroupWriter& writer_;
  Listener& listener_;
  Index end_;
  SteadyEvents events_;
  std::vector<std::size_t> event_rows_;  // of the events that are watched, among all
  Descent descent_;
  DescentResult result_;
  Moment moment_;
  std::vector<double> row_;
  Index last_record_ = -1;
  ProgressTeller progress_;
};

}  // namespace gradflow
