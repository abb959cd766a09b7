#include <fmt/format.h>

#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <stdexcept>

#include "scalars.hpp"

namespace gradflow {
namespace {

/// X^T X, symmetric to the last bit.
template <class Real>
Matrix<Real> squared(const Matrix<Real>& X) {
  Matrix<Real> product = X.transpose() * X;
  product.template triangularView<Eigen::StrictlyUpper>() = product.transpose();
  return product;
}

}  // namespace

template <class Real>
GramStart<Real> gram_start(const Weights<Real>& w) {
  check(w.template cast<double>(), w.words());
  const Vector<Real> u = w.W.transpose() * w.a;
  return {.G = w.W_V.transpose() * u,
          .U = u.squaredNorm(),
          .Gamma = squared(w.W_V),
          .B = w.W_K.transpose() * w.W_Q,
          .S_K = squared(w.W_K),
          .S_Q = squared(w.W_Q),
          .width = w.width(),
          .hidden = w.hidden()};
}

GramStart<double> limit_start(Index words, Index width, Index hidden, const StandardDeviations& s) {
  for (const auto& [name, size] : {std::pair("words", words), std::pair("width", width), std::pair("hidden", hidden)})
    if (size < 1) throw std::invalid_argument(fmt::format("limit start: {} must be at least 1, but is {}", name, size));
  for (const auto& [name, deviation] :
       {std::pair("W", s.W), std::pair("W_V", s.W_V), std::pair("W_K", s.W_K), std::pair("W_Q", s.W_Q)})
    if (!(deviation >= 0) || !std::isfinite(deviation))
      throw std::invalid_argument(fmt::format(
          "limit start: the standard deviation of {} must be finite and not negative, but is {}", name, deviation));
  const auto m = static_cast<double>(width), M = static_cast<double>(hidden);
  const auto multiple_of_identity = [&](double deviation) -> Matrix<double> {
    return m * deviation * deviation * Matrix<double>::Identity(words, words);
  };
  return {.G = Vector<double>::Zero(words),
          .U = s.W * s.W * m * M,
          .Gamma = multiple_of_identity(s.W_V),
          .B = Matrix<double>::Zero(words, words),
          .S_K = multiple_of_identity(s.W_K),
          .S_Q = multiple_of_identity(s.W_Q),
          .width = width,
          .hidden = hidden};
}

template <class Real>
GramStart<Real> gram_at(const Flow<Real>& flow, std::type_identity_t<std::span<const Real>> x) {
  const Index d = flow.task().words();
  const auto entries = [&](Real (Flow<Real>::*entry)(std::span<const Real>, Index, Index) const) -> Matrix<Real> {
    return Matrix<Real>::NullaryExpr(d, d, [&](Index k, Index l) { return (flow.*entry)(x, k, l); });
  };
  GramStart<Real> result{.G = Vector<Real>(d),
                         .U = flow.U(x),
                         .Gamma = entries(&Flow<Real>::Gamma),
                         .B = entries(&Flow<Real>::B),
                         .S_K = entries(&Flow<Real>::S_K),
                         .S_Q = entries(&Flow<Real>::S_Q),
                         .width = flow.width(),
                         .hidden = flow.hidden()};
  flow.values(x, std::span(result.G.data(), static_cast<std::size_t>(d)));
  return result;
}

template GramStart<double> gram_start(const Weights<double>&);
template GramStart<Quad> gram_start(const Weights<Quad>&);
template GramStart<double> gram_at(const Flow<double>&, std::span<const double>);
template GramStart<Quad> gram_at(const Flow<Quad>&, std::span<const Quad>);

}  // namespace gradflow
