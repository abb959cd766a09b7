#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <limits>
#include <set>

#include "support/flow_cases.hpp"
#include "support/gram_cases.hpp"
#include "tasks/message_of.hpp"

// The coupled flow of inner products at one state, against the reduced flow, which has the weights.
namespace gradflow {
namespace {

using testing::HasSubstr;
using tests::all_words;
using tests::differences;
using tests::message_of;
using tests::OwnedFlow;

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// The derivative of all inner products by the product rule, from that of the weights.
template <class Real>
GramStart<Real> gram_derivative(const Flow<Real>& reduced, const std::vector<Real>& x, const std::vector<Real>& dx) {
  const Weights<Real> p = reduced.weights(x);
  const auto dp = tests::parts(reduced, dx);
  const Matrix<Real> u = p.W.transpose() * p.a;
  const auto product = [](const Matrix<Real>& X, const Matrix<Real>& dX, const Matrix<Real>& Y,
                          const Matrix<Real>& dY) -> Matrix<Real> { return dX.transpose() * Y + X.transpose() * dY; };
  return {.words = {},
          .G = product(p.W_V, dp.W_V, u, dp.head),
          .U = product(u, dp.head, u, dp.head)(0, 0),
          .Gamma = product(p.W_V, dp.W_V, p.W_V, dp.W_V),
          .B = product(p.W_K, dp.W_K, p.W_Q, dp.W_Q),
          .S_K = product(p.W_K, dp.W_K, p.W_K, dp.W_K),
          .S_Q = product(p.W_Q, dp.W_Q, p.W_Q, dp.W_Q),
          .others = {}};
}

/// A reduced flow at a state away from its start, and a coupled flow that starts there, with all words held or with
/// those that it needs.
template <class Real>
struct Pair {
  explicit Pair(const tests::FlowCase& c, bool all = true)
      : reduced(c),
        x(tests::cast<Real>(tests::away_from_start(*OwnedFlow<double>(c)))),
        start(gram_start(reduced->weights(x), all ? all_words(*reduced.task) : coupled_words(*reduced.task))),
        coupled(make_coupled_flow<Real>(*reduced.task, start, reduced->rates())),
        y(coupled->initial_state()) {}

  std::vector<Real> coupled_derivative() const {
    std::vector<Real> dy(y.size(), Real(-1));
    coupled->derivative(Real(0), y, dy);
    return dy;
  }

  OwnedFlow<Real> reduced;
  std::vector<Real> x;
  GramStart<Real> start;
  std::unique_ptr<Flow<Real>> coupled;
  std::vector<Real> y;
};

template <class Visit>
void for_each_reduced_case(Visit visit) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    if (c.full) continue;
    SCOPED_TRACE(c.name);
    visit(c);
  }
}

// --- one state ---

TEST(CoupledDerivativeTest, IsTheProductRuleOnTheReducedFlow) {
  double smallest_largest = 1;
  for_each_reduced_case([&](const tests::FlowCase& c) {
    const Pair<Quad> pair(c);
    const std::vector<Quad> dx = pair.reduced.derivative(pair.x), dy = pair.coupled_derivative();
    const GramStart<Quad> expected = gram_derivative(*pair.reduced, pair.x, dx),
                          actual = gram_at(*pair.coupled, dy, pair.start.words);
    // The same algebra in another order. Rounding is 2e-34 times the size of the terms (inner products up to about 10)
    // and their number (about 1000); a wrong term is wrong in its first digits.
    for (const double difference : differences(actual, expected)) EXPECT_LT(difference, 1e-29);
    EXPECT_LT(abs(Quad(dy.back() - dx.back())), 1e-29);
    if (c.name.find("unit") != std::string::npos && c.name.find("one_word") == std::string::npos) {
      GramStart<Quad> zero = expected;
      for (Matrix<Quad>* matrix : {&zero.Gamma, &zero.B, &zero.S_K, &zero.S_Q}) matrix->setZero();
      zero.G.setZero();
      zero.U = 0;
      for (const double size : differences(expected, zero)) smallest_largest = std::min(smallest_largest, size);
    }
  });
  EXPECT_GT(smallest_largest, 1e-4);  // no block is at rest, so none is compared in vain
}

