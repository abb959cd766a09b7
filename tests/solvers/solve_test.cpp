// One call for a whole solution: the same steps as by hand, the companion solve, budgets and outcomes.
#include <gtest/gtest.h>

#include <cmath>
#include <solvers/solve.hpp>

#include "support/problems.hpp"

namespace solvers {
namespace {

/// x_0 > 0, and, to stop, x_1 < -1/2, of the oscillator from (1, 0): cos t, -sin t.
Problem<double> watched_oscillator(bool stop) {
  Problem<double> system = oscillator();
  system.watch([](double, auto x) { return x[0]; });
  system.watch([](double, auto x) { return -0.5 - x[1]; }, stop);
  return system;
}
const std::vector<double> start{1, 0};
const double pi = std::acos(-1.0);

TEST(SolveTest, KeepsWhatAnObserverOfTheSameIntegrationSees) {
  const auto system = watched_oscillator(false);
  const Schedule<double> schedule{.end = 10, .outputs = {0, 2.5, 10}};
  const SolveOptions<double> options{
      .method = "cash-karp54", .tolerances = {1e-6, 1e-9}, .clock = Clock<double>::log(2)};
  const auto solution = solve(system, start, schedule, options);

  const auto stepper = make_stepper<double>(options.method, system, options.clock, options.tolerances);
  stepper->start(0, start);
  Recorder<double> seen;
  const auto report = integrate<double>(*stepper, schedule, {}, seen);
  EXPECT_EQ(solution.t, schedule.outputs);
  EXPECT_EQ(solution.x, seen.outputs);
  EXPECT_EQ(solution.x_end, seen.final_state);
  ASSERT_EQ(solution.crossings.size(), 3u + 4u);
  for (std::size_t i = 0; i < solution.crossings.size(); ++i) EXPECT_EQ(solution.crossings[i].t, seen.crossings[i].t);
  ASSERT_EQ(solution.steps.size(), seen.step_ends.size());
  for (std::size_t i = 0; i < solution.steps.size(); ++i) {
    EXPECT_EQ(solution.steps[i].t, seen.step_ends[i]);
    EXPECT_EQ(solution.steps[i].clock_step, seen.step_lengths[i]);
    EXPECT_LE(solution.steps[i].ratio, 1);
  }
  EXPECT_EQ(solution.report.counts.evaluations(), report.counts.evaluations());
  EXPECT_TRUE(solution.error_bars.empty());
  EXPECT_FALSE(solution.companion);
}

TEST(SolveTest, TheDefaultsAreTheFirstMethodOnTheLinearClock) {
  const auto system = oscillator();
  const auto solution = solve(system, start, Schedule<double>{.end = 2 * pi, .outputs = {}});
  EXPECT_EQ(SolveOptions<double>{}.method, methods().front().name);
  // Local errors of rtol a step.
  const double bar = 1e-8 * static_cast<double>(solution.report.counts.accepted);
  EXPECT_NEAR(solution.x_end[0], 1, bar);
  EXPECT_NEAR(solution.x_end[1], 0, bar);
}

template <class Real>
void expect_bars_hold(std::string_view method, Real rtol) {
  using std::abs;
  using std::acos;
  Problem<Real> system = oscillator<Real>();
  system.watch([](Real, auto x) { return x[0]; });
  const SolveOptions<Real> options{.method = std::string(method), .tolerances = {rtol, rtol / 100}, .error_bars = true};
  const auto solution = solve(system, {1, 0}, Schedule<Real>{.end = 6, .outputs = {}}, options);
  ASSERT_EQ(solution.crossings.size(), 2u);
  ASSERT_EQ(solution.error_bars.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    const Real exact = acos(Real(-1)) * (Real(i) + Real(1) / 2), bar = solution.error_bars[i].error;
    EXPECT_TRUE(solution.error_bars[i].certain);
    EXPECT_LE(abs(solution.crossings[i].t - exact), bar) << method;
    // Not longer than what ten times the tolerance makes of the steps' local errors, thrice.
    EXPECT_LT(bar, 30 * rtol * Real(solution.report.counts.accepted)) << method;
  }
  ASSERT_TRUE(solution.companion);
  EXPECT_LT(solution.companion->counts.accepted, solution.report.counts.accepted);
}

TEST(SolveTest, ErrorBarsHoldTheExactTimes) {
  for (const Method& method : methods())
    for (const double rtol : {1e-5, 1e-7, 1e-9}) expect_bars_hold<double>(method.name, rtol);
  expect_bars_hold<Quad>("fehlberg78", Quad("1e-24"));
}

TEST(SolveTest, AStoppingEventEndsItEarly) {
  const auto system = watched_oscillator(true);
  const auto solution =
      solve(system, start, Schedule<double>{.end = 9, .outputs = {0.1, 0.5, 1, 9}}, {.error_bars = true});
  EXPECT_EQ(solution.report.outcome, Outcome::stopped_by_event);
  EXPECT_EQ(solution.t, (std::vector<double>{0.1, 0.5}));
  EXPECT_NEAR(solution.report.t, pi / 6, 1e-7);
  EXPECT_NEAR(solution.x_end[1], -0.5, 1e-15);  // located to rounding
  EXPECT_EQ(solution.error_bars.size(), 1u);
}

TEST(SolveTest, WithoutItsTargetNoErrorBars) {
  const SolveOptions<double> few_steps{.limits = {.steps = 5}, .error_bars = true};
  const auto system = watched_oscillator(false);
  const auto solution = solve(system, start, Schedule<double>{.end = 100, .outputs = {0, 100}}, few_steps);
  EXPECT_EQ(solution.report.outcome, Outcome::step_limit);
  EXPECT_EQ(solution.t.size(), 1u);
  EXPECT_EQ(solution.steps.back().t, solution.report.t);
  EXPECT_TRUE(solution.error_bars.empty());
  EXPECT_FALSE(solution.companion);
}

TEST(SolveTest, TheCompanionTakesOtherStepsWhereALargestStepBinds) {
  Problem<double> system = pendulum();
  system.watch([](double, auto x) { return x[0]; });
  const SolveOptions<double> options{
      .tolerances = {1e-4, 1e-4}, .limits = {.initial_step = 1e-2, .max_step = 2e-2}, .error_bars = true};
  const auto solution = solve(system, {2, 0}, Schedule<double>{.end = 3, .outputs = {}}, options);
  const double period = 4 * std::comp_ellint_1(std::sin(1.0));
  ASSERT_EQ(solution.error_bars.size(), 1u);
  EXPECT_LE(std::abs(solution.crossings[0].t - period / 4), solution.error_bars[0].error);
  // The bar is of the errors that these short steps make, far below what the tolerance allows.
  EXPECT_LT(solution.error_bars[0].error, 1e-8);
  EXPECT_LT(solution.companion->counts.accepted, solution.report.counts.accepted);
}

TEST(LoosenedTest, ScalesTolerancesAndBoundsOnSteps) {
  SolveOptions<double> options{.method = "fehlberg78", .tolerances = {1e-6, 3e-8}, .error_bars = true};
  options.limits.max_step = 0.5;
  options.limits.steps = 77;
  const auto looser = loosened(options, 256.0);  // its estimate is of order 7
  EXPECT_DOUBLE_EQ(looser.tolerances.rtol, 256e-6);
  EXPECT_DOUBLE_EQ(looser.tolerances.atol, 768e-8);
  EXPECT_DOUBLE_EQ(*looser.limits.max_step, 1);
  EXPECT_FALSE(looser.limits.initial_step);
  EXPECT_EQ(looser.limits.steps, 77);
  EXPECT_FALSE(looser.error_bars);
  EXPECT_DOUBLE_EQ(*loosened(looser, 1.0 / 256).limits.max_step, 0.5);
}

TEST(SolveTest, MisuseThrows) {
  const auto system = oscillator();
  const Schedule<double> schedule{.end = 1, .outputs = {}};
  EXPECT_THROW(solve(system, {1}, schedule), std::invalid_argument);
  EXPECT_THROW(solve(system, start, schedule, {.method = "euler"}), std::invalid_argument);
  EXPECT_THROW(solve(system, start, Schedule<double>{.end = -1, .outputs = {}}), std::invalid_argument);
  EXPECT_THROW(loosened(SolveOptions<double>{.method = "euler"}, 10.0), std::invalid_argument);
}

}  // namespace
}  // namespace solvers
