#include <gtest/gtest.h>

#include <limits>

#include "support/problems.hpp"

namespace solvers {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();

TEST(Clock, TimeInvertsTauOverAllScales) {
  for (const double t0 : {1e-3, 1.0, 50.0}) {
    const auto clock = Clock<double>::log(t0);
    for (double t = 1e-12; t < 2e15; t *= 3.7) {
      const double tau = clock.tau(t);
      // One rounding of tau moves t by tau (1 + t0/t) epsilon, near 1 for small t; log1p and expm1 add an ulp each.
      EXPECT_NEAR(clock.time(tau), t, (3 + tau * (1 + t0 / t)) * epsilon * t) << t;
      EXPECT_NEAR(clock.rate(tau), t + t0, (3 + tau) * epsilon * (t + t0)) << t;
    }
  }
  EXPECT_EQ(Clock<double>::linear().time(Clock<double>::linear().tau(1e15 + 0.125)), 1e15 + 0.125);
}

TEST(Clock, RefusesAnImpossibleT0) {
  for (const double t0 : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(Clock<double>::log(t0), std::invalid_argument);
}

TEST(Clock, EvenlySpacedTimesEndExactlyAndAscend) {
  const auto clock = Clock<double>::log(0.3);
  for (const auto& [first, last] :
       {std::pair(0.0, 1e12), std::pair(0.1, 0.7), std::pair(1e12, std::nextafter(1e12, 2e12))}) {
    const auto times = clock.evenly_spaced(first, last, 401);
    ASSERT_EQ(times.size(), 401u);
    EXPECT_EQ(times.front(), first);
    EXPECT_EQ(times.back(), last);
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  }
  const auto times = clock.evenly_spaced(0, 1e12, 5);
  EXPECT_NEAR(clock.tau(times[1]) * 4, clock.tau(1e12), 1e-13);  // tau is about 30: some ulps
  EXPECT_THROW(clock.evenly_spaced(0, 1, 1), std::invalid_argument);
  EXPECT_THROW(clock.evenly_spaced(1, 0, 3), std::invalid_argument);
}

TEST(LogTime, SolutionsThatSlowDownAreFollowedTo1e12InFewSteps) {
  const double rtol = 1e-6;
  for (const Method& method : methods()) {
    Solve<double> how{.end = 1e12, .tolerances = {rtol, 0}, .clock = Clock<double>::log(1)};
    how.method = method.name;
    const Index few = method.order > 2 ? 250 : 3000;  // rtol^(-1/5) against rtol^(-1/3)
    const auto decay = solve<double>(slowing_down(), {1}, how);
    EXPECT_EQ(decay.report.outcome, Outcome::reached_end);
    // 1/(1 + t) = e^{-tau}: an error of rtol a step, all of one sign at worst, none of them growing.
    EXPECT_NEAR(decay.x[0] * (1 + 1e12), 1, rtol * static_cast<double>(decay.report.counts.accepted)) << method.name;
    EXPECT_LT(decay.report.counts.accepted, few) << method.name;

    const Problem<double> growth{1, [](double, auto u, auto du) { du[0] = std::exp(-u[0]); }};  // u = ln(1 + t)
    how.tolerances = {rtol, rtol};
    const auto log = solve<double>(growth, {0}, how);
    EXPECT_NEAR(log.x[0] / std::log1p(1e12), 1, rtol * static_cast<double>(log.report.counts.accepted)) << method.name;
    EXPECT_LT(log.report.counts.accepted, few) << method.name;
  }
}

TEST(LogTime, BothClocksFindTheSameSolution) {
  const Problem<double> forced{1, [](double t, auto x, auto dx) { dx[0] = std::cos(t) - x[0]; }};
  Solve<double> how{.end = 20, .outputs = {0, 0.5, 3, 20}};
  const auto linear = solve<double>(forced, {0.5}, how);  // x = (cos t + sin t) / 2
  how.clock = Clock<double>::log(0.7);
  const auto log = solve<double>(forced, {0.5}, how);
  ASSERT_EQ(linear.seen.output_times, how.outputs);
  ASSERT_EQ(log.seen.output_times, how.outputs);
  for (std::size_t i = 0; i < how.outputs.size(); ++i) {
    const double t = how.outputs[i], exact = (std::cos(t) + std::sin(t)) / 2;
    // The equation forgets its errors at rate 1, so some steps' tolerances (2e-10 each) are left at any time.
    EXPECT_NEAR(linear.seen.outputs[i][0], exact, 5e-9) << t;
    EXPECT_NEAR(log.seen.outputs[i][0], exact, 5e-9) << t;
  }
}

TEST(LogTime, EventTimesAndSlopesAreOfTheSystemNotOfTheClock) {
  auto system = slowing_down();
  system.watch([](double, auto x) { return 1e-6 - x[0]; });
  const auto solved =
      solve<double>(system, {1}, {.end = 1e9, .tolerances = {1e-10, 0}, .clock = Clock<double>::log(1)});
  ASSERT_EQ(solved.seen.crossings.size(), 1u);
  const auto& crossing = solved.seen.crossings[0];
  EXPECT_NEAR(crossing.t / (1e6 - 1), 1, 1e-8);  // some hundred steps of rtol
  EXPECT_NEAR(crossing.slope / 1e-12, 1, 1e-7);  // -x' = x^2
  EXPECT_EQ(crossing.direction, 1);
}

}  // namespace
}  // namespace solvers