TEST(CoupledDerivativeTest, DoubleIsQuadRounded) {
  for_each_reduced_case([](const tests::FlowCase& c) {
    const Pair<double> pair(c);
    const std::unique_ptr<Flow<Quad>> exact =
        make_coupled_flow<Quad>(*pair.reduced.task, pair.start.cast<Quad>(), tests::cast<Quad>(c.rates));
    const std::vector<Quad> y = tests::cast<Quad>(pair.y);
    std::vector<Quad> dy_exact(y.size());
    exact->derivative(Quad(0), y, dy_exact);
    const std::vector<double> dy = pair.coupled_derivative();
    double scale = 0.1;
    for (const Quad& v : dy_exact) scale = std::max(scale, static_cast<double>(abs(v)));
    // Sums of some dozens of terms, and scores of size 10 in the exponent.
    for (std::size_t i = 0; i < y.size(); ++i)
      EXPECT_NEAR(static_cast<double>(Quad(dy[i]) - dy_exact[i]), 0, 200 * epsilon * scale) << i;
  });
}

TEST(CoupledDerivativeTest, DoesNotDependOnWhereTheStateStandsInMemory) {
  for_each_reduced_case([](const tests::FlowCase& c) {
    const Pair<double> pair(c);
    const std::vector<double>& y = pair.y;
    const std::vector<double> expected = pair.coupled_derivative();
    std::vector<double> room(y.size() + 8), dy_room(y.size() + 8);
    for (std::size_t offset = 0; offset < 8; ++offset) {  // past one AVX-512 register
      const std::span<double> moved(room.data() + offset, y.size()), dy(dy_room.data() + 7 - offset, y.size());
      std::copy(y.begin(), y.end(), moved.begin());
      pair.coupled->derivative(0, moved, dy);
      EXPECT_TRUE(std::equal(dy.begin(), dy.end(), expected.begin())) << "at offset " << offset;
    }
  });
}

TEST(CoupledFlowTest, EveryMapIsTheReducedFlows) {
  for_each_reduced_case([](const tests::FlowCase& c) {
    const Pair<Quad> pair(c);
    const Flow<Quad>&coupled = *pair.coupled, &reduced = *pair.reduced;
    EXPECT_EQ(coupled.width(), reduced.width());
    EXPECT_EQ(coupled.hidden(), reduced.hidden());
    EXPECT_EQ(coupled.integrated_power(pair.y), 0);
    // In every line the same sums in another order (see above).
    const auto near = [](const Quad& a, const Quad& b) { EXPECT_LT(abs(Quad(a - b)), 1e-29); };
    const std::vector<Index> words = all_words(*pair.reduced.task);
    const GramStart<Quad> grams = gram_at(coupled, pair.y, words);
    for (const double difference : differences(grams, pair.start)) EXPECT_EQ(difference, 0);
    for (const double difference : differences(grams, gram_at(reduced, pair.x, words))) EXPECT_LT(difference, 1e-29);
    near(coupled.trace_Gamma(pair.y), reduced.trace_Gamma(pair.x));
    near(coupled.trace_S_K(pair.y), reduced.trace_S_K(pair.x));
    near(coupled.trace_S_Q(pair.y), reduced.trace_S_Q(pair.x));
    std::vector<Quad> A(static_cast<std::size_t>(reduced.model().pairs().size())), A_reduced = A;
    coupled.scores(pair.y, A);
    reduced.scores(pair.x, A_reduced);
    for (std::size_t i = 0; i < A.size(); ++i) near(A[i], A_reduced[i]);
    const auto [gV, gA] = pair.reduced.coefficients(pair.x);
    std::vector<Quad> p(words.size()), p_reduced = p;
    coupled.Gamma_times(pair.y, gV, words, p);
    reduced.Gamma_times(pair.x, gV, words, p_reduced);
    for (std::size_t i = 0; i < p.size(); ++i) near(p[i], p_reduced[i]);
    const PerMatrix<Quad> power = coupled.power(pair.y, gV, gA), power_reduced = reduced.power(pair.x, gV, gA);
    for (std::size_t i = 0; i < 4; ++i) near(power[i], power_reduced[i]);
    EXPECT_THROW(coupled.weights(pair.y), std::logic_error);
  });
}

