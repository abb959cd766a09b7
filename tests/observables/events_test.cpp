#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/observables/coupled_drift.hpp>
#include <gradflow/observables/events.hpp>
#include <limits>

#include "observables/scene.hpp"

namespace gradflow {
namespace {

using tests::Scene;

constexpr double rounding = 1000 * std::numeric_limits<double>::epsilon();  // as in observables_test.cpp

const FlowEvent& find(const std::vector<FlowEvent>& events, const std::string& name) {
  for (const FlowEvent& event : events)
    if (event.name == name) return event;
  throw std::out_of_range("no event " + name);
}

/// dG/dt by the product rule from the flow's own right-hand side.
Vector<double> G_rate(const Scene& scene) {
  const auto dx = tests::parts(*scene.flow, scene.flow.derivative(scene.x));
  const Weights<double>& w = scene.weights;
  return dx.W_V.transpose() * (w.W.transpose() * w.a) + w.W_V.transpose() * dx.head;  // reduced: the head is u
}

TEST(EventsTest, StandardNamesAndConditions) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  const auto events = standard_events(*scene.flow.task, scene.observables, {});
  std::vector<std::string> names;
  for (const FlowEvent& event : events) {
    names.push_back(event.name);
    EXPECT_TRUE(event.applicable);
    EXPECT_FALSE(event.stop);
    EXPECT_FALSE(event.condition.empty());
  }
  EXPECT_THAT(names, testing::ElementsAre("classified", "overtaken", "bracket(0.1)", "aligned", "attention_moves(1e-4)",
                                          "attention_moves(1e-3)", "attention_moves(1e-2)", "loss_below(1e-1)",
                                          "loss_below(1e-2)", "loss_below(1e-4)"));
  EXPECT_EQ(find(events, "loss_below(1e-2)").condition, "loss < 1e-2");
  EXPECT_EQ(find(events, "bracket(0.1)").condition, "(1+0.1) max(G'(1), G'(2)) < -G'(3) < (1-0.1) (G'(1) + G'(2))");
  EXPECT_EQ(find(events, "attention_moves(1e-3)").condition, "max |P_iq(k; t) - P_iq(k; 0)| > 1e-3");

