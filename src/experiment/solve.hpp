#pragma once
#include <gradflow/experiment/simulate.hpp>

#include <solvers/solve.hpp>

#include "experiment/problem.hpp"

namespace gradflow {

/// As the experiment's settings say.
solvers::SolveOptions<double> solve_options(const Problem& problem);

/// Integrates the problem's flow, with its events, from its start. The observer sees the solve; the listener hears of
/// its progress (under the name of this solve: "" for the run itself) and may interrupt it.
solvers::Report<double> solve(const Problem& problem, const solvers::SolveOptions<double>& options,
                              const solvers::Schedule<double>& schedule, const char* name,
                              solvers::Observer<double>& observer, Listener& listener);

}  // namespace gradflow
