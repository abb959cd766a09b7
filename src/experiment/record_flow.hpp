#pragma once
#include "experiment/recorder.hpp"

namespace gradflow {

/// How many snapshots of the flow the settings ask for: as given, else 20, fewer where those would pass 256 MB.
std::size_t snapshot_count(const settings::Experiment& experiment, const Flow<double>& flow);

/// Solves the problem's flow into a run's group, with the companion solve for the error bars of its events, and writes
/// how both went. `beside` sees the solve too, after the file has what there is to see.
RunResult record_flow(Problem& problem, trajectory::RunGroupWriter& writer, const SavePlan& plan,
                      solvers::Observer<double>& beside, Listener& listener);

}  // namespace gradflow