  const auto own =
      standard_events(*scene.flow.task, scene.observables,
                      {.bracket = {0.25, 0.5}, .aligned = {0, 0.5}, .attention_moves = {0.03}, .loss_below = {}});
  names.clear();
  for (const FlowEvent& event : own) names.push_back(event.name);
  EXPECT_THAT(names, testing::ElementsAre("classified", "overtaken", "bracket(0.25)", "bracket(0.5)", "aligned",
                                          "aligned(0.5)", "attention_moves(0.03)"));
}

TEST(EventsTest, ValuesAreTheirFormulas) {
  for (const Rates<double>& rates : {Rates<double>{}, Rates<double>{0.5, 3, 1, 1}, Rates<double>{0, 1, 1, 1}})
    for (const std::size_t task : {0U, 1U, 2U, 4U})
      for (const double step : {0.1, 0.4, 0.8}) {
        Scene scene(tests::case_of(tests::tasks()[task].data, rates), {0, 1, 2}, step);
        const EventLevels levels{
            .bracket = {0.25}, .aligned = {0, 0.2}, .attention_moves = {0.03}, .loss_below = {0.3}};
        const auto events = standard_events(*scene.flow.task, scene.observables, levels);
        const auto value = [&](const char* name) { return find(events, name).value(scene.now); };
        const Vector<double> G = scene.weights.W_V.transpose() * (scene.weights.W.transpose() * scene.weights.a),
                             dG = G_rate(scene);
        const double a = dG[0], b = dG[1], c = -dG[2], scale = std::abs(c) + std::max(std::abs(a), std::abs(b));
        EXPECT_NEAR(value("classified"), static_cast<double>(*std::ranges::min_element(scene.model.margin)), rounding);
        EXPECT_NEAR(value("overtaken"), (c - std::max(a, b)) / scale, rounding);
        EXPECT_NEAR(value("bracket(0.25)"), std::min(c - 1.25 * std::max(a, b), 0.75 * (a + b) - c) / scale, rounding);
        EXPECT_NEAR(value("aligned"), std::min({G[0], G[1], -G[2]}), rounding);
        EXPECT_NEAR(value("aligned(0.2)"), std::min({G[0], G[1], -G[2]}) - 0.2, rounding);
        EXPECT_EQ(value("attention_moves(0.03)"), scene.observables.scalar("attention_shift")(scene.now) - 0.03);
        EXPECT_NEAR(value("loss_below(0.3)"), 0.3 - static_cast<double>(scene.model.loss), rounding);
      }
}

TEST(EventsTest, BracketNeedsBothSides) {
  // Found by search over the starts' seeds: a state inside and states beyond either side, so that both terms of the
  // minimum count.
  int inside = 0, below = 0, above = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    tests::FlowCase c = tests::case_of(tests::tasks()[1].data);
    c.start = draw_start(StartLaw::gaussian, 4, 5, c.task.words, {0.3, 0.3, 0.4, 0.5}, seed);
    Scene scene(c, {0, 1, 2});
    const auto events = standard_events(*scene.flow.task, scene.observables, {});
    const Vector<double> dG = G_rate(scene);
    const bool low = 1.1 * std::max(dG[0], dG[1]) < -dG[2], high = -dG[2] < 0.9 * (dG[0] + dG[1]);
    EXPECT_EQ(find(events, "bracket(0.1)").value(scene.now) > 0, low && high);
    EXPECT_EQ(find(events, "overtaken").value(scene.now) > 0, std::max(dG[0], dG[1]) < -dG[2]);
    inside += low && high;
    below += !low && high;
    above += low && !high;
  }
  EXPECT_GT(inside, 0);
  EXPECT_GT(below, 0);
  EXPECT_GT(above, 0);
}

TEST(EventsTest, WithoutACommonWordThreeDoNotApply) {
  Scene scene(tests::case_of(tests::tasks()[3].data), {0, 1});
  const auto events = standard_events(*scene.flow.task, scene.observables, {});
  std::vector<std::string> applicable;
  for (const FlowEvent& event : events)
    if (event.applicable) applicable.push_back(event.name);
  EXPECT_THAT(applicable, testing::ElementsAre("classified", "attention_moves(1e-4)", "attention_moves(1e-3)",
                                               "attention_moves(1e-2)", "loss_below(1e-1)", "loss_below(1e-2)",
                                               "loss_below(1e-4)"));
  const WatchedFlow watched(*scene.flow, events);
  ASSERT_EQ(watched.events().size(), applicable.size());
  for (std::size_t i = 0; i < applicable.size(); ++i) EXPECT_EQ(watched.events()[i].name, applicable[i]);
  std::vector<double> values(applicable.size());
  watched.event_values(0, scene.x, values);
  for (std::size_t i = 0; i < applicable.size(); ++i)
    EXPECT_EQ(values[i], find(events, applicable[i]).value(scene.now));
}

TEST(EventsTest, LevelEventsHoldOnTheirSide) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  const double U = scene.observables.scalar("U")(scene.now);
  const FlowEvent above = level_event(scene.observables, "high", "U", U - 0.5, +1, true);
  const FlowEvent below = level_event(scene.observables, "low", "U", U - 0.5, -1, false);
  EXPECT_NEAR(above.value(scene.now), 0.5, rounding);
  EXPECT_NEAR(below.value(scene.now), -0.5, rounding);
  EXPECT_TRUE(above.stop);
  EXPECT_EQ(above.condition.substr(0, 4), "U > ");
  EXPECT_EQ(below.condition.substr(0, 4), "U < ");
  EXPECT_EQ(level_event(scene.observables, "x", "loss", 1e-6, -1, false).condition, "loss < 1e-6");
}

