// Steps of a descent: against the weight matrices themselves, and by what is known of them.
#include <gradflow/descent/descent.hpp>
#include <gradflow/flows/gram.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "descent/batches.hpp"
#include "descent/reference_descent.hpp"
#include "support/problems.hpp"
#include "tasks/message_of.hpp"

namespace gradflow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;
using tests::OwnedFlow;
using Given = std::vector<std::pair<std::string_view, double>>;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

enum class State { full, reduced, compressed };

OwnedFlow<double> flow_of(const TaskData& task, const Weights<double>& start, const Rates<double>& rates, State state) {
  return {task, start, rates, state == State::full,
          state == State::compressed ? Coordinates::automatic : Coordinates::full_width};
}

std::vector<double> state_after(Descent& descent, Index steps) {
  for (Index k = 0; k < steps; ++k) EXPECT_TRUE(descent.step());
  return {descent.state().begin(), descent.state().end()};
}

/// Wide enough that both spans are compressed.
Weights<double> wide_start(Index words, unsigned seed = 7) {
  return draw_start(StartLaw::gaussian, 2 * words + 3, 3, words, {0.3, 0.2, 0.25, 0.35}, seed);
}

double distance(const Weights<double>& a, const Weights<long double>& b) {
  const auto largest = [](const auto& now, const auto& then) {
    return static_cast<double>((now.template cast<long double>() - then).cwiseAbs().maxCoeff());
  };
  return std::max({largest(a.W, b.W), largest(a.W_V, b.W_V), largest(a.W_K, b.W_K), largest(a.W_Q, b.W_Q)});
}

struct RuleCase {
  const char* rule;
  double rate;
  Given parameters;
  Index steps;
};

const std::vector<RuleCase> rule_cases{{"gd", 0.1, {}, 1000},
                                       {"heavy-ball", 0.05, {}, 1000},
                                       {"heavy-ball", 0.2, {{"beta", 0.3}}, 100},
                                       {"nesterov", 0.05, {}, 1000},
                                       {"adam", 0.01, {}, 500},
                                       {"adam", 0.02, {{"beta1", 0.7}, {"beta2", 0.9}, {"epsilon", 1e-3}}, 200},
                                       {"rmsprop", 0.002, {}, 300},
                                       {"rmsprop", 0.01, {{"alpha", 0.6}, {"epsilon", 1e-2}}, 200},
                                       {"sign", 0.003, {}, 200},
                                       {"sgd", 0.1, {{"batch", 2}}, 500},
                                       {"sgd", 0.1, {{"batch", 4}}, 300}};

TEST(DescentTest, EveryRuleIsThatOnTheWeights) {
  const std::vector<Rates<double>> rates{{}, {0.5, 2, 1.5, 0.25}, {2, 0, 1, 0}};
  const std::vector<tests::NamedTask> tasks = tests::tasks();
  for (const RuleCase& c : rule_cases)
    for (const std::size_t task : {0U, 2U})  // with a filler in two samples; with repeated words and ragged samples
      for (std::size_t r = 0; r < rates.size(); ++r) {
        const TaskData& data = tasks[task].data;
        const Weights<double> start = wide_start(data.words);
        const Update update(c.rule, c.rate, c.parameters);
        tests::ReferenceDescent reference(data, start, rates[r], update, 3);
        for (Index k = 0; k < c.steps; ++k) reference.step();
        const double moved = distance(start, reference.weights());
        EXPECT_GT(moved, 0.1) << c.rule;  // there is something to compare
        for (const State state : {State::full, State::reduced, State::compressed}) {
          if (state == State::compressed && !update.rule().rotates) continue;
          SCOPED_TRACE(testing::Message() << c.rule << ' ' << c.rate << ' ' << tasks[task].name << " rates " << r
                                          << " state " << static_cast<int>(state));
          const OwnedFlow<double> flow = flow_of(data, start, rates[r], state);
          Descent descent(*flow, update, 3);
          const std::vector<double> x = state_after(descent, c.steps);
          EXPECT_EQ(descent.gradients(), c.steps);
          // Each step rounds at 1e-16; near a minimum steps forget what came before, and on the way there errors grow
          // by no more than the weights do.
          EXPECT_LT(distance(flow->weights(x), reference.weights()), 1e-10);
          EXPECT_NEAR(flow->integrated_power(x), static_cast<double>(reference.fall()), 1e-10);
        }
      }
}

