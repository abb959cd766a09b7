#pragma once
#include <gradflow/experiment/simulate.hpp>

#include <functional>

#include "experiment/problem.hpp"
#include "experiment/record_flow.hpp"

namespace gradflow {

struct Simulation::Parts {
  Parts(settings::Experiment experiment, Inputs inputs) : problem(std::move(experiment), std::move(inputs)) {}

  /// Of the problem's solve, to be unpacked into.
  SolveState empty_state() const {
    return {problem.x0.size(), WatchedFlow(*problem.flow, problem.events).events().size(),
            problem.experiment.solver.method};
  }
  /// `begin`: fills the fresh file before it has its name.
  RunResult solve_into(const std::filesystem::path& file, bool overwrite, const trajectory::RunDescription& description,
                       const SavePlan& plan, Listener& listener, const EarlierPart* earlier,
                       const std::function<void(trajectory::RunGroupWriter&)>& begin);

  Problem problem;
  /// Of a run to go on with: its file, and the end to which its records were spaced.
  std::filesystem::path run;
  double spaced_until = 0;
};

}  // namespace gradflow
