#include "experiment/solve.hpp"

#include <chrono>

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
        until_(until),
        name_(name),
        moment_(*problem.flow) {}

  void output(std::size_t index, double t, std::span<const double> x) override { observer_.output(index, t, x); }
  void crossing(const solvers::Crossing<double>& c, std::span<const double> x) override { observer_.crossing(c, x); }
  void finish(double t, std::span<const double> x) override { observer_.finish(t, x); }
  bool interrupt() override { return listener_.interrupt() || observer_.interrupt(); }
  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    observer_.step(step, x);
    ++steps_;
    if (!listener_.wants_progress()) return;
    moment_.set(step.t, x);
    listener_.progress(
        {.t = step.t,
         .until = until_,
         .clock_fraction = stepper_.clock().tau(step.t) / stepper_.clock().tau(until_),
         .loss = moment_.forward().loss,
         .steps = steps_,
         .evaluations = stepper_.evaluations(),
         .wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(),
         .solve = name_});
  }

 private:
  solvers::Observer<double>& observer_;
  Listener& listener_;
  const solvers::Stepper<double>& stepper_;
  double until_;
  const char* name_;
  Moment moment_;
  solvers::Index steps_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
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
                              solvers::Observer<double>& observer, Listener& listener) {
  const WatchedFlow system(*problem.flow, problem.events);
  const auto stepper = solvers::make_stepper<double>(options.method, system, options.clock, options.tolerances);
  stepper->start(0, problem.x0);
  Reporting reporting(observer, listener, problem, *stepper, schedule.end, name);
  return solvers::integrate<double>(*stepper, schedule, options.limits, reporting);
}

}  // namespace gradflow