TEST(CoupledFlowTest, BlocksNameTheState) {
  const Task task(tests::tasks()[2].data);  // words 3 and 6 of 7 stand nowhere
  const auto flow = make_coupled_flow<double>(task, limit_start(coupled_words(task), 7, 10, 10, {1, 1, 1, 1}));
  EXPECT_THAT(flow->words(), testing::ElementsAre(0, 1, 2, 4, 5));
  struct Expected {
    const char* name;
    Index rows, columns;
    bool measured;
  };
  const std::vector<Expected> expected{
      {"G", 5, 1, true},    {"U", 1, 1, true},    {"Gamma", 15, 1, true},           {"B", 5, 5, true},
      {"S_K", 15, 1, true}, {"S_Q", 15, 1, true}, {"integrated_power", 1, 1, false}};
  const std::vector<solvers::Block> blocks = flow->blocks();
  ASSERT_EQ(blocks.size(), expected.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i].name, expected[i].name);
    EXPECT_EQ(blocks[i].rows, expected[i].rows);
    EXPECT_EQ(blocks[i].columns, expected[i].columns);
    EXPECT_EQ(blocks[i].vectors, solvers::Block::Vectors::columns);
    EXPECT_EQ(blocks[i].measured, expected[i].measured);
  }
  EXPECT_EQ(std::ssize(flow->initial_state()), flow->dimension());
}

/// With only the words that the flow needs: of these it knows the same, of all others nothing but what they add to the
/// traces.
TEST(CoupledFlowTest, WordsThatTheStartLeavesOutAreLeftOut) {
  for_each_reduced_case([](const tests::FlowCase& c) {
    const Pair<double> whole(c), part(c, false);
    const Task& task = *part.reduced.task;
    const std::vector<Index>& words = part.start.words;
    const std::set<Index> held(words.begin(), words.end());
    EXPECT_EQ(part.coupled->blocks()[0].rows, std::ssize(held));
    EXPECT_THAT(part.coupled->words(), testing::ElementsAreArray(words));

    // A step along the flow, so that the state is not the start's; short enough for squares to stay positive.
    std::vector<double> whole_y = whole.y, part_y = part.y;
    const std::vector<double> whole_dy = whole.coupled_derivative(), part_dy = part.coupled_derivative();
    for (std::size_t i = 0; i < whole_y.size(); ++i) whole_y[i] += 1e-3 * whole_dy[i];
    for (std::size_t i = 0; i < part_y.size(); ++i) part_y[i] += 1e-3 * part_dy[i];
    const GramStart<double> known = gram_at(*whole.coupled, whole_y, all_words(task)),
                            actual = gram_at(*part.coupled, part_y, all_words(task));
    const auto expect = [](double value, double expected) {
      if (std::isnan(expected))
        EXPECT_TRUE(std::isnan(value));
      else
        EXPECT_NEAR(value, expected, 100 * epsilon * std::max(1.0, std::abs(expected)));  // sums in another order
    };
    for (Index k = 0; k < task.words(); ++k) {
      expect(actual.G[k], held.contains(k) ? known.G[k] : nan);
      for (Index l = 0; l < task.words(); ++l) {
        const bool both = held.contains(k) && held.contains(l);
        expect(actual.Gamma(k, l), both ? known.Gamma(k, l) : nan);
        expect(actual.B(k, l), both ? known.B(k, l) : nan);
        expect(actual.S_K(k, l), both ? known.S_K(k, l) : nan);
        expect(actual.S_Q(k, l), both ? known.S_Q(k, l) : nan);
      }
    }
    expect(part.coupled->trace_Gamma(part_y), known.Gamma.trace());
    expect(part.coupled->trace_S_K(part_y), known.S_K.trace());
    expect(part.coupled->trace_S_Q(part_y), known.S_Q.trace());
    const auto [gV, gA] = part.reduced.coefficients(part.x);
    std::vector<double> p(static_cast<std::size_t>(task.words())), p_known = p;
    part.coupled->Gamma_times(part_y, gV, all_words(task), p);
    whole.coupled->Gamma_times(whole_y, gV, all_words(task), p_known);
    for (Index k = 0; k < task.words(); ++k)
      expect(p[static_cast<std::size_t>(k)], held.contains(k) ? p_known[static_cast<std::size_t>(k)] : nan);
    // A snapshot is a start for the same words.
    part_y.back() = 0;
    const GramStart<double> snapshot = gram_at(*part.coupled, part_y, words);
    EXPECT_EQ(snapshot.words, words);
    EXPECT_EQ(make_coupled_flow<double>(task, snapshot, c.rates)->initial_state(), part_y);
  });
}

