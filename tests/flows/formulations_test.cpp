#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "flows/trajectory.hpp"

// Full = reduced = compressed = coupled, and the symmetries of the model in each of them.
namespace gradflow {
namespace {

using tests::all_words;
using tests::differences;
using tests::Formulation;
using tests::formulations;
using tests::make_flow;
using tests::sizes;
using tests::Trajectory;

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double rtol = 1e-9;

/// Every task from starts small and large, wide enough for both spans to be compressed, for one or (distinct) for u and
/// W_V alone; two tasks at all rates.
std::vector<tests::Experiment> experiments() {
  std::vector<tests::Experiment> result;
  for (const tests::NamedTask& task : tests::tasks()) {
    const Index d = task.data.words;
    const Weights<double> small = draw_start(StartLaw::gaussian, 16, 24, d, {0.1, 0.1, 0.1, 0.1}, 7),
                          large = draw_start(StartLaw::kaiming_normal, 16, 24, d, {}, 8);
    result.push_back({task.name + " small", task.data, small, {}});
    const bool at_all_rates = task.name == "paper" || task.name == "ragged";
    for (const auto& [name, rates] : std::span(tests::all_rates).first(at_all_rates ? tests::all_rates.size() : 1))
      result.push_back({task.name + " large " + name, task.data, large, rates});
  }
  return result;
}

void expect_same_crossings(const Trajectory& a, const Trajectory& b, double bar) {
  const auto crossings = tests::late_crossings(a), others = tests::late_crossings(b);
  ASSERT_EQ(crossings.size(), others.size());
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    const auto &x = crossings[i], &y = others[i];
    EXPECT_EQ(x.event, y.event);
    EXPECT_EQ(x.direction, y.direction);
    // overtaken (1) and bracket (2) rest on a difference of three derivatives, of order 1 after division by their size:
    // its error, over its slope.
    const bool difference = x.event == 1 || x.event == 2;
    EXPECT_NEAR(x.t, y.t, bar * (x.t + (difference ? 3 / std::abs(x.slope) : 0))) << "event " << x.event;
  }
}

/// Tolerances of 10 rtol: steps are accepted with an error of at most rtol, these flows forget most of it (about 1 rtol
/// is left, and 3 in the loss). The full flow measures each of the m1 = 24 rows of W by itself, whose errors add up in
/// u = W^T a, itself only sqrt(m1) times as long as a row.
double bar_of(Formulation formulation) { return (formulation == Formulation::full ? 50 : 10) * rtol; }

void expect_same(const Trajectory& a, const Trajectory& b, double bar) {
  ASSERT_EQ(a.solution.report.outcome, solvers::Outcome::reached_end);
  ASSERT_EQ(b.solution.report.outcome, solvers::Outcome::reached_end);
  ASSERT_EQ(a.grams.size(), b.grams.size());
  for (std::size_t i = 0; i < a.grams.size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    const std::array<double, 6> difference = differences(a.grams[i], b.grams[i]), size = sizes(a.grams[i]);
    for (std::size_t k = 0; k < 6; ++k) EXPECT_LT(difference[k], bar * size[k]) << k;
    for (std::size_t k = 0; k < a.margins[i].size(); ++k)
      EXPECT_NEAR(a.margins[i][k], b.margins[i][k], bar * std::max(1.0, std::abs(a.margins[i][k]))) << k;
    EXPECT_NEAR(b.losses[i], a.losses[i], bar * a.losses[i]);
    EXPECT_NEAR(b.integrated_powers[i], a.integrated_powers[i], bar * a.losses.front());
  }
  expect_same_crossings(a, b, bar);
}

TEST(FormulationsTest, HaveTheSameTrajectory) {
  std::size_t crossings = 0;
  for (const tests::Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const Task task(e.task);
    const auto reduced = make_flow(Formulation::reduced, task, e.start, e.rates);
    const Trajectory expected = tests::solve(*reduced, {.rtol = rtol});
    crossings += expected.solution.crossings.size();
    for (const Formulation formulation : {Formulation::full, Formulation::compressed, Formulation::coupled}) {
      SCOPED_TRACE(static_cast<int>(formulation));
      const auto flow = make_flow(formulation, task, e.start, e.rates);
      if (formulation == Formulation::compressed) {
        EXPECT_LT(flow->dimension(), reduced->dimension());
      }
      expect_same(expected, tests::solve(*flow, {.rtol = rtol}), bar_of(formulation));
    }
  }
  EXPECT_GT(crossings, 80U);
}

TEST(FormulationsTest, LimitStartIsTheOrthogonalOne) {
  const StandardDeviations s{0.2, 0.1, 0.3, 0.2};
  for (const tests::NamedTask& named : tests::tasks()) {
    SCOPED_TRACE(named.name);
    const Task task(named.data);
    const Index d = task.words(), m = 2 * d + 1;
    const auto limit = make_coupled_flow<double>(task, limit_start(all_words(task), d, m, 8, s));
    const Trajectory expected = tests::solve(*limit, {.rtol = rtol});
    const Weights<double> drawn = draw_start(StartLaw::orthogonal, m, 8, d, s, 6);
    for (const Formulation formulation : formulations)
      expect_same(expected, tests::solve(*make_flow(formulation, task, drawn), {.rtol = rtol}), bar_of(formulation));
  }
}

/// What does not move keeps its bits: u, or all inner products of the columns of one matrix, and the matrix itself.
TEST(FormulationsTest, FrozenMatricesKeepTheirBits) {
  const tests::NamedTask named = tests::tasks()[2];
  const Task task(named.data);
  const Weights<double> start = draw_start(StartLaw::kaiming_normal, 16, 5, task.words(), {}, 8);
  const auto run = [&](Formulation formulation, Rates<double> rates, const auto& check) {
    const auto flow = make_flow(formulation, task, start, rates);
    const Trajectory solved = tests::solve(*flow, {.rtol = 1e-6, .until = 100, .events = false});
    const GramStart<double>&a = solved.grams.front(), &b = solved.grams.back();
    check(a, b);
    if (!flow->has_weights()) return;
    const Weights<double> end = flow->weights(solved.solution.x_end);
    EXPECT_EQ(end.W == start.W, rates.W == 0);
    EXPECT_EQ(end.W_V == start.W_V, rates.W_V == 0);
    EXPECT_EQ(end.W_K == start.W_K, rates.W_K == 0);
    EXPECT_EQ(end.W_Q == start.W_Q, rates.W_Q == 0);
  };
  for (const Formulation formulation : formulations) {
    SCOPED_TRACE(static_cast<int>(formulation));
    run(formulation, {0, 1, 1, 1}, [](const auto& a, const auto& b) {
      EXPECT_EQ(a.U, b.U);
      EXPECT_NE(a.Gamma, b.Gamma);
    });
    run(formulation, {1, 0, 1, 1}, [](const auto& a, const auto& b) {
      EXPECT_EQ(a.Gamma, b.Gamma);
      EXPECT_NE(a.U, b.U);
    });
    run(formulation, {1, 1, 0, 1}, [](const auto& a, const auto& b) {
      EXPECT_EQ(a.S_K, b.S_K);
      EXPECT_NE(a.S_Q, b.S_Q);
    });
    run(formulation, {1, 1, 1, 0}, [](const auto& a, const auto& b) {
      EXPECT_EQ(a.S_Q, b.S_Q);
      EXPECT_NE(a.S_K, b.S_K);
    });
  }
}

// --- symmetries ---

/// Three steps of Euler's method from the start: the same but for rounding, and short enough for squares to stay
/// positive.
struct Moved {
  GramStart<double> grams;
  double power;
};

Moved after_three_steps(const Flow<double>& flow) {
  std::vector<double> x = flow.initial_state(), dx(x.size());
  for (int step = 0; step < 3; ++step) {
    flow.derivative(0, x, dx);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += 0.01 * dx[i];
  }
  return {gram_at(flow, x, all_words(flow.task())), flow.integrated_power(x)};
}

/// Sums of some hundred terms, rounded a few times, three steps on.
void expect_same(const Moved& a, const Moved& b) {
  const std::array<double, 6> difference = differences(a.grams, b.grams), size = sizes(a.grams);
  for (std::size_t k = 0; k < 6; ++k) EXPECT_LE(difference[k], 1000 * epsilon * std::max(size[k], 0.1)) << k;
  EXPECT_NEAR(a.power, b.power, 1000 * epsilon * a.power);
}

template <class Visit>
void for_each_experiment(Visit visit) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    if (c.full) continue;
    for (const Formulation formulation : formulations) {
      SCOPED_TRACE(c.name + " in formulation " + std::to_string(static_cast<int>(formulation)));
      visit(c, formulation);
    }
  }
}

