#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <cmath>
#include <gradflow/flows/curvature.hpp>
#include <limits>
#include <numbers>
#include <solvers/solve.hpp>

#include "support/equation1.hpp"
#include "support/flow_cases.hpp"
#include "support/problems.hpp"

// The ends of the Hessian's spectrum against dense Hessians and closed forms.
namespace gradflow {
namespace {

using Numbers = std::vector<double>;

FieldDerivatives derivatives_of(const Task& task, const tests::FlowCase& c,
                                Coordinates coordinates = Coordinates::full_width) {
  return c.full ? FieldDerivatives::of_full_flow(task, c.start, c.rates)
                : FieldDerivatives::of_reduced_flow(task, c.start, c.rates, coordinates);
}

/// All eigenvalues, ascending, of the Hessian put together from products with unit vectors, in the metric.
Vector<double> dense_spectrum(const FieldDerivatives& field, const Numbers& x) {
  const auto n = static_cast<std::size_t>(field.dimension());
  Matrix<double> H = Matrix<double>::Zero(field.dimension(), field.dimension());
  Numbers unit(n, 0.0), f_v(n);
  for (std::size_t j = 0; j < n; ++j) {
    unit[j] = 1;
    field.along(x, unit, f_v);
    unit[j] = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (field.scales()[i] > 0 && field.scales()[j] > 0)
        H(static_cast<Index>(i), static_cast<Index>(j)) = -f_v[i] * std::sqrt(field.scales()[j] / field.scales()[i]);
  }
  // Symmetric to rounding in this metric, in no other.
  EXPECT_LE((H - H.transpose()).cwiseAbs().maxCoeff(), 1e-13 * std::max(1.0, H.cwiseAbs().maxCoeff()));
  return Eigen::SelfAdjointEigenSolver<Matrix<double>>(H, Eigen::EigenvaluesOnly).eigenvalues();
}

void expect_close(const Curvature& found, double largest, double smallest) {
  const double scale = std::max({std::abs(largest), std::abs(smallest), 1e-300});
  EXPECT_TRUE(found.converged);
  // The residual's bar is 1e-8 and the error of an eigenvalue that stands apart its square: what remains is rounding.
  EXPECT_NEAR(found.largest, largest, 1e-10 * scale);
  EXPECT_NEAR(found.smallest, smallest, 1e-10 * scale);
  EXPECT_LE(std::max(found.residual_largest, found.residual_smallest), 1e-8 * scale);
}

TEST(CurvatureTest, IsTheEndsOfTheDenseSpectrum) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    const FieldDerivatives field = derivatives_of(task, c);
    if (field.dimension() > 250) continue;  // for the time that the dense one takes
    const Numbers x = tests::away_from_start(field.flow());
    const Vector<double> spectrum = dense_spectrum(field, x);
    const Curvature found = curvature(field, x);
    // Frozen components stand in the dense one with eigenvalue 0; so do the other directions of W in the full space.
    expect_close(found, std::max(spectrum.maxCoeff(), 0.0), std::min(spectrum.minCoeff(), 0.0));
    EXPECT_LE(found.products, field.dimension());
  }
}

TEST(CurvatureTest, IsThatOfTheLossByDifferences) {
  const TaskData data = tests::task_of(3, {{0, 2, 1, 0}, {1, 2}}, {1, -1});
  const Task task(data);
  const Weights<double> start = draw_start(StartLaw::gaussian, 2, 3, 3, {0.7, 0.6, 0.8, 0.9}, 2);
  const auto field = FieldDerivatives::of_full_flow(task, start);
  const Numbers x = field.flow().initial_state();
  const auto n = static_cast<Index>(x.size()) - 1;
  const auto loss = [&](Index i, Index j, double step_i, double step_j) {
    Numbers y = x;
    y[static_cast<std::size_t>(i)] += step_i;
    y[static_cast<std::size_t>(j)] += step_j;
    return tests::equation1<Quad>(data, field.flow().weights(y).cast<Quad>()).loss;
  };
  Matrix<double> H(n, n);
  const double h = 0x1p-18;  // exact steps; truncation h^2 = 1e-11 times a fourth derivative of order 1
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j)
      H(i, j) = H(j, i) =
          static_cast<double>(loss(i, j, h, h) - loss(i, j, h, -h) - loss(i, j, -h, h) + loss(i, j, -h, -h)) /
          (4 * h * h);
  const Vector<double> spectrum = Eigen::SelfAdjointEigenSolver<Matrix<double>>(H).eigenvalues();
  const Curvature found = curvature(field, x);
  EXPECT_NEAR(found.largest, spectrum.maxCoeff(), 1e-9);
  EXPECT_NEAR(found.smallest, spectrum.minCoeff(), 1e-9);
  EXPECT_GT(found.largest, 0.1);
  EXPECT_LT(found.smallest, -0.1);
}

