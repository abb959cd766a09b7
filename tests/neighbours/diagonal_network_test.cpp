// Diagonal linear networks: u v is constant entry by entry, so that w = 2 alpha^2 sinh(a vector in the row space of X).
#include <gtest/gtest.h>

#include <Eigen/QR>

#include "support/closed_form.hpp"
#include "support/neighbours.hpp"

namespace neighbours {
namespace {

template <class Real>
std::vector<Real> products(In<Real> x) {
  std::vector<Real> uv;
  for (std::size_t i = 0; i < x.size() / 2; ++i) uv.push_back(x[i] * x[i + x.size() / 2]);
  return uv;
}

/// One sample with entries +-1, from u = v = alpha: w_i = 2 alpha^2 sinh(x_i theta), theta' = 4 (y - 2 alpha^2 d sinh
/// theta).
struct SignedSample {
  template <class Real>
  ClosedForm<Real> operator()(Real) const {
    using std::asinh;
    const Real y = 2, alpha = Real(1) / 5;
    Matrix<Real> X(1, 3);
    X << 1, -1, 1;
    const SinhFlow<Real> angle(4 * y, 24 * alpha * alpha, Real(0));
    const auto error = [=](Real t, In<Real> x) -> Real {
      const Vector<Real> half = X.transpose() * (angle.theta(t) / 2);
      Vector<Real> exact(6);
      exact << alpha * half.array().exp(), alpha * (-half).array().exp();
      return (Eigen::Map<const Vector<Real>>(x.data(), 6) - exact).cwiseAbs().maxCoeff();
    };
    return {.system = std::make_shared<DiagonalNetwork<Real>>(X, Vector<Real>::Constant(1, y)),
            .start = std::vector<Real>(6, alpha),
            .end = 3,
            .clock = solvers::Clock<Real>::linear(),
            .error = error,
            .invariants = products<Real>,
            .event_times = {angle.time(asinh(y / (12 * alpha * alpha)))}};
  }
};

TEST(DiagonalNetworkFlow, OneSignedSampleFollowsTheHyperbolicSine) { expect_closed_form(SignedSample{}); }

/// Woodworth et al. 2020, Theorem 1: among all w with X w = y the flow ends at the one of least hyperbolic entropy
/// sum_i w_i asinh(w_i / (2 alpha^2)) - sqrt(w_i^2 + 4 alpha^4), whose gradient asinh(w / (2 alpha^2)) is then in the
/// row space of X.
template <class Real>
void expect_least_hyperbolic_entropy(std::string_view method, Real rtol) {
  using std::abs;
  const Real alpha = Real(1) / 10;
  Matrix<Real> X(2, 5);
  X << 1, 2, -1, 0, 3, 2, -1, 1, 1, 0;
  Vector<Real> y(2);
  y << 1, -2;
  const DiagonalNetwork<Real> system(X, y);
  const auto solved =
      solvers::solve<Real>(system, std::vector<Real>(10, alpha),
                           {.end = 50, .tolerances = {rtol, rtol / 100}, .outputs = {1, 2, 4}, .method = method});
  const Real bar = rtol * Real(solved.report.counts.accepted);
  EXPECT_LT((X * system.w(solved.x) - y).cwiseAbs().maxCoeff(), bar);
  const Eigen::HouseholderQR<Matrix<Real>> rows(X.transpose());
  for (const auto& x : {solved.seen.outputs[0], solved.seen.outputs[1], solved.seen.outputs[2], solved.x}) {
    const Vector<Real> w = system.w(x),
                       entropy_gradient = (w / (2 * alpha * alpha)).unaryExpr([](const Real&v) -> Real {
                         using std::asinh;
                         return asinh(v);
                       });
    const Vector<Real> outside = entropy_gradient - X.transpose() * rows.solve(entropy_gradient);
    EXPECT_GT(entropy_gradient.norm(), 1);
    EXPECT_LT(outside.cwiseAbs().maxCoeff(), 10 * bar);  // relative errors of u and v, as asinh is the logarithm of u/v
    for (const Real& uv : products<Real>(x)) EXPECT_LT(abs(uv - alpha * alpha), 10 * bar);
  }
}

TEST(DiagonalNetworkFlow, EndsAtTheLeastHyperbolicEntropy) {
  for (const solvers::Method& method : solvers::methods()) expect_least_hyperbolic_entropy<double>(method.name, 1e-10);
  expect_least_hyperbolic_entropy<solvers::Quad>("fehlberg78", solvers::Quad("1e-24"));
}

}  // namespace
}  // namespace neighbours
