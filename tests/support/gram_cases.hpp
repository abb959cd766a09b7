#pragma once
#include <gradflow/flows/gram.hpp>
#include <numeric>

/// For the coupled flow's tests.
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

}  // namespace gradflow::tests
