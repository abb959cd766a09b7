#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/flow_cases.hpp"
#include "tasks/message_of.hpp"

// States, their layout, the laws' drifts, and what a flow refuses.
namespace gradflow {
namespace {

using testing::HasSubstr;
using tests::message_of;
using tests::OwnedFlow;
using tests::Parts;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

TEST(FlowTest, StartsAtItsWeights) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const std::vector<double> x = flow->initial_state();
    ASSERT_EQ(std::ssize(x), flow->dimension());
    const Weights<double> w = flow->weights(x);
    EXPECT_EQ(w.W, c.start.W);
    EXPECT_EQ(w.W_V, c.start.W_V);
    EXPECT_EQ(w.W_K, c.start.W_K);
    EXPECT_EQ(w.W_Q, c.start.W_Q);
    EXPECT_EQ(w.a, c.start.a);
    EXPECT_EQ(flow->integrated_power(x), 0);
    EXPECT_EQ(flow->law_drifts(x), (std::array<double, 3>{0, 0, 0}));
  }
}

TEST(FlowTest, BlocksNameTheState) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const Index m = c.start.width(), m1 = c.start.hidden(), n = std::ssize(flow.task->used_words());
    const std::vector<Index> words(flow.task->used_words().begin(), flow.task->used_words().end());
    EXPECT_THAT(flow->words(), testing::ElementsAreArray(words));
    struct Expected {
      const char* name;
      Index rows, columns, vector_length;
      bool measured;
    };
    const std::vector<Expected> expected{c.full ? Expected{"W", m1, m, m, true} : Expected{"u", m, 1, m, true},
                                         {"W_V", m, n, m, true},
                                         {"W_K", m, n, m, true},
                                         {"W_Q", m, n, m, true},
                                         {"integrated_power", 1, 1, 1, false}};
    const std::vector<solvers::Block> blocks = flow->blocks();
    ASSERT_EQ(blocks.size(), expected.size());
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(blocks[i].name, expected[i].name);
      EXPECT_EQ(blocks[i].rows, expected[i].rows);
      EXPECT_EQ(blocks[i].columns, expected[i].columns);
      EXPECT_EQ(blocks[i].vector_length(), expected[i].vector_length);
      EXPECT_EQ(blocks[i].measured, expected[i].measured);
      EXPECT_EQ(blocks[i].column_numbers, i >= 1 && i <= 3 ? words : std::vector<Index>());
    }
  }
}

TEST(FlowTest, TracesAreOverAllWords) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const std::vector<double> x = tests::away_from_start(*flow);
    const Weights<double> now = flow->weights(x);
    double Gamma = 0, S_K = 0, S_Q = 0, largest = 0;
    for (Index word = 0; word < c.task.words; ++word) {
      if (std::ranges::find(flow->words(), word) != flow->words().end()) continue;
      Gamma += c.start.W_V.col(word).squaredNorm();
      S_K += c.start.W_K.col(word).squaredNorm();
      S_Q += c.start.W_Q.col(word).squaredNorm();
      largest = std::max(largest, c.start.W_V.col(word).squaredNorm());
    }
    const OtherWords<double>& others = flow->other_words();
    EXPECT_DOUBLE_EQ(others.trace_Gamma, Gamma);
    EXPECT_DOUBLE_EQ(others.trace_S_K, S_K);
    EXPECT_DOUBLE_EQ(others.trace_S_Q, S_Q);
    EXPECT_DOUBLE_EQ(others.largest_Gamma, largest);
    // Sums of at most 400 squares in another order.
    EXPECT_NEAR(flow->trace_Gamma(x), now.W_V.squaredNorm(), 100 * epsilon * now.W_V.squaredNorm());
    EXPECT_NEAR(flow->trace_S_K(x), now.W_K.squaredNorm(), 100 * epsilon * now.W_K.squaredNorm());
    EXPECT_NEAR(flow->trace_S_Q(x), now.W_Q.squaredNorm(), 100 * epsilon * now.W_Q.squaredNorm());
  }
}

/// The drifts as flow.hpp defines them, straight from the m x m matrices.
std::array<Quad, 3> drifts_by_definition(const OwnedFlow<Quad>& flow, const tests::FlowCase& c,
                                         const std::vector<Quad>& x) {
  const Weights<Quad> now = flow->weights(x), then = c.start.cast<Quad>();
  const Quad M = Quad(c.start.hidden());
  const Vector<Quad> u = now.W.transpose() * now.a, u0 = then.W.transpose() * then.a;
  const auto square_change = [](const Matrix<Quad>& X, const Matrix<Quad>& X0) -> Matrix<Quad> {
    return X * X.transpose() - X0 * X0.transpose();
  };
  const auto drift = [](const Matrix<Quad>& dX, double rate_x, const Matrix<Quad>& dY, double rate_y) -> Quad {
    const Quad x_term = rate_x > 0 ? Quad(dX.norm() / Quad(rate_x)) : Quad(dX.norm());
    const Quad y_term = rate_y > 0 ? Quad(dY.norm() / Quad(rate_y)) : Quad(dY.norm());
    if (rate_x > 0 && rate_y > 0) return (dX / Quad(rate_x) - dY / Quad(rate_y)).norm() / (x_term + y_term);
    return ((rate_x > 0 ? Quad(0) : x_term) + (rate_y > 0 ? Quad(0) : y_term)) / (x_term + y_term);
  };
  const RowMatrix<Quad> moved = now.W - then.W;
  return {drift(square_change(u, u0), c.rates.W, M * square_change(now.W_V, then.W_V), c.rates.W_V),
          drift(square_change(now.W_K, then.W_K), c.rates.W_K, square_change(now.W_Q, then.W_Q), c.rates.W_Q),
          c.full ? Quad((moved - then.a * (u - u0).transpose() / M).norm() / moved.norm()) : Quad(0)};
}

