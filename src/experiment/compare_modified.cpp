#include "experiment/compare_modified.hpp"

#include <chrono>
#include <cmath>
#include <gradflow/descent/modified_flow.hpp>

#include "experiment/compare_distance.hpp"
#include "experiment/solve.hpp"

namespace gradflow {
namespace {

using Kind = UpdateRule::Kind;

constexpr double forgotten = 1e-8;  // of what a start from rest leaves behind, beta^k

std::unique_ptr<Flow<double>> make_modified_flow(const FieldDerivatives& field, const Update& update, int order) {
  return update.rule().kind == Kind::gd ? make_gradient_descent_flow(field, update.rate(), order)
                                        : make_heavy_ball_flow(field, update.rate(), update.parameter("beta"));
}

/// Steps its descent up to where the flow is, and compares them.
class BesideModified final : public solvers::Observer<double> {
 public:
  /// `flow`: the plain one, whose states are laid out as those of the modified flow that it looks on.
  BesideModified(const Problem& problem, const Flow<double>& flow, const Update& update, double until, const char* name,
                 Listener& listener)
      : problem_(problem),
        flow_(flow),
        descent_(flow, update, problem.experiment.seed),
        until_(until),
        name_(name),
        listener_(listener),
        moment_(flow) {}

  std::vector<Index> steps;      // where to compare, one an output
  std::vector<double> distance;  // as far as it got

  void output(std::size_t index, double t, std::span<const double> x) override {
    while (alive_ && !interrupted_ && descent_.steps() < steps[index]) {
      alive_ = descent_.step();
      interrupted_ = listener_.interrupt();
      show_progress(t, x);
    }
    distance.push_back(descent_.steps() == steps[index]
                           ? parameter_distance(flow_.weights(descent_.state()), flow_.weights(x))
                           : trajectory::unknown);
  }
  void step(const solvers::Step<double>& step, std::span<const double> x) override {
    ++flow_steps_;
    show_progress(step.t, x);
  }
  bool interrupt() override { return interrupted_ || listener_.interrupt(); }

 private:
  void show_progress(double t, std::span<const double> x) {
    if (!listener_.wants_progress()) return;
    moment_.set(t, x);
    listener_.progress(
        {.t = t,
         .until = until_,
         .clock_fraction = problem_.clock.tau(t) / problem_.clock.tau(until_),
         .loss = moment_.forward().loss,
         .steps = flow_steps_,
         .evaluations = descent_.gradients(),
         .wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(),
         .solve = name_});
  }

  const Problem& problem_;
  const Flow<double>& flow_;
  Descent descent_;
  double until_;
  const char* name_;
  Listener& listener_;
  Moment moment_;
  bool alive_ = true, interrupted_ = false;
  Index flow_steps_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

bool has_modified_flow(const UpdateRule& rule, int order) {
  return rule.kind == Kind::gd ? order == 2 || order == 3 : rule.kind == Kind::heavy_ball && order == 2;
}

ModifiedRun run_modified_flow(const Problem& problem, const FieldDerivatives& field, const Update& update, int order,
                              const std::vector<Index>& steps, const char* name, Listener& listener) {
  double lag = 0;  // in flow time
  Index first = 0;
  if (update.rule().kind == Kind::heavy_ball) {
    const double beta = update.parameter("beta");
    lag = beta / (1 - beta) * update.time(1);
    first = static_cast<Index>(std::ceil(std::log(forgotten) / std::log(beta)));
  }
  const auto left_out = static_cast<std::size_t>(std::ranges::lower_bound(steps, first) - steps.begin());
  ModifiedRun run{.report = {}, .distance = std::vector<double>(steps.size(), trajectory::unknown)};
  if (left_out == steps.size()) return run;

  std::vector<double> times;
  for (std::size_t i = left_out; i < steps.size(); ++i) times.push_back(update.time(steps[i]) - lag);
  const auto modified = make_modified_flow(field, update, order);
  const solvers::SolveOptions<double> options = solve_options(problem);
  const auto stepper = solvers::make_stepper<double>(options.method, *modified, options.clock, options.tolerances);
  stepper->start(0, modified->initial_state());
  BesideModified observer(problem, field.flow(), update, times.back(), name, listener);
  observer.steps.assign(steps.begin() + static_cast<std::ptrdiff_t>(left_out), steps.end());
  run.report = solvers::integrate<double>(*stepper, {times.back(), times}, options.limits, observer);
  std::ranges::copy(observer.distance, run.distance.begin() + static_cast<std::ptrdiff_t>(left_out));
  return run;
}

}  // namespace gradflow
