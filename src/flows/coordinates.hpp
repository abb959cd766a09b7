#pragma once
#include <gradflow/flows/weights.hpp>

#include <Eigen/QR>

namespace gradflow {

/// Vectors of R^m that stay in the span of their starts, by coordinates in an orthonormal basis of that span where it
/// has fewer dimensions than m, else by their m components. Inner products are the same either way.
template <class Real>
class SpanCoordinates {
 public:
  /// `start` [m, count]; compressed where allowed and count < m.
  SpanCoordinates(Matrix<Real> start, bool allowed) : space_(start.rows()), start_(std::move(start)) {
    if (!allowed || start_.cols() >= space_) return;
    const Eigen::HouseholderQR<Matrix<Real>> qr(start_);
    basis_ = qr.householderQ() * Matrix<Real>::Identity(space_, start_.cols());
    start_ = qr.matrixQR().topRows(start_.cols()).template triangularView<Eigen::Upper>();
  }

  bool compressed() const { return basis_.size() > 0; }
  Eigen::Index space() const { return space_; }         ///< m
  Eigen::Index rows() const { return start_.rows(); }   ///< numbers that a vector takes
  const Matrix<Real>& start() const { return start_; }  ///< [rows, count]

  /// What the j-th vector, at `origin` in the beginning, has become: [m]. One that has not moved comes back to the last
  /// bit.
  template <class Now>
  Vector<Real> lift(const Now& now, Eigen::Index j, const Vector<Real>& origin) const {
    if (!compressed()) return now;
    return origin + basis_ * (now - start_.col(j));
  }

 private:
  Eigen::Index space_;
  Matrix<Real> start_, basis_;
};

}  // namespace gradflow
