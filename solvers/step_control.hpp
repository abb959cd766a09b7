#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

namespace solvers {

/// A proportional-integral controller of the step size (Gustafsson 1991, with the exponents 0.7/k and 0.4/k that damp
/// the oscillation of an explicit method at its stability limit; k = order of the error estimate + 1).
template <class Real>
class StepControl {
 public:
  /// `previous_ratio` is the error ratio of the step before, where there was one.
  explicit StepControl(int error_order, Real previous_ratio = 1) : k_(error_order + 1), previous_(previous_ratio) {}

  Real previous_ratio() const { return previous_; }

  /// The step after an accepted one of length h.
  Real accepted(Real h, Real ratio) {
    using std::max;
    using std::pow;
    // An error of 0 (a system at rest) must not make the factor infinite, nor the memory of it blow up the next.
    const Real now = max(ratio, Real(1e-4));
    Real factor = Real(0.9) * pow(now, Real(-0.7) / k_) * pow(previous_, Real(0.4) / k_);
    factor = std::clamp(factor, Real(0.2), rejected_ ? Real(1) : Real(5));
    previous_ = now;
    rejected_ = false;
    return h * factor;
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
