#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace solvers {

/// A proportional-integral controller of the step size (Gustafsson 1991, with the exponents 0.7/k and 0.4/k that damp
/// the oscillation of an explicit method at its stability limit; k = order of the error estimate + 1). Ratios are taken
/// relative to the goal 0.7^k, so that smooth solutions settle at 0.7 of the step that would just be accepted: few
/// steps are rejected, and global errors stay nearer to the tolerance.
template <class Real>
class StepControl {
 public:
  /// `previous_ratio` is what another controller said after the step before, where there was one.
  explicit StepControl(int error_order, Real previous_ratio = 1) : k_(error_order + 1), previous_(previous_ratio) {}

  Real previous_ratio() const { return previous_; }  ///< over the goal

  /// The step after an accepted one of length h.
  Real accepted(Real h, Real ratio) {
    using std::max;
    using std::pow;
    // Nothing below the error at which a step grows fivefold by itself: an error of 0 (a system at rest) has no power.
    const Real now = max(Real(ratio / pow(Real(0.7), k_)), Real(pow(Real(0.2), k_)));
    // Far below the goal the memory would only keep the step from growing.
    const Real before = max(std::exchange(previous_, now), Real(0.1));
    const Real factor = pow(now, Real(-0.7) / k_) * pow(before, Real(0.4) / k_);
    const Real most = std::exchange(rejected_, false) ? 1 : 5;
    return h * std::clamp(factor, Real(0.2), most);
  }

  /// The next trial after a rejected one; a ratio that is NaN (not finite somewhere) shrinks the step tenfold.
  Real rejected(Real h, Real ratio) {
    using std::pow;
    rejected_ = true;
    if (!(ratio < std::numeric_limits<Real>::infinity())) return h * Real(0.1);
    return h * std::clamp(Real(Real(0.9) * pow(ratio, Real(-1) / k_)), Real(0.1), Real(0.9));
  }

 private:
  int k_;
  Real previous_;
  bool rejected_ = false;
};

}  // namespace solvers
