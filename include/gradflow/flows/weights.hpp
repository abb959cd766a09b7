#pragma once
#include <Eigen/Core>

namespace gradflow {

/// Matrices in Eigen's own order: a word's column of W_V, W_K, W_Q is contiguous.
template <class Real>
using Matrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
/// W: a neuron's row is contiguous.
template <class Real>
using RowMatrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class Real>
using Vector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

/// The transformer's parameters (Yang et al. 2024, equation 1).
template <class Real>
struct Weights {
  RowMatrix<Real> W;           ///< [m1, m] linear MLP
  Matrix<Real> W_V, W_K, W_Q;  ///< [m, d]
  Vector<Real> a;              ///< [m1] fixed readout, each -1 or +1

  Eigen::Index width() const { return W.cols(); }    ///< m
  Eigen::Index hidden() const { return W.rows(); }   ///< m1
  Eigen::Index words() const { return W_V.cols(); }  ///< d

  template <class Other>
  Weights<Other> cast() const {
    return {W.template cast<Other>(), W_V.template cast<Other>(), W_K.template cast<Other>(),
            W_Q.template cast<Other>(), a.template cast<Other>()};
  }
};

/// Throws std::invalid_argument, naming the matrix and both shapes, unless all fit together, are finite, and a is -1 or
/// +1.
void check(const Weights<double>& weights, Eigen::Index words);

}  // namespace gradflow
