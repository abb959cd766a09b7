#include "experiment/solve.hpp"

#include "experiment/progress_teller.hpp"

namespace gradflow {
namespace {

/// Passes on to the observer what a solve shows, and tells the listener how it goes.
class Reporting final : public solvers::Observer<double> {
 public:
  Reporting(solvers::Observer<double>& observer, Listener& listener, const Problem& problem,
            const solvers::Stepper<double>& stepper, double until, const char* name)
      : observer_(observer),
        listener_(listener),
        stepper_(stepper),
        progress_(listener, *problem.flow, stepper.clock(), until, name) {}

  void output(std::size_t index, const solvers::Point<double>& at) override { observer_.output(index, at); }
  void crossing(const solvers::Crossing<double>& c, std::span<const double> x) override { observer_.crossing(c, x); }
  void finish(double t, std::span<const double> x) override { observer_.finish(t, x); }
  bool interrupt() override { return listener_.interrupt() || observer_.interrupt(); }
  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    observer_.step(step, x);
    progress_.tell(step.t, x, ++steps_, stepper_.evaluations());
  }

 private:
  solvers::Observer<double>& observer_;
  Listener& listener_;
  const solvers::Stepper<double>& stepper_;
  ProgressTeller progress_;
  solvers::Index steps_ = 0;
};

}  // namespace

solvers::SolveOptions<double> solve_options(const Problem& problem) {
  const settings::Solver& s = problem.experiment.solver;
  return {.method = s.method,
          .tolerances = {s.rtol, s.atol},
          .clock = problem.clock,
          .limits = {.steps = s.max_steps,
                     .rejections = s.max_rejections,
                     .wall_seconds = s.max_wall_seconds,
                     .initial_step = s.initial_step,
                     .max_step = s.max_step}};
}

solvers::Report<double> solve(const Problem& problem, const solvers::SolveOptions<double>& options,
                              const solvers::Schedule<double>& schedule, const char* name,
                              solvers::Observer<double>& observer, Listener& listener, const SolveState* from) {
  const WatchedFlow system(*problem.flow, problem.events);
  const auto stepper = solvers::make_stepper<double>(options.method, system, options.clock, options.tolerances);
  if (from != nullptr)
    stepper->restore(from->stepper);
  else
    stepper->start(0, problem.x0);
  Reporting reporting(observer, listener, problem, *stepper, schedule.end, name);
  if (from == nullptr) return solvers::integrate<double>(*stepper, schedule, options.limits, reporting);
  return from->joined(solvers::integrate<double>(*stepper, schedule, options.limits, reporting, &from->continuation));
}

}  // namespace gradflow