TEST(EventsTest, WatchedFlowIsTheFlow) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  const WatchedFlow watched(*scene.flow, {});
  EXPECT_EQ(watched.dimension(), scene.flow->dimension());
  std::vector<double> dx(scene.x.size()), out(scene.x.size());
  watched.derivative(0, scene.x, dx);
  EXPECT_EQ(dx, scene.flow.derivative(scene.x));
  const double half = 0.5;
  const double* const k = dx.data();
  std::vector<double> at_half(scene.x.size());
  watched.stage({.t = 0, .x = scene.x, .c = std::span(&half, 1), .k = std::span(&k, 1)}, out, true, at_half);
  EXPECT_EQ(at_half, scene.flow.derivative(out));
}

TEST(CoupledDriftTest, IsTheLargestChangeOverTheLargestLength) {
  for (const tests::NamedTask& task : tests::tasks()) {
    Scene scene(tests::case_of(task.data, {2, 1, 1, 3}));
    const std::vector<Index> words{2, 0, 3};
    CoupledDrift drift(scene.start, words);
    const auto among = [&](const Matrix<double>& X, const Matrix<double>& Y) -> Matrix<double> {
      return (X.transpose() * Y)(words, words);
    };
    const Weights<double>&w = scene.weights, &w0 = scene.weights0;
    const auto largest = [](const Matrix<double>& m) { return m.cwiseAbs().maxCoeff(); };
    const double U = (w.W.transpose() * w.a).squaredNorm(), U0 = (w0.W.transpose() * w0.a).squaredNorm();
    const double V0 = among(w0.W_V, w0.W_V).diagonal().maxCoeff(), K0 = among(w0.W_K, w0.W_K).diagonal().maxCoeff(),
                 Q0 = among(w0.W_Q, w0.W_Q).diagonal().maxCoeff();
    const auto dx = tests::parts(*scene.flow, scene.flow.derivative(scene.x));
    const double kq = dx.W_K.squaredNorm() + dx.W_Q.squaredNorm(),
                 rest = dx.head.squaredNorm() / static_cast<double>(w.hidden()) + dx.W_V.squaredNorm();
    const std::vector<double> expected{std::abs(U - U0) / U0,
                                       largest(among(w.W_V, w.W_V) - among(w0.W_V, w0.W_V)) / V0,
                                       largest(among(w.W_K, w.W_Q) - among(w0.W_K, w0.W_Q)) / std::sqrt(K0 * Q0),
                                       largest(among(w.W_K, w.W_K) - among(w0.W_K, w0.W_K)) / K0,
                                       largest(among(w.W_Q, w.W_Q) - among(w0.W_Q, w0.W_Q)) / Q0,
                                       kq / (kq + rest)};
    const std::vector<double> values = drift.evaluate(scene.now);
    ASSERT_EQ(values.size(), expected.size());
    ASSERT_EQ(CoupledDrift::entries().size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(values[i], expected[i], rounding * std::max(1.0, expected[i])) << CoupledDrift::entries()[i].name;
    const std::vector<double> at_start = drift.evaluate(scene.start);
    EXPECT_EQ(std::vector(at_start.begin(), at_start.begin() + 5), std::vector<double>(5, 0.0));
  }
}

TEST(MomentTest, ForgetsWhenItIsSet) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  Moment moment(*scene.flow);
  for (const std::vector<double>* x : {&scene.x0, &scene.x, &scene.x0}) {
    moment.set(3, *x);
    Moment fresh(*scene.flow);
    fresh.set(3, *x);
    EXPECT_EQ(moment.t(), 3);
    EXPECT_EQ(moment.U(), fresh.U());
    EXPECT_EQ(moment.G_rates(), fresh.G_rates());
    EXPECT_EQ(moment.G_targets(), fresh.G_targets());
    EXPECT_EQ(moment.gA(), fresh.gA());
    EXPECT_EQ(moment.margin_min(), fresh.margin_min());
  }
}

}  // namespace
}  // namespace gradflow
