#pragma once
#include <gradflow/experiment/simulate.hpp>

#include <solvers/solve.hpp>

#include "experiment/checkpoint.hpp"
#include "experiment/problem.hpp"

namespace gradflow {

/// As the experiment's settings say.
solvers::SolveOptions<double> solve_options(const Problem& problem);

/// Integrates the problem's flow, with its events, from its start. The observer sees the solve; the listener hears of
/// its progress (under the name of this solve: "" for the run itself) and may interrupt it. `from`: a state of the same
/// solve to go on from, whose outputs up to there the schedule leaves out; the report is then of the whole.
solvers::Report<double> solve(const Problem& problem, const solvers::SolveOptions<double>& options,
                              const solvers::Schedule<double>& schedule, const char* name,
                              solvers::Observer<double>& observer, Listener& listener,
                              const SolveState* from = nullptr);

}  // namespace gradflow
