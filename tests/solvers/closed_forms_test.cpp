// Problems with known answers, solved with this library alone.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/problems.hpp"

namespace solvers {
namespace {

class ClosedForms : public testing::TestWithParam<Method> {
 protected:
  /// Errors of one step are at most rtol |x| and atol; over a whole solve a problem multiplies their sum by a growth
  /// factor.
  static double sum_of_errors(const Solved<double>& solved, double rtol, double growth) {
    return growth * rtol * static_cast<double>(solved.report.counts.accepted);
  }
};
INSTANTIATE_TEST_SUITE_P(AllMethods, ClosedForms, testing::ValuesIn(methods().begin(), methods().end()), MethodName());

TEST_P(ClosedForms, PendulumCrossesZeroAtMultiplesOfTheEllipticIntegral) {
  const double amplitude = 2, quarter = std::comp_ellint_1(std::sin(amplitude / 2)), rtol = 1e-10;
  auto system = pendulum();
  system.watch([](double, auto x) { return x[0]; });
  const auto solved = solve<double>(system, {amplitude, 0},
                                    {.end = 20 * quarter, .tolerances = {rtol, rtol}, .method = GetParam().name});
  ASSERT_EQ(solved.report.outcome, Outcome::reached_end);
  // A phase error grows with every period as the period's own error does: growth by the number of periods.
  const double bar = sum_of_errors(solved, rtol, 5);
  EXPECT_NEAR(solved.x[0], amplitude, bar);
  EXPECT_NEAR(solved.x[1], 0, bar);
  EXPECT_NEAR(solved.x[1] * solved.x[1] / 2 - std::cos(solved.x[0]), -std::cos(amplitude), bar);
  const auto times = solved.seen.times(0);
  ASSERT_EQ(times.size(), 10u);
  double worst = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const double exact = quarter * static_cast<double>(2 * i + 1);
    worst = std::max(worst, std::abs(times[i] - exact) / exact);
    EXPECT_EQ(solved.seen.crossings[i].direction, i % 2 == 0 ? -1 : 1);
    // At the bottom the speed is 2 sin(amplitude / 2).
    EXPECT_NEAR(std::abs(solved.seen.crossings[i].slope), 2 * std::sin(amplitude / 2), 10 * bar);
    EXPECT_NEAR(solved.seen.crossing_states[i][0], 0, 1e-14);  // polished to rounding
  }
  RecordProperty("worst_time_error", std::to_string(worst * 1e12) + "e-12");
  EXPECT_LT(worst, bar / (2 * std::sin(amplitude / 2)) / quarter);  // an error in the angle, over the speed
}

TEST_P(ClosedForms, LotkaVolterraKeepsItsInvariantAndItsOrbit) {
  const double rtol = 1e-9;
  Problem<double> system{{{.name = "prey"}, {.name = "predator"}}, [](double, auto x, auto dx) {
                           dx[0] = x[0] * (1 - x[1]);
                           dx[1] = x[1] * (x[0] - 1);
                         }};
  system.watch([](double, auto x) { return x[0] - 1; });
  const auto invariant = [](auto x) { return x[0] - std::log(x[0]) + x[1] - std::log(x[1]); };
  const auto solved =
      solve<double>(system, {2, 0.5}, {.end = 60, .tolerances = {rtol, rtol}, .method = GetParam().name});
  ASSERT_EQ(solved.report.outcome, Outcome::reached_end);
  const double bar = sum_of_errors(solved, rtol, 3);  // |gradient of the invariant| times |x| is below 3 on this orbit
  EXPECT_NEAR(invariant(solved.x), invariant(std::vector<double>{2, 0.5}), bar);
  // Every crossing of prey = 1 is at one of the two predator numbers that the invariant allows there.
  ASSERT_GE(solved.seen.crossings.size(), 10u);
  for (const auto& x : solved.seen.crossing_states)
    EXPECT_NEAR(invariant(x), invariant(std::vector<double>{2, 0.5}), bar);
}

TEST_P(ClosedForms, EventTimesAtRtol1e10AreWithin1e9) {
  auto system = oscillator();
  for (const double level : {0.0, 0.3, -0.9}) system.watch([=](double, auto x) { return x[0] - level; });
  const auto solved = solve<double>(system, {0, 1}, {.end = 40, .method = GetParam().name});
  double worst = 0;
  for (const auto& crossing : solved.seen.crossings) {
    const double level = std::array{0.0, 0.3, -0.9}[static_cast<std::size_t>(crossing.event)];
    EXPECT_NEAR(crossing.slope, crossing.direction * std::sqrt(1 - level * level), 1e-8);  // cos t; the state's error
    worst = std::max(worst, std::abs(std::sin(crossing.t) - level) / std::abs(std::cos(crossing.t)) / crossing.t);
  }
  RecordProperty("worst_time_error", std::to_string(worst * 1e12) + "e-12");
  // rkc2 takes 1e5 steps, whose errors add up.
  EXPECT_LT(worst, GetParam().order > 2 ? 1e-9 : 1e-6);
  EXPECT_EQ(solved.seen.times(0).size(), 12u);  // sin at pi, 2 pi, ... 12 pi; the zero at the start is no crossing
  EXPECT_EQ(solved.seen.times(1).size(), 13u);
  EXPECT_EQ(solved.seen.times(2).size(), 12u);
}

TEST_P(ClosedForms, OutputsInsideStepsAreAsGoodAsTheirEnds) {
  Solve<double> how{.end = 30, .method = GetParam().name};
  for (int i = 0; i <= 300; ++i) how.outputs.push_back(i / 10.0);
  const auto solved = solve<double>(oscillator(), {0, 1}, how);
  ASSERT_EQ(solved.seen.output_times, how.outputs);
  const double at_end = std::hypot(solved.x[0] - std::sin(30.0), solved.x[1] - std::cos(30.0));
  for (std::size_t i = 0; i < how.outputs.size(); ++i)  // error at the end, and as much again from the last step
    EXPECT_NEAR(solved.seen.outputs[i][0], std::sin(how.outputs[i]), 2 * at_end + 2e-10) << how.outputs[i];
  EXPECT_EQ(solved.seen.outputs.back(), solved.x);
}

}  // namespace
}  // namespace solvers