TEST(DescentTest, MatricesOfManyEntriesMoveWhole) {
  const TaskData data = tests::tasks()[0].data;
  const Weights<double> start = draw_start(StartLaw::gaussian, 50, 61, data.words, {0.05, 0.05, 0.2, 0.2}, 7);
  for (const char* rule : {"gd", "nesterov", "adam"}) {
    const Update update(rule, 0.01);
    tests::ReferenceDescent reference(data, start, {}, update, 1);
    const OwnedFlow<double> flow = flow_of(data, start, {}, State::full);
    ASSERT_GT(flow->blocks()[0].size(), 3 * 1000);  // of W, moved stretch by stretch
    Descent descent(*flow, update);
    for (int k = 0; k < 40; ++k) reference.step();
    EXPECT_LT(distance(flow->weights(state_after(descent, 40)), reference.weights()), 1e-12) << rule;  // rounding
    EXPECT_GT(distance(start, reference.weights()), 0.01);  // there is something to compare
  }
}

TEST(DescentTest, GradientDescentChangesTheLawsByTheSquareOfItsStep) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    if (c.name.find("unit") == std::string::npos) continue;
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const double M = static_cast<double>(c.start.hidden()), eta = 0.5;
    struct Laws {
      Matrix<double> uv, kq;
    };
    const auto laws = [&](const std::vector<double>& x) {
      const tests::Parts<double> p = tests::parts(*flow, x);
      const Matrix<double> u = c.full ? Matrix<double>(p.head.transpose() * c.start.a) : p.head;
      return Laws{u * u.transpose() - M * p.W_V * p.W_V.transpose(),
                  p.W_K * p.W_K.transpose() - p.W_Q * p.W_Q.transpose()};
    };
    Descent descent(*flow, Update("gd", eta));
    double largest = 0;
    for (int k = 0; k < 5; ++k) {
      const std::vector<double> x = state_after(descent, 0), dx = flow.derivative(x), y = state_after(descent, 1);
      const Laws before = laws(x), after = laws(y), speed = laws(dx);
      // Sums of at most 20 products, each rounded at the size of the laws' terms, which are below 10.
      const double rounding = 20 * 10 * epsilon * 10;
      EXPECT_LT((after.uv - before.uv - eta * eta * speed.uv).cwiseAbs().maxCoeff(), rounding);
      EXPECT_LT((after.kq - before.kq - eta * eta * speed.kq).cwiseAbs().maxCoeff(), rounding);
      largest = std::max(largest, speed.uv.cwiseAbs().maxCoeff());
    }
    EXPECT_GT(largest, 1e-3);  // there was something to compare
  }
}

TEST(DescentTest, MomentumStartsFromRestAndLags) {
  const TaskData data = tests::tasks()[0].data;
  const OwnedFlow<double> flow = flow_of(data, wide_start(data.words), {}, State::reduced);
  const std::vector<double> x = flow->initial_state(), f = flow.derivative(x);
  const auto place = static_cast<std::size_t>(std::ranges::max_element(f) - f.begin());
  for (const double beta : {0.5, 0.9}) {
    for (const int steps : {1, 2, 10, 100}) {
      // So small a rate that the gradient changes by its 1e-5 at most: what is left is the sum of constant pushes.
      const double eta = 1e-8, forgotten = 1 - std::pow(beta, steps);
      const auto moved = [&](const char* rule) {
        Descent descent(*flow, Update(rule, eta, Given{{"beta", beta}}));
        const std::vector<double> y = state_after(descent, steps);
        return (y[place] - x[place]) / (f[place] * eta / (1 - beta));  // in steps of Update::time
      };
      EXPECT_NEAR(moved("heavy-ball"), steps - beta / (1 - beta) * forgotten, 1e-4 * steps);
      EXPECT_NEAR(moved("nesterov"), steps - beta * beta / (1 - beta) * forgotten, 1e-4 * steps);
    }
  }
}