TEST(FormulationsTest, CommuteWithPermutationsOfWordsAndSamples) {
  for_each_experiment([](const tests::FlowCase& c, Formulation formulation) {
    const Index d = c.task.words;
    std::vector<Index> to(static_cast<std::size_t>(d));  // its own inverse
    for (Index word = 0; word < d; ++word) to[static_cast<std::size_t>(word)] = d - 1 - word;
    const auto moved = [&](Index word) { return to[static_cast<std::size_t>(word)]; };
    TaskData data = c.task;
    for (auto& sample : data.tokens) std::ranges::transform(sample, sample.begin(), moved);
    std::ranges::transform(data.targets, data.targets.begin(), moved);
    if (data.common) data.common = moved(*data.common);
    std::rotate(data.tokens.begin(), data.tokens.begin() + 1, data.tokens.end());
    std::rotate(data.labels.begin(), data.labels.begin() + 1, data.labels.end());
    std::rotate(data.sample_class.begin(), data.sample_class.begin() + 1, data.sample_class.end());
    Weights<double> start = c.start;
    for (Matrix<double>* matrix : {&start.W_V, &start.W_K, &start.W_Q})
      *matrix = Matrix<double>((*matrix)(Eigen::all, to));
    const Task task(c.task), other(data);
    const Moved expected = after_three_steps(*make_flow(formulation, task, c.start, c.rates));
    Moved actual = after_three_steps(*make_flow(formulation, other, start, c.rates));
    GramStart<double>& g = actual.grams;
    g.G = Vector<double>(g.G(to));
    for (Matrix<double>* matrix : {&g.Gamma, &g.B, &g.S_K, &g.S_Q}) *matrix = Matrix<double>((*matrix)(to, to));
    expect_same(expected, actual);
  });
}

