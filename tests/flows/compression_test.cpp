#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "flows/trajectory.hpp"

// The reduced flow in coordinates of its spans against the same flow at full width.
namespace gradflow {
namespace {

using tests::Experiment;
using tests::OwnedFlow;
using tests::Trajectory;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

Index used(const TaskData& data) { return std::ssize(Task(data).used_words()); }

/// Every task, at a width where both spans are compressed, from starts of full rank and of less, with columns of unused
/// words long and short, at all rates.
const std::vector<Experiment>& experiments() {
  static std::vector<Experiment> result;
  if (!result.empty()) return result;
  for (const tests::NamedTask& task : tests::tasks()) {
    const Index d = task.data.words, m = 2 * d + 5;
    const Weights<double> drawn = draw_start(StartLaw::gaussian, m, 6, d, {0.3, 0.2, 0.25, 0.35}, 7);
    for (const auto& [name, rates] : tests::all_rates)
      result.push_back({task.name + " gaussian " + name, task.data, drawn, rates});
    const auto add = [&](const std::string& name, const Weights<double>& start) {
      for (const std::size_t rates : {0U, 1U})
        result.push_back({task.name + " " + name + " " + tests::all_rates[rates].first, task.data, start,
                          tests::all_rates[rates].second});
    };
    const auto add_changed = [&](const std::string& name, auto change) {
      Weights<double> start = drawn;
      change(start);
      add(name, start);
    };
    add("kaiming", draw_start(StartLaw::kaiming_normal, m, 6, d, {}, 8));
    add("wide", draw_start(StartLaw::kaiming_normal, 80, 6, d, {}, 8));
    // In one_word_samples a word has both labels. From an orthogonal start its value rests at 0 but for rounding, which
    // steps longer than the stability limit make grow: whether and when they are cut short is chance.
    if (task.name != "one_word_samples")
      add("orthogonal", draw_start(StartLaw::orthogonal, m, 6, d, {0.3, 0.2, 0.25, 0.35}, 9));
    add_changed("u = 0", [](Weights<double>& w) { w.W.setZero(); });
    add_changed("W_V = 0", [](Weights<double>& w) { w.W_V.setZero(); });
    add_changed("W_K = 0", [](Weights<double>& w) { w.W_K.setZero(); });
    add_changed("equal columns", [](Weights<double>& w) {
      for (Matrix<double>* matrix : {&w.W_V, &w.W_K, &w.W_Q})
        *matrix = w.W_K.col(0).replicate(1, matrix->cols()).eval();
    });
    const auto scale_unused = [&](double factor) {
      return [&task, factor](Weights<double>& w) {
        const Task made(task.data);
        for (Index word = 0; word < made.words(); ++word)
          if (std::ranges::find(made.used_words(), word) == made.used_words().end())
            for (Matrix<double>* matrix : {&w.W_V, &w.W_K, &w.W_Q}) matrix->col(word) *= factor;
      };
    };
    if (used(task.data) == d) continue;
    add_changed("unused long", scale_unused(1e6));
    add_changed("unused short", scale_unused(1e-6));
    add_changed("unused zero", scale_unused(0));
  }
  return result;
}

OwnedFlow<double> full_width(const Experiment& e) { return {e.task, e.start, e.rates, false}; }
template <class Real = double>
OwnedFlow<Real> compressed(const Experiment& e) {
  return {e.task, e.start, e.rates, false, Coordinates::automatic};
}

/// W, W_V, W_K, W_Q: the largest difference of a column of each, over the larger of its length and 0.1.
template <class Real>
std::array<double, 4> differences(const Weights<Real>& a, const Weights<Real>& b) {
  const auto relative = [](const Matrix<Real>& x, const Matrix<Real>& y) {
    const Vector<Real> lengths = y.colwise().norm().cwiseMax(Real(0.1)).transpose();
    return static_cast<double>(((x - y).colwise().norm().transpose().array() / lengths.array()).maxCoeff());
  };
  return {relative(a.W, b.W), relative(a.W_V, b.W_V), relative(a.W_K, b.W_K), relative(a.W_Q, b.W_Q)};
}

// --- one state ---

TEST(CompressionTest, StateIsOfTheSizeOfTheSpans) {
  for (const Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const OwnedFlow<double> flow = compressed(e);
    const Index n = used(e.task);
    EXPECT_EQ(flow->dimension(), (n + 1) + (n + 1) * n + 2 * (2 * n) * n + 1);
    EXPECT_EQ(std::ssize(flow->initial_state()), flow->dimension());
    EXPECT_EQ(flow->width(), e.start.width());
  }
}

TEST(CompressionTest, IsUsedWhereItIsSmaller) {
  const TaskData data = tests::tasks()[2].data;  // 5 of 7 words stand in a sample
  const Index n = 5;
  struct Expected {
    Index m;
    bool uv, kq;
  };
  for (const Expected& c : {Expected{n, false, false}, Expected{n + 1, false, false}, Expected{n + 2, true, false},
                            Expected{2 * n - 1, true, false}, Expected{2 * n, true, false},
                            Expected{2 * n + 1, true, true}, Expected{100, true, true}}) {
    SCOPED_TRACE(c.m);
    const Weights<double> start = draw_start(StartLaw::kaiming_normal, c.m, 3, 7, {}, 1);
    const OwnedFlow<double> flow(data, start, {}, false, Coordinates::automatic);
    const std::vector<solvers::Block> blocks = flow->blocks();
    const std::array<const char*, 4> names{"u", "W_V", "W_K", "W_Q"};
    for (std::size_t i = 0; i < 4; ++i) {
      const bool small = i < 2 ? c.uv : c.kq;
      EXPECT_EQ(blocks[i].name, std::string(names[i]) + (small ? " (compressed)" : ""));
      EXPECT_EQ(blocks[i].rows, !small ? c.m : i < 2 ? n + 1 : 2 * n);
      EXPECT_EQ(blocks[i].columns, i == 0 ? 1 : n);
      EXPECT_EQ(blocks[i].space, c.m);
      EXPECT_EQ(blocks[i].vectors, solvers::Block::Vectors::columns);
      EXPECT_TRUE(blocks[i].measured);
      if (i > 0) {
        EXPECT_THAT(blocks[i].column_numbers, testing::ElementsAre(0, 1, 2, 4, 5));
      }
    }
    EXPECT_FALSE(blocks[4].measured);
    const OwnedFlow<double> wide(data, start, {}, false, Coordinates::full_width);
    EXPECT_EQ(wide->dimension(), c.m + 3 * c.m * n + 1);
    EXPECT_EQ(flow->initial_state() == wide->initial_state(), !c.uv && !c.kq);
  }
}

TEST(CompressionTest, StartsAtItsWeightsToTheLastBit) {
  for (const Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const OwnedFlow<double> flow = compressed(e);
    const std::vector<double> x = flow->initial_state();
    EXPECT_EQ(differences(flow->weights(x), e.start), (std::array<double, 4>{}));
    EXPECT_EQ(flow->weights(x).a, e.start.a);
    EXPECT_EQ(flow->integrated_power(x), 0);
    EXPECT_EQ(flow->law_drifts(x), (std::array<double, 3>{}));
  }
}

/// The same weights in both coordinates, away from the start and on none of its laws.
struct SameState {
  explicit SameState(const Experiment& e)
      : small(compressed<Quad>(e)),
        wide(e.task, e.start, e.rates, false),
        x(tests::cast<Quad>(tests::away_from_start(*compressed(e)))),
        y(OwnedFlow<Quad>(e.task, small->weights(x), e.rates, false)->initial_state()) {
    y.back() = x.back();
  }
  OwnedFlow<Quad> small, wide;
  std::vector<Quad> x, y;
};

// Sums of at most some hundred terms in another order, in 113 bits, relative to the size of the terms.
const double quad_rounding = 1e4 * static_cast<double>(std::numeric_limits<Quad>::epsilon());

TEST(CompressionTest, DerivativeIsTheOneAtFullWidth) {
  for (const Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const SameState at(e);
    const std::vector<Quad> dx = at.small.derivative(at.x), dy = at.wide.derivative(at.y);
    // Weights are an affine function of the state, so a step of length 1 along the derivative shows it at full width.
    std::vector<Quad> x = at.x, y = at.y;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += dx[i];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += dy[i];
    for (const double difference : differences(at.small->weights(x), at.wide->weights(y)))
      EXPECT_LT(difference, quad_rounding);
    EXPECT_LT(abs(Quad(dx.back() / dy.back() - 1)), quad_rounding);
    EXPECT_EQ(at.small->weights(x).a, at.wide->weights(y).a);
  }
}

TEST(CompressionTest, EveryMapIsTheOneAtFullWidth) {
  for (const Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const SameState at(e);
    const Flow<Quad>&small = *at.small, &wide = *at.wide;
    const Weights<Quad> w = wide.weights(at.y);
    const Vector<Quad> u = w.W.transpose() * w.a;
    const auto near = [](const Quad& a, const Quad& b, const Quad& size) {
      EXPECT_LE(abs(Quad(a - b)), quad_rounding * size) << "where " << b << " is right";
    };
    // Inner products of all words, by the columns themselves and their lengths.
    std::vector<Quad> G(static_cast<std::size_t>(e.task.words)), G_wide = G;
    small.values(at.x, G);
    wide.values(at.y, G_wide);
    for (Index k = 0; k < e.task.words; ++k) {
      const auto v = w.W_V.col(k), key = w.W_K.col(k);
      for (const Quad& g : {G[static_cast<std::size_t>(k)], G_wide[static_cast<std::size_t>(k)]})
        near(g, v.dot(u), u.norm() * v.norm());
      for (Index l = 0; l < e.task.words; ++l) {
        const auto v2 = w.W_V.col(l), key2 = w.W_K.col(l), query = w.W_Q.col(k), query2 = w.W_Q.col(l);
        for (const auto& [flow, state] : {std::pair(&small, &at.x), std::pair(&wide, &at.y)}) {
          near(flow->Gamma(*state, k, l), v.dot(v2), v.norm() * v2.norm());
          near(flow->B(*state, k, l), key.dot(query2), key.norm() * query2.norm());
          near(flow->S_K(*state, k, l), key.dot(key2), key.norm() * key2.norm());
          near(flow->S_Q(*state, k, l), query.dot(query2), query.norm() * query2.norm());
        }
      }
    }
    near(small.U(at.x), u.squaredNorm(), u.squaredNorm());
    near(small.trace_Gamma(at.x), w.W_V.squaredNorm(), w.W_V.squaredNorm());
    near(small.trace_S_K(at.x), w.W_K.squaredNorm(), w.W_K.squaredNorm());
    near(small.trace_S_Q(at.x), w.W_Q.squaredNorm(), w.W_Q.squaredNorm());
    const auto [gV, gA] = at.wide.coefficients(at.y);
    const auto [gV_small, gA_small] = at.small.coefficients(at.x);
    for (std::size_t i = 0; i < gV.size(); ++i) near(gV_small[i], gV[i], 1);
    for (std::size_t i = 0; i < gA.size(); ++i) near(gA_small[i], gA[i], 10);
    const std::vector<Index> words = tests::all_words(*at.wide.task);
    std::vector<Quad> p(words.size()), p_wide = p;
    small.Gamma_times(at.x, gV, words, p);
    wide.Gamma_times(at.y, gV, words, p_wide);
    const Vector<Quad> step = w.W_V * Eigen::Map<const Vector<Quad>>(gV.data(), e.task.words);
    for (std::size_t k = 0; k < p.size(); ++k) {
      const auto v = w.W_V.col(static_cast<Index>(k));
      near(p[k], v.dot(step), v.norm() * std::max(Quad(step.norm()), Quad(0.1)));
      near(p_wide[k], v.dot(step), v.norm() * std::max(Quad(step.norm()), Quad(0.1)));
    }
    const PerMatrix<Quad> power = small.power(at.x, gV, gA), power_wide = wide.power(at.y, gV, gA);
    for (std::size_t i = 0; i < 4; ++i) near(power[i], power_wide[i], power_wide[i]);
    const auto drifts = small.law_drifts(at.x), drifts_wide = wide.law_drifts(at.y);
    for (std::size_t i = 0; i < 3; ++i) near(drifts[i], drifts_wide[i], 1);
    EXPECT_GT(drifts[0], 0.01);  // such a state breaks the laws
  }
}

TEST(CompressionTest, DerivativeDoesNotDependOnWhereTheStateStandsInMemory) {
  for (const Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const OwnedFlow<double> flow = compressed(e);
    const std::vector<double> x = tests::away_from_start(*flow), expected = flow.derivative(x);
    std::vector<double> room(x.size() + 8), dx_room(x.size() + 8);
    for (std::size_t offset = 0; offset < 8; ++offset) {  // past one AVX-512 register
      const std::span<double> moved(room.data() + offset, x.size()), dx(dx_room.data() + 7 - offset, x.size());
      std::ranges::copy(x, moved.begin());
      flow->derivative(0, moved, dx);
      ASSERT_TRUE(std::ranges::equal(dx, expected)) << "at offset " << offset;
    }
  }
}

// --- trajectories ---

constexpr double rtol = 1e-6;

/// How the same rounding shows. Weights and observables: sums of some dozens of terms, over some dozens of steps (a
/// share of the power is a quotient of squares of such sums, late ones small against what they are sums of); a
/// crossing's time, that of its function over its slope. Steps follow from error estimates, which are rtol times as
/// large as what is rounded. Those of fehlberg78 are differences of four stages that nearly cancel; at the stability
/// limit they are rounding's own, so there the steps would part, and it is followed for a shorter time.
struct Bars {
  explicit Bars(const solvers::Method& method)
      : until(method.order > 5 ? 1 : 100), step((method.order > 5 ? 1e6 : 1e4) * epsilon / rtol) {}
  double until, step;
  double weights = 1000 * epsilon, observable = 1e4 * epsilon, time = 2000 * epsilon, drift = 2e4 * epsilon;
};

void expect_same_steps(const Trajectory& a, const Trajectory& b, const Bars& bars) {
  ASSERT_EQ(a.solution.report.outcome, solvers::Outcome::reached_end);
  EXPECT_EQ(a.solution.report.counts.accepted, b.solution.report.counts.accepted);
  EXPECT_EQ(a.solution.report.counts.rejected_error, b.solution.report.counts.rejected_error);
  EXPECT_EQ(a.solution.report.counts.rejected_not_finite, b.solution.report.counts.rejected_not_finite);
  ASSERT_EQ(a.solution.steps.size(), b.solution.steps.size());
  for (std::size_t i = 0; i < a.solution.steps.size(); ++i)
    EXPECT_NEAR(a.solution.steps[i].clock_step / b.solution.steps[i].clock_step, 1, bars.step) << "step " << i;
}

void expect_same_crossings(const Trajectory& a, const Trajectory& b, const Bars& bars) {
  const auto crossings = tests::late_crossings(a), others = tests::late_crossings(b);
  ASSERT_EQ(crossings.size(), others.size());
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    const auto &x = crossings[i], &y = others[i];
    EXPECT_EQ(x.event, y.event);
    EXPECT_EQ(x.direction, y.direction);
    EXPECT_NEAR(x.t, y.t, bars.time * (y.t + 1 / std::abs(y.slope))) << "event " << x.event;
  }
}

/// How far (u, W_V) and (W_K, W_Q) have moved since the start, over their lengths.
std::array<double, 2> moved(const Weights<double>& now, const Weights<double>& then) {
  const auto u = [](const Weights<double>& w) -> Vector<double> { return w.W.transpose() * w.a; };
  const auto ratio = [](double du, double dv, double size_u, double size_v) { return (du + dv) / (size_u + size_v); };
  return {ratio((u(now) - u(then)).norm(), (now.W_V - then.W_V).norm(), u(now).norm(), now.W_V.norm()),
          ratio((now.W_K - then.W_K).norm(), (now.W_Q - then.W_Q).norm(), now.W_K.norm(), now.W_Q.norm())};
}

void expect_same_trajectory(const Experiment& e, const solvers::Method& method) {
  // Stabilised methods take what bounds their steps from differences over a root of epsilon, and dop853's coefficients,
  // which reach 43, cancel: with these, rounding grows into other steps.
  if (method.evaluations == 0 || method.name == "dop853") return;
  SCOPED_TRACE(e.name + " by " + std::string(method.name));
  const Bars bars(method);
  const OwnedFlow<double> small = compressed(e), wide = full_width(e);
  const tests::How how{.method = std::string(method.name), .rtol = rtol, .until = bars.until, .tracked = {2, 0, 1}};
  const Trajectory a = tests::solve(*small, how), b = tests::solve(*wide, how);
  expect_same_steps(a, b, bars);
  expect_same_crossings(a, b, bars);
  ASSERT_EQ(a.grams.size(), 6U);
  ASSERT_EQ(b.grams.size(), 6U);
  for (std::size_t i = 1; i < 6; ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    const Weights<double> w = small->weights(a.solution.x[i]), w_wide = wide->weights(b.solution.x[i]);
    for (const double difference : differences(w, w_wide)) EXPECT_LT(difference, bars.weights);
    for (std::size_t k = 0; k < a.observables[i].size(); ++k) {
      const double x = a.observables[i][k], y = b.observables[i][k];
      if (std::isnan(y))  // of an empty class
        EXPECT_TRUE(std::isnan(x)) << k;
      else
        EXPECT_NEAR(x, y, bars.observable * std::max(1.0, std::abs(y))) << k;
    }
    // Drifts are measured against how far things have moved, which adds up to the change of a law's two terms, and so
    // is their rounding.
    const std::array<double, 2> distance = moved(w_wide, e.start);
    for (std::size_t k = 0; k < 2; ++k) {
      if (distance[k] == 0)
        EXPECT_EQ(a.drifts[i][k], 0);
      else
        EXPECT_NEAR(a.drifts[i][k], b.drifts[i][k], bars.drift / distance[k]) << k;
    }
  }
}

TEST(CompressionTest, TakesTheSameStepsToTheSameWeights) {
  for (const Experiment& e : experiments())
    for (const solvers::Method& method : solvers::methods()) expect_same_trajectory(e, method);
}

/// None, u and W_V alone, all.
TEST(CompressionTest, TakesTheSameStepsAtTheWidthsWhereItBegins) {
  const TaskData data = tests::tasks()[2].data;  // 5 of 7 words stand in a sample
  for (const Index m : {6, 7, 10, 11})
    for (const auto& [name, rates] : tests::all_rates)
      expect_same_trajectory(
          {"m = " + std::to_string(m) + " " + name, data, draw_start(StartLaw::kaiming_normal, m, 3, 7, {}, 1), rates},
          solvers::methods()[0]);
}

}  // namespace
}  // namespace gradflow