TEST(DescentTest, ApproachesTheFlowWithOrderOne) {
  const TaskData data = tests::tasks()[0].data;
  const double end = 4;
  const OwnedFlow<double> flow = flow_of(data, wide_start(data.words), {}, State::compressed);
  const std::vector<double> x = solvers::solve<double>(*flow, flow->initial_state(), {.end = end}).x;
  for (const char* rule : {"gd", "heavy-ball", "nesterov"}) {
    std::vector<double> rates, errors, errors_of_fall;
    for (const Index steps : {400, 800, 1600, 3200}) {
      const double rate = end / Update(rule, 1).time(steps);
      Descent descent(*flow, Update(rule, rate));
      const std::vector<double> y = state_after(descent, steps);
      EXPECT_NEAR(descent.time(), end, 1e-12);  // rounding
      rates.push_back(rate);
      errors.push_back((Eigen::Map<const Vector<double>>(y.data(), std::ssize(y) - 1) -
                        Eigen::Map<const Vector<double>>(x.data(), std::ssize(x) - 1))
                           .norm());
      errors_of_fall.push_back(std::abs(y.back() - x.back()));
    }
    EXPECT_NEAR(solvers::order_of(rates, errors), 1, 0.15) << rule;
    EXPECT_NEAR(solvers::order_of(rates, errors_of_fall), 1, 0.15) << rule;
  }
}

TEST(DescentTest, MinibatchesOfAllSamplesAreGradientDescentToTheLastBit) {
  const TaskData data = tests::tasks()[0].data;
  const OwnedFlow<double> flow = flow_of(data, wide_start(data.words), {}, State::compressed);
  Descent gd(*flow, Update("gd", 0.1));
  const std::vector<double> x = state_after(gd, 50);
  for (const double batch : {6.0, 7.0, 1e15}) {
    Descent sgd(*flow, Update("sgd", 0.1, Given{{"batch", batch}}));
    EXPECT_EQ(state_after(sgd, 50), x);
  }
}

TEST(DescentTest, SeedsOrderTheSamples) {
  const TaskData data = tests::tasks()[0].data;
  const OwnedFlow<double> flow = flow_of(data, wide_start(data.words), {}, State::compressed);
  const auto after = [&](std::uint64_t seed) {
    Descent descent(*flow, Update("sgd", 0.1, Given{{"batch", 1}}), seed);
    const std::vector<double> x = state_after(descent, 20);
    descent.start(flow->initial_state());
    EXPECT_EQ(state_after(descent, 20), x);  // the first epoch again
    return x;
  };
  EXPECT_EQ(after(1), after(1));
  EXPECT_NE(after(1), after(2));
}