TEST(CurvatureTest, IsThatOfAllParametersInEveryFormulation) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    if (!c.full) continue;
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    const auto full = FieldDerivatives::of_full_flow(task, c.start, c.rates);
    const Curvature expected = curvature(full, full.flow().initial_state());
    for (const Coordinates coordinates : {Coordinates::full_width, Coordinates::automatic}) {
      const auto reduced = FieldDerivatives::of_reduced_flow(task, c.start, c.rates, coordinates);
      expect_close(curvature(reduced, reduced.flow().initial_state()), expected.largest, expected.smallest);
    }
  }
}

TEST(CurvatureTest, OfLogisticRegressionIsAClosedForm) {
  // Only W moves and every sample is one word: H = (M/n) sum_i s_i (1 - s_i) v_i v_i^T in b = u / sqrt(M).
  const Task task(tests::task_of(3, {{0}, {1}, {2}, {0}}, {1, -1, -1, -1}, std::nullopt));
  const Weights<double> start = draw_start(StartLaw::gaussian, 4, 3, 3, {1, 1, 1, 1}, 6);
  const Vector<double> u = start.W.transpose() * start.a;
  Matrix<double> H = Matrix<double>::Zero(4, 4);
  for (const Index k : {0, 1, 2, 0}) {
    const double s = 1 / (1 + std::exp(start.W_V.col(k).dot(u)));
    H += 3.0 / 4 * s * (1 - s) * start.W_V.col(k) * start.W_V.col(k).transpose();
  }
  const double largest = Eigen::SelfAdjointEigenSolver<Matrix<double>>(H).eigenvalues().maxCoeff();
  for (const double rate : {1.0, 2.5}) {
    const auto field = FieldDerivatives::of_reduced_flow(task, start, {rate, 0, 0, 0});
    expect_close(curvature(field, field.flow().initial_state()), rate * largest, 0);
  }
  const auto frozen = FieldDerivatives::of_full_flow(task, start, {0, 0, 0, 0});
  const Curvature none = curvature(frozen, frozen.flow().initial_state());
  EXPECT_TRUE(none.converged);
  EXPECT_EQ(none.largest, 0);
  EXPECT_EQ(none.products, 0);
}

TEST(CurvatureTest, SaysHowFarItGot) {
  const TaskData data = tests::tasks()[1].data;
  const Task task(data);
  const Weights<double> start = draw_start(StartLaw::gaussian, 8, 6, data.words, {0.6, 0.5, 0.8, 0.9}, 7);
  const auto field = FieldDerivatives::of_reduced_flow(task, start);
  Numbers x = field.flow().initial_state();
  const Curvature found = curvature(field, x);
  ASSERT_TRUE(found.converged);
  EXPECT_LE(found.products, 32);  // vectors that are not orthogonal to rounding find the same again, and take 40
  const Curvature again = curvature(field, x);
  EXPECT_EQ(again.largest, found.largest);  // bit for bit
  EXPECT_EQ(again.smallest, found.smallest);
  const Curvature early = curvature(field, x, {.max_products = 5});
  EXPECT_FALSE(early.converged);
  EXPECT_EQ(early.products, 5);
  EXPECT_LT(early.largest, found.largest);  // a Rayleigh quotient
  EXPECT_GT(early.smallest, found.smallest);
  const Vector<double> spectrum = dense_spectrum(field, x);
  for (const auto& [value, residual] :
       {std::pair(early.largest, early.residual_largest), std::pair(early.smallest, early.residual_smallest)})
    EXPECT_LE((spectrum.array() - value).abs().minCoeff(), residual);
  const Curvature loose = curvature(field, x, {.tolerance_smallest = 1e-2});
  EXPECT_TRUE(loose.converged);
  EXPECT_LT(loose.products, found.products);
  EXPECT_NEAR(loose.largest, found.largest, 1e-10 * found.largest);
  EXPECT_NEAR(loose.smallest, found.smallest, 1e-2 * found.largest);
  x.front() = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(curvature(field, x).converged);
  EXPECT_TRUE(std::isnan(curvature(field, x).largest));
  EXPECT_THROW(curvature(field, x, {.tolerance_largest = 0}), std::invalid_argument);
  EXPECT_THROW(curvature(field, x, {.tolerance_smallest = std::nan("")}), std::invalid_argument);
  EXPECT_THROW(curvature(field, x, {.max_products = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace gradflow
