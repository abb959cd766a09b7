#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

namespace solvers {

/// The independent variable tau in which steps are taken and records are spaced. Linear: tau = t. Log: tau = ln(1 +
/// t/t0), in which dx/dtau = (t + t0) dx/dt, for solutions that slow down like 1/t: t = 1e12 is then some thirty units
/// of tau away.
template <class Real>
class Clock {
 public:
  static Clock linear() { return Clock(Real(0)); }

  /// Throws std::invalid_argument unless t0 is positive and finite (in units of t).
  static Clock log(Real t0) {
    using std::isfinite;
    if (!(t0 > 0) || !isfinite(t0)) throw std::invalid_argument("the log clock's t0 must be positive and finite");
    return Clock(t0);
  }

  bool is_log() const { return t0_ > 0; }
  Real t0() const { return t0_; }

  Real tau(Real t) const {
    using std::log1p;
    return is_log() ? log1p(t / t0_) : t;
  }
  Real time(Real tau) const {
    using std::expm1;
    return is_log() ? t0_ * expm1(tau) : tau;
  }
  /// dt/dtau at tau.
  Real rate(Real tau) const {
    using std::exp;
    return is_log() ? t0_ * exp(tau) : Real(1);
  }

  /// `count` >= 2 times from `first` to `last` >= `first` (in t), evenly spaced in tau; the first and the last are
  /// exact. Throws std::invalid_argument for fewer, or times in another order.
  std::vector<Real> evenly_spaced(Real first, Real last, std::size_t count) const {
    if (count < 2) throw std::invalid_argument("evenly spaced times: at least 2 are needed");
    if (!(first <= last)) throw std::invalid_argument("evenly spaced times: the last must not come before the first");
    const Real from = tau(first), span = tau(last) - from;
    std::vector<Real> times(count);
    for (std::size_t i = 0; i < count; ++i)
      times[i] = std::clamp(time(from + span * Real(i) / Real(count - 1)), first, last);
    times.front() = first;
    times.back() = last;
    return times;
  }

 private:
  explicit Clock(Real t0) : t0_(t0) {}
  Real t0_;  // 0 stands for the linear clock
};

}  // namespace solvers
