#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/flows/start.hpp>
#include <limits>

#include "tasks/message_of.hpp"

namespace gradflow {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr Eigen::Index width = 60, hidden = 50, words = 40;  // fan_in 60 for W, 40 for the others
constexpr StandardDeviations deviations{0.5, 0.1, 0.2, 0.3};

Weights<double> draw(StartLaw law, std::uint64_t seed = 1) {
  return draw_start(law, width, hidden, words, deviations, seed);
}

/// Mean 0, the given variance and, for a uniform law, its bound. Five standard errors, which a fixed seed passes for
/// good.
template <class Dense>
void expect_law(const Dense& matrix, double variance, bool uniform, const char* name) {
  const double n = static_cast<double>(matrix.size());
  EXPECT_NEAR(matrix.mean(), 0, 5 * std::sqrt(variance / n)) << name;
  const double kurtosis = uniform ? 9.0 / 5 : 3;  // var(x^2) = (kurtosis - 1) variance^2
  EXPECT_NEAR(matrix.squaredNorm() / n, variance, 5 * variance * std::sqrt((kurtosis - 1) / n)) << name;
  EXPECT_NEAR(matrix.array().square().square().mean() / (variance * variance), kurtosis, uniform ? 0.3 : 1.0) << name;
  const double bound = std::sqrt(3 * variance), largest = matrix.cwiseAbs().maxCoeff();
  if (uniform) {
    EXPECT_LE(largest, bound) << name;
    EXPECT_GT(largest, 0.98 * bound) << name;
  } else {
    EXPECT_GT(largest, 1.5 * bound) << name;
  }
}

TEST(StartTest, EntriesFollowTheirLaw) {
  const auto variances = [](StartLaw law) -> std::array<double, 4> {
    const auto of_fan_in = [law](double fan_in) { return (law == StartLaw::linear_default ? 1.0 / 3 : 2.0) / fan_in; };
    if (law == StartLaw::gaussian) return {0.25, 0.01, 0.04, 0.09};
    return {of_fan_in(width), of_fan_in(words), of_fan_in(words), of_fan_in(words)};
  };
  for (const StartLaw law :
       {StartLaw::kaiming_normal, StartLaw::kaiming_uniform, StartLaw::linear_default, StartLaw::gaussian}) {
    SCOPED_TRACE(static_cast<int>(law));
    const Weights<double> w = draw(law);
    const bool uniform = law == StartLaw::kaiming_uniform || law == StartLaw::linear_default;
    const auto [W, W_V, W_K, W_Q] = variances(law);
    ASSERT_EQ(w.W.rows(), hidden);
    ASSERT_EQ(w.W.cols(), width);
    ASSERT_EQ(w.W_V.rows(), width);
    ASSERT_EQ(w.W_V.cols(), words);
    expect_law(w.W, W, uniform, "W");
    expect_law(w.W_V, W_V, uniform, "W_V");
    expect_law(w.W_K, W_K, uniform, "W_K");
    expect_law(w.W_Q, W_Q, uniform, "W_Q");
    const double n = width * words;  // five standard errors of a correlation
    EXPECT_LT(std::abs(w.W_K.cwiseProduct(w.W_Q).mean()), 5 * std::sqrt(W_K * W_Q / n));
    EXPECT_LT(std::abs(w.W_V.cwiseProduct(w.W_K).mean()), 5 * std::sqrt(W_V * W_K / n));
  }
}

TEST(StartTest, ReadoutIsAFairCoin) {
  const Vector<double> a = draw_start(StartLaw::gaussian, 1, 4000, 2, deviations, 3).a;
  EXPECT_TRUE((a.cwiseAbs().array() == 1).all());
  EXPECT_NEAR(a.mean(), 0, 5 / std::sqrt(4000.0));  // five standard errors
}

TEST(StartTest, OrthogonalStartHasExactGramMatrices) {
  constexpr Eigen::Index m = 90;
  const Weights<double> w = draw_start(StartLaw::orthogonal, m, hidden, words, deviations, 4);
  const auto expect = [](const Matrix<double>& gram, double diagonal, double scale) {
    const Matrix<double> exact = diagonal * Matrix<double>::Identity(gram.rows(), gram.cols());
    // Householder's columns are orthonormal to a few epsilon per reflection, of which there are at most 2 d.
    EXPECT_LE((gram - exact).cwiseAbs().maxCoeff(), 2 * words * epsilon * scale);
  };
  const auto [s_W, s_V, s_K, s_Q] = deviations;
  expect(w.W_V.transpose() * w.W_V, m * s_V * s_V, m * s_V * s_V);
  expect(w.W_K.transpose() * w.W_K, m * s_K * s_K, m * s_K * s_K);
  expect(w.W_Q.transpose() * w.W_Q, m * s_Q * s_Q, m * s_Q * s_Q);
  expect(w.W_K.transpose() * w.W_Q, 0, m * s_K * s_Q);
  const Vector<double> u = w.W.transpose() * w.a;
  const double U = s_W * s_W * m * hidden;
  EXPECT_NEAR(u.squaredNorm(), U, hidden * epsilon * U);
  EXPECT_LE((w.W_V.transpose() * u).cwiseAbs().maxCoeff(), 2 * words * epsilon * std::sqrt(U * m) * s_V);
  // What u leaves open of W is a Gaussian draw: variance s^2 but for the one direction of 50 that u fixes.
  EXPECT_NEAR(w.W.squaredNorm() / static_cast<double>(w.W.size()), s_W * s_W,
              0.2 * s_W * s_W);  // 5 standard errors and the 1/50
}

TEST(StartTest, OrthogonalStartIsUniformlyDistributed) {
  // Every entry of a uniformly distributed frame is symmetric about 0, its first one too.
  int positive_K = 0, positive_V = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Weights<double> w = draw_start(StartLaw::orthogonal, 4, 1, 2, {1, 1, 1, 1}, seed);
    positive_K += w.W_K(0, 0) > 0;
    positive_V += w.W_V(0, 0) > 0;
  }
  EXPECT_NEAR(positive_K, 50, 25);  // five standard deviations
  EXPECT_NEAR(positive_V, 50, 25);
}

