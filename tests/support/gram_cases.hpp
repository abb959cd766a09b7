#pragma once
#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <numeric>

/// Inner products, among all words unless said otherwise, and how they are compared.
namespace gradflow::tests {

inline std::vector<Index> all_words(const Task& task) {
  std::vector<Index> words(static_cast<std::size_t>(task.words()));
  std::iota(words.begin(), words.end(), 0);
  return words;
}

template <class Real>
Real largest(const Matrix<Real>& matrix) {
  return matrix.cwiseAbs().maxCoeff();
}

/// Largest difference of two sets of inner products, each matrix by itself: G, U, Gamma, B, S_K, S_Q.
template <class Real>
std::array<double, 6> differences(const GramStart<Real>& a, const GramStart<Real>& b) {
  using std::abs;
  return {static_cast<double>(largest<Real>(a.G - b.G)),         static_cast<double>(abs(Real(a.U - b.U))),
          static_cast<double>(largest<Real>(a.Gamma - b.Gamma)), static_cast<double>(largest<Real>(a.B - b.B)),
          static_cast<double>(largest<Real>(a.S_K - b.S_K)),     static_cast<double>(largest<Real>(a.S_Q - b.S_Q))};
}

/// Sizes that differences() are measured against: G's and B's are those of their two factors, since they start near 0.
template <class Real>
std::array<double, 6> sizes(const GramStart<Real>& g) {
  const auto V = static_cast<double>(largest(g.Gamma)), K = static_cast<double>(largest(g.S_K)),
             Q = static_cast<double>(largest(g.S_Q)), U = static_cast<double>(g.U);
  return {std::sqrt(U * V), U, V, std::sqrt(K * Q), K, Q};
}

}  // namespace gradflow::tests