/// The standard events read values and derivatives of targets and common word, whether a sample uses them or not.
TEST(CoupledWordsTest, AreThoseUsedTheTargetsTheCommonWordAndThoseAskedFor) {
  using testing::ElementsAre;
  const Task task(tests::task_of(7, {{4, 5}}, {1})), no_common(tests::task_of(7, {{4, 5}}, {1}, std::nullopt));
  EXPECT_THAT(coupled_words(task), ElementsAre(0, 1, 2, 4, 5));
  EXPECT_THAT(coupled_words(no_common), ElementsAre(0, 1, 4, 5));
  const std::vector<Index> also{6, -1, 4, 6, 7, 3};
  EXPECT_THAT(coupled_words(no_common, also), ElementsAre(0, 1, 3, 4, 5, 6));
}

// --- laws ---

/// tr C and tr C^2 of C = X X^T / rate_x - Y Y^T / rate_y, from the matrix itself.
std::array<Quad, 2> traces_of_law(const Matrix<Quad>& X, const Matrix<Quad>& Y, double rate_x, double rate_y) {
  const Matrix<Quad> C = X * X.transpose() / Quad(rate_x) - Y * Y.transpose() / Quad(rate_y);
  return {C.trace(), (C * C).trace()};
}

TEST(CoupledLawsTest, DriftsAreThoseOfTheTracesOfTheLaws) {
  for_each_reduced_case([](const tests::FlowCase& c) {
    const Pair<Quad> pair(c);
    const auto flow =
        make_coupled_flow<Quad>(*pair.reduced.task, gram_start(c.start.cast<Quad>()), pair.reduced->rates());
    const std::array<Quad, 3> drifts = flow->law_drifts(pair.y);
    const auto expected = [&](const Matrix<Quad>& X0, const Matrix<Quad>& X, const Matrix<Quad>& Y0,
                              const Matrix<Quad>& Y, double rate_x, double rate_y) -> Quad {
      const auto inner = [](const Matrix<Quad>& a, const Matrix<Quad>& b) -> Matrix<Quad> { return a.transpose() * b; };
      const auto length = [&](const Matrix<Quad>& a0, const Matrix<Quad>& b0, const Matrix<Quad>& a,
                              const Matrix<Quad>& b) -> Quad { return (inner(a, b) - inner(a0, b0)).norm(); };
      const auto size = [&](const Matrix<Quad>& a0, const Matrix<Quad>& b0, const Matrix<Quad>& a,
                            const Matrix<Quad>& b) -> Quad { return inner(a, b).norm() + inner(a0, b0).norm(); };
      const Quad x = length(X0, X0, X, X), xy = length(X0, Y0, X, Y), y = length(Y0, Y0, Y, Y);
      if (rate_x == 0 || rate_y == 0) return (rate_x == 0 ? x : y) / (x + y);
      const auto law = traces_of_law(X, Y, rate_x, rate_y), law0 = traces_of_law(X0, Y0, rate_x, rate_y);
      const Quad rx = Quad(rate_x), ry = Quad(rate_y);
      return std::max(Quad(abs(Quad(law[0] - law0[0])) / (x / rx + y / ry)),
                      Quad(abs(Quad(law[1] - law0[1])) /
                           (x * size(X0, X0, X, X) / (rx * rx) + 2 * xy * size(X0, Y0, X, Y) / (rx * ry) +
                            y * size(Y0, Y0, Y, Y) / (ry * ry))));
    };
    const auto p0 = tests::parts(*pair.reduced, pair.reduced->initial_state(), &c.start),
               p = tests::parts(*pair.reduced, pair.x, &c.start);
    const Quad root_M = sqrt(Quad(c.start.hidden()));
    const Quad vw = expected(p0.head, p.head, root_M * p0.W_V, root_M * p.W_V, c.rates.W, c.rates.W_V);
    const Quad kq = expected(p0.W_K, p.W_K, p0.W_Q, p.W_Q, c.rates.W_K, c.rates.W_Q);
    EXPECT_LT(abs(Quad(drifts[0] - vw)), 1e-29);  // the same in another order
    EXPECT_LT(abs(Quad(drifts[1] - kq)), 1e-29);
    EXPECT_EQ(drifts[2], 0);
    EXPECT_GT(std::max(vw, kq), 0.01);  // such a state breaks the laws
    EXPECT_EQ(flow->law_drifts(flow->initial_state()), (std::array<Quad, 3>{0, 0, 0}));
  });
}

