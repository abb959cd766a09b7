#include "experiment/compare_beside.hpp"

#include <algorithm>

#include "experiment/compare_distance.hpp"
#include "experiment/progress_teller.hpp"
#include "experiment/solve.hpp"

namespace gradflow {
namespace {

/// Steps the descent up to where the flow is, and compares them.
class Beside final : public solvers::Observer<double> {
 public:
  Beside(const Problem& problem, const Flow<double>& flow, const Update& update, const Meetings& meetings,
         const char* name, Listener& listener)
      : flow_(flow),
        meetings_(meetings),
        descent_(flow, update, problem.experiment.seed),
        listener_(listener),
        progress_(listener, flow, problem.clock, meetings.times.back(), name) {
    run.distance.assign(meetings.times.size(), trajectory::unknown);
  }

  BesideRun run;

  void output(std::size_t index, const solvers::Point<double>& at) override {
    while (!run.diverged && !run.interrupted && descent_.steps() < meetings_.steps[index]) {
      run.diverged = !descent_.step();
      run.interrupted = listener_.interrupt();
      progress_.tell(at.t(), at.x(), flow_steps_, descent_.gradients());
    }
    if (descent_.steps() != meetings_.steps[index]) return;
    run.distance[index] = parameter_distance(flow_.weights(descent_.state()), flow_.weights(at.x()));
    run.gave_up = run.distance[index] > meetings_.give_up_above;
  }
  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    progress_.tell(step.t, x, ++flow_steps_, descent_.gradients());
  }
  bool interrupt() override {
    run.interrupted |= listener_.interrupt();
    const bool parted = run.gave_up || (run.diverged && std::isfinite(meetings_.give_up_above));
    return run.interrupted || parted;
  }

 private:
  const Flow<double>& flow_;
  const Meetings& meetings_;
  Descent descent_;
  Listener& listener_;
  ProgressTeller progress_;
  Index flow_steps_ = 0;
};

}  // namespace

BesideRun run_beside(const Problem& problem, const solvers::System<double>& system, const Flow<double>& flow,
                     const Update& update, const Meetings& meetings, const char* name, Listener& listener) {
  const solvers::SolveOptions<double> options = solve_options(problem);
  const auto stepper = solvers::make_stepper<double>(options.method, system, options.clock, options.tolerances);
  stepper->start(0, problem.x0);
  Beside observer(problem, flow, update, meetings, name, listener);
  observer.run.report =
      solvers::integrate<double>(*stepper, {meetings.times.back(), meetings.times}, options.limits, observer);
  return observer.run;
}

}  // namespace gradflow
