// The driver: how integrations end, what is reported, and the traps on the way.
#include <solvers/step_control.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "support/problems.hpp"

namespace solvers {
namespace {

const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

class Integrations : public testing::TestWithParam<Method> {
 protected:
  Solve<double> to(double end) const { return {.end = end, .method = GetParam().name}; }
};
INSTANTIATE_TEST_SUITE_P(AllMethods, Integrations, testing::ValuesIn(methods().begin(), methods().end()), MethodName());

TEST_P(Integrations, AWallThatTheSolutionDoesNotEnterIsPassed) {
  // x = tanh t below 1; from 1 on f is NaN. Loose tolerances and long trials run into it.
  for (const double broken : {nan, infinity, -infinity}) {
    const Problem<double> system{1, [=](double, auto x, auto dx) { dx[0] = x[0] < 1 ? 1 - x[0] * x[0] : broken; }};
    auto how = to(15);
    how.tolerances = {1e-4, 1e-4};
    how.limits.initial_step = 14;
    const auto solved = solve<double>(system, {0}, how);
    EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
    EXPECT_GT(solved.report.counts.rejected_not_finite, 0);
    EXPECT_NEAR(solved.x[0], 1, 1e-3);  // every step's error is within 2e-4, and the equation forgets it at rate 2
    EXPECT_LT(solved.x[0], 1);          // never beyond the wall, or the next step could not start
  }
}

TEST_P(Integrations, NotFiniteForGoodEndsAtTheLastFiniteState) {
  const Problem<double> system{{{.name = "clock"}, {.name = "B", .rows = 2, .columns = 2}},
                               [](double, auto x, auto dx) {
                                 dx[0] = 1;
                                 std::fill(dx.begin() + 1, dx.end(), 0.0);
                                 if (x[0] > 1) dx[3] = nan;
                               }};
  const auto solved = solve<double>(system, {0, 1, 2, 3, 4}, to(2));
  EXPECT_EQ(solved.report.outcome, Outcome::not_finite);
  EXPECT_FALSE(solved.report.reached_target());
  EXPECT_NEAR(solved.report.t, 1, 1e-13);  // the step underflows at 16 epsilon, and may have stopped ten times before
  EXPECT_EQ(solved.seen.final_time, solved.report.t);
  EXPECT_EQ(solved.seen.final_state, solved.x);
  EXPECT_EQ(solved.x[3], 3);
  EXPECT_TRUE(std::isfinite(solved.x[0]));
  EXPECT_EQ(solved.seen.sequence.back(), 'f');
  EXPECT_EQ(std::count(solved.seen.sequence.begin(), solved.seen.sequence.end(), 'f'), 1);
  EXPECT_TRUE(std::isnan(solved.report.failed_ratio));
  ASSERT_FALSE(solved.report.worst.empty());
  EXPECT_NE(solved.report.message().find("not finite"), std::string::npos);
}

TEST_P(Integrations, TheComponentThatIsNotFiniteIsNamed) {
  const Problem<double> system{{{.name = "u"}, {.name = "B", .rows = 2, .columns = 2}}, [](double, auto, auto dx) {
                                 std::fill(dx.begin(), dx.end(), 1.0);
                                 dx[3] = nan;
                               }};
  const auto solved = solve<double>(system, {0, 1, 2, 3, 4}, to(2));
  EXPECT_EQ(solved.report.outcome, Outcome::not_finite);
  EXPECT_EQ(solved.report.t, 0);
  EXPECT_EQ(solved.x, (std::vector<double>{0, 1, 2, 3, 4}));
  ASSERT_FALSE(solved.report.worst.empty());
  EXPECT_EQ(solved.report.worst[0].name, "B[0,1]");
  EXPECT_NE(solved.report.message().find("B[0,1]"), std::string::npos);
}

TEST_P(Integrations, BlowUpInFiniteTimeUnderflows) {
  const Problem<double> system{1, [](double, auto x, auto dx) { dx[0] = x[0] * x[0]; }};  // 1/(1 - t)
  const auto solved = solve<double>(system, {1}, to(2));
  EXPECT_EQ(solved.report.outcome, Outcome::step_underflow);
  EXPECT_NEAR(solved.report.t, 1, GetParam().order > 2 ? 1e-8 : 1e-6);  // the sum of all steps' errors
  EXPECT_GT(solved.report.failed_ratio, 1);
  EXPECT_TRUE(std::isfinite(solved.x[0]));
  EXPECT_EQ(solved.report.worst.at(0).name, "x");
}

TEST_P(Integrations, ASystemAtRestFinishes) {
  const Problem<double> rest{2, [](double, auto, auto dx) { dx[0] = dx[1] = 0; }};
  for (const double atol : {0.0, 1e-10}) {
    for (const double x : {0.0, 3.0}) {
      auto how = to(1e6);
      how.tolerances = {1e-8, atol};
      const auto solved = solve<double>(rest, {x, x}, how);
      EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
      EXPECT_EQ(solved.x, (std::vector<double>{x, x}));
      EXPECT_LT(solved.report.counts.accepted, 20);
    }
  }
}

TEST_P(Integrations, EndsAFewUlpsAwayAreReached) {
  const auto system = oscillator();
  for (const bool log : {false, true}) {
    for (const double start : {0.0, 1e-12, 1.0, 1e12}) {
      for (int ulps = 0; ulps <= 5; ++ulps) {
        double end = start;
        for (int i = 0; i < ulps; ++i) end = std::nextafter(end, infinity);
        auto how = to(end);
        how.start = start;
        how.outputs = {start, end};
        how.clock = log ? Clock<double>::log(1) : Clock<double>::linear();
        const auto solved = solve<double>(system, {0, 1}, how);
        EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
        EXPECT_EQ(solved.report.t, end);
        EXPECT_LE(solved.report.counts.accepted, 3);
        EXPECT_EQ(solved.seen.output_times, how.outputs);
      }
    }
  }
}

TEST_P(Integrations, TheLastStepEndsOnTheEndExactly) {
  for (const double end : {1.0, 0.1 + 0.2, 1e3 / 3}) {
    for (const bool log : {false, true}) {
      auto how = to(end);
      how.clock = log ? Clock<double>::log(0.7) : Clock<double>::linear();
      const auto solved = solve<double>(oscillator(), {0, 1}, how);
      EXPECT_EQ(solved.report.t, end);
      EXPECT_EQ(solved.report.tau, how.clock.tau(end));
      EXPECT_EQ(solved.seen.step_ends.back(), end);
      EXPECT_EQ(solved.seen.final_time, end);
      EXPECT_EQ(static_cast<Index>(solved.seen.step_ends.size()), solved.report.counts.accepted);
      EXPECT_EQ(solved.report.largest_step,
                *std::max_element(solved.seen.step_lengths.begin(), solved.seen.step_lengths.end()));
      EXPECT_EQ(solved.report.smallest_step,
                *std::min_element(solved.seen.step_lengths.begin(), solved.seen.step_lengths.end()));
    }
  }
}

TEST(Driver, AnAbsurdFirstStepIsMendedAndNotRepeatedForEver) {
  const auto solved = solve<double>(oscillator(), {0, 1}, {.end = 2, .limits = {.initial_step = 1e-300}, .start = 1});
  EXPECT_EQ(solved.report.outcome, Outcome::reached_end);
  EXPECT_LT(solved.report.counts.accepted, 200);
  EXPECT_NEAR(solved.x[0], std::sin(1.0), 1e-8);  // x(1) = 0
}

TEST(Driver, BudgetsEndThem) {
  const auto run = [](Limits<double> limits, Tolerances<double> tolerances = {1e-10, 1e-10}) {
    return solve<double>(oscillator(), {0, 1}, {.end = 100, .tolerances = tolerances, .limits = limits}).report;
  };
  auto report = run({.steps = 7});
  EXPECT_EQ(report.outcome, Outcome::step_limit);
  EXPECT_EQ(report.counts.accepted, 7);
  EXPECT_GT(report.t, 0);
  EXPECT_LT(report.t, 100);

  report = run({.rejections = 3, .initial_step = 90});
  EXPECT_EQ(report.outcome, Outcome::rejection_limit);
  EXPECT_EQ(report.counts.rejected_error, 3);
  EXPECT_GT(report.failed_ratio, 1);
  EXPECT_GT(report.failed_step, 0);
  EXPECT_FALSE(report.worst.empty());

  Recorder<double> slow;
  slow.on_step = [](const auto&) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  auto timed = solve<double>(oscillator(), {0, 1}, {.end = 100, .limits = {.wall_seconds = 0.01}}, slow);
  EXPECT_EQ(timed.report.outcome, Outcome::wall_clock);
  EXPECT_GE(timed.report.wall_seconds, 0.01);
  EXPECT_LE(timed.report.counts.accepted, 6);

  Recorder<double> interrupting;
  interrupting.interrupt_after = 5;
  const auto interrupted = solve<double>(oscillator(), {0, 1}, {.end = 100}, interrupting);
  EXPECT_EQ(interrupted.report.outcome, Outcome::interrupted);
  EXPECT_EQ(interrupted.report.counts.accepted, 5);
  EXPECT_EQ(interrupted.seen.final_time, interrupted.report.t);
}

TEST(Driver, BudgetsDoNotChangeTheSteps) {
  const auto free = solve<double>(oscillator(), {0, 1}, {.end = 10});
  const auto bounded =
      solve<double>(oscillator(), {0, 1}, {.end = 10, .limits = {.steps = 500, .rejections = 50, .wall_seconds = 60}});
  EXPECT_EQ(free.seen.step_ends, bounded.seen.step_ends);
  Solve<double> busy{.end = 10};
  for (int i = 0; i <= 1000; ++i) busy.outputs.push_back(i / 100.0);
  auto watched = oscillator();
  watched.watch([](double, auto x) { return x[0] * x[1] - 0.3; });
  const auto seen = solve<double>(watched, {0, 1}, busy);
  EXPECT_EQ(free.seen.step_ends, seen.seen.step_ends);  // nor does looking on
  EXPECT_EQ(free.x, seen.x);
}

TEST(Driver, NoStepExceedsTheLargest) {
  const auto solved = solve<double>(
      oscillator(), {0, 1}, {.end = 10, .tolerances = {1e-3, 1e-3}, .limits = {.initial_step = 5.0, .max_step = 0.01}});
  EXPECT_LE(solved.report.largest_step, 0.01 * (1 + 1e-12));  // tau' - tau rounds
  EXPECT_GE(solved.report.counts.accepted, 1000);
}

TEST(Driver, MisuseThrows) {
  const auto run = [](const Solve<double>& how) { return solve<double>(oscillator(), {0, 1}, how); };
  EXPECT_THROW(run({.end = 1, .start = 2}), std::invalid_argument);
  EXPECT_THROW(run({.end = nan}), std::invalid_argument);
  EXPECT_THROW(run({.end = infinity}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .outputs = {0.5, 0.2}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .outputs = {0.5, 1.2}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .outputs = {0.2, nan, 0.5}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .outputs = {0.2}, .start = 0.5}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .limits = {.steps = 0}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .limits = {.rejections = 0}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .limits = {.wall_seconds = nan}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .limits = {.initial_step = 0.0}}), std::invalid_argument);
  EXPECT_THROW(run({.end = 1, .limits = {.max_step = -1.0}}), std::invalid_argument);
}