/// Restricted to the words held, tr C and tr C^2 still have no derivative: the columns left out contribute a constant
/// matrix.
TEST(CoupledLawsTest, HaveNoDerivative) {
  for_each_reduced_case([](const tests::FlowCase& c) {
    if (c.rates.W * c.rates.W_V * c.rates.W_K * c.rates.W_Q == 0) return;
    const Pair<Quad> pair(c, false);
    std::vector<Quad> dy(pair.y.size());
    pair.coupled->derivative(Quad(0), pair.y, dy);
    // A step h breaks the laws by O(h) relative to the step, the rounding of the state being 1e-34 / h.
    std::vector<Quad> y = pair.y;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += Quad(1e-15) * dy[i];
    for (const Quad& drift : pair.coupled->law_drifts(y)) EXPECT_LT(drift, 1e-12);
  });
}

// --- starts ---

TEST(GramStartTest, HoldsTheInnerProductsOfItsWords) {
  for (const StartLaw law : {StartLaw::gaussian, StartLaw::orthogonal})
    for (const std::vector<Index>& words : {std::vector<Index>{0, 1, 2, 3, 4, 5, 6}, std::vector<Index>{1, 4, 5}}) {
      const Weights<double> w = draw_start(law, 15, 4, 7, {0.3, 0.2, 0.4, 0.5}, 3);
      const Weights<Quad> exact = w.cast<Quad>();
      const Matrix<Quad> V = exact.W_V(Eigen::all, words), K = exact.W_K(Eigen::all, words),
                         Q = exact.W_Q(Eigen::all, words);
      const Vector<Quad> u = exact.W.transpose() * exact.a;
      const GramStart<Quad> expected{.words = words,
                                     .G = V.transpose() * u,
                                     .U = u.squaredNorm(),
                                     .Gamma = V.transpose() * V,
                                     .B = K.transpose() * Q,
                                     .S_K = K.transpose() * K,
                                     .S_Q = Q.transpose() * Q,
                                     .others = {}};
      const GramStart<double> start = gram_start(w, words);
      // 15 products of the lengths of u (at most 15) and of columns (at most 8).
      const double rounding = 15 * 15 * epsilon;
      for (const double difference : differences(start.cast<Quad>(), expected)) EXPECT_LT(difference, rounding);
      EXPECT_EQ(start.Gamma, start.Gamma.transpose());
      EXPECT_EQ(start.S_K, start.S_K.transpose());
      EXPECT_EQ(start.S_Q, start.S_Q.transpose());
      EXPECT_EQ(start.words, words);
      EXPECT_EQ(start.width, 15);
      EXPECT_EQ(start.hidden, 4);
      // Seven columns of length at most 8.
      EXPECT_NEAR(start.others.trace_Gamma, w.W_V.squaredNorm() - start.Gamma.trace(), 7 * rounding);
      EXPECT_NEAR(start.others.trace_S_K, w.W_K.squaredNorm() - start.S_K.trace(), 7 * rounding);
      EXPECT_NEAR(start.others.trace_S_Q, w.W_Q.squaredNorm() - start.S_Q.trace(), 7 * rounding);
      double largest_other = 0;
      for (Index word = 0; word < 7; ++word)
        if (std::ranges::find(words, word) == words.end())
          largest_other = std::max(largest_other, w.W_V.col(word).squaredNorm());
      EXPECT_DOUBLE_EQ(start.others.largest_Gamma, largest_other);
      if (words.size() == 7) {
        EXPECT_EQ(differences(start, gram_start(w)), (std::array<double, 6>{}));
      }
    }
}

