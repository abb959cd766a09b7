// What a stepper promises by itself: work, state, freshness, the norm.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "support/problems.hpp"

namespace solvers {
namespace {

const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();

class Steppers : public testing::TestWithParam<Method> {
 protected:
  std::string_view name() const { return GetParam().name; }
};
INSTANTIATE_TEST_SUITE_P(AllMethods, Steppers, testing::ValuesIn(methods().begin(), methods().end()), MethodName());

std::vector<double> copy(std::span<const double> x) { return {x.begin(), x.end()}; }

TEST_P(Steppers, MoveTheState) {
  const auto system = oscillator();
  const auto stepper = stepper_at<double>(name(), system, {0, 1});
  stepper->attempt(0.1);
  EXPECT_EQ(copy(stepper->state()), (std::vector<double>{0, 1}));  // a trial only
  stepper->accept();
  // The first term of the series that is missing, h^6 / 720 from order 5 on.
  const double bar = GetParam().order > 4 ? 1e-9 : std::pow(0.1, GetParam().order + 1) / 2;
  EXPECT_NEAR(stepper->state()[0], std::sin(0.1), bar);
  EXPECT_NEAR(stepper->state()[1], std::cos(0.1), bar);
  EXPECT_NEAR(stepper->derivative()[0], std::cos(0.1), bar);
  EXPECT_EQ(stepper->tau(), 0.1);
  EXPECT_EQ(stepper->previous_tau(), 0);
}

TEST_P(Steppers, EvaluateAsOftenAsPredicted) {
  if (GetParam().evaluations == 0) GTEST_SKIP() << "as often as the spectrum asks for";
  const auto system = oscillator();
  const auto stepper = make_stepper<double>(name(), system, Clock<double>::linear(), {1e-6, 1e-6});
  stepper->start(0, std::vector<double>{0, 1});
  EXPECT_EQ(stepper->evaluations(), 1);
  Index before = stepper->evaluations();
  EXPECT_GT(stepper->attempt(10), 1);
  EXPECT_EQ(stepper->evaluations() - before, GetParam().rejected);
  for (int i = 1; i <= 5; ++i) {
    before = stepper->evaluations();
    EXPECT_LE(stepper->attempt(0.01 * i), 1);
    stepper->accept();
    EXPECT_EQ(stepper->evaluations() - before, GetParam().evaluations);
  }
  before = stepper->evaluations();
  std::vector<double> x(2);
  for (const double tau : {0.041, 0.045}) stepper->interpolate(tau, x);
  EXPECT_EQ(stepper->evaluations() - before, GetParam().dense_evaluations);  // once a step
}

TEST_P(Steppers, CountsByPurposeAddUp) {
  auto system = oscillator();
  system.watch([](double, auto x) { return x[0] - 0.5; });
  const auto solved = solve<double>(system, {0, 1}, {.end = 20, .outputs = {1, 2, 3}, .method = name()});
  const Counts& counts = solved.report.counts;
  EXPECT_EQ(counts.evaluations() + 1, solved.evaluations);  // 1: Stepper::start, before the integration
  if (GetParam().evaluations > 0) {
    EXPECT_EQ(counts.for_steps, counts.accepted * GetParam().evaluations + counts.rejected_error * GetParam().rejected);
  }
  EXPECT_EQ(counts.for_start, 1);
  EXPECT_EQ(counts.for_outputs, GetParam().dense_output ? 0 : 3 * (GetParam().name == "fehlberg78" ? 12 : 5));
  EXPECT_GT(counts.for_events, 0);
  // A crossing: up to three steps of polishing, one more to where they lead, with its error, and the derivative there.
  const Index polishing = GetParam().evaluations;
  if (GetParam().dense_output && polishing > 0) {
    EXPECT_LE(counts.for_events, static_cast<Index>(solved.seen.crossings.size()) * (4 * polishing + 1) +
                                     counts.accepted * GetParam().dense_evaluations);
  }
  // Four samples a step, and one for the start; the rest, some slopes at steps' ends among it, the crossings' own.
  EXPECT_LE(counts.event_calls, 4 * counts.accepted + 1 + 40 * static_cast<Index>(solved.seen.crossings.size()));
}

TEST_P(Steppers, InterpolateEndsExactlyAndRestepIsTheMethod) {
  const auto system = pendulum();
  const auto stepper = stepper_at<double>(name(), system, {1, 0});
  stepper->attempt(0.3);
  stepper->accept();
  const auto middle = copy(stepper->state());
  stepper->attempt(1.0);
  stepper->accept();
  std::vector<double> x(2);
  for (const bool interpolate : {true, false}) {
    const auto at = [&](double tau) {
      interpolate ? stepper->interpolate(tau, x) : stepper->restep(tau, x);
      return x;
    };
    EXPECT_EQ(at(0.3), middle);
    EXPECT_EQ(at(1.0), copy(stepper->state()));
  }
  const auto direct = make_stepper<double>(name(), system, Clock<double>::linear(), {1, 1});
  direct->start(0.3, middle);
  direct->attempt(0.7);
  stepper->restep(0.7, x);
  EXPECT_EQ(x, copy(direct->trial_state()));
  std::vector<double> inside(2);
  stepper->interpolate(0.7, inside);  // restep has not disturbed the stages that the interpolant stands on
  // h^4 / 384 for a Hermite cubic; of order 2, the steps' own error too, h^3 / 15.
  EXPECT_NEAR(inside[0], x[0], GetParam().order > 2 ? 1e-3 : 1e-2);
}

TEST_P(Steppers, StartForgetsTheDerivativeBefore) {
  const auto system = pendulum();
  const auto used = stepper_at<double>(name(), system, {1, 0}), fresh = stepper_at<double>(name(), system, {1, 0});
  used->attempt(0.3);
  used->accept();
  used->attempt(0.5);  // a trial left hanging
  for (const auto& stepper : {std::ref(*used), std::ref(*fresh)}) {
    stepper.get().start(0.3, std::vector<double>{-0.4, 2});
    stepper.get().attempt(0.7);
    stepper.get().accept();
  }
  EXPECT_EQ(copy(used->state()), copy(fresh->state()));
  EXPECT_EQ(copy(used->derivative()), copy(fresh->derivative()));
}

TEST_P(Steppers, RejectedTrialsLeaveNoTrace) {
  const auto system = pendulum();
  const auto a = stepper_at<double>(name(), system, {1, 0}), b = stepper_at<double>(name(), system, {1, 0});
  for (const auto& stepper : {std::ref(*a), std::ref(*b)}) {
    stepper.get().attempt(0.2);
    stepper.get().accept();
  }
  a->attempt(5);
  a->attempt(3);
  std::vector<double> xa(2), xb(2);
  for (const auto& [stepper, x] : {std::pair(std::ref(*a), std::ref(xa)), std::pair(std::ref(*b), std::ref(xb))}) {
    stepper.get().attempt(0.5);
    stepper.get().accept();
    stepper.get().interpolate(0.4, x.get());
  }
  EXPECT_EQ(copy(a->state()), copy(b->state()));
  EXPECT_EQ(xa, xb);
}

TEST_P(Steppers, ATrialWhoseEndHasNoDerivativeIsNotGood) {
  double forbidden = nan;
  const Problem<double> system{2, [&](double, auto x, auto dx) {
                                 dx[0] = x[0] == forbidden ? nan : x[1];
                                 dx[1] = -std::sin(x[0]);
                               }};
  const auto stepper = stepper_at<double>(name(), system, {1, 0});
  EXPECT_LE(stepper->attempt(0.7), 1);
  forbidden = stepper->trial_state()[0];
  EXPECT_TRUE(std::isnan(stepper->attempt(0.7)));
}

TEST_P(Steppers, ContinueFromASavedStateBitForBit) {
  const auto system = pendulum();
  const auto whole = stepper_at<double>(name(), system, {1, 0});
  const auto advance = [](Stepper<double>& stepper, int from, int to) {
    for (int i = from; i < to; ++i) stepper.attempt(0.2 * (i + 1)), stepper.accept();
  };
  advance(*whole, 0, 5);
  const auto saved = whole->save();
  advance(*whole, 5, 10);
  const auto half = make_stepper<double>(name(), system, Clock<double>::linear(), {1, 1e30});
  half->restore(saved);
  EXPECT_EQ(half->evaluations(), 0);
  advance(*half, 5, 10);
  EXPECT_EQ(copy(half->state()), copy(whole->state()));
  EXPECT_EQ(copy(half->derivative()), copy(whole->derivative()));
}

TEST_P(Steppers, MisuseThrows) {
  const auto system = oscillator();
  const auto stepper = stepper_at<double>(name(), system, {0, 1});
  EXPECT_THROW(stepper->start(0, std::vector<double>{1}), std::invalid_argument);
  EXPECT_THROW(stepper->start(0, std::vector<double>{1, nan}), std::invalid_argument);
  EXPECT_THROW(stepper->start(infinity, std::vector<double>{1, 1}), std::invalid_argument);
  EXPECT_THROW(stepper->restore({0, {1, 1}, {1}}), std::invalid_argument);
  for (const auto& [rtol, atol] : {std::pair(0.0, 0.0), std::pair(-1e-3, 1.0), std::pair(1e-3, -1.0),
                                   std::pair(nan, 1.0), std::pair(1.0, nan), std::pair(infinity, 0.0)})
    EXPECT_THROW(make_stepper<double>(name(), system, Clock<double>::linear(), {rtol, atol}), std::invalid_argument);
}

TEST(Methods, AnUnknownNameListsThoseThereAre) {
  const auto system = oscillator();
  try {
    make_stepper<double>("rk4", system, Clock<double>::linear(), {1e-6, 0});
    FAIL();
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("'rk4'"), std::string::npos);
    for (const Method& method : methods()) EXPECT_NE(message.find(method.name), std::string::npos);
  }
}

const std::vector<Block> two_blocks{{.name = "A", .rows = 2, .columns = 3},
                                    {.name = "W", .rows = 2, .columns = 2, .vectors = Block::Vectors::rows},
                                    {.name = "q", .measured = false}};

TEST(ErrorNorm, IsTheFormula) {
  const ErrorNorm<double> norm(two_blocks, {.rtol = 0.5, .atol = 0.25});
  std::vector<double> error(11), old(11), now(11);
  error[2] = 3, error[3] = 4;  // column 1 of A
  old[2] = 6, old[3] = 8;      // length 10
  now[2] = 1;
  EXPECT_DOUBLE_EQ(norm(error, old, now), 5 / (0.25 * std::sqrt(2.0) + 0.5 * 10));
  error[8] = 1;  // row 1 of W, at zero
  EXPECT_DOUBLE_EQ(norm(error, old, now), 1 / (0.25 * std::sqrt(2.0)));
  error[10] = 1e9;  // not measured
  EXPECT_DOUBLE_EQ(norm(error, old, now), 1 / (0.25 * std::sqrt(2.0)));
  for (const std::size_t place : {3u, 10u}) {  // but not finite is not finite
    auto broken = now;
    broken[place] = infinity;
    EXPECT_TRUE(std::isnan(norm(error, old, broken)));
    broken = error;
    broken[place] = nan;
    EXPECT_TRUE(std::isnan(norm(broken, old, now)));
  }
}

TEST(ErrorNorm, HoldsAtExtremeScales) {
  const ErrorNorm<double> norm({{.name = "x", .rows = 2}}, {.rtol = 1e-3, .atol = 0});
  for (const double scale : {1e-300, 1e-170, 1.0, 1e170, 1e300})
    EXPECT_NEAR(norm(std::vector{3e-4 * scale, 4e-4 * scale}, std::vector{scale, 0.0}, std::vector{0.0, scale}), 0.5,
                1e-12);
  EXPECT_EQ(norm(std::vector{0.0, 0.0}, std::vector{0.0, 0.0}, std::vector{0.0, 0.0}), 0);
  EXPECT_EQ(norm(std::vector{1.0, 0.0}, std::vector{0.0, 0.0}, std::vector{0.0, 0.0}), infinity);
}

TEST(ErrorNorm, NamesTheWorstComponents) {
  const ErrorNorm<double> norm(two_blocks, {.rtol = 0, .atol = 1});
  std::vector<double> error(11), x(11, 1.0);
  error[5] = -30;   // A: column 2, row 1
  error[7] = 20;    // W: row 0, column 1
  error[10] = 100;  // q, not measured
  auto worst = norm.worst(error, x, x, 2);
  ASSERT_EQ(worst.size(), 2u);
  EXPECT_EQ(worst[0].name, "A[1,2]");
  EXPECT_EQ(worst[0].error, -30);
  EXPECT_DOUBLE_EQ(worst[0].share, 30 / std::sqrt(2.0));
  EXPECT_EQ(worst[1].name, "W[0,1]");
  auto broken = x;
  broken[10] = nan;
  broken[8] = infinity;
  worst = norm.worst(error, x, broken, 10);
  ASSERT_EQ(worst.size(), 10u);
  EXPECT_EQ(worst[0].name, "W[1,0]");
  EXPECT_EQ(worst[1].name, "q");
  EXPECT_EQ(worst[2].name, "A[1,2]");
  const ErrorNorm<double> vector({{.name = "u", .rows = 4}}, {.rtol = 0, .atol = 1});
  EXPECT_EQ(vector.worst(std::vector<double>{0, 0, 1, 0}, std::vector<double>(4), std::vector<double>(4), 1)[0].name,
            "u[2]");
}

/// Two coupled vectors in the plane, v_j' = (|v_1|^2 - c_j) v_2, ...: the same equations in every rotated frame.
Problem<double> rotation_invariant() {
  return {{{.name = "V", .rows = 2, .columns = 2}}, [](double, auto x, auto dx) {
            const double a = x[0] * x[0] + x[1] * x[1], b = x[0] * x[2] + x[1] * x[3];
            for (std::size_t i : {0u, 1u}) dx[i] = b * x[i] - x[2 + i], dx[2 + i] = a * x[i] - b * x[2 + i];
          }};
}

TEST(ErrorNorm, IsTheSameInEveryFrame) {
  const auto system = rotation_invariant();
  const double c = std::cos(0.7), s = std::sin(0.7);
  const std::vector<double> x{0.5, -0.1, 0.3, 0.4};
  const std::vector<double> rotated{c * x[0] - s * x[1], s * x[0] + c * x[1], c * x[2] - s * x[3], s * x[2] + c * x[3]};
  const Solve<double> how{.end = 3, .tolerances = {1e-6, 0}};
  const auto a = solve<double>(system, x, how), b = solve<double>(system, rotated, how);
  ASSERT_EQ(a.report.outcome, Outcome::reached_end);
  ASSERT_GT(a.seen.step_lengths.size(), 8u);
  ASSERT_EQ(a.seen.step_lengths.size(), b.seen.step_lengths.size());
  EXPECT_EQ(a.report.counts.rejected_error, b.report.counts.rejected_error);
  for (std::size_t i = 0; i < a.seen.step_lengths.size();
       ++i)  // error ratios are differences near 1e-6: 10 digits are left
    EXPECT_NEAR(a.seen.step_lengths[i] / b.seen.step_lengths[i], 1, 1e-8);
}

TEST(ErrorNorm, WhatIsNotMeasuredDoesNotChangeTheSteps) {
  const auto f = [](double t, auto x, auto dx) {
    dx[0] = x[1], dx[1] = -std::sin(x[0]);
    if (dx.size() > 2) dx[2] = 1e6 * std::sin(100 * t) * x[1];
  };
  const Problem<double> alone({{.name = "x", .rows = 2}}, f),
      with({{.name = "x", .rows = 2}, {.name = "q", .measured = false}}, f);
  const auto a = solve<double>(alone, {1, 0}, {.end = 10}), b = solve<double>(with, {1, 0, 0}, {.end = 10});
  EXPECT_EQ(a.seen.step_ends, b.seen.step_ends);
  EXPECT_EQ(a.x[0], b.x[0]);
  EXPECT_NE(b.x[2], 0);
}

}  // namespace
}  // namespace solvers
