#include "taylor.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>
#include <cmath>

#include "scalars.hpp"

// Truncated Taylor numbers against series in closed form.
namespace gradflow {
namespace {

constexpr int order = 6;
using Series = Taylor<double, order>;
using QuadSeries = Taylor<Quad, order>;

/// x0 + x1 e + ... with all coefficients different from 0.
template <class T>
T generic(double value) {
  T x(value);
  for (int k = 1; k <= order; ++k) x[k] = (k % 2 == 1 ? 1.0 : -0.75) / k;
  return x;
}

/// The coefficients agree to rounding, which six divisions by x0 = -0.4 multiply by 244.
void expect_close(const Series& x, const Series& y) {
  for (int k = 0; k <= order; ++k)
    EXPECT_NEAR(x[k], y[k], 1e-13 * std::max(1.0, std::abs(y[k]))) << "coefficient " << k;
}

TEST(TaylorTest, SeriesOfOneVariable) {
  const Series e(0, 1);
  expect_close(1 / (1 - e), [] {  // the geometric series
    Series ones;
    for (int k = 0; k <= order; ++k) ones[k] = 1;
    return ones;
  }());
  const double x0 = 0.3;
  const Series x(x0, 1), exponential = exp(x), logarithm = log1p(x), root = sqrt(x), quotient = 1 / x;
  double factorial = 1, binomial = 1;  // of 1/2 over k
  for (int k = 0; k <= order; ++k) {
    EXPECT_DOUBLE_EQ(exponential[k], std::exp(x0) / factorial) << k;
    EXPECT_NEAR(root[k], binomial * std::pow(x0, 0.5 - k), 1e-14 * std::abs(root[k])) << k;
    EXPECT_NEAR(quotient[k], std::pow(-x0, -k) / x0, 1e-14 * std::abs(quotient[k])) << k;
    EXPECT_NEAR(logarithm[k], k == 0 ? std::log1p(x0) : -std::pow(-1 - x0, -k) / k, 1e-15) << k;
    factorial *= k + 1;
    binomial *= (0.5 - k) / (k + 1);
  }
}

TEST(TaylorTest, InverseOperationsUndoOneAnother) {
  for (const double value : {-3.0, -0.4, 0.7, 2.5}) {
    const auto x = generic<Series>(value), y = generic<Series>(1.5);
    expect_close(x / y * y, x);
    expect_close(x * y / y, x);
    expect_close(sqrt(y) * sqrt(y), y);
    expect_close(exp(x) * exp(-x), 1);
    expect_close(exp(log1p(y)) - 1, y);
    expect_close((x + y) * (x - y), x * x - y * y);
    Series z = x;
    z *= z;
    z /= x;  // what is changed is also what is read
    expect_close(z, x);
  }
}

TEST(TaylorTest, DoubleIsQuadRounded) {
  const auto x = generic<Series>(0.6);
  const auto X = generic<QuadSeries>(0.6);
  const auto expect_rounded = [](const Series& y, const QuadSeries& Y) {
    for (int k = 0; k <= order; ++k)
      EXPECT_NEAR(y[k], static_cast<double>(Y[k]), 1e-15 * std::max(1.0, std::abs(y[k]))) << k;
  };
  expect_rounded(exp(x), exp(X));
  expect_rounded(log1p(x), log1p(X));
  expect_rounded(sqrt(x), sqrt(X));
  expect_rounded((1 + x) / (2 - x), (1 + X) / (2 - X));
}

TEST(TaylorTest, LogisticFunctionsKeepTheirDigitsAtAnyMargin) {
  // g = 1 / (1 + e^z) as the model forms it; g' = -g (1 - g), g'' = -g' (1 - 2 g), each relative to itself.
  for (const double z0 : {-700.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0}) {
    using Second = Taylor<double, 2>;
    const Second z(z0, 1), e = exp(z > 0 ? Second(-z) : z), g = (z > 0 ? e : Second(1)) / (1 + e),
                           loss = log1p(e) - (z > 0 ? Second(0) : z);
    const double small = std::exp(-std::abs(z0)), value = (z0 > 0 ? small : 1) / (1 + small),
                 other = (z0 > 0 ? 1 : small) / (1 + small);  // 1 - g without cancellation
    EXPECT_DOUBLE_EQ(g[0], value);
    EXPECT_NEAR(g[1], -value * other, 4e-16 * value);
    EXPECT_NEAR(2 * g[2], value * other * (other - value), 4e-16 * value);
    EXPECT_DOUBLE_EQ(loss[1], -value);
    EXPECT_NEAR(2 * loss[2], value * other, 4e-16);
  }
}

TEST(TaylorTest, ComparesByValue) {
  const Series small(1, 5), same(1, -5), large(2, 0);
  EXPECT_TRUE(small < large && small <= large && large > small && large >= small);
  EXPECT_TRUE(small == same && small <= same && small >= same && !(small < same) && small != large);
  EXPECT_EQ(std::max(small, large)[1], 0);
  EXPECT_EQ(static_cast<double>(small), 1);
  EXPECT_EQ(static_cast<int>(Series(3L)), 3);
  EXPECT_FALSE(Series(std::nan("")) >= small);
}

TEST(TaylorTest, MatricesOfNumbers) {
  using Number = Taylor<double, 2>;
  using Numbers = Eigen::Matrix<Number, Eigen::Dynamic, Eigen::Dynamic>;
  std::srand(1);
  const Eigen::MatrixXd A = Eigen::MatrixXd::Random(7, 4), dA = Eigen::MatrixXd::Random(7, 4),
                        B = Eigen::MatrixXd::Random(4, 5), dB = Eigen::MatrixXd::Random(4, 5);
  const auto along = [](const Eigen::MatrixXd& X, const Eigen::MatrixXd& dX) -> Numbers {
    return X.binaryExpr(dX, [](double x, double dx) { return Number(x, dx); });
  };
  const auto coefficient = [](const Numbers& X, int k) -> Eigen::MatrixXd {
    return X.unaryExpr([k](const Number& x) { return x[k]; });
  };
  const Numbers product = along(A, dA) * along(B, dB);
  EXPECT_TRUE(coefficient(product, 0).isApprox(A * B, 1e-14));
  EXPECT_TRUE(coefficient(product, 1).isApprox(dA * B + A * dB, 1e-14));
  EXPECT_TRUE(coefficient(product, 2).isApprox(dA * dB, 1e-14));
  // Constants stay constant, through a QR decomposition too.
  const Numbers R = Eigen::HouseholderQR<Numbers>(A.cast<Number>()).matrixQR();
  EXPECT_TRUE(coefficient(R, 0).isApprox(Eigen::HouseholderQR<Eigen::MatrixXd>(A).matrixQR(), 1e-13));
  EXPECT_TRUE(coefficient(R, 1).isZero(0) && coefficient(R, 2).isZero(0));
}

}  // namespace
}  // namespace gradflow
