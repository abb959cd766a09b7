#pragma once
#include <gradflow/descent/descent.hpp>
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <limits>

#include "experiment/problem.hpp"

namespace gradflow {

/// Where a descent is set beside a flow.
struct Meetings {
  std::vector<Index> steps;   ///< of the descent, ascending
  std::vector<double> times;  ///< of the flow, ascending
  /// Further apart than this they part; the flow then ends as interrupted.
  double give_up_above = std::numeric_limits<double>::infinity();
};

/// A flow's solve with a fresh descent in lockstep.
struct BesideRun {
  solvers::Report<double> report;  ///< of the flow
  /// Relative, in parameters, at each meeting; NaN where the descent is no longer finite, or the flow did not come.
  std::vector<double> distance;
  bool diverged = false, gave_up = false, interrupted = false;
};

/// Solves a system as the settings say. Its states are laid out as `flow`'s, from which the descent takes its gradients
/// and both their weights: `flow` itself, or a modified flow of it. There must be a meeting. `name`: of this solve, for
/// the listener.
BesideRun run_beside(const Problem& problem, const solvers::System<double>& system, const Flow<double>& flow,
                     const Update& update, const Meetings& meetings, const char* name, Listener& listener);

}  // namespace gradflow
