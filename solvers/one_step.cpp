#include <solvers/one_step.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "quad.ipp"

namespace solvers {

template <class Real>
OneStepStepper<Real>::OneStepStepper(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances)
    : system_(system), clock_(clock), norm_(system.blocks(), tolerances), x_(State::Zero(system.dimension())) {
  for (State* s : {&dx_, &other_x_, &other_dx_}) s->setZero(x_.size());
  norm_.use(system.workers());
}

template <class Real>
void OneStepStepper<Real>::check(Real tau, std::span<const Real> x) const {
  using std::isfinite;
  if (static_cast<Index>(x.size()) != x_.size())
    throw std::invalid_argument("a state to start from: the system has dimension " + std::to_string(x_.size()) +
                                ", the given state " + std::to_string(x.size()));
  if (!isfinite(tau)) throw std::invalid_argument("a state to start from: its time is not finite");
  if (!std::all_of(x.begin(), x.end(), [](const Real& component) { return isfinite(component); }))
    throw std::invalid_argument("a state to start from: " + norm_.worst(x, x, x, 1).front().name + " is not finite");
}

template <class Real>
void OneStepStepper<Real>::start(Real tau, std::span<const Real> x) {
  check(tau, x);
  tau_ = previous_tau_ = tau;
  std::copy(x.begin(), x.end(), x_.begin());
  other_x_ = x_;
  evaluate(x_, dx_, tau_);
  other_dx_ = dx_;
}

template <class Real>
void OneStepStepper<Real>::restore(const StepperState<Real>& state) {
  check(state.tau, state.x);
  check(state.tau, state.dx);
  tau_ = previous_tau_ = state.tau;
  std::copy(state.x.begin(), state.x.end(), x_.begin());
  std::copy(state.dx.begin(), state.dx.end(), dx_.begin());
  other_x_ = x_;
  other_dx_ = dx_;
}

template <class Real>
void OneStepStepper<Real>::accept() {
  x_.swap(other_x_);
  dx_.swap(other_dx_);
  previous_tau_ = std::exchange(tau_, trial_tau_);
}

template <class Real>
void OneStepStepper<Real>::interpolate(Real tau, std::span<Real> x) const {
  Eigen::Map<State> out(x.data(), x_.size());
  if (tau == tau_) {
    out = x_;
  } else if (tau == previous_tau_) {
    out = other_x_;
  } else {
    const Real h = tau_ - previous_tau_, s = (tau - previous_tau_) / h;
    out = (1 + 2 * s) * (1 - s) * (1 - s) * other_x_ + s * s * (3 - 2 * s) * x_ +
          h * s * (1 - s) * ((1 - s) * other_dx_ - s * dx_);
  }
}

template <class Real>
Point<Real> OneStepStepper<Real>::interpolated(Real tau, std::span<Real> room) const {
  if (tau == tau_) return {clock_.time(tau), view(x_)};
  this->interpolate(tau, room);
  return {clock_.time(tau), room};
}

template <class Real>
Point<Real> OneStepStepper<Real>::restepped(Real tau, std::span<Real> room) const {
  this->restep(tau, room);
  return {clock_.time(tau), room};
}

template <class Real>
void OneStepStepper<Real>::along_tangent(Real tau, std::span<const Real> x, std::span<const Real> distances,
                                         std::span<Real> room,
                                         const std::function<void(const Point<Real>&)>& see) const {
  State dx(x_.size());
  derivative_at(tau, x, view(dx));
  for (const Real& distance : distances) {
    for (std::size_t i = 0; i < x.size(); ++i) room[i] = x[i] + distance * dx[static_cast<Index>(i)];
    see({clock_.time(tau + distance), room});
  }
}

template <class Real>
void OneStepStepper<Real>::derivative_at(Real tau, std::span<const Real> x, std::span<Real> dx) const {
  ++evaluations_;
  system_.derivative(clock_.time(tau), x, dx);
  if (!clock_.is_log()) return;
  const Real rate = clock_.rate(tau);
  for (Real& component : dx) component *= rate;
}

template <class Real>
void OneStepStepper<Real>::stage(Real tau, const State& x, std::span<const Real> c, std::span<const Real* const> k,
                                 State& y, bool keep, State& dx, bool unmixed) const {
  ++evaluations_;
  system_.stage({clock_.time(tau), view(x), c, k, clock_.rate(tau), unmixed}, view(y), keep, view(dx));
}

template <class Real>
Real OneStepStepper<Real>::initial_step(Real h_max) const {
  using std::isfinite;
  using std::max;
  using std::min;
  using std::pow;
  const Eigen::Map<const State> dx(this->derivative().data(), x_.size());
  const auto size = [&](const auto& s) {
    return norm_({s.data(), static_cast<std::size_t>(s.size())}, view(x_), view(x_));
  };
  const Real d0 = size(x_), d1 = size(dx);
  const Real h0 = min(h_max, d0 > Real(1e-5) && d1 > Real(1e-5) ? Real(d0 / (100 * d1)) : Real(h_max * Real(1e-6)));
  State moved = x_ + h0 * dx, change(x_.size());
  evaluate(moved, change, tau_ + h0);
  change = (change - dx) / h0;
  const Real d2 = size(change), larger = max(d1, d2);
  const Real h1 = larger > Real(1e-15) ? Real(pow(Real(0.01) / larger, Real(1) / (this->method().error_order + 1)))
                                       : max(Real(h_max * Real(1e-6)), Real(h0 / 1000));
  const Real h = min(h_max, min(Real(100 * h0), h1));
  return isfinite(h) && h > 0 ? h : Real(h_max * Real(1e-6));
}

template class OneStepStepper<double>;
template class OneStepStepper<Quad>;

}  // namespace solvers