TEST(BatchesTest, EveryEpochVisitsEverySampleOnceInAnotherOrder) {
  for (const Index size : {1, 3, 4, 10, 11}) {
    Batches batches(10, size, 5);
    std::set<std::vector<Index>> orders;
    for (int epoch = 0; epoch < 20; ++epoch) {
      std::vector<Index> order;
      while (order.size() < 10) {
        const std::span<const Index> batch = batches.next();
        EXPECT_TRUE(std::ranges::is_sorted(batch));
        EXPECT_EQ(std::ssize(batch), std::min(size, 10 - std::ssize(order)));  // the last one takes what is left
        order.insert(order.end(), batch.begin(), batch.end());
      }
      EXPECT_THAT(order, testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
      orders.insert(order);
    }
    EXPECT_EQ(orders.size(), size < 10 ? 20U : 1U);  // of at least 3150; the seed was drawn once
  }
}

TEST(BatchesTest, ASeedMeansTheSameOnEveryMachine) {
  Batches batches(6, 1, 1);
  std::vector<Index> order;
  for (int i = 0; i < 12; ++i) order.push_back(batches.next()[0]);
  EXPECT_THAT(order, ElementsAre(3, 1, 5, 0, 4, 2, 1, 3, 5, 0, 4, 2));
}

TEST(BatchesTest, EverySampleComesFirstEquallyOften) {
  Batches batches(5, 1, 9);
  std::vector<int> counts(5);
  for (int epoch = 0; epoch < 5000; ++epoch) {
    ++counts[static_cast<std::size_t>(batches.next()[0])];
    for (int i = 0; i < 4; ++i) batches.next();
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 5 * std::sqrt(5000 * 0.2 * 0.8));  // five deviations
}

TEST(DescentTest, StartForgetsEverything) {
  const TaskData data = tests::tasks()[2].data;
  const OwnedFlow<double> flow = flow_of(data, wide_start(data.words), {}, State::full);
  for (const UpdateRule& rule : update_rules()) {
    Descent descent(*flow, Update(rule.name, 0.01));
    const std::vector<double> x = state_after(descent, 7);
    EXPECT_EQ(descent.steps(), 7);
    EXPECT_EQ(descent.time(), descent.update().time(7));
    descent.start(flow->initial_state());
    EXPECT_EQ(descent.steps(), 0);
    EXPECT_EQ(descent.gradients(), 0);
    EXPECT_EQ(state_after(descent, 7), x) << rule.name;
  }
}

TEST(DescentTest, WhatHasNoGradientStaysWhereItIs) {
  // In a sample of one word attention has no choice, so that gA is 0: no rule may divide 0 by 0.
  const TaskData data = tests::tasks()[5].data;
  const Weights<double> start = wide_start(data.words);
  const OwnedFlow<double> flow = flow_of(data, start, {}, State::full);
  for (const UpdateRule& rule : update_rules()) {
    Descent descent(*flow, Update(rule.name, 0.01));
    const Weights<double> w = flow->weights(state_after(descent, 20));
    EXPECT_EQ(w.W_K, start.W_K) << rule.name;
    EXPECT_EQ(w.W_Q, start.W_Q) << rule.name;
    EXPECT_NE(w.W_V, start.W_V) << rule.name;
  }
}

TEST(DescentTest, DivergenceKeepsTheLastFiniteState) {
  // Two equal samples of opposite labels: at every margin but 0 one of them pulls back, and so huge a step throws it so
  // far beyond that the next one overflows. (Somewhat smaller steps are chaotic, and may end on 0 by their rounding.)
  const TaskData data = tests::task_of(4, {{0, 1, 3}, {0, 1, 3}}, {1, -1}, std::nullopt);
  const OwnedFlow<double> flow = flow_of(data, wide_start(4), {}, State::full);
  for (const UpdateRule& rule : update_rules()) {
    Descent descent(*flow, Update(rule.name, rule.rotates ? 1e80 : 1e307));
    std::vector<double> last;
    do {
      ASSERT_LT(descent.steps(), 10) << rule.name;
      last.assign(descent.state().begin(), descent.state().end());
    } while (descent.step());
    EXPECT_TRUE(std::ranges::all_of(last, [](double value) { return std::isfinite(value); })) << rule.name;
    EXPECT_TRUE(std::ranges::equal(descent.state(), last)) << rule.name;
    EXPECT_EQ(descent.gradients(), descent.steps() + 1);
  }
}

TEST(DescentTest, RefusesStatesThatItsRuleCannotMove) {
  const TaskData data = tests::tasks()[0].data;
  const Weights<double> start = wide_start(data.words);
  const OwnedFlow<double> compressed = flow_of(data, start, {}, State::compressed);
  const Task task(data);
  const auto coupled = make_coupled_flow<double>(task, gram_start(start));
  for (const UpdateRule& rule : update_rules()) {
    EXPECT_THAT(message_of([&] { Descent(*coupled, Update(rule.name, 0.1)); }), HasSubstr("inner products only"));
    if (rule.rotates) continue;
    EXPECT_THAT(message_of([&] { Descent(*compressed, Update(rule.name, 0.1)); }),
                AllOf(HasSubstr(rule.name), HasSubstr("u (compressed)"), HasSubstr("Coordinates::full_width")));
  }
  std::vector<double> grams = coupled->initial_state();
  EXPECT_THROW(coupled->batch_derivative(grams, std::vector<Index>{0}, grams), std::logic_error);
  Descent descent(*compressed, Update("gd", 0.1));
  std::vector<double> x = compressed->initial_state();
  x[3] = std::nan("");
  EXPECT_THAT(message_of([&] { descent.start(x); }), HasSubstr("not finite"));
  x.pop_back();
  EXPECT_THAT(message_of([&] { descent.start(x); }), HasSubstr("components, but has"));
}

}  // namespace
}  // namespace gradflow
