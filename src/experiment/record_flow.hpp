#pragma once
#include "experiment/checkpoint.hpp"
#include "experiment/recorder.hpp"

namespace gradflow {

/// How many snapshots of the flow the settings ask for: as given, else 20, fewer where those would pass 256 MB.
std::size_t snapshot_count(const settings::Experiment& experiment, const Flow<double>& flow);
/// When the problem's settings have its flow recorded and saved; with the spacing of a run to an earlier end, if given.
SavePlan save_plan(const Problem& problem, std::optional<double> spaced_until = {});

/// An earlier part of the same run.
struct EarlierPart {
  const trajectory::RunReader& run;
  std::span<const std::int64_t> rows;  ///< of its records, snapshots, crossings, steps that are in the group already
  SolveState state;                    ///< after them
  /// Its budgets (max_steps, max_rejections) ended it and are given once more; else what it used up counts.
  bool budgets_anew;
};

/// Solves the problem's flow into a run's group, with the companion solve for the error bars of its events, and writes
/// how both went. `beside` sees the solve too, after the file has what there is to see. `keep`, if there is one, is
/// told of states to go on from: as often as the settings say, when the listener asks for one, and at the end whatever
/// the outcome. `earlier`: the solve goes on from there.
RunResult record_flow(Problem& problem, trajectory::RunGroupWriter& writer, const SavePlan& plan,
                      solvers::Observer<double>& beside, Listener& listener, const KeepCheckpoint& keep = {},
                      const EarlierPart* earlier = nullptr);

}  // namespace gradflow
