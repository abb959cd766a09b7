// The event checklist, each case against times known in closed form.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "support/problems.hpp"

namespace solvers {
namespace {

constexpr double pi = std::numbers::pi;
const double nan = std::numeric_limits<double>::quiet_NaN();

/// Steps of exactly the given length along time itself: roots can be put where they are wanted within them.
Solved<double> along_time(const Problem<double>& system, double end, double step, std::vector<double> outputs = {}) {
  return solve<double>(system, {0},
                       {.end = end, .limits = {.initial_step = step, .max_step = step}, .outputs = std::move(outputs)});
}

/// Times are sums of a few steps and a root polished to rounding: some ulps of the largest.
constexpr double rounding = 1e-14;

TEST(Events, TwoRootsInOneStepAreBothFound) {
  for (const double gap : {0.6, 0.1, 1e-2, 1e-3}) {
    for (const double centre : {0.37, 0.5, 0.9, 0.99, 1.25}) {
      auto system = time_itself();
      system.watch([=](double t, auto) { return (t - centre) * (t - centre) - gap * gap / 4; });
      const auto solved = along_time(system, 2, 1);
      ASSERT_EQ(solved.seen.crossings.size(), 2u) << gap << " " << centre;
      EXPECT_EQ(solved.seen.crossings[0].direction, -1);
      EXPECT_EQ(solved.seen.crossings[1].direction, 1);
      // Rounding of the function (epsilon) over its slope (the gap).
      EXPECT_NEAR(solved.seen.crossings[0].t, centre - gap / 2, rounding / gap);
      EXPECT_NEAR(solved.seen.crossings[1].t, centre + gap / 2, rounding / gap);
      EXPECT_NEAR(solved.seen.crossings[1].slope / gap, 1, 1e-10 / gap);  // epsilon^(2/3) absolutely
    }
  }
}

TEST(Events, AGrazingNearMissIsNoCrossing) {
  for (const double above : {1e-2, 1e-6, 1e-12, 0.0}) {  // 0: a touch
    auto system = time_itself();
    system.watch([=](double t, auto) { return (t - 0.37) * (t - 0.37) + above; });
    EXPECT_TRUE(along_time(system, 2, 1).seen.crossings.empty()) << above;
  }
}

TEST(Events, ATouchOnASampleIsNoCrossing) {
  for (const double touch : {0.5, 0.25, 1.0}) {  // exact zeros inside a step and on its end
    auto system = time_itself();
    system.watch([=](double t, auto) { return (t - touch) * (t - touch); });
    system.watch([=](double t, auto) { return -(t - touch) * (t - touch); });
    const auto solved = along_time(system, 2, 1);
    EXPECT_TRUE(solved.seen.crossings.empty());
    EXPECT_EQ(solved.report.sign_at_end, (std::vector<int>{1, -1}));
  }
}

TEST(Events, ARootOnAStepsEndOrASampleIsFoundOnce) {
  for (const double root : {0.25, 0.5, 1.0, 2.0}) {
    auto system = time_itself();
    system.watch([=](double t, auto) { return t - root; });
    const auto solved = along_time(system, 3, 1);
    ASSERT_EQ(solved.seen.crossings.size(), 1u) << root;
    EXPECT_EQ(solved.seen.crossings[0].t, root);
    EXPECT_NEAR(solved.seen.crossings[0].slope, 1, 1e-9);
    EXPECT_TRUE(std::is_sorted(solved.seen.step_ends.begin(), solved.seen.step_ends.end()));
  }
}

TEST(Events, ARootCloseBehindAStepsStartIsFoundToRounding) {
  for (const double rate : {-20.0, 1.0, 20.0})
    for (double root = 0.1; root > 1e-15; root /= 3) {  // where a secant's step often leads out of the bracket
      auto system = time_itself();
      system.watch([=](double t, auto) { return std::expm1(rate * (t - root)) + 0.3 * rate * (t - root) * t; });
      const auto solved = along_time(system, 1, 1);
      ASSERT_EQ(solved.seen.crossings.size(), 1u) << rate << " " << root;
      EXPECT_NEAR(solved.seen.crossings[0].t, root, rounding) << rate;
    }
}

TEST(Events, ARootAtTheStartTakesTheSignThatFollows) {
  auto system = time_itself();
  system.watch([](double t, auto) { return t; });
  system.watch([](double t, auto) { return -t; });
  system.watch([](double t, auto) { return t * (t - 1.3); });
  const auto solved = along_time(system, 2, 1);
  EXPECT_EQ(solved.report.sign_at_start, (std::vector<int>{1, -1, -1}));
  EXPECT_EQ(solved.report.sign_at_end, (std::vector<int>{1, -1, 1}));
  ASSERT_EQ(solved.seen.crossings.size(), 1u);
  EXPECT_NEAR(solved.seen.crossings[0].t, 1.3, rounding);
}

TEST(Events, ARootOnTheVeryEndIsNotYetACrossing) {
  auto system = time_itself();
  system.watch([](double t, auto) { return t - 2; });
  const auto solved = along_time(system, 2, 1);
  EXPECT_TRUE(solved.seen.crossings.empty());
  EXPECT_EQ(solved.report.sign_at_end, (std::vector<int>{-1}));
}

TEST(Events, AFunctionThatRestsAtZeroCrossesWhenItTakesTheOtherSign) {
  auto system = time_itself();
  system.watch([](double t, auto) { return t < 0.6 ? t - 0.6 : t > 3.4 ? t - 3.4 : 0; });
  const auto solved = along_time(system, 5, 1, {2, 3.2});
  ASSERT_EQ(solved.seen.crossings.size(), 1u);
  EXPECT_GE(solved.seen.crossings[0].t, 3);  // in the step in which the sign is known
  EXPECT_LE(solved.seen.crossings[0].t, 3.4);
}

TEST(Events, IdenticalEventsAreBothReported) {
  auto system = time_itself();
  for (int i = 0; i < 2; ++i) system.watch([](double t, auto) { return std::sin(2 * t) - 0.2; });
  const auto solved = along_time(system, 4, 0.3);
  EXPECT_EQ(solved.seen.times(0), solved.seen.times(1));
  EXPECT_EQ(solved.seen.times(0).size(), 3u);
  EXPECT_EQ(solved.seen.crossings[0].event, 0);
  EXPECT_EQ(solved.seen.crossings[1].event, 1);
}

TEST(Events, SeveralInOneStepAreSortedAmongThemselvesAndWithTheOutputs) {
  auto system = time_itself();
  for (const double root : {0.8, 0.2, 0.5, 0.51}) system.watch([=](double t, auto) { return t - root; });
  const auto solved = along_time(system, 1, 1, {0, 0.3, 0.5, 0.505, 1});
  // Output 0; 0.2, output 0.3; 0.5, output 0.5 (crossings first), output 0.505; 0.51, 0.8, output 1, the step.
  EXPECT_EQ(solved.seen.sequence, "ococooccosf");
  std::vector<Index> events;
  for (const auto& crossing : solved.seen.crossings) events.push_back(crossing.event);
  EXPECT_EQ(events, (std::vector<Index>{1, 2, 3, 0}));
}

TEST(Events, NanIsNotASign) {
  auto system = time_itself();
  system.watch([](double, auto) { return nan; });
  system.watch([](double t, auto) { return t < 1.5 ? -1.0 : t < 2.5 ? nan : 1.0; });  // lost sight of: no crossing
  system.watch([](double t, auto) { return t < 1.5 ? nan : t - 2.2; });               // known from 1.5 on
  system.watch([](double t, auto) { return t > 1.5 && t < 1.8 ? nan : t - 2.2; });    // known again
  const auto solved = along_time(system, 4, 1);
  EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
  EXPECT_EQ(solved.report.sign_at_start, (std::vector<int>{0, -1, -1, -1}));
  EXPECT_EQ(solved.report.sign_at_end, (std::vector<int>{0, 1, 1, 1}));
  ASSERT_EQ(solved.seen.crossings.size(), 2u);
  for (const auto& crossing : solved.seen.crossings) EXPECT_NEAR(crossing.t, 2.2, rounding);
}

TEST(Events, AKinkThatPokesThroughZeroInsideAStepIsFound) {
  // min of two lines whose maximum is `height` above zero for 2 height / slope.
  for (const double height : {0.2, 1e-2, 1e-4}) {
    for (const double tip : {0.13, 0.4, 0.62, 0.97}) {
      auto system = time_itself();
      system.watch([=](double t, auto) { return std::min(t - tip, 2 * (tip - t)) + height; });
      const auto solved = along_time(system, 1, 1);
      if (tip - height < 0 || tip + height / 2 > 1) continue;
      ASSERT_EQ(solved.seen.crossings.size(), 2u) << height << " " << tip;
      EXPECT_NEAR(solved.seen.crossings[0].t, tip - height, rounding);
      EXPECT_NEAR(solved.seen.crossings[1].t, tip + height / 2, rounding);
      EXPECT_NEAR(solved.seen.crossings[0].slope, 1, 1e-9);
      EXPECT_NEAR(solved.seen.crossings[1].slope, -2, 1e-9);
    }
  }
}

TEST(Events, AFastFunctionOfTimeAloneNeedsALargestStep) {
  // A function of time alone, which the step control cannot see.
  auto system = time_itself();
  system.watch([](double t, auto) { return std::sin(50 * t); });
  const auto fine = along_time(system, 10, 2 * pi / 50);  // a sample every quarter of its period
  EXPECT_EQ(fine.seen.crossings.size(), 159u);
  for (std::size_t i = 0; i < fine.seen.crossings.size(); ++i)
    EXPECT_NEAR(fine.seen.crossings[i].t, pi * static_cast<double>(i + 1) / 50, rounding);
  // Without: fewer, but none that is not there.
  const auto coarse = along_time(system, 10, 10);
  EXPECT_LT(coarse.seen.crossings.size(), 159u);
  for (const auto& crossing : coarse.seen.crossings) EXPECT_NEAR(std::sin(50 * crossing.t), 0, 50 * rounding);
}

TEST(Events, TheInterpolantInventsNoCrossings) {
  // sin^2 + cos^2 = 1; a cubic between the ends of a long step cuts the corner by more than 1e-4.
  for (const Method& method : methods()) {
    auto system = oscillator();
    system.watch([](double, auto x) { return x[0] * x[0] + x[1] * x[1] - 1 + 1e-4; });
    const auto solved = solve<double>(system, {0, 1}, {.end = 50, .tolerances = {1e-7, 1e-7}, .method = method.name});
    EXPECT_TRUE(solved.seen.crossings.empty()) << method.name;
  }
}

TEST(Events, AStoppingEventEndsTheRunAtItsTime) {
  for (const Method& method : methods()) {
    auto system = oscillator();
    system.watch([](double, auto x) { return x[0] - 0.8; }, true);
    system.watch([](double, auto x) { return 0.79 - x[0]; });
    system.watch([](double, auto x) { return x[0] - 0.81; });
    Solve<double> how{.end = 100, .tolerances = {1e-6, 1e-6}, .outputs = {0, 0.5, std::asin(0.8) + 1e-3, 50}};
    how.method = method.name;
    const auto solved = solve<double>(system, {0, 1}, how);
    EXPECT_EQ(solved.report.outcome, Outcome::stopped_by_event);
    EXPECT_TRUE(solved.report.reached_target());
    EXPECT_EQ(solved.report.stopped_by, 0);
    EXPECT_NEAR(solved.report.t, std::asin(0.8), 1e-4);
    EXPECT_NEAR(solved.x[0], 0.8, 1e-14);
    EXPECT_EQ(solved.seen.final_time, solved.report.t);
    EXPECT_EQ(solved.seen.final_state, solved.x);
    EXPECT_EQ(solved.seen.crossings.back().t, solved.report.t);
    EXPECT_EQ(solved.seen.crossing_states.back(), solved.x);
    EXPECT_EQ(solved.seen.step_ends.back(), solved.report.t);
    EXPECT_EQ(solved.seen.output_times, (std::vector<double>{0, 0.5}));
    EXPECT_EQ(solved.report.sign_at_end, (std::vector<int>{1, -1, -1}));  // 0.81 is crossed in the same step, but later
    EXPECT_EQ(solved.seen.crossings.size(), 2u);
    EXPECT_EQ(std::count(solved.seen.sequence.begin(), solved.seen.sequence.end(), 'f'), 1);
    EXPECT_EQ(solved.seen.sequence.substr(solved.seen.sequence.size() - 3), "csf");
    EXPECT_EQ(solved.report.counts.evaluations() + 1, solved.evaluations);
  }
}

TEST(Events, AStoppingEventDoesNotStopWhereTheConditionIsLost) {
  auto system = time_itself();
  system.watch([](double t, auto) { return 1.2 - t; }, true);
  const auto solved = along_time(system, 3, 1);
  EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
  EXPECT_EQ(solved.seen.crossings.size(), 1u);
}

TEST(Events, AStopOnTheEndOfAStepReportsThatStepOnce) {
  auto system = time_itself();
  system.watch([](double t, auto) { return t - 1; }, true);
  system.watch([](double t, auto) { return t - 1; }, true);
  const auto solved = along_time(system, 3, 1);
  EXPECT_EQ(solved.report.outcome, Outcome::stopped_by_event);
  EXPECT_EQ(solved.report.t, 1);
  EXPECT_DOUBLE_EQ(solved.x[0], 1);
  EXPECT_EQ(solved.report.counts.accepted, 1);
  EXPECT_EQ(solved.seen.sequence, "sccf");
  EXPECT_EQ(solved.report.stopped_by, 0);
}

TEST(Events, ARunThatGoesOnFromAStopDoesNotStopThereAgain) {
  auto system = oscillator();
  system.watch([](double, auto x) { return x[0] - 0.8; }, true);
  const auto stepper = make_stepper<double>("dopri5", system, Clock<double>::linear(), {1e-8, 1e-8});
  stepper->start(0, std::vector<double>{0, 1});
  Recorder<double> seen;
  auto report = integrate<double>(*stepper, {.end = 20, .outputs = {}}, {}, seen);
  std::vector<double> stops;
  while (report.outcome == Outcome::stopped_by_event) {
    stops.push_back(report.t);
    const auto from = report.continuation;
    report = integrate<double>(*stepper, {.end = 20, .outputs = {}}, {}, seen, &from);
  }
  ASSERT_EQ(stops.size(), 4u);  // asin 0.8 + 2 pi k up to 20
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(stops[k], std::asin(0.8) + 2 * pi * static_cast<double>(k), 1e-6);
}

TEST(Events, VerdictsAreReadOffSignsAndCrossings) {
  EXPECT_EQ(verdict(false, false, 0), Verdict::never);
  EXPECT_EQ(verdict(true, true, 0), Verdict::from_start);
  EXPECT_EQ(verdict(true, false, 0), Verdict::crossings_lost);  // undefined from some time on
  EXPECT_EQ(verdict(false, true, 0), Verdict::crossings_holds);
  EXPECT_EQ(verdict(false, true, 1), Verdict::once);
  EXPECT_EQ(verdict(true, false, 1), Verdict::crossings_lost);
  EXPECT_EQ(verdict(false, false, 2), Verdict::crossings_lost);
  EXPECT_EQ(verdict(true, true, 2), Verdict::crossings_holds);
  EXPECT_EQ(verdict(false, true, 3), Verdict::crossings_holds);
  EXPECT_EQ(verdict(true, false, 3), Verdict::crossings_lost);
}

/// A polynomial of degree 3 in (sin t, cos t): all its sign changes on [0, end] by brute force on the closed form.
struct Trigonometric {
  std::vector<double> c;  // of 1, x, y, x^2, xy, y^2 - 1/2, x^3, x^2 y
  double operator()(double x, double y) const {
    return c[0] + c[1] * x + c[2] * y + c[3] * x * x + c[4] * x * y + c[5] * (y * y - 0.5) + c[6] * x * x * x +
           c[7] * x * x * y;
  }
  double at(double t) const { return (*this)(std::sin(t), std::cos(t)); }

