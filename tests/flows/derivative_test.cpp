#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/equation1.hpp"
#include "support/flow_cases.hpp"

// Right-hand sides against the loss itself, against each other and against the symmetries of the model.
namespace gradflow {
namespace {

using tests::OwnedFlow;
using tests::Parts;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

// A component of the derivative is a sum of some hundred terms, each rounded a few times, and none larger than the
// largest component by more than its cancellation (at most a factor of ten in these cases).
constexpr double rounding = 1000 * epsilon;

template <class Real>
double largest(const std::vector<Real>& values) {
  double result = 0;
  for (const Real& v : values) result = std::max(result, static_cast<double>(abs(Quad(v))));
  return result;
}

template <class A, class B>
void expect_close(const Eigen::MatrixBase<A>& a, const Eigen::MatrixBase<B>& b, double tolerance, const char* what) {
  ASSERT_EQ(a.rows(), b.rows()) << what;
  ASSERT_EQ(a.cols(), b.cols()) << what;
  const double difference = static_cast<double>((a - b).cwiseAbs().maxCoeff());
  EXPECT_LE(difference, tolerance * std::max(static_cast<double>(b.cwiseAbs().maxCoeff()), 0.1)) << what;
}

/// The full flow's state as weights, W read along rows.
Weights<Quad> as_weights(const Flow<Quad>& flow, const std::vector<Quad>& x, const Weights<double>& start) {
  const Parts<Quad> p = tests::parts(flow, x, &start);
  return {p.head, p.W_V, p.W_K, p.W_Q, start.a.cast<Quad>()};
}

TEST(DerivativeTest, OfTheFullFlowIsMinusRateTimesTheLossGradient) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    // Unit rates only, the others follow (RatesScaleAndFreeze); of the wide starts only those with few parameters.
    if (!c.full || c.name.find("unit") == std::string::npos || c.start.W.size() + 3 * c.start.W_V.size() > 400)
      continue;
    const OwnedFlow<Quad> flow(c);
    const std::vector<Quad> x = tests::away_from_start(*flow), dx = flow.derivative(x);
    // Central differences of equation 1: truncation h^2 / 6 times a third derivative of order 10, rounding 2e-34 / h.
    const Quad h = Quad(1) / 10'000'000'000LL;
    const auto loss = [&](std::size_t i, const Quad& step) {
      std::vector<Quad> moved = x;
      moved[i] += step;
      return tests::equation1<Quad>(c.task, as_weights(*flow, moved, c.start)).loss;
    };
    for (std::size_t i = 0; i + 1 < x.size(); ++i)
      ASSERT_NEAR(static_cast<double>(dx[i] + (loss(i, h) - loss(i, -h)) / (2 * h)), 0, 1e-18) << "parameter " << i;
    EXPECT_GT(largest(dx), 1e-4);  // there was something to compare
  }
}

TEST(DerivativeTest, RatesScaleAndFreeze) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c), unit(c.task, c.start, {}, c.full);
    const std::vector<double> x = tests::away_from_start(*flow);
    const Parts<double> dx = tests::parts(*flow, flow.derivative(x)), one = tests::parts(*unit, unit.derivative(x));
    const std::array<const Matrix<double>*, 4> scaled{&dx.head, &dx.W_V, &dx.W_K, &dx.W_Q},
        unscaled{&one.head, &one.W_V, &one.W_K, &one.W_Q};
    const PerMatrix<double> rho{c.rates.W, c.rates.W_V, c.rates.W_K, c.rates.W_Q};
    double power = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      expect_close(*scaled[i], rho[i] * *unscaled[i], rounding, "block");
      EXPECT_TRUE(rho[i] > 0 || (scaled[i]->array() == 0).all()) << "a frozen matrix moves";
      const double M = c.full || i > 0 ? 1 : static_cast<double>(c.start.hidden());  // |W'|^2 = |u'|^2 / M
      power += rho[i] * unscaled[i]->squaredNorm() / M;
    }
    EXPECT_NEAR(dx.last, power, rounding * power);
  }
}

