#pragma once
#include <cmath>
#include <gradflow/flows/weights.hpp>
#include <gradflow/tasks/task.hpp>
#include <vector>

/// The model once more, token by token as the paper writes it (Yang et al. 2024, equation 1): no bags, no
/// multiplicities, no maximum taken off the scores, so for scalars of a wide exponent range only (long double, Quad).
namespace gradflow::tests {

template <class Real>
struct Equation1 {
  std::vector<Matrix<Real>> attention;  ///< [n] of [key token, query token]
  std::vector<Real> margin, residual, sample_loss;
  Real loss = 0;
  Vector<Real> gV;  ///< [d]
  Matrix<Real> gA;  ///< [d, d]: key, query
};

/// `G` [d], `A` [d, d]: key, query.
template <class Real>
Equation1<Real> equation1(const TaskData& task, const Vector<Real>& G, const Matrix<Real>& A) {
  using std::exp;
  using std::log;
  using std::log1p;
  Equation1<Real> result;
  result.gV = Vector<Real>::Zero(task.words);
  result.gA = Matrix<Real>::Zero(task.words, task.words);
  const Real n = Real(task.tokens.size());
  for (std::size_t i = 0; i < task.tokens.size(); ++i) {
    const std::vector<Index>& x = task.tokens[i];
    const Index L = std::ssize(x);
    const auto token = [&](Index place) { return x[static_cast<std::size_t>(place)]; };
    Matrix<Real> P(L, L);
    for (Index q = 0; q < L; ++q)
      for (Index k = 0; k < L; ++k) P(k, q) = exp(A(token(k), token(q)));
    Vector<Real> h(L);
    Real F = 0;
    for (Index q = 0; q < L; ++q) {
      P.col(q) /= Real(P.col(q).sum());
      h[q] = 0;
      for (Index k = 0; k < L; ++k) h[q] += P(k, q) * G[token(k)];
      F += h[q];
    }
    const Real y = Real(task.labels[i]), z = y * F, g = 1 / (1 + exp(z)), r = y * g / n;
    for (Index q = 0; q < L; ++q)
      for (Index k = 0; k < L; ++k) {
        result.gV[token(k)] += r * P(k, q);
        result.gA(token(k), token(q)) += r * P(k, q) * (G[token(k)] - h[q]);
      }
    result.attention.push_back(P);
    result.margin.push_back(z);
    result.residual.push_back(g);
    result.sample_loss.push_back(log1p(exp(Real(-z))));
    result.loss += result.sample_loss.back() / n;
  }
  return result;
}

template <class Real>
Equation1<Real> equation1(const TaskData& task, const Weights<Real>& w) {
  using std::sqrt;
  const Vector<Real> G = (w.a.transpose() * w.W * w.W_V).transpose();
  const Matrix<Real> A = w.W_K.transpose() * w.W_Q / sqrt(Real(w.width()));
  return equation1<Real>(task, G, A);
}

}  // namespace gradflow::tests