  /// Roots, and whether the function is anywhere so near zero without crossing that a solve at this accuracy may not
  /// tell.
  std::pair<std::vector<double>, bool> roots(double end, double accuracy) const {
    const int n = 10000;
    std::vector<double> result;
    bool doubtful = std::abs(at(0)) < accuracy || std::abs(at(end)) < accuracy;
    for (int i = 0; i < n; ++i) {
      double a = end * i / n, b = end * (i + 1) / n;
      const double before = at(a - end / n), here = at(a), after = at(b);
      if (std::abs(here) < std::abs(before) && std::abs(here) < std::abs(after) && (before > 0) == (after > 0)) {
        const double bend =
            std::abs(before - 2 * here + after);  // the extremum is within an eighth of this of the middle sample
        doubtful = doubtful || std::abs(here) < accuracy + bend;
      }
      if ((here > 0) == (after > 0)) continue;
      for (int k = 0; k < 60; ++k) ((at((a + b) / 2) > 0) == (here > 0) ? a : b) = (a + b) / 2;
      result.push_back((a + b) / 2);
    }
    return {result, doubtful};
  }
};

TEST(Events, RandomSmoothFunctionsHaveAllTheirRootsFoundAndNoneInvented) {
  std::uint64_t state = 20240607;
  const auto random = [&] {  // xorshift; in [-1, 1)
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return static_cast<double>(state >> 11) * 0x1p-52 - 1;
  };
  const double end = 2 * pi;
  for (const Method& method : methods()) {
    for (const double rtol : {1e-4, 1e-7, 1e-10}) {
      const double accuracy = 300 * rtol;  // tens of steps, coefficients summing to a few
      auto system = oscillator();
      std::vector<std::vector<double>> exact;
      while (exact.size() < 150) {
        Trigonometric g;
        for (int i = 0; i < 8; ++i) g.c.push_back(random());
        auto [roots, doubtful] = g.roots(end, accuracy);
        if (doubtful) continue;
        exact.push_back(std::move(roots));
        system.watch([g](double, auto x) { return g(x[0], x[1]); });
      }
      Solve<double> how{.end = end, .tolerances = {rtol, rtol}};
      how.method = method.name;
      const auto solved = solve<double>(system, {0, 1}, how);
      std::size_t wanted = 0, wrong = 0;
      for (std::size_t j = 0; j < exact.size(); ++j) {
        const auto found = solved.seen.times(static_cast<Index>(j));
        wanted += exact[j].size();
        bool same = found.size() == exact[j].size();
        // Near a grazing root the time's error is the square root of the state's.
        for (std::size_t i = 0; same && i < found.size(); ++i)
          same = std::abs(found[i] - exact[j][i]) < std::sqrt(accuracy);
        wrong += !same;
      }
      EXPECT_EQ(wrong, 0u) << method.name << " " << rtol << ", of " << wanted << " roots in "
                           << solved.report.counts.accepted << " steps";
      EXPECT_GT(wanted, 200u);
      EXPECT_TRUE(std::is_sorted(solved.seen.crossings.begin(), solved.seen.crossings.end(),
                                 [](const auto& a, const auto& b) { return a.tau < b.tau; }));
    }
  }
}

}  // namespace
}  // namespace solvers