TEST(DerivativeTest, ReducedFlowIsTheFullOneSeenThroughU) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    if (!c.full) continue;
    const OwnedFlow<double> full(c), reduced(c.task, c.start, c.rates, false);
    // The same weights in both: u and W must belong together.
    const Weights<double> start = c.start;
    std::vector<double> x = reduced->initial_state(), y = full->initial_state();
    const auto m = static_cast<std::size_t>(start.width()), W = static_cast<std::size_t>(start.W.size());
    const std::vector<double> moved = tests::away_from_start(*reduced);
    std::copy(moved.begin() + static_cast<Index>(m), moved.end(), x.begin() + static_cast<Index>(m));
    std::copy(moved.begin() + static_cast<Index>(m), moved.end(), y.begin() + static_cast<Index>(W));
    const std::vector<double> dx_values = reduced.derivative(x), dy_values = full.derivative(y);
    const Parts<double> dx = tests::parts(*reduced, dx_values), dy = tests::parts(*full, dy_values);
    expect_close(dx.head, dy.head.transpose() * start.a, rounding, "u' = W'^T a");
    expect_close(dx.W_V, dy.W_V, rounding, "W_V'");
    expect_close(dx.W_K, dy.W_K, rounding, "W_K'");
    expect_close(dx.W_Q, dy.W_Q, rounding, "W_Q'");
    EXPECT_NEAR(dx.last, dy.last, rounding * dy.last);
    // One step along the derivative: W made from u is the full one's.
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += 0.5 * dx_values[i];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += 0.5 * dy_values[i];
    expect_close(reduced->weights(x).W, full->weights(y).W, rounding, "W(0) + a (u - u(0))^T / M");
    EXPECT_EQ(reduced->weights(x).a, start.a);
  }
}

TEST(DerivativeTest, LawsHaveNoDerivative) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const std::vector<double> x = tests::away_from_start(*flow);
    const Parts<double> dx = tests::parts(*flow, flow.derivative(x)), p = tests::parts(*flow, x, &c.start);
    const double M = static_cast<double>(c.start.hidden());
    const Matrix<double> a = c.start.a, u = c.full ? Matrix<double>(p.head.transpose() * a) : p.head,
                         du = c.full ? Matrix<double>(dx.head.transpose() * a) : dx.head;
    const auto rate_of_square = [](const Matrix<double>& X, const Matrix<double>& dX) -> Matrix<double> {
      return X * dX.transpose() + dX * X.transpose();
    };
    if (c.rates.W > 0 && c.rates.W_V > 0)
      expect_close(rate_of_square(u, du) / c.rates.W, M * rate_of_square(p.W_V, dx.W_V) / c.rates.W_V, rounding,
                   "u u^T - M W_V W_V^T");
    if (c.rates.W_K > 0 && c.rates.W_Q > 0)
      expect_close(rate_of_square(p.W_K, dx.W_K) / c.rates.W_K, rate_of_square(p.W_Q, dx.W_Q) / c.rates.W_Q, rounding,
                   "W_K W_K^T - W_Q W_Q^T");
    if (c.full) expect_close(M * dx.head, a * du.transpose(), rounding, "W - a u^T / M");
  }
}

TEST(DerivativeTest, DoubleIsQuadRounded) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const OwnedFlow<Quad> exact(c);
    const std::vector<double> x = tests::away_from_start(*flow), dx = flow.derivative(x);
    const std::vector<Quad> dx_exact = exact.derivative(tests::cast<Quad>(x));
    const double scale = std::max(largest(dx_exact), 0.1);
    for (std::size_t i = 0; i < dx.size(); ++i)
      ASSERT_NEAR(static_cast<double>(Quad(dx[i]) - dx_exact[i]), 0, rounding * scale) << i;
  }
}

TEST(DerivativeTest, DoesNotDependOnWhereTheStateStandsInMemory) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const std::vector<double> x = tests::away_from_start(*flow), expected = flow.derivative(x);
    const auto [gV, gA] = flow.coefficients(x);
    const PerMatrix<double> power = flow->power(x, gV, gA);
    std::vector<double> room(x.size() + 8), dx_room(x.size() + 8);
    for (std::size_t offset = 0; offset < 8; ++offset) {  // past one AVX-512 register
      const std::span<double> moved(room.data() + offset, x.size()), dx(dx_room.data() + 7 - offset, x.size());
      std::copy(x.begin(), x.end(), moved.begin());
      flow->derivative(0, moved, dx);
      ASSERT_TRUE(std::equal(dx.begin(), dx.end(), expected.begin())) << "at offset " << offset;
      EXPECT_EQ(flow->power(moved, gV, gA), power);
      EXPECT_EQ(flow->U(moved), flow->U(x));
    }
  }
}