/// What a checkpoint keeps, and the run that goes on from it.
struct Checkpoint {
  StepperState<double> state;
  Continuation<double> continuation;
};

TEST_P(Integrations, GoOnFromACheckpointBitForBit) {
  auto system = pendulum();
  system.watch([](double, auto x) { return x[0]; }).watch([](double, auto x) { return x[1] * x[1] - 0.5; });
  for (const bool log : {false, true}) {
    const auto clock = log ? Clock<double>::log(2) : Clock<double>::linear();
    const auto make = [&] { return make_stepper<double>(GetParam().name, system, clock, {1e-7, 1e-7}); };
    const Schedule<double> schedule{.end = 40, .outputs = {}};
    std::vector<Checkpoint> checkpoints;
    const auto whole = make();
    whole->start(0, std::vector<double>{2, 0});
    Recorder<double> all;
    all.on_step = [&](const Step<double>& step) {
      checkpoints.push_back({step.stepper.save(), step.report.continuation});
    };
    const auto report = integrate<double>(*whole, schedule, {}, all);
    ASSERT_GT(checkpoints.size(), 10u);
    ASSERT_GT(all.crossings.size(), 5u);
    for (const std::size_t at : {std::size_t(0), checkpoints.size() / 3, checkpoints.size() - 2}) {
      const auto rest = make();
      rest->restore(checkpoints[at].state);
      Recorder<double> seen;
      const auto second = integrate<double>(*rest, schedule, {}, seen, &checkpoints[at].continuation);
      EXPECT_EQ(std::vector<double>(rest->state().begin(), rest->state().end()), all.final_state);
      EXPECT_TRUE(std::equal(seen.step_ends.rbegin(), seen.step_ends.rend(), all.step_ends.rbegin()));
      EXPECT_EQ(seen.step_ends.size(), all.step_ends.size() - at - 1);
      ASSERT_LE(seen.crossings.size(), all.crossings.size());
      for (std::size_t i = 1; i <= seen.crossings.size(); ++i) {
        EXPECT_EQ(seen.crossings[seen.crossings.size() - i].tau, all.crossings[all.crossings.size() - i].tau);
        EXPECT_EQ(seen.crossings[seen.crossings.size() - i].slope, all.crossings[all.crossings.size() - i].slope);
      }
      EXPECT_EQ(second.sign_at_start, report.sign_at_start);
      EXPECT_EQ(second.sign_at_end, report.sign_at_end);
      EXPECT_EQ(second.continuation.next_step, report.continuation.next_step);
    }
  }
}