TEST(FlowTest, LawDriftsAreTheirDefinition) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const OwnedFlow<Quad> exact(c);
    const std::vector<double> x = tests::away_from_start(*flow);
    const std::array<double, 3> drifts = flow->law_drifts(x);
    const std::array<Quad, 3> expected = drifts_by_definition(exact, c, tests::cast<Quad>(x));
    // Householder's backward error grows with the number of its columns (at most 4 d = 52), each a few epsilon.
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(drifts[i], static_cast<double>(expected[i]), 500 * epsilon) << i;
    EXPECT_GT(drifts[0], 0.01);  // such a state breaks the laws
    EXPECT_GT(drifts[1], 0.01);
  }
}

TEST(FlowTest, LawDriftsSeeWhatMovesByItself) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const auto head = flow->blocks()[0].size(), size = flow->blocks()[1].size();
    const auto drifts_after = [&](Index first, double step) {
      std::vector<double> x = flow->initial_state();
      x[static_cast<std::size_t>(first)] += step;
      return flow->law_drifts(x);
    };
    const auto frozen = [](double own, double other) { return own > 0 && other == 0; };
    for (const double step : {1e-3, 1e-9}) {
      // A law's term that moves alone has drifted by all that has moved, unless its partner is frozen and it is free
      // to.
      EXPECT_NEAR(drifts_after(head, step)[0], frozen(c.rates.W_V, c.rates.W) ? 0 : 1, 4 * epsilon) << "W_V";
      EXPECT_NEAR(drifts_after(head + size, step)[1], frozen(c.rates.W_K, c.rates.W_Q) ? 0 : 1, 4 * epsilon) << "W_K";
      EXPECT_NEAR(drifts_after(head + 2 * size, step)[1], frozen(c.rates.W_Q, c.rates.W_K) ? 0 : 1, 4 * epsilon)
          << "W_Q";
      EXPECT_NEAR(drifts_after(0, step)[0], frozen(c.rates.W, c.rates.W_V) ? 0 : 1, 4 * epsilon) << "head";
      EXPECT_EQ(drifts_after(head, step)[1], 0);
    }
    if (!c.full) continue;
    // One entry of W moves by s: a's share of it is s / M everywhere in the column, so sqrt(1 - 1/M) of the move is off
    // the law. The sum W(0) + 1e-3 is rounded.
    EXPECT_NEAR(drifts_after(0, 1e-3)[2], std::sqrt(1 - 1 / static_cast<double>(c.start.hidden())), 1e4 * epsilon);
  }
}

TEST(FlowTest, LawDriftsOfATinyStepAreNotLostInRounding) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    std::vector<double> x = flow->initial_state();
    const std::vector<double> dx = flow.derivative(x);
    // An Euler step breaks the laws in proportion to its length: 1e-6, and the rounding of x itself, epsilon / 1e-6,
    // over the smallest speeds here (some 1e-3 of the matrices; exactly 0 where no sample has two words).
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += 1e-6 * dx[i];
    for (const double drift : flow->law_drifts(x)) EXPECT_LT(drift, 1e-5);
  }
}

TEST(FlowErrorsTest, SayWhatIsWrong) {
  const Task task(tests::tasks()[4].data);
  const Weights<double> good = draw_start(StartLaw::kaiming_normal, 3, 2, 4, {}, 1);
  const auto refuse = [&](auto change) {
    Weights<double> w = good;
    change(w);
    return message_of([&] { make_reduced_flow(task, w); }) + message_of([&] { make_full_flow(task, w); });
  };
  EXPECT_THAT(refuse([](auto& w) { w.W_V.resize(3, 5); }), HasSubstr("W_V has shape [3, 5], but must have [3, 4]"));
  EXPECT_THAT(refuse([](auto& w) { w.W_K.resize(2, 4); }), HasSubstr("W_K has shape [2, 4], but must have [3, 4]"));
  EXPECT_THAT(refuse([](auto& w) { w.W_Q.resize(4, 3); }), HasSubstr("W_Q has shape [4, 3], but must have [3, 4]"));
  EXPECT_THAT(refuse([](auto& w) { w.a.resize(3); }), HasSubstr("W has shape [2, 3], but must have [3, 3]"));
  EXPECT_THAT(refuse([](auto& w) { w.W.resize(0, 0); }), HasSubstr("W is empty"));
  EXPECT_THAT(refuse([](auto& w) { w.W_Q(1, 1) = NAN; }), HasSubstr("W_Q has entries that are not finite"));
  EXPECT_THAT(refuse([](auto& w) { w.W(1, 2) = INFINITY; }), HasSubstr("W has entries that are not finite"));
  EXPECT_THAT(refuse([](auto& w) { w.a[1] = 0.5; }), HasSubstr("every entry of a must be -1 or +1"));
  for (const Rates<double>& rates : {Rates<double>{-1, 1, 1, 1}, Rates<double>{1, 1, 1, NAN}})
    EXPECT_THAT(message_of([&] { make_reduced_flow(task, good, rates); }), HasSubstr("rate must be >= 0"));
}

}  // namespace
}  // namespace gradflow
