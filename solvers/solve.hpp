#pragma once
#include <solvers/error_bars.hpp>
#include <solvers/integrate.hpp>

namespace solvers {

/// How to solve.
template <class Real>
struct SolveOptions {
  std::string method = std::string(methods().front().name);
  Tolerances<Real> tolerances{Real(1e-8), Real(1e-10)};
  Clock<Real> clock = Clock<Real>::linear();
  Limits<Real> limits = {};
  bool error_bars = false;  ///< solve once more, at ten times the tolerances, for the errors of the crossings
};

/// An accepted step.
template <class Real>
struct AcceptedStep {
  Real t, clock_step, ratio;  ///< where it ended; its length in the clock's time; its error ratio (<= 1)
};

/// All of a solution, in memory.
template <class Real>
struct Solution {
  std::vector<Real> t;               ///< of the outputs reached: all that were asked for, unless it ended before them
  std::vector<std::vector<Real>> x;  ///< there
  std::vector<Real> x_end;           ///< the last state, at report.t, whatever the outcome
  std::vector<Crossing<Real>> crossings;   ///< in order of time
  std::vector<ErrorBar<Real>> error_bars;  ///< one a crossing; empty where they were not asked for, or could not be had
  std::vector<AcceptedStep<Real>> steps;
  Report<Real> report;
  std::optional<Report<Real>> companion;  ///< of the solve for the error bars
};

/// Solves x' = f(t, x), x(0) = x0, to schedule.end, and keeps everything in memory; for what should not be kept, or be
/// seen while it comes, there is integrate(). Numerical fate is an outcome (Solution::report); misuse throws
/// std::invalid_argument, as make_stepper, Stepper::start and integrate do.
///
///     const auto solution = solve(system, {1, 0}, {.end = 10, .outputs = {5, 10}});
///
/// The companion solve has what is left of limits.wall_seconds, and none takes place where the first did not reach its
/// target; without a companion that reaches its own there are no error bars.
template <class Real>
Solution<Real> solve(const System<Real>& system, const std::vector<Real>& x0, const Schedule<Real>& schedule,
                     const SolveOptions<Real>& options = {});

/// The options of a solve that may make `factor` times the errors (or, below 1, fewer), without error bars of its own.
/// Bounds on the steps go along, by factor^(1/(q+1)), q the order of the method's error estimate: two solves that take
/// the same steps make the same errors, whatever their tolerances, and their distance says nothing.
template <class Real>
SolveOptions<Real> loosened(const SolveOptions<Real>& options, Real factor);

}  // namespace solvers