TEST(Driver, AContinuationOfAnotherSystemIsRefused) {
  auto system = pendulum();
  const auto stepper = make_stepper<double>("dopri5", system, Clock<double>::linear(), {1e-7, 1e-7});
  stepper->start(0, std::vector<double>{2, 0});
  Continuation<double> from;
  from.events.sign = {1, 1};
  Recorder<double> seen;
  EXPECT_THROW(integrate<double>(*stepper, {.end = 1, .outputs = {}}, {}, seen, &from), std::invalid_argument);
}

TEST(Outcomes, EachHasItsNameAndSentence) {
  const std::vector<std::pair<Outcome, std::string_view>> all{
      {Outcome::reached_end, "reached_end"},       {Outcome::stopped_by_event, "stopped_by_event"},
      {Outcome::step_limit, "step_limit"},         {Outcome::rejection_limit, "rejection_limit"},
      {Outcome::step_underflow, "step_underflow"}, {Outcome::not_finite, "not_finite"},
      {Outcome::wall_clock, "wall_clock"},         {Outcome::interrupted, "interrupted"}};
  for (const auto& [outcome, expected] : all) {
    EXPECT_EQ(name(outcome), expected);
    EXPECT_GT(sentence(outcome).size(), 20u);
    Report<double> report;
    report.outcome = outcome;
    EXPECT_EQ(report.message().rfind(sentence(outcome), 0), 0u);
  }
}

TEST(Controller, SmoothSolutionsSettleBelowTheLargestGoodStep) {
  for (const int order : {4, 7}) {
    StepControl<double> control(order);
    double h = 0.01;
    for (int i = 0; i < 200; ++i) h = control.accepted(h, std::pow(h, order + 1));  // ratio 1 at h = 1
    EXPECT_NEAR(h, 0.7, 1e-9);
    EXPECT_LE(control.accepted(1, 0), 5);
    EXPECT_TRUE(std::isfinite(control.accepted(1, 0)));
    EXPECT_DOUBLE_EQ(control.rejected(1, nan), 0.1);
    EXPECT_DOUBLE_EQ(control.rejected(1, infinity), 0.1);
    EXPECT_LE(control.rejected(1, 1.0000001), 0.9);
    EXPECT_LE(control.accepted(1, 1e-8), 1);  // no growth right after a rejection
  }
}

}  // namespace
}  // namespace solvers
