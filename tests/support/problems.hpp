#pragma once
#include <algorithm>
#include <cmath>
#include <functional>
#include <solvers/integrate.hpp>
#include <solvers/quad.ipp>
#include <string>
#include <utility>
#include <vector>

/// Initial-value problems with known answers, and what it takes to solve one in a line.
namespace solvers {

/// A system put together from functions.
template <class Real>
class Problem : public System<Real> {
 public:
  using In = std::span<const Real>;
  using Out = std::span<Real>;

  Problem(std::vector<Block> blocks, std::function<void(Real, In, Out)> f)
      : blocks_(std::move(blocks)), f_(std::move(f)) {}
  Problem(Index dimension, std::function<void(Real, In, Out)> f)
      : Problem(std::vector<Block>{{.name = "x", .rows = dimension}}, std::move(f)) {}

  Problem& watch(std::function<Real(Real, In)> g, bool stop = false) {
    events_.push_back({"event " + std::to_string(events_.size()), stop});
    g_.push_back(std::move(g));
    return *this;
  }

  std::vector<Block> blocks() const override { return blocks_; }
  void derivative(Real t, In x, Out dx) const override { f_(t, x, dx); }
  std::vector<Event> events() const override { return events_; }
  void event_values(Real t, In x, Out values) const override {
    for (std::size_t j = 0; j < g_.size(); ++j) values[j] = g_[j](t, x);
  }

 private:
  std::vector<Block> blocks_;
  std::function<void(Real, In, Out)> f_;
  std::vector<Event> events_;
  std::vector<std::function<Real(Real, In)>> g_;
};

/// x'' = -x; from (0, 1): sin t, cos t.
template <class Real = double>
Problem<Real> oscillator() {
  return {2, [](Real, auto x, auto dx) { dx[0] = x[1], dx[1] = -x[0]; }};
}

/// x' = 1: the solution is time itself, so events are functions of time, and every step is exact.
inline Problem<double> time_itself() {
  return {1, [](double, auto, auto dx) { dx[0] = 1; }};
}

/// x'' = -sin x.
inline Problem<double> pendulum() {
  return {2, [](double, auto x, auto dx) { dx[0] = x[1], dx[1] = -std::sin(x[0]); }};
}

/// x' = -x^2; from 1: 1/(1 + t).
template <class Real = double>
Problem<Real> slowing_down() {
  return {1, [](Real, auto x, auto dx) { dx[0] = -x[0] * x[0]; }};
}

/// Writes down all it is told, and the order in which.
template <class Real>
struct Recorder : Observer<Real> {
  std::vector<Real> output_times, step_ends, step_lengths;
  std::vector<std::vector<Real>> outputs, crossing_states;
  std::vector<Crossing<Real>> crossings;
  std::string sequence;  // o, c, s, f
  std::vector<Real> final_state;
  Real final_time = -1;
  std::function<void(const Step<Real>&)> on_step;
  Index interrupt_after = -1;

  void output(std::size_t, const Point<Real>& at) override {
    sequence += 'o';
    output_times.push_back(at.t());
    outputs.emplace_back(at.x().begin(), at.x().end());
  }
  void crossing(const Crossing<Real>& c, std::span<const Real> x) override {
    sequence += 'c';
    crossings.push_back(c);
    crossing_states.emplace_back(x.begin(), x.end());
  }
  void step(const Step<Real>& s, std::span<const Real>) override {
    sequence += 's';
    step_ends.push_back(s.t);
    step_lengths.push_back(s.clock_step);
    if (on_step) on_step(s);
  }
  void finish(Real t, std::span<const Real> x) override {
    sequence += 'f';
    final_time = t;
    final_state.assign(x.begin(), x.end());
  }
  bool interrupt() override { return static_cast<Index>(step_ends.size()) == interrupt_after; }

  std::vector<Real> times(Index event, int direction = 0) const {
    std::vector<Real> result;
    for (const auto& c : crossings)
      if (c.event == event && (direction == 0 || c.direction == direction)) result.push_back(c.t);
    return result;
  }
};

template <class Real>
struct Solve {
  Real end;
  Tolerances<Real> tolerances{Real(1e-10), Real(1e-10)};
  Clock<Real> clock = Clock<Real>::linear();
  Limits<Real> limits{};
  std::vector<Real> outputs{};
  Real start = 0;
  std::string_view method = "dopri5";
};

template <class Real>
struct Solved {
  Report<Real> report;
  Recorder<Real> seen;
  std::vector<Real> x;
  Index evaluations;
};

template <class Real>
Solved<Real> solve(const System<Real>& system, const std::vector<Real>& x0, const Solve<Real>& how,
                   Recorder<Real> seen = {}) {
  const auto stepper = make_stepper<Real>(how.method, system, how.clock, how.tolerances);
  stepper->start(how.clock.tau(how.start), x0);
  const Schedule<Real> schedule{.end = how.end, .outputs = how.outputs};
  auto report = integrate<Real>(*stepper, schedule, how.limits, seen);
  return {
      std::move(report), std::move(seen), {stepper->state().begin(), stepper->state().end()}, stepper->evaluations()};
}

/// A stepper at tau = 0, to be driven by hand with fixed steps.
template <class Real>
std::unique_ptr<Stepper<Real>> stepper_at(std::string_view method, const System<Real>& system,
                                          const std::vector<Real>& x0) {
  auto stepper = make_stepper<Real>(method, system, Clock<Real>::linear(), {.rtol = Real(1), .atol = Real(1e30)});
  stepper->start(Real(0), x0);
  return stepper;
}

/// What a failing parameterised test calls a method.
inline void PrintTo(const Method& method, std::ostream* out) { *out << method.name; }

/// Names the methods in parameterised tests.
struct MethodName {
  template <class Info>
  std::string operator()(const Info& test) const {
    std::string name(test.param.name);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
  }
};

/// Slope of log(error) against log(h), by least squares.
template <class Real>
double order_of(const std::vector<Real>& h, const std::vector<Real>& error) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (std::size_t i = 0; i < h.size(); ++i) {
    using std::log;
    const double x = static_cast<double>(log(h[i])), y = static_cast<double>(log(error[i]));
    n += 1, sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

}  // namespace solvers
