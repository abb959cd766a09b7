#pragma once
#include <solvers/frozen_step.hpp>

#include <utility>

namespace solvers {

/// A point on a solution or near to it. Inside a frozen step its state need not stand anywhere: it is a vector once
/// somebody asks for it, and a system that knows its own steps may never have to (System::event_values_at).
template <class Real>
class Point {
 public:
  using Sum = typename FrozenStep<Real>::Sum;

  Point(Real t, std::span<const Real> x) : t_(t), x_(x) {}
  /// The step's start and a sum. `room` takes the state when it is formed. All that is given must outlive the point.
  Point(Real t, FrozenStep<Real>& step, const Sum& sum, std::span<Real> room)
      : t_(t), step_(&step), sum_(sum), room_(room) {}

  const Real& t() const { return t_; }
  /// The same state at a time that is known better.
  Point at_time(Real t) const {
    Point point = *this;
    point.t_ = std::move(t);
    return point;
  }
  std::span<const Real> x() const {
    if (x_.empty()) {
      step_->form(true, sum_, room_);
      x_ = room_;
    }
    return x_;
  }
  FrozenStep<Real>* step() const { return step_; }  ///< null: the state stands as a vector
  const Sum& sum() const { return sum_; }

 private:
  Real t_;
  mutable std::span<const Real> x_;
  FrozenStep<Real>* step_ = nullptr;
  Sum sum_ = {};
  std::span<Real> room_;
};

}  // namespace solvers
