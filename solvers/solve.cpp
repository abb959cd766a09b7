#include <solvers/solve.hpp>

#include <cmath>

#include "quad.ipp"

namespace solvers {
namespace {

/// Keeps all it sees.
template <class Real>
class Keeper final : public Observer<Real> {
 public:
  explicit Keeper(Solution<Real>& solution) : solution_(solution) {}
  void output(std::size_t, const Point<Real>& at) override {
    solution_.t.push_back(at.t());
    solution_.x.emplace_back(at.x().begin(), at.x().end());
  }
  void crossing(const Crossing<Real>& crossing, std::span<const Real>) override {
    solution_.crossings.push_back(crossing);
  }
  void step(const Step<Real>& step, std::span<const Real>) override {
    solution_.steps.push_back({step.t, step.clock_step, step.ratio});
  }
  void finish(Real, std::span<const Real> x) override { solution_.x_end.assign(x.begin(), x.end()); }

 private:
  Solution<Real>& solution_;
};

template <class Real>
Solution<Real> solve_once(const System<Real>& system, const std::vector<Real>& x0, const Schedule<Real>& schedule,
                          const SolveOptions<Real>& options) {
  const auto stepper = make_stepper<Real>(options.method, system, options.clock, options.tolerances);
  stepper->start(Real(0), x0);
  Solution<Real> solution;
  Keeper<Real> keeper(solution);
  solution.report = integrate<Real>(*stepper, schedule, options.limits, keeper);
  return solution;
}

}  // namespace

template <class Real>
SolveOptions<Real> loosened(const SolveOptions<Real>& options, Real factor) {
  using std::pow;
  SolveOptions<Real> result = options;
  result.error_bars = false;
  result.tolerances = {options.tolerances.rtol * factor, options.tolerances.atol * factor};
  const Real longer = pow(factor, Real(1) / (find_method(options.method).error_order + 1));
  for (std::optional<Real>* step : {&result.limits.initial_step, &result.limits.max_step})
    if (*step) **step *= longer;
  return result;
}

template <class Real>
Solution<Real> solve(const System<Real>& system, const std::vector<Real>& x0, const Schedule<Real>& schedule,
                     const SolveOptions<Real>& options) {
  Solution<Real> solution = solve_once(system, x0, schedule, options);
  if (!options.error_bars || !solution.report.reached_target()) return solution;
  SolveOptions<Real> looser = loosened(options, Real(10));
  if (auto& seconds = looser.limits.wall_seconds) {
    *seconds -= solution.report.wall_seconds;
    if (!(*seconds > 0)) return solution;
  }
  Solution<Real> companion = solve_once(system, x0, {schedule.end, {}}, looser);
  if (companion.report.reached_target())
    solution.error_bars = error_bars(solution.crossings, companion.crossings, options.clock);
  solution.companion = std::move(companion.report);
  return solution;
}

template SolveOptions<double> loosened(const SolveOptions<double>&, double);
template SolveOptions<Quad> loosened(const SolveOptions<Quad>&, Quad);
template Solution<double> solve(const System<double>&, const std::vector<double>&, const Schedule<double>&,
                                const SolveOptions<double>&);
template Solution<Quad> solve(const System<Quad>&, const std::vector<Quad>&, const Schedule<Quad>&,
                              const SolveOptions<Quad>&);

}  // namespace solvers
