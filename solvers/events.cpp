#include <solvers/events.hpp>

#include <algorithm>
#include <array>
#include <boost/math/tools/toms748_solve.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>

#include "quad.ipp"

namespace solvers {
namespace {

template <class Real>
int sign_of(Real value) {
  return value > 0 ? 1 : value < 0 ? -1 : 0;
}

/// Whether a function is zero or undefined at one of them and not at the other.
template <class Sample>
bool has_no_sign(const Sample& a, const Sample& b) {
  for (std::size_t j = 0; j < a.values.size(); ++j)
    if ((sign_of(a.values[j]) == 0) != (sign_of(b.values[j]) == 0)) return true;
  return false;
}

}  // namespace

Verdict verdict(bool true_at_start, bool true_at_end, std::size_t crossings) {
  if (crossings == 0 && true_at_start == true_at_end) return true_at_end ? Verdict::from_start : Verdict::never;
  // Without a crossing the two can differ only where the function was not defined all along.
  if (!true_at_end) return Verdict::crossings_lost;
  return crossings == 1 && !true_at_start ? Verdict::once : Verdict::crossings_holds;
}

template <class Real>
EventLocator<Real>::EventLocator(const System<Real>& system)
    : system_(system),
      events_(system.events()),
      x_(events_.empty() ? 0 : static_cast<std::size_t>(system.dimension())),
      beside_(x_.size()),
      error_(x_.size()) {}

template <class Real>
std::vector<Real> EventLocator<Real>::values_at(const Point<Real>& at) {
  std::vector<Real> values(events_.size());
  system_.event_values_at(at, values);
  ++calls_;
  return values;
}

template <class Real>
auto EventLocator<Real>::on_interpolant(const Stepper<Real>& stepper, Real tau) -> Sample {
  return {tau, values_at(stepper.interpolated(tau, x_)), false};
}

template <class Real>
auto EventLocator<Real>::on_method(const Stepper<Real>& stepper, Real tau) -> Sample {
  return {tau, values_at(stepper.restepped(tau, x_)), true};
}

template <class Real>
std::vector<Real> EventLocator<Real>::values_here(const Stepper<Real>& stepper) {
  return values_at(stepper.interpolated(stepper.tau(), x_));
}

/// d(event functions)/dtau at an end of the step, from the interpolant beside it: they only say where to look.
template <class Real>
const std::vector<Real>& EventLocator<Real>::slopes_at(const Stepper<Real>& stepper, const Sample& end, Real inwards) {
  std::vector<Real>& slopes = inwards > 0 ? slopes_at_start_ : slopes_at_end_;
  if (!slopes.empty()) return slopes;
  slopes = on_interpolant(stepper, end.tau + inwards).values;
  for (std::size_t j = 0; j < slopes.size(); ++j) slopes[j] = (slopes[j] - end.values[j]) / inwards;
  return slopes;
}

template <class Real>
void EventLocator<Real>::start(const Stepper<Real>& stepper) {
  if (events_.empty()) return;
  values_ = values_here(stepper);
  memory_.sign.clear();
  for (const Real& value : values_) memory_.sign.push_back(sign_of(value));
  memory_.sign_at_start = memory_.sign;
  memory_.zero_since.assign(events_.size(), std::numeric_limits<Real>::quiet_NaN());
}

template <class Real>
void EventLocator<Real>::resume(const Stepper<Real>& stepper, EventMemory<Real> memory) {
  for (const std::size_t size : {memory.sign_at_start.size(), memory.sign.size(), memory.zero_since.size()})
    if (size != events_.size())
      throw std::invalid_argument("resume: the memory is of " + std::to_string(size) + " events, the system has " +
                                  std::to_string(events_.size()));
  if (events_.empty()) return;
  memory_ = std::move(memory);
  values_ = values_here(stepper);
  calls_ = 0;  // the other locator has counted its values here
}

/// Where, in interval i, a function with one sign at both ends could still have passed through zero and back.
template <class Real>
std::optional<Real> EventLocator<Real>::hidden_roots(const Stepper<Real>& stepper, const Samples& s, std::size_t i) {
  const Real width = s[i + 1].tau - s[i].tau;
  const bool first = i == 0, last = i + 2 == s.size();
  const auto secant = [&](std::size_t k, std::size_t j) -> Real {
    return (s[k + 1].values[j] - s[k].values[j]) / (s[k + 1].tau - s[k].tau);
  };
  const auto reaches_zero = [&](Real value, Real fall) { return fall > 0 && value <= 2 * fall * width; };
  for (std::size_t j = 0; j < events_.size(); ++j) {
    const int sign = sign_of(s[i].values[j]);
    if (sign == 0 || sign != sign_of(s[i + 1].values[j])) continue;
    const Real left = sign * s[i].values[j], right = sign * s[i + 1].values[j];
    // Secants first: the slopes at the step's ends are looks of their own, which few steps need.
    if (!first && !reaches_zero(left, -sign * secant(i - 1, j))) continue;
    if (!last && !reaches_zero(right, sign * secant(i + 1, j))) continue;
    const Real inwards = h_ / 1024,
               falling = sign * (first ? slopes_at(stepper, s.front(), inwards)[j] : secant(i - 1, j)),
               rising = sign * (last ? slopes_at(stepper, s.back(), -inwards)[j] : secant(i + 1, j));
    if (!reaches_zero(left, -falling) || !reaches_zero(right, rising)) continue;
    const Real meet = (right - left - 2 * rising * width) / (2 * (falling - rising));
    if (!(meet > 0) || !(meet < width) || left + 2 * falling * meet > 0) continue;
    const Real tip = (right - left - rising * width) / (falling - rising);  // exact for a kink between straight lines
    return s[i].tau + std::clamp(tip, Real(width / 8), Real(width * 7 / 8));
  }
  return {};
}

/// Samples of the step just accepted, from its start (whose values are given) to its end.
template <class Real>
auto EventLocator<Real>::samples(const Stepper<Real>& stepper, std::vector<Real> values_at_start) -> Samples {
  const Real from = stepper.previous_tau();
  Samples s{{from, std::move(values_at_start), true}};
  for (const int quarter : {1, 2, 3}) s.push_back(on_interpolant(stepper, from + h_ * quarter / 4));
  s.push_back({stepper.tau(), values_, true});
  refine(stepper, s);
  return s;
}

/// Adds samples where roots may hide, and makes those exact that have no sign of their own.
template <class Real>
void EventLocator<Real>::refine(const Stepper<Real>& stepper, Samples& s) {
  int budget = 64;  // functions that hover about zero could ask for samples without end
  for (std::size_t i = 0; i + 1 < s.size() && budget > 0;) {
    if (has_no_sign(s[i], s[i + 1]) && !(s[i].exact && s[i + 1].exact)) {
      Sample& doubtful = s[i].exact ? s[i + 1] : s[i];
      doubtful = on_method(stepper, doubtful.tau);
    } else if (const auto tau = hidden_roots(stepper, s, i); tau && s[i + 1].tau - s[i].tau > h_ / 4096) {
      s.insert(s.begin() + static_cast<std::ptrdiff_t>(i) + 1, on_method(stepper, *tau));
    } else {
      ++i;
      continue;
    }
    --budget;
    i -= std::min<std::size_t>(i, 2);  // the neighbours' slopes have changed
  }
}

template <class Real>
std::vector<Crossing<Real>> EventLocator<Real>::locate(const Stepper<Real>& stepper) {
  std::vector<Crossing<Real>> crossings;
  if (events_.empty()) return crossings;
  h_ = stepper.tau() - stepper.previous_tau();
  before_ = memory_;
  auto values_at_start = std::exchange(values_, values_here(stepper));
  slopes_at_start_.clear();
  slopes_at_end_.clear();
  Samples s = samples(stepper, std::move(values_at_start));
  while (const std::size_t doubtful = scan(stepper, s, crossings)) {
    for (const std::size_t i : {doubtful - 1, doubtful})
      if (!s[i].exact) s[i] = on_method(stepper, s[i].tau);
    refine(stepper, s);
  }
  std::stable_sort(crossings.begin(), crossings.end(), [](const auto& a, const auto& b) { return a.tau < b.tau; });
  return crossings;
}

/// Follows the signs from sample to sample. Not 0: the method has no root between this sample and the one before, one
/// of which is not exact; so that is to be mended first.
template <class Real>
std::size_t EventLocator<Real>::scan(const Stepper<Real>& stepper, const Samples& s,
                                     std::vector<Crossing<Real>>& crossings) {
  crossings.clear();
  memory_.sign_at_start = before_.sign_at_start;
  memory_.sign = before_.sign;
  memory_.zero_since = before_.zero_since;
  for (std::size_t j = 0; j < events_.size(); ++j) {
    int& sign = memory_.sign[j];
    Real& zero_since = memory_.zero_since[j];
    for (std::size_t i = 1; i < s.size(); ++i) {
      const Real value = s[i].values[j];
      const int now = sign_of(value);
      if (now == 0) {
        if (!(value == 0)) sign = 0;  // NaN: what comes after has nothing to do with what was before
        if (!(value == 0))
          zero_since = std::numeric_limits<Real>::quiet_NaN();
        else if (zero_since != zero_since)
          zero_since = s[i].tau;
        continue;
      }
      if (sign == -now) {
        // A function that has stayed at zero since a step before changes sign here: what lies before is already
        // reported.
        const Root at = zero_since == zero_since ? Root{Root::found, std::max(zero_since, stepper.previous_tau())}
                                                 : root(stepper, j, s[i - 1], s[i]);
        if (at.kind == Root::doubtful) return i;
        if (at.kind == Root::found) crossings.push_back(crossing(stepper, j, at.tau, now));
      }
      if (memory_.sign_at_start[j] == 0) memory_.sign_at_start[j] = now;
      sign = now;
      zero_since = std::numeric_limits<Real>::quiet_NaN();
    }
  }
  return 0;
}

template <class Real>
void EventLocator<Real>::cut(const Stepper<Real>& stepper, std::span<const Crossing<Real>> kept) {
  memory_ = before_;
  values_ = values_here(stepper);
  for (std::size_t j = 0; j < events_.size(); ++j) {
    memory_.zero_since[j] = std::numeric_limits<Real>::quiet_NaN();
    if (memory_.sign[j] == 0) memory_.sign[j] = sign_of(values_[j]);
    if (memory_.sign_at_start[j] == 0) memory_.sign_at_start[j] = memory_.sign[j];
  }
  for (const Crossing<Real>& c : kept) memory_.sign[static_cast<std::size_t>(c.event)] = c.direction;
}

/// The root between two samples of opposite sign; none when the function is not defined all along.
template <class Real>
auto EventLocator<Real>::root(const Stepper<Real>& stepper, std::size_t event, const Sample& a, const Sample& b)
    -> Root {
  const Real width = b.tau - a.tau;
  const auto off = [&](const Sample& end) -> Real {
    return end.exact ? Real(end.values[event] - on_interpolant(stepper, end.tau).values[event]) : Real(0);
  };
  const Real off_a = off(a), off_b = off(b);
  bool defined = true;
  // On the interpolant, lifted so that it agrees with the samples at both ends: the signs there are then theirs.
  const auto value = [&](const Real& tau) -> Real {
    if (tau == a.tau) return a.values[event];
    if (tau == b.tau) return b.values[event];
    const Real v = on_interpolant(stepper, tau).values[event] + (off_a * (b.tau - tau) + off_b * (tau - a.tau)) / width;
    defined = defined && v == v;
    return defined ? v : Real(0);  // 0 ends the search
  };
  std::uintmax_t iterations = 60;
  const auto close = [&](const Real& x, const Real& y) {
    return y - x <= Real(1e-8) * width;
  };  // polishing does the rest
  const auto [low, high] =
      boost::math::tools::toms748_solve(value, a.tau, b.tau, a.values[event], b.values[event], close, iterations);
  const Real tau = (low + high) / 2;
  const Real from = std::max(a.tau, Real(tau - width / 128)), to = std::min(b.tau, Real(tau + width / 128));
  const Real slope = (value(to) - value(from)) / (to - from);
  if (!defined) return {Root::undefined};
  return polish(stepper, event, tau, slope, a, b);
}

/// A secant method on real steps of the method, kept between two samples. If both are exact, their signs are known to
/// be opposite; if not, it is the root that proves them so, and where the search leads elsewhere they are in doubt.
template <class Real>
auto EventLocator<Real>::polish(const Stepper<Real>& stepper, std::size_t event, Real tau, Real slope, const Sample& a,
                                const Sample& b) -> Root {
  using std::abs;
  const Real epsilon = std::numeric_limits<Real>::epsilon();
  const int direction = sign_of(b.values[event]);
  const bool sure = a.exact && b.exact;
  Real low = a.tau, high = b.tau;
  Real previous_tau = 0, previous_value = 0,
       previous_change = h_ / 64;  // the first slope's error, as if it were a secant's
  for (int step = 0; step < 40; ++step) {
    const Real value = on_method(stepper, tau).values[event];
    if (!(value == value)) return {Root::undefined};
    if (value == 0) return {Root::found, tau};
    (sign_of(value) == direction ? high : low) = tau;
    if (step > 0) {
      const Real secant = (value - previous_value) / (tau - previous_tau);
      if (secant * direction > 0) slope = secant;
    }
    Real next = tau - value / slope;
    if (next == tau) return {Root::found, tau};
    const bool bisected = !(next > low) || !(next < high);
    if (bisected && !sure) return {Root::doubtful};
    if (bisected) next = (low + high) / 2;
    previous_tau = std::exchange(tau, next);
    previous_value = value;
    const Real change = abs(tau - previous_tau), size = std::max(Real(abs(tau)), h_);
    // A secant's next error is about the product of the last two over the scale of the function's curvature, here the
    // step.
    const bool secant_is_there = !bisected && change * std::max(change, previous_change) <= epsilon * size * h_;
    if (secant_is_there || change <= 2 * epsilon * size) return {Root::found, tau};
    previous_change = change;
  }
  return {Root::found, tau};
}

template <class Real>
Crossing<Real> EventLocator<Real>::crossing(const Stepper<Real>& stepper, std::size_t event, Real tau, int direction) {
  using std::abs;
  using std::cbrt;
  using std::pow;
  // A central difference of fourth order, whose truncation and rounding are both about epsilon^(4/5), unless a kink
  // lies within its reach: then one of second order over an interval so short that only rounding would forbid a
  // shorter.
  const Real epsilon = std::numeric_limits<Real>::epsilon(), wide = h_ * pow(epsilon, Real(0.2)),
             narrow = h_ * cbrt(epsilon);
  const Clock<Real>& clock = stepper.clock();
  const std::array<Real, 6> distances{wide, -wide, 2 * wide, -2 * wide, narrow, -narrow};
  std::vector<Real> value;  // beside the crossing
  stepper.restep(tau, x_, error_);
  stepper.along_tangent(tau, x_, distances, beside_,
                        [&](const Point<Real>& at) { value.push_back(values_at(at)[event]); });
  const auto rise = [&](std::size_t i) -> Real { return value[i] - value[i + 1]; };
  const Real smooth = (8 * rise(0) - rise(2)) / (12 * wide), near = rise(4) / (2 * narrow);
  const Real here = values_at({clock.time(tau), x_})[event];
  for (std::size_t i = 0; i < x_.size(); ++i) beside_[i] = x_[i] + error_[i];
  const Real off = values_at({clock.time(tau), beside_})[event];
  const Real slope = (abs(smooth - near) <= Real(1e-3) * abs(near) ? smooth : near) / clock.rate(tau);
  return {static_cast<Index>(event), clock.time(tau), tau, direction, slope, abs((off - here) / slope)};
}

template class EventLocator<double>;
template class EventLocator<Quad>;

}  // namespace solvers
