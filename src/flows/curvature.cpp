#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <functional>
#include <gradflow/flows/curvature.hpp>
#include <limits>
#include <random>
#include <stdexcept>

namespace gradflow {
namespace {

/// out = S v, S symmetric.
using Product = std::function<void(const Vector<double>& v, Vector<double>& out)>;

/// The same on every machine; an eigenvector orthogonal to it would be missed.
Vector<double> start_vector(Index dimension) {
  std::mt19937_64 generator(1);
  Vector<double> v(dimension);
  for (double& value : v) value = static_cast<double>(generator() >> 11U) * 0x1p-52 - 1;
  return v.normalized();
}

/// What the tridiagonal matrix of k steps knows of S, `beta` being its next entry off the diagonal: |S v - theta v| =
/// |beta s|, s the last component of theta's eigenvector.
Curvature ritz_values(const std::vector<double>& alpha, const std::vector<double>& beta) {
  const auto k = std::ssize(alpha);
  using Entries = Eigen::Map<const Vector<double>>;
  Eigen::SelfAdjointEigenSolver<Matrix<double>> solver(k);
  solver.computeFromTridiagonal(Entries(alpha.data(), k), Entries(beta.data(), k - 1));
  const auto residual = [&](Index i) { return std::abs(beta.back() * solver.eigenvectors()(k - 1, i)); };
  return {.largest = solver.eigenvalues()[k - 1],
          .smallest = solver.eigenvalues()[0],
          .residual_largest = residual(k - 1),
          .residual_smallest = residual(0),
          .products = k};
}

/// Both ends of the spectrum of S.
Curvature lanczos(const Product& multiply, Index dimension, const LanczosOptions& options) {
  if (dimension == 0) return {.converged = true};
  const Index most = std::min(options.max_products, dimension);
  constexpr double rounding = 100 * std::numeric_limits<double>::epsilon();
  Matrix<double> basis(dimension, std::min<Index>(most, 32));
  basis.col(0) = start_vector(dimension);
  std::vector<double> alpha, beta;
  Vector<double> next(dimension);
  double scale = 0;  // of S: the largest image of a unit vector so far
  for (Index k = 1;; ++k) {
    multiply(basis.col(k - 1), next);
    scale = std::max(scale, next.norm());
    alpha.push_back(basis.col(k - 1).dot(next));
    next -= alpha.back() * basis.col(k - 1);
    if (k > 1) next -= beta.back() * basis.col(k - 2);
    const auto orthogonalise = [&] { next -= basis.leftCols(k) * (basis.leftCols(k).transpose() * next).eval(); };
    const double length = next.norm();
    orthogonalise();  // all that stands along earlier vectors is rounding
    if (next.norm() < length / 2) orthogonalise();
    beta.push_back(next.norm());
    if (!std::isfinite(alpha.back() + beta.back())) break;

    const bool invariant = beta.back() <= rounding * scale;  // the vectors so far span a space that S maps to itself
    const bool last = invariant || k == most;
    if (last || k % 8 == 0) {
      Curvature found = ritz_values(alpha, beta);
      const double size = std::max(std::abs(found.largest), std::abs(found.smallest));
      found.converged = invariant || k == dimension ||
                        (found.residual_largest <= options.tolerance_largest * size &&
                         found.residual_smallest <= options.tolerance_smallest * size);
      if (last || found.converged) return found;
    }
    if (k == basis.cols()) basis.conservativeResize(Eigen::NoChange, std::min(2 * k, most));
    basis.col(k) = next / beta.back();
  }
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  return {nan, nan, nan, nan, std::ssize(alpha), false};
}

/// H in the coordinates where its metric is Euclidean, on the components that move.
Curvature of_state(const FieldDerivatives& field, FieldDerivatives::State x, const LanczosOptions& options) {
  std::vector<std::size_t> moving;
  std::vector<double> roots;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (field.scales()[i] > 0) {
      moving.push_back(i);
      roots.push_back(std::sqrt(field.scales()[i]));
    }
  std::vector<double> v(x.size(), 0.0), f_v(x.size());
  const Product multiply = [&](const Vector<double>& in, Vector<double>& out) {
    for (std::size_t j = 0; j < moving.size(); ++j) v[moving[j]] = roots[j] * in[static_cast<Index>(j)];
    field.along(x, v, f_v);
    for (std::size_t j = 0; j < moving.size(); ++j) out[static_cast<Index>(j)] = -f_v[moving[j]] / roots[j];
  };
  return lanczos(multiply, std::ssize(moving), options);
}

}  // namespace

Curvature curvature(const FieldDerivatives& field, FieldDerivatives::State x, const LanczosOptions& options) {
  if (!(options.tolerance_largest > 0 && options.tolerance_smallest > 0) || options.max_products < 1)
    throw std::invalid_argument(
        fmt::format("curvature: tolerances must be > 0 and max_products >= 1, but they are {}, {} and {}",
                    options.tolerance_largest, options.tolerance_smallest, options.max_products));
  Curvature found = of_state(field, x, options);
  const Flow<double>& flow = field.flow();
  if (flow.hidden() > 1 || std::ssize(flow.words()) < flow.task().words()) {  // directions in which nothing changes
    if (found.smallest > 0) found.smallest = found.residual_smallest = 0;
    if (found.largest < 0) found.largest = found.residual_largest = 0;
  }
  return found;
}

}  // namespace gradflow
