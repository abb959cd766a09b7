#pragma once
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/observables/coupled_drift.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/writer.hpp>

#include "experiment/problem.hpp"

namespace gradflow {

/// When to keep what: records and snapshots, merged into one ascending schedule of flow times.
struct SavePlan {
  std::vector<double> times;
  std::vector<bool> record, snapshot;  ///< what each of them is
};

SavePlan save_plan(const solvers::Clock<double>& clock, double until, std::size_t records, std::size_t snapshots);
/// The same plan, gone on with at its own spacing to a later end, which is always recorded and saved.
SavePlan extended_plan(const solvers::Clock<double>& clock, double until, std::size_t records, std::size_t snapshots,
                       double later);
/// What is left of a plan after that time of the clock.
SavePlan after(const SavePlan& plan, const solvers::Clock<double>& clock, double tau);

/// Everything about a run that its file says before the first step.
trajectory::RunDescription describe(const Problem& problem, const std::string& command_line);

/// Puts what an integration shows into the run's file, and tells the listener of crossings.
class Recorder final : public solvers::Observer<double> {
 public:
  /// `event_rows`: for each event that is integrated its row among all events. All references must outlive the
  /// recorder.
  Recorder(trajectory::RunGroupWriter& writer, const Flow<double>& flow, const Observables& observables,
           const CoupledDrift& drift, const std::vector<FlowEvent>& events, std::vector<std::size_t> event_rows,
           const SavePlan& plan, Listener& listener);

  /// Takes over what an earlier recorder put into the file: so many records, snapshots and crossings.
  void resume(const trajectory::RunReader& run, std::span<const std::int64_t> rows);

  void output(std::size_t index, const solvers::Point<double>& at) override;
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double> x) override;
  void step(const solvers::Step<double>& step, std::span<const double> x) override;
  void finish(double t, std::span<const double> x) override;

  const std::vector<EventCrossing>& crossings() const { return crossings_; }
  const std::vector<solvers::Crossing<double>>& located() const { return located_; }

 private:
  void record(const solvers::Point<double>& at);
  void snapshot(const solvers::Point<double>& at);

  trajectory::RunGroupWriter& writer_;
  const Flow<double>& flow_;
  const Observables& observables_;
  const CoupledDrift& drift_;
  const std::vector<FlowEvent>& events_;
  std::vector<std::size_t> event_rows_;
  const SavePlan& plan_;
  Listener& listener_;
  Moment moment_;
  std::vector<double> row_;
  double last_record_ = -1, last_snapshot_ = -1;
  std::vector<EventCrossing> crossings_;
  std::vector<solvers::Crossing<double>> located_;
};

}  // namespace gradflow
