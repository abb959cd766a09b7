#pragma once
#include <gtest/gtest.h>

#include <memory>

#include "support/problems.hpp"

/// Systems beside their exact solutions.
namespace neighbours {

template <class Real>
struct ClosedForm {
  std::shared_ptr<const solvers::System<Real>> system;
  std::vector<Real> start;
  Real end;
  solvers::Clock<Real> clock;
  std::function<Real(Real, std::span<const Real>)> error;  ///< largest difference of (t, x) from the exact state at t
  std::function<std::vector<Real>(std::span<const Real>)> invariants;  ///< constant along the exact solution
  std::vector<Real> event_times;                                       ///< exact; each event is crossed once, upwards
};

/// Solves once, holds states (twenty of them), invariants and event times against the exact ones, and returns the
/// largest error of the states. The bar is the sum of the local errors, rtol |x| a step: none of these flows amplifies
/// them by more than it amplifies the state itself. Event times are held to it relative to the time.
template <class Real>
Real largest_error(const ClosedForm<Real>& problem, std::string_view method, Real rtol) {
  using std::abs;
  const solvers::Solve<Real> how{.end = problem.end,
                                 .tolerances = {rtol, rtol / 100},
                                 .clock = problem.clock,
                                 .outputs = problem.clock.evenly_spaced(Real(0), problem.end, 20),
                                 .method = method};
  const auto solved = solvers::solve<Real>(*problem.system, problem.start, how);
  EXPECT_EQ(solved.report.outcome, solvers::Outcome::reached_end);
  const Real bar = rtol * Real(solved.report.counts.accepted);
  const std::vector<Real> laws = problem.invariants(problem.start);
  Real largest = 0;
  for (std::size_t i = 0; i < solved.seen.outputs.size(); ++i) {
    const std::vector<Real>& x = solved.seen.outputs[i];
    largest = std::max(largest, problem.error(solved.seen.output_times[i], x));
    const std::vector<Real> now = problem.invariants(x);
    for (std::size_t j = 0; j < laws.size(); ++j) EXPECT_LT(abs(now[j] - laws[j]), bar) << "invariant " << j;
  }
  EXPECT_LT(largest, bar) << method << " at rtol " << rtol;
  for (std::size_t event = 0; event < problem.event_times.size(); ++event) {
    const auto times = solved.seen.times(static_cast<solvers::Index>(event));
    EXPECT_EQ(times.size(), 1u) << "event " << event;
    if (times.size() == 1) {
      EXPECT_LT(abs(times[0] / problem.event_times[event] - 1), bar) << "event " << event << ", " << method;
    }
  }
  return largest;
}

/// In double with every method, the error being proportional to the tolerance; in quadruple precision with the method
/// of order 8. `make` is a template of the scalar.
template <class Make>
void expect_closed_form(Make make) {
  const ClosedForm<double> in_double = make(double());
  for (const solvers::Method& method : solvers::methods()) {
    std::vector<double> rtols, errors;
    for (double rtol = 1e-5; rtol > 0.5e-10; rtol /= 10) {
      rtols.push_back(rtol);
      errors.push_back(largest_error<double>(in_double, method.name, rtol));
    }
    // Slope 1 where the method gains an order on its estimate; 1 - 1/5 where the errors of all steps add up, whose
    // number grows like rtol^(-1/5). Where in a step the outputs fall scatters by a factor of ten, 1/5 of the slope
    // over five decades.
    const double slope = solvers::order_of(rtols, errors);
    EXPECT_GT(slope, 0.6) << method.name;
    EXPECT_LT(slope, 1.2) << method.name;
    testing::Test::RecordProperty("slope_" + std::string(method.name), std::to_string(slope));
  }
  largest_error<solvers::Quad>(make(solvers::Quad()), "fehlberg78", solvers::Quad("1e-24"));
}

/// The solution of theta' = a - c sinh(theta), c > 0, below its fixed point: rational in e^theta.
template <class Real>
class SinhFlow {
 public:
  SinhFlow(Real a, Real c, Real theta) : rate_(sqrt_of(a * a + c * c)), high_((a + rate_) / c), low_((a - rate_) / c) {
    using std::exp;
    ratio_ = ratio(exp(theta));
  }
  Real theta(Real t) const {
    using std::exp;
    using std::log;
    const Real now = ratio_ * exp(rate_ * t);
    return log((high_ * now + low_) / (1 + now));
  }
  Real time(Real theta) const {
    using std::exp;
    using std::log;
    return log(ratio(exp(theta)) / ratio_) / rate_;
  }

 private:
  static Real sqrt_of(Real x) {
    using std::sqrt;
    return sqrt(x);
  }
  Real ratio(Real e) const { return (e - low_) / (high_ - e); }
  Real rate_, high_, low_, ratio_;
};

/// z with z + e^z = k, which is k - W(e^k), W the Lambert function: by Newton's method, so that k may be 1e12.
template <class Real>
Real log_lambert(Real k) {
  using std::exp;
  using std::log;
  Real z = k > 1 ? Real(log(k)) : k;
  for (int i = 0; i < 20; ++i) z -= (z + exp(z) - k) / (1 + exp(z));
  return z;
}

}  // namespace neighbours