TEST(DerivativeTest, OfABatchIsTheMeanOverItsSamplesOneOfThemTwice) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const std::vector<double> x = tests::away_from_start(*flow);
    const auto of = [&](const std::vector<Index>& samples) {
      std::vector<double> dx(x.size());
      flow->batch_derivative(x, samples, dx);
      return dx;
    };
    const Index last = std::ssize(c.task.tokens) - 1;
    const std::vector<double> first = of({0}), other = of({last}), batch = of({0, 0, last});
    const double scale = std::max(largest(batch), 0.1);
    for (std::size_t i = 0; i + 1 < x.size(); ++i)  // all but the power, which is of their mean
      ASSERT_NEAR(batch[i], (2 * first[i] + other[i]) / 3, rounding * scale) << i;
    EXPECT_GT(largest(batch), 1e-4);
  }
}

TEST(DerivativeTest, UnusedWordsDoNotMove) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const Weights<double> away = flow->weights(tests::away_from_start(*flow));
    const auto used = flow.task->used_words();
    for (Index word = 0; word < flow.task->words(); ++word) {
      const bool moves = std::find(used.begin(), used.end(), word) != used.end();
      EXPECT_EQ(away.W_V.col(word) != c.start.W_V.col(word), moves);
      EXPECT_EQ(away.W_K.col(word) != c.start.W_K.col(word), moves);
      EXPECT_EQ(away.W_Q.col(word) != c.start.W_Q.col(word), moves);
    }
  }
}

TEST(DerivativeTest, EveryMapIsItsDefinition) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const OwnedFlow<double> flow(c);
    const std::vector<double> x = tests::away_from_start(*flow);
    const Parts<double> p = tests::parts(*flow, x, &c.start), dx = tests::parts(*flow, flow.derivative(x));
    const Index d = c.task.words, m = c.start.width(), m1 = c.start.hidden();
    EXPECT_EQ(flow->width(), m);
    EXPECT_EQ(flow->hidden(), m1);
    const Vector<double> u = c.full ? Vector<double>(p.head.transpose() * c.start.a) : Vector<double>(p.head);
    EXPECT_NEAR(flow->U(x), u.squaredNorm(), rounding * u.squaredNorm());
    EXPECT_NEAR(flow->trace_Gamma(x), p.W_V.squaredNorm(), rounding * p.W_V.squaredNorm());
    EXPECT_NEAR(flow->trace_S_K(x), p.W_K.squaredNorm(), rounding * p.W_K.squaredNorm());
    EXPECT_NEAR(flow->trace_S_Q(x), p.W_Q.squaredNorm(), rounding * p.W_Q.squaredNorm());
    EXPECT_EQ(flow->integrated_power(x), x.back());
    const auto gram = [&](double (Flow<double>::*entry)(std::span<const double>, Index, Index) const) {
      Matrix<double> result(d, d);
      for (Index k = 0; k < d; ++k)
        for (Index l = 0; l < d; ++l) result(k, l) = (*flow.*entry)(x, k, l);
      return result;
    };
    expect_close(gram(&Flow<double>::Gamma), p.W_V.transpose() * p.W_V, rounding, "Gamma");
    expect_close(gram(&Flow<double>::B), p.W_K.transpose() * p.W_Q, rounding, "B");
    expect_close(gram(&Flow<double>::S_K), p.W_K.transpose() * p.W_K, rounding, "S_K");
    expect_close(gram(&Flow<double>::S_Q), p.W_Q.transpose() * p.W_Q, rounding, "S_Q");

    Vector<double> G(d);
    flow->values(x, std::span(G.data(), static_cast<std::size_t>(d)));
    expect_close(G, p.W_V.transpose() * u, rounding, "G");
    const WordPairs& pairs = flow->model().pairs();
    std::vector<double> A(static_cast<std::size_t>(pairs.size()));
    flow->scores(x, A);
    for (std::size_t j = 0; j < pairs.queries().size(); ++j)
      for (Index pair = pairs.begin(static_cast<Index>(j)); pair < pairs.begin(static_cast<Index>(j) + 1); ++pair)
        EXPECT_NEAR(A[static_cast<std::size_t>(pair)],
                    p.W_K.col(pairs.key(pair)).dot(p.W_Q.col(pairs.queries()[j])) / std::sqrt(static_cast<double>(m)),
                    rounding);

    const auto [gV, gA] = flow.coefficients(x);
    const std::vector<Index> words{d - 1, 0, 1};
    Vector<double> Gamma_gV(3);
    flow->Gamma_times(x, gV, words, std::span(Gamma_gV.data(), 3));
    const Vector<double> all = p.W_V.transpose() * (p.W_V * Eigen::Map<const Vector<double>>(gV.data(), d));
    expect_close(Gamma_gV, all(words), rounding, "Gamma gV");

    const double head_power = dx.head.squaredNorm() / (c.full ? 1 : static_cast<double>(m1));
    const PerMatrix<double> power = flow->power(x, gV, gA),
                            squares{head_power, dx.W_V.squaredNorm(), dx.W_K.squaredNorm(), dx.W_Q.squaredNorm()};
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(power[i], squares[i], rounding * squares[i]) << i;

    const Weights<double> w = flow->weights(x);
    if (c.full) {
      EXPECT_EQ(Matrix<double>(w.W), p.head);
    }
    expect_close(w.W.transpose() * w.a, u, rounding, "u");
    EXPECT_EQ(w.W_V, p.W_V);
    EXPECT_EQ(w.W_K, p.W_K);
    EXPECT_EQ(w.W_Q, p.W_Q);
  }
}

