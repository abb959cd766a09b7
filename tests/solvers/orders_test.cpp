// Orders of convergence, by regression over ladders of fixed steps against a closed form, in quadruple precision:
// double's rounding would hide them.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/problems.hpp"

namespace solvers {
namespace {

using std::abs;

/// x' = x cos t, y' = -y^2: x = e^{sin t}, y = 1/(1 + t).
Problem<Quad> problem() {
  return {2, [](Quad t, auto x, auto dx) { dx[0] = x[0] * cos(t), dx[1] = -x[1] * x[1]; }};
}

Quad error_at(Quad t, std::span<const Quad> x) {
  return std::max(Quad(abs(x[0] - exp(sin(t)))), Quad(abs(x[1] - 1 / (1 + t))));
}

class Orders : public testing::TestWithParam<Method> {};
INSTANTIATE_TEST_SUITE_P(AllMethods, Orders, testing::ValuesIn(methods().begin(), methods().end()), MethodName());

TEST_P(Orders, GlobalErrorShrinksWithTheOrderOfTheMethod) {
  const auto system = problem();
  std::vector<Quad> hs, errors;
  for (int n = 128; n <= 1024; n *= 2) {
    const auto stepper = stepper_at<Quad>(GetParam().name, system, {1, 1});
    for (int i = 1; i <= n; ++i) {
      stepper->attempt(Quad(2) * i / n);
      stepper->accept();
    }
    hs.push_back(Quad(2) / n);
    errors.push_back(error_at(2, stepper->state()));
  }
  const double order = order_of(hs, errors);
  RecordProperty("order", std::to_string(order));
  EXPECT_NEAR(order, GetParam().order, 0.2);
}

TEST_P(Orders, ErrorEstimateShrinksWithItsOwnOrder) {
  const auto system = problem();
  std::vector<Quad> hs, errors;
  for (int n = 128; n <= 1024; n *= 2) {
    const auto stepper = stepper_at<Quad>(GetParam().name, system, {1, 1});
    stepper->attempt(Quad(1) / n);
    hs.push_back(Quad(1) / n);
    errors.push_back(abs(stepper->trial_error()[0]));
  }
  EXPECT_NEAR(order_of(hs, errors), GetParam().error_order + 1, 0.2);
}

/// Inside one step from the exact solution: the error is the interpolant's own.
double interpolation_order(const Method& method) {
  const auto system = problem();
  std::vector<Quad> hs, errors;
  for (int n = 16; n <= 256; n *= 2) {
    const auto stepper = stepper_at<Quad>(method.name, system, {1, 1});
    const Quad h = Quad(1) / n;
    stepper->attempt(h);
    stepper->accept();
    Quad worst = 0;
    std::vector<Quad> x(2);
    for (int i = 1; i < 16; ++i) {
      stepper->interpolate(h * i / 16, x);
      worst = std::max(worst, error_at(h * i / 16, x));
    }
    hs.push_back(h);
    errors.push_back(worst);
  }
  return order_of(hs, errors);
}

// The local error of an interpolant of order q shrinks like h^(q+1): dopri5's order 4 and dop853's order 7 stay one
// power behind the method's own global error only; a cubic Hermite interpolant is of order 3,
// and stands on ends with rkc2's own local errors.
TEST_P(Orders, LocalErrorInsideAStepShrinksAsTheInterpolantPromises) {
  const Method& method = GetParam();
  EXPECT_NEAR(interpolation_order(method),
              method.name == "dop853"   ? 8
              : method.name == "dopri5" ? 5
                                        : std::min(4, method.order + 1),
              0.2);
}

TEST_P(Orders, EventTimesHaveTheOrderOfTheMethodAndNotOfTheInterpolant) {
  auto system = problem();
  system.watch([](Quad, auto x) { return Quad(x[0] * x[1] - 1 / Quad(2)); });
  // The exact root of e^{sin t} / (1 + t) = 1/2 beyond the maximum, by Newton's method in quadruple precision.
  Quad root = 2.9;
  for (int i = 0; i < 12; ++i) {
    const Quad g = exp(sin(root)) / (1 + root), slope = g * (cos(root) - 1 / (1 + root));
    root -= (g - Quad(0.5)) / slope;
  }
  std::vector<Quad> hs, errors;
  for (int n = 101; n <= 808; n *= 2) {  // the root lies somewhere inside a step
    const auto stepper = stepper_at<Quad>(GetParam().name, system, {1, 1});
    EventLocator<Quad> locator(system);
    locator.start(*stepper);
    for (int i = 1; i <= n; ++i) {
      stepper->attempt(Quad(3.5) * i / n);
      stepper->accept();
      for (const auto& crossing : locator.locate(*stepper)) {
        hs.push_back(Quad(3.5) / n);
        errors.push_back(abs(crossing.t - root));
      }
    }
  }
  ASSERT_EQ(errors.size(), 4u);
  const double order = order_of(hs, errors);
  RecordProperty("order", std::to_string(order));
  // Where in its step the root falls changes the last step's share of the error: twice the usual scatter of a slope.
  EXPECT_NEAR(order, GetParam().order, 0.4);
}

TEST_P(Orders, QuadruplePrecisionIsUsed) {
  const auto system = slowing_down<Quad>();
  if (GetParam().order == 2) GTEST_SKIP() << "it would take a million steps to what double cannot hold";
  const Quad rtol(GetParam().order == 8 ? "1e-25" : "1e-20");  // the fifth-order methods would take 1e5 steps for 1e-25
  Solve<Quad> how{.end = 1, .tolerances = {rtol, rtol}};
  how.method = GetParam().name;
  const auto solved = solve<Quad>(system, {1}, how);
  EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
  EXPECT_LT(abs(solved.x[0] - Quad(0.5)), 100 * rtol);
}

}  // namespace
}  // namespace solvers
