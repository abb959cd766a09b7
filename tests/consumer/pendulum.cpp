// A pendulum, swung from 2 rad: its period is four times the complete elliptic integral of the first kind K(sin 1).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <solvers/integrate.hpp>
#include <vector>

namespace {

class Pendulum : public solvers::System<double> {
 public:
  std::vector<solvers::Block> blocks() const override { return {{.name = "angle"}, {.name = "angular_velocity"}}; }
  void derivative(double, std::span<const double> x, std::span<double> dx) const override {
    dx[0] = x[1];
    dx[1] = -std::sin(x[0]);
  }
  std::vector<solvers::Event> events() const override { return {{.name = "angle > 0"}}; }
  void event_values(double, std::span<const double> x, std::span<double> values) const override { values[0] = x[0]; }
};

struct Crossings : solvers::Observer<double> {
  std::vector<double> times;
  void crossing(const solvers::Crossing<double>& found, std::span<const double>) override { times.push_back(found.t); }
};

}  // namespace

int main() {
  const Pendulum pendulum;
  const double period = 4 * std::comp_ellint_1(std::sin(1.0)), rtol = 1e-10;
  const auto stepper = solvers::make_stepper<double>("dopri5", pendulum, solvers::Clock<double>::linear(),
                                                     {.rtol = rtol, .atol = 1e-12});
  stepper->start(0, std::vector<double>{2, 0});
  Crossings seen;
  const auto report = solvers::integrate<double>(*stepper, {.end = period, .outputs = {}}, {}, seen);
  std::printf("%s\n", report.message().c_str());

  // Local errors of rtol a step, some hundred steps: 1e3 rtol bounds what they add up to.
  const double bar = 1e3 * rtol;
  const bool back = std::abs(stepper->state()[0] - 2) < bar && std::abs(stepper->state()[1]) < bar;
  const bool crossed = seen.times.size() == 2 && std::abs(seen.times[0] - period / 4) < bar &&
                       std::abs(seen.times[1] - 3 * period / 4) < bar;
  return report.reached_target() && back && crossed ? EXIT_SUCCESS : EXIT_FAILURE;
}