TEST(DerivativeTest, CommutesWithRotationsOfBothHiddenSpaces) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const Matrix<double> R = tests::rotation(c.start.width(), 1), S = tests::rotation(c.start.width(), 2);
    Weights<double> turned = c.start;
    turned.W = c.start.W * R.transpose();
    turned.W_V = R * c.start.W_V;
    turned.W_K = S * c.start.W_K;
    turned.W_Q = S * c.start.W_Q;
    const OwnedFlow<double> flow(c), other(c.task, turned, c.rates, c.full);
    const Parts<double> dx = tests::parts(*flow, flow.derivative(flow->initial_state())),
                        dy = tests::parts(*other, other.derivative(other->initial_state()));
    if (c.full)
      expect_close(dy.head, dx.head * R.transpose(), rounding, "W'");
    else
      expect_close(dy.head, R * dx.head, rounding, "u'");
    expect_close(dy.W_V, R * dx.W_V, rounding, "W_V'");
    expect_close(dy.W_K, S * dx.W_K, rounding, "W_K'");
    expect_close(dy.W_Q, S * dx.W_Q, rounding, "W_Q'");
    EXPECT_NEAR(dy.last, dx.last, rounding * dx.last);
  }
}

TEST(DerivativeTest, CommutesWithPermutationsOfWordsAndSamples) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const Index d = c.task.words;
    const auto to = [d](Index word) { return d - 1 - word; };
    TaskData data = c.task;
    for (auto& sample : data.tokens)
      for (Index& token : sample) token = to(token);
    for (Index& target : data.targets) target = to(target);
    if (data.common) data.common = to(*data.common);
    std::rotate(data.tokens.begin(), data.tokens.begin() + 1, data.tokens.end());
    std::rotate(data.labels.begin(), data.labels.begin() + 1, data.labels.end());
    std::rotate(data.sample_class.begin(), data.sample_class.begin() + 1, data.sample_class.end());
    const auto permuted = [&](const Matrix<double>& columns) {
      Matrix<double> result(columns.rows(), d);
      for (Index word = 0; word < d; ++word) result.col(to(word)) = columns.col(word);
      return result;
    };
    Weights<double> start = c.start;
    for (Matrix<double>* matrix : {&start.W_V, &start.W_K, &start.W_Q}) *matrix = permuted(*matrix);
    const OwnedFlow<double> flow(c), other(data, start, c.rates, c.full);
    const Parts<double> dx = tests::parts(*flow, flow.derivative(flow->initial_state())),
                        dy = tests::parts(*other, other.derivative(other->initial_state()));
    expect_close(dy.head, dx.head, rounding, "head");
    expect_close(dy.W_V, permuted(dx.W_V), rounding, "W_V'");
    expect_close(dy.W_K, permuted(dx.W_K), rounding, "W_K'");
    expect_close(dy.W_Q, permuted(dx.W_Q), rounding, "W_Q'");
  }
}

}  // namespace
}  // namespace gradflow