TEST(FormulationsTest, DoNotSeeRotationsOfTheTwoHiddenSpaces) {
  for_each_experiment([](const tests::FlowCase& c, Formulation formulation) {
    const Matrix<double> R = tests::rotation(c.start.width(), 1), S = tests::rotation(c.start.width(), 2);
    Weights<double> turned = c.start;
    turned.W = c.start.W * R.transpose();
    turned.W_V = R * c.start.W_V;
    turned.W_K = S * c.start.W_K;
    turned.W_Q = S * c.start.W_Q;
    const Task task(c.task);
    expect_same(after_three_steps(*make_flow(formulation, task, c.start, c.rates)),
                after_three_steps(*make_flow(formulation, task, turned, c.rates)));
  });
}

// --- words that no sample uses ---

/// The same experiment in a vocabulary twice as large and one more: word k is word 2 k + 1, all others stand nowhere
/// and have long columns.
tests::Experiment among_more_words(const tests::Experiment& e) {
  const Index d = 2 * e.task.words + 1;
  const auto to = [](Index word) { return 2 * word + 1; };
  tests::Experiment result = e;
  result.task.words = d;
  result.task.word_names.clear();
  for (auto& sample : result.task.tokens) std::ranges::transform(sample, sample.begin(), to);
  std::ranges::transform(result.task.targets, result.task.targets.begin(), to);
  if (result.task.common) result.task.common = to(*result.task.common);
  const Index m = e.start.width();
  const Weights<double> more = draw_start(StartLaw::gaussian, m, 1, d, {1, 30, 30, 30}, 12);
  for (const auto matrix : {&Weights<double>::W_V, &Weights<double>::W_K, &Weights<double>::W_Q}) {
    Matrix<double> columns = more.*matrix;
    for (Index word = 0; word < e.task.words; ++word) columns.col(to(word)) = (e.start.*matrix).col(word);
    result.start.*matrix = columns;
  }
  return result;
}

TEST(FormulationsTest, UnusedWordsChangeNoBitOfTheTrajectory) {
  for (const tests::Experiment& e : experiments())
    for (const Formulation formulation : formulations) {
      SCOPED_TRACE(e.name + " in formulation " + std::to_string(static_cast<int>(formulation)));
      const tests::Experiment more = among_more_words(e);
      const Task task(e.task), larger(more.task);
      const std::vector<Index> words = coupled_words(task), larger_words = coupled_words(larger);
      const auto solve = [&](const Task& which, const tests::Experiment& experiment, const std::vector<Index>& held) {
        return tests::solve(*make_flow(formulation, which, experiment.start, e.rates, held),
                            {.rtol = 1e-6, .tracked = {held[0], held[1]}, .words = held});
      };
      const Trajectory a = solve(task, e, words), b = solve(larger, more, larger_words);
      EXPECT_EQ(a.solution.x, b.solution.x);
      ASSERT_EQ(a.solution.steps.size(), b.solution.steps.size());
      EXPECT_EQ(a.solution.report.counts.rejected_error, b.solution.report.counts.rejected_error);
      for (std::size_t i = 0; i < a.solution.steps.size(); ++i)
        EXPECT_EQ(a.solution.steps[i].ratio, b.solution.steps[i].ratio);
      ASSERT_EQ(a.solution.crossings.size(), b.solution.crossings.size());
      for (std::size_t i = 0; i < a.solution.crossings.size(); ++i)
        EXPECT_EQ(a.solution.crossings[i].t, b.solution.crossings[i].t);
      EXPECT_EQ(a.margins, b.margins);
      for (std::size_t i = 0; i < a.grams.size(); ++i)
        EXPECT_EQ(differences(a.grams[i], b.grams[i]), (std::array<double, 6>{}));
    }
}

}  // namespace
}  // namespace gradflow
