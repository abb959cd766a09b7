#include <solvers/frozen_runge_kutta.hpp>

#include <algorithm>
#include <utility>

#include "quad.ipp"

namespace solvers {

template <class Real>
FrozenRungeKutta<Real>::FrozenRungeKutta(const Method& method, const Tableau<Real>& tableau, const System<Real>& system,
                                         Clock<Real> clock, Tolerances<Real> tolerances,
                                         std::unique_ptr<FrozenStep<Real>> step)
    : OneStepStepper<Real>(system, clock, tolerances),
      method_(method),
      scheme_(tableau),
      step_(std::move(step)),
      other_step_(system.frozen_step(scheme_.stages.size())) {
  this->dx_.resize(0);  // derivatives stand in factors
  this->other_dx_.resize(0);
}

template <class Real>
void FrozenRungeKutta<Real>::stand(Real tau, std::span<const Real> x) {
  this->tau_ = this->previous_tau_ = tau;
  std::copy(x.begin(), x.end(), this->x_.begin());
  this->other_x_ = this->x_;
  derivative_ready_ = false;
  step_->start(this->clock_.time(tau), this->clock_.rate(tau), this->view(this->x_));
}

template <class Real>
void FrozenRungeKutta<Real>::start(Real tau, std::span<const Real> x) {
  this->check(tau, x);
  ++this->evaluations_;
  stand(tau, x);
}

/// The factors follow from x, to the last bit; their evaluation has been counted before.
template <class Real>
void FrozenRungeKutta<Real>::restore(const StepperState<Real>& state) {
  this->check(state.tau, state.x);
  this->check(state.tau, state.dx);
  stand(state.tau, state.x);
}

template <class Real>
StepperState<Real> FrozenRungeKutta<Real>::save() const {
  const std::span<const Real> dx = derivative();
  return {this->tau_, {this->x_.begin(), this->x_.end()}, {dx.begin(), dx.end()}};
}

template <class Real>
std::span<const Real> FrozenRungeKutta<Real>::derivative() const {
  if (!std::exchange(derivative_ready_, true)) {
    derivative_.resize(this->x_.size());
    const std::size_t stage = 0;
    const Real one = 1;
    step_->form(false, {{&stage, 1}, {&one, 1}}, this->view(derivative_));
  }
  return this->view(std::as_const(derivative_));
}

template <class Real>
auto FrozenRungeKutta<Real>::over(Real h, const Sum& sum) const -> typename Step::Sum {
  c_.clear();
  for (const Real& c : sum.c) c_.push_back(h * c);
  return {sum.stages, c_};
}

template <class Real>
auto FrozenRungeKutta<Real>::error_estimate(Real h) const -> typename Step::Error {
  lower_c_.clear();
  for (const Real& lower : scheme_.lower_error) lower_c_.push_back(h * lower);
  return {over(h, scheme_.error), lower_c_};
}

/// One stage of a step of length h from the time `from`.
template <class Real>
void FrozenRungeKutta<Real>::evaluate(Step& step, std::size_t stage, Real from, Real h) const {
  ++this->evaluations_;
  const Real tau = from + scheme_.nodes[stage] * h;
  step.evaluate(stage, this->clock_.time(tau), this->clock_.rate(tau), over(h, scheme_.stages[stage]));
}

template <class Real>
Real FrozenRungeKutta<Real>::attempt(Real tau_next) {
  dense_ready_ = restep_ready_ = false;
  this->trial_tau_ = tau_next;
  const Real h = tau_next - this->tau_;
  for (std::size_t stage = 1; stage < scheme_.end; ++stage) evaluate(*step_, stage, this->tau_, h);
  ++this->evaluations_;
  const typename Step::Error error = error_estimate(h);
  const std::vector<Real> error_c(error.sum.c.begin(), error.sum.c.end());
  return step_->finish(scheme_.end, this->clock_.time(tau_next), this->clock_.rate(tau_next),
                       over(h, scheme_.stages[scheme_.end]), {{error.sum.stages, error_c}, error.lower}, this->norm_,
                       this->view(this->other_x_), *other_step_);
}

template <class Real>
void FrozenRungeKutta<Real>::accept() {
  OneStepStepper<Real>::accept();
  step_.swap(other_step_);
  derivative_ready_ = false;
}

/// By vectors, as the norm forms one of two estimates.
template <class Real>
void FrozenRungeKutta<Real>::form_error(const Step& step, Real h, std::span<Real> out) const {
  const auto [sum, lower] = error_estimate(h);
  error_.resize(this->x_.size());
  step.form(false, sum, this->view(error_));
  if (lower.empty()) {
    std::copy(error_.begin(), error_.end(), out.begin());
    return;
  }
  lower_.resize(this->x_.size());
  step.form(false, {sum.stages, lower}, this->view(lower_));
  const Real first[] = {1, 0}, second[] = {0, 1};
  const Real* const vectors[] = {error_.data(), lower_.data()};
  this->norm_.form(CombinedError<Real>{first, vectors, second}, out);
}

template <class Real>
std::span<const Real> FrozenRungeKutta<Real>::trial_error() const {
  derivative_.resize(this->x_.size());
  derivative_ready_ = false;
  form_error(*step_, this->trial_tau_ - this->tau_, this->view(derivative_));
  return this->view(std::as_const(derivative_));
}

/// The start of that step and h times the sum.
template <class Real>
Point<Real> FrozenRungeKutta<Real>::point(Real tau, Step& step, Real h, Sum sum, std::span<Real> room) const {
  sum_ = std::move(sum);
  return {this->clock_.time(tau), step, over(h, sum_), room};
}

template <class Real>
Point<Real> FrozenRungeKutta<Real>::interpolated(Real tau, std::span<Real> room) const {
  if (tau == this->tau_) return point(tau, *step_, 0, {}, room);
  const Real h = this->tau_ - this->previous_tau_;
  if (tau == this->previous_tau_) return point(tau, *other_step_, h, {}, room);
  if (!std::exchange(dense_ready_, true))
    for (std::size_t stage = scheme_.end + 1; stage < scheme_.stages.size(); ++stage)
      evaluate(*other_step_, stage, this->previous_tau_, h);
  return point(tau, *other_step_, h, scheme_.at((tau - this->previous_tau_) / h), room);
}

template <class Real>
Point<Real> FrozenRungeKutta<Real>::restepped(Real tau, std::span<Real> room) const {
  const Real from = this->previous_tau_, h = tau - from;
  if (tau == this->tau_ || tau == from) return interpolated(tau, room);
  if (!restep_) restep_ = this->system_.frozen_step(scheme_.stages.size());
  if (!std::exchange(restep_ready_, true)) {
    restep_->start_as(*other_step_);
    restep_tau_ = from;
  }
  if (tau != std::exchange(restep_tau_, tau))  // a crossing is asked for several times
    for (std::size_t stage = 1; stage < scheme_.end; ++stage) evaluate(*restep_, stage, from, h);
  return point(tau, *restep_, h, scheme_.stages[scheme_.end], room);
}

template <class Real>
void FrozenRungeKutta<Real>::along_tangent(Real tau, std::span<const Real> /*x*/, std::span<const Real> distances,
                                           std::span<Real> room,
                                           const std::function<void(const Point<Real>&)>& see) const {
  const Real from = this->previous_tau_, h = tau - from;
  if (tau == this->tau_ || tau == from) {
    for (const Real& distance : distances)
      see(point(tau + distance, tau == from ? *other_step_ : *step_, distance, {{0}, {1}}, room));
    return;
  }
  (void)restepped(tau, room);
  evaluate(*restep_, scheme_.end, from, h);
  for (const Real& distance : distances) {
    Sum sum = scheme_.stages[scheme_.end];
    sum.stages.push_back(scheme_.end);
    sum.c.push_back(distance / h);
    see(point(tau + distance, *restep_, h, std::move(sum), room));
  }
}

template <class Real>
void FrozenRungeKutta<Real>::interpolate(Real tau, std::span<Real> x) const {
  if (tau != this->tau_ && tau != this->previous_tau_) return void(interpolated(tau, x).x());
  const State& end = tau == this->tau_ ? this->x_ : this->other_x_;
  std::copy(end.begin(), end.end(), x.begin());
}

template <class Real>
void FrozenRungeKutta<Real>::restep(Real tau, std::span<Real> x, std::span<Real> error) const {
  const Real from = this->previous_tau_, h = tau - from;
  if (tau == this->tau_ || tau == from) {
    interpolate(tau, x);
    if (error.empty()) return;
    if (tau == from) std::fill(error.begin(), error.end(), Real(0));
    if (tau != from) form_error(*other_step_, h, error);
    return;
  }
  (void)restepped(tau, x).x();
  if (error.empty()) return;
  if (scheme_.error_holds_end()) evaluate(*restep_, scheme_.end, from, h);
  form_error(*restep_, h, error);
}

template <class Real>
std::unique_ptr<Stepper<Real>> make_explicit_runge_kutta(const Method& method, const Tableau<Real>& tableau,
                                                         const System<Real>& system, Clock<Real> clock,
                                                         Tolerances<Real> tolerances) {
  if (auto step = system.frozen_step(tableau.stages.size()))
    return std::make_unique<FrozenRungeKutta<Real>>(method, tableau, system, clock, tolerances, std::move(step));
  return std::make_unique<ExplicitRungeKutta<Real>>(method, tableau, system, clock, tolerances);
}

#define INSTANTIATE(Real)                                            \
  template class FrozenRungeKutta<Real>;                             \
  template std::unique_ptr<Stepper<Real>> make_explicit_runge_kutta( \
      const Method&, const Tableau<Real>&, const System<Real>&, Clock<Real>, Tolerances<Real>);
INSTANTIATE(double)
INSTANTIATE(Quad)
#undef INSTANTIATE

}  // namespace solvers