TEST(StartTest, OrthogonalStartNeedsRoom) {
  EXPECT_THAT(tests::message_of([] { draw_start(StartLaw::orthogonal, 79, 2, 40, deviations, 1); }),
              testing::HasSubstr("width must be at least 2 words = 80, but is 79"));
  EXPECT_NO_THROW(draw_start(StartLaw::orthogonal, 80, 2, 40, deviations, 1));
}

TEST(StartTest, ASeedMeansTheSameBits) {
  for (const StartLaw law : {StartLaw::kaiming_normal, StartLaw::kaiming_uniform, StartLaw::gaussian}) {
    const Weights<double> a = draw(law, 5), b = draw(law, 5), other = draw(law, 6);
    EXPECT_EQ(a.W, b.W);
    EXPECT_EQ(a.W_V, b.W_V);
    EXPECT_EQ(a.W_K, b.W_K);
    EXPECT_EQ(a.W_Q, b.W_Q);
    EXPECT_EQ(a.a, b.a);
    EXPECT_NE(a.W, other.W);
    EXPECT_NE(a.a, other.a);
  }
}

TEST(StartTest, StandardDeviationsOnlyScale) {
  const Weights<double> one = draw_start(StartLaw::gaussian, width, hidden, words, {1, 1, 1, 1}, 2);
  const Weights<double> some = draw_start(StartLaw::gaussian, width, hidden, words, {0.5, 0, 2, 4}, 2);
  EXPECT_EQ(some.W, RowMatrix<double>(0.5 * one.W));
  EXPECT_TRUE(some.W_V.isZero(0));
  EXPECT_EQ(some.W_K, Matrix<double>(2 * one.W_K));
  EXPECT_EQ(some.W_Q, Matrix<double>(4 * one.W_Q));
}

TEST(StartTest, GoldenNumbers) {  // what seed 1 means; printed once, kept for good
  const Weights<double> normal = draw(StartLaw::gaussian), uniform = draw(StartLaw::linear_default);
  const auto expect = [](double value, double golden) { EXPECT_NEAR(value, golden, 4 * epsilon); };
  expect(normal.W(0, 0), -0.30443531520279143);
  expect(normal.W(1, 0), -0.41565918148477726);
  expect(normal.W_V(0, 0), 0.049920501037185608);
  expect(normal.W_Q(width - 1, words - 1), 0.26349346338880014);
  expect(uniform.W(0, 0), -0.021827567508699283);
  expect(uniform.W_K(3, 2), -0.096942979725131898);
  EXPECT_EQ(normal.a.head(8).transpose(), (Eigen::Matrix<double, 1, 8>{1, 1, -1, -1, 1, 1, -1, 1}));
}

}  // namespace
}  // namespace gradflow