TEST(GramStartTest, LimitIsTheOrthogonalStart) {
  const StandardDeviations s{0.3, 0.2, 0.4, 0.5};
  for (const std::vector<Index>& words : {std::vector<Index>{0, 1, 2, 3, 4, 5}, std::vector<Index>{0, 2, 5}}) {
    const GramStart<double> limit = limit_start(words, 6, 12, 5, s),
                            drawn = gram_start(draw_start(StartLaw::orthogonal, 12, 5, 6, s, 4), words);
    // Orthonormal columns of length 12 to a few epsilon each, times lengths of at most 3.
    for (const double difference : differences(limit, drawn)) EXPECT_LT(difference, 100 * epsilon);
    EXPECT_NEAR(limit.others.trace_Gamma, drawn.others.trace_Gamma, 100 * epsilon);
    EXPECT_NEAR(limit.others.trace_S_K, drawn.others.trace_S_K, 100 * epsilon);
    EXPECT_NEAR(limit.others.trace_S_Q, drawn.others.trace_S_Q, 100 * epsilon);
    EXPECT_NEAR(limit.others.largest_Gamma, drawn.others.largest_Gamma, 100 * epsilon);
    EXPECT_EQ(limit.words, words);
    EXPECT_EQ(limit.width, 12);
    EXPECT_EQ(limit.hidden, 5);
    EXPECT_GT(limit.U, 1);  // 0.09 * 12 * 5
  }
}

TEST(GramStartErrorsTest, SayWhatIsWrong) {
  const Task task(tests::tasks()[2].data);
  const GramStart<double> good = limit_start(all_words(task), 7, 10, 10, {1, 1, 1, 1});
  const auto refuse = [&](auto change) {
    GramStart<double> start = good;
    change(start);
    return message_of([&] { make_coupled_flow<double>(task, start); });
  };
  EXPECT_THAT(refuse([](auto& g) { g.G.resize(6); }), HasSubstr("G has shape [6, 1], but must have [7, 1]"));
  EXPECT_THAT(refuse([](auto& g) { g.B.resize(7, 6); }), HasSubstr("B has shape [7, 6], but must have [7, 7]"));
  EXPECT_THAT(refuse([](auto& g) { g.Gamma(0, 1) = g.Gamma(1, 0) = nan; }),
              HasSubstr("Gamma has entries that are not finite"));
  EXPECT_THAT(refuse([](auto& g) { g.S_K(1, 1) = -2; }), HasSubstr("S_K has the negative entry -2 on its diagonal"));
  EXPECT_THAT(refuse([](auto& g) { g.S_Q(0, 1) = 1; }), HasSubstr("S_Q is not symmetric"));
  EXPECT_THAT(refuse([](auto& g) { g.U = -1; }), HasSubstr("U must be finite and not negative, but is -1"));
  EXPECT_THAT(refuse([](auto& g) { g.width = 0; }), HasSubstr("at least 1, but are 0 and 10"));
  EXPECT_THAT(message_of([&] {
                make_coupled_flow<double>(task, good, {1, 1, -1, 1});
              }),
              HasSubstr("rate must be >= 0"));
  EXPECT_THAT(refuse([](auto& g) { g.words[6] = 7; }),
              HasSubstr("its words 1 to 8 do not lie in the vocabulary of 7 words"));
  EXPECT_THAT(refuse([](auto& g) { g.words[1] = 0; }), HasSubstr("its words must ascend, each of them once"));
  EXPECT_THAT(message_of([&] {
                make_coupled_flow<double>(task, limit_start({0, 1, 2, 5}, 7, 1, 1, {}));
              }),
              HasSubstr("word 5 stands in a sample, but is none of its 4 words"));
  EXPECT_NO_THROW(make_coupled_flow<double>(task, limit_start({0, 1, 2, 4, 5}, 7, 1, 1, {})));
  EXPECT_THAT(message_of([&] {
                gram_start(draw_start(StartLaw::gaussian, 2, 2, 7, {}, 1), {0, 7});
              }),
              HasSubstr("word 8 lies outside the vocabulary of 7 words"));
  EXPECT_THAT(message_of([] { limit_start({}, 0, 1, 1, {}); }),
              HasSubstr("the vocabulary must be at least 1, but is 0"));
  EXPECT_THAT(message_of([] {
                limit_start({0}, 1, 1, 1, {1, 1, -1, 1});
              }),
              HasSubstr("standard deviation of W_K must be finite and not negative, but is -1"));
}

}  // namespace
}  // namespace gradflow
