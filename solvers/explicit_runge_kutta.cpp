#include <solvers/combine.hpp>
#include <solvers/explicit_runge_kutta.hpp>

#include <algorithm>
#include <limits>

#include "quad.ipp"

namespace solvers {
namespace {

std::size_t to_size(int i) { return static_cast<std::size_t>(i); }

}  // namespace

template <class Real>
RungeKuttaScheme<Real>::RungeKuttaScheme(const Tableau<Real>& tableau)
    : end(to_size(tableau.end)), nodes(tableau.nodes) {
  const auto convert = [](const typename Tableau<Real>::Terms& terms) {
    Sum sum;
    for (const typename Tableau<Real>::Term& term : terms) {
      sum.stages.push_back(to_size(term.stage));
      sum.c.push_back(term.c);
    }
    return sum;
  };
  for (const typename Tableau<Real>::Terms& terms : tableau.stages) stages.push_back(convert(terms));
  for (const typename Tableau<Real>::Terms& terms : tableau.dense) dense.push_back(convert(terms));
  // Both estimates over the same stages, so that they share one pass.
  error = convert(tableau.error);
  if (!tableau.lower_error.empty()) lower_error.assign(error.c.size(), Real(0));
  for (const typename Tableau<Real>::Term& term : tableau.lower_error) {
    const auto at = std::find(error.stages.begin(), error.stages.end(), to_size(term.stage)) - error.stages.begin();
    if (at == std::ssize(error.stages)) {
      error.stages.push_back(to_size(term.stage));
      error.c.push_back(Real(0));
      lower_error.push_back(Real(0));
    }
    lower_error[static_cast<std::size_t>(at)] = term.c;
  }
}

template <class Real>
bool RungeKuttaScheme<Real>::error_holds_end() const {
  return std::find(error.stages.begin(), error.stages.end(), end) != error.stages.end();
}

template <class Real>
auto RungeKuttaScheme<Real>::at(Real s) const -> Sum {
  std::vector<Real> weights(stages.size(), Real(0));
  const auto add = [&](const Sum& sum, Real factor) {
    for (std::size_t i = 0; i < sum.c.size(); ++i) weights[sum.stages[i]] += factor * sum.c[i];
  };
  const auto outer = [&](std::size_t level) -> Real { return level % 2 == 0 ? s : Real(1 - s); };
  for (std::size_t level = dense.size() + 3; level-- > 0;) {
    if (level >= 3) add(dense[level - 3], 1);
    if (level == 2) add(stages[end], 2), weights[0] -= 1, weights[end] -= 1;
    if (level == 1) add(stages[end], -1), weights[0] += 1;
    if (level == 0) add(stages[end], 1);
    for (Real& weight : weights) weight *= outer(level);
  }
  Sum sum;
  for (std::size_t stage = 0; stage < weights.size(); ++stage) {
    if (weights[stage] == 0) continue;
    sum.stages.push_back(stage);
    sum.c.push_back(weights[stage]);
  }
  return sum;
}

template <class Real>
ExplicitRungeKutta<Real>::ExplicitRungeKutta(const Method& method, const Tableau<Real>& tableau,
                                             const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances)
    : OneStepStepper<Real>(system, clock, tolerances), method_(method), scheme_(tableau) {
  assign_slots(tableau);
  for (Stages* stages : {&step_, &restep_}) {
    stages->slots.resize(slots_);
    stages->k.resize(scheme_.stages.size());
  }
}

/// In the order of evaluation. What the result, the error estimate and the interpolant stand on is kept to the last:
/// all three may be asked for once the stages of the dense output are there.
template <class Real>
void ExplicitRungeKutta<Real>::assign_slots(const Tableau<Real>& tableau) {
  std::vector<std::size_t> last_use(scheme_.stages.size());
  const auto used = [&](const typename Tableau<Real>::Terms& terms, std::size_t when) {
    for (const typename Tableau<Real>::Term& term : terms)
      last_use[to_size(term.stage)] = std::max(last_use[to_size(term.stage)], when);
  };
  for (std::size_t stage = 0; stage < scheme_.stages.size(); ++stage) used(tableau.stages[stage], stage);
  used(tableau.error, scheme_.stages.size());
  used(tableau.lower_error, scheme_.stages.size());
  used(tableau.stages[scheme_.end], scheme_.stages.size());
  for (const typename Tableau<Real>::Terms& terms : tableau.dense) used(terms, scheme_.stages.size());

  slot_.assign(scheme_.stages.size(), 0);
  std::vector<std::size_t> busy_until;
  for (std::size_t stage = 1; stage < scheme_.stages.size(); ++stage) {
    if (!inner(stage)) continue;
    const auto free = std::find_if(busy_until.begin(), busy_until.end(), [&](std::size_t use) { return use < stage; });
    slot_[stage] = static_cast<std::size_t>(free - busy_until.begin());
    if (free == busy_until.end()) busy_until.push_back(0);
    busy_until[slot_[stage]] = last_use[stage];
  }
  slots_ = busy_until.size();
}

template <class Real>
auto ExplicitRungeKutta<Real>::over(Real h, const Sum& sum, const Stages& of) const
    -> std::pair<std::span<const Real>, std::span<const Real* const>> {
  c_.clear();
  k_.clear();
  for (std::size_t i = 0; i < sum.c.size(); ++i) {
    c_.push_back(h * sum.c[i]);
    k_.push_back(of.k[sum.stages[i]]);
  }
  return {c_, k_};
}

/// One stage of a step from (tau, x), into its slot or, for the last, into dx; the point goes into y, which only the
/// last one keeps.
template <class Real>
void ExplicitRungeKutta<Real>::evaluate(Stages& step, std::size_t stage, Real tau, Real h, const State& x, State& y,
                                        State* dx) const {
  if (inner(stage)) {
    dx = &step.slots[slot_[stage]];
    dx->resize(x.size());
  }
  const auto [c, k] = over(h, scheme_.stages[stage], step);
  this->stage(tau, x, c, k, y, stage == scheme_.end, *dx, true);
  step.k[stage] = dx->data();
}

template <class Real>
Real ExplicitRungeKutta<Real>::attempt(Real tau_next) {
  dense_ready_ = false;
  this->trial_tau_ = tau_next;
  restep_tau_ = this->tau_;
  const Real h = tau_next - this->tau_;
  step_.k[0] = this->dx_.data();
  for (std::size_t stage = 1; stage < scheme_.end; ++stage)
    evaluate(step_, stage, this->tau_ + scheme_.nodes[stage] * h, h, this->x_, this->other_x_, nullptr);
  evaluate(step_, scheme_.end, tau_next, h, this->x_, this->other_x_, &this->other_dx_);
  const Real ratio = this->norm_(error_estimate(step_, h), this->view(this->x_), this->view(this->other_x_));
  // The next step's first stage: known to be finite before this one is taken, or the state would be beyond the wall.
  // Where the error estimate holds it, the ratio has seen it.
  return scheme_.error_holds_end() || this->other_dx_.allFinite() ? ratio : std::numeric_limits<Real>::quiet_NaN();
}

template <class Real>
void ExplicitRungeKutta<Real>::accept() {
  OneStepStepper<Real>::accept();
  step_.k[0] = this->other_dx_.data();
  step_.k[scheme_.end] = this->dx_.data();
}

template <class Real>
CombinedError<Real> ExplicitRungeKutta<Real>::error_estimate(const Stages& step, Real h) const {
  const auto [c, k] = over(h, scheme_.error, step);
  lower_c_.clear();
  for (const Real& lower : scheme_.lower_error) lower_c_.push_back(h * lower);
  return {c, k, lower_c_};
}

template <class Real>
std::span<const Real> ExplicitRungeKutta<Real>::trial_error() const {
  error_vector_.resize(this->x_.size());
  this->norm_.form(error_estimate(step_, this->trial_tau_ - this->tau_), this->view(error_vector_));
  return this->view(error_vector_);
}

template <class Real>
void ExplicitRungeKutta<Real>::prepare_dense_output() const {
  if (std::exchange(dense_ready_, true)) return;
  scratch_.resize(this->x_.size());
  const Real h = this->tau_ - this->previous_tau_;
  for (std::size_t stage = scheme_.end + 1; stage < scheme_.stages.size(); ++stage)
    evaluate(step_, stage, this->previous_tau_ + scheme_.nodes[stage] * h, h, this->other_x_, scratch_, nullptr);
}

template <class Real>
void ExplicitRungeKutta<Real>::interpolate(Real tau, std::span<Real> x) const {
  if (tau == this->tau_ || tau == this->previous_tau_) {
    const State& end = tau == this->tau_ ? this->x_ : this->other_x_;
    std::copy(end.begin(), end.end(), x.begin());
    return;
  }
  prepare_dense_output();
  const Real h = this->tau_ - this->previous_tau_;
  const auto [c, k] = over(h, scheme_.at((tau - this->previous_tau_) / h), step_);
  combine<Real>(this->view(this->other_x_), c, k, x);
}

template <class Real>
void ExplicitRungeKutta<Real>::restep(Real tau, std::span<Real> x, std::span<Real> error) const {
  const Real from = this->previous_tau_, h = tau - from;
  if (tau == this->tau_ || tau == from) {
    interpolate(tau, x);
    if (error.empty()) return;
    if (tau == from) std::fill(error.begin(), error.end(), Real(0));
    if (tau != from) this->norm_.form(error_estimate(step_, h), error);
    return;
  }
  scratch_.resize(this->x_.size());
  restep_.k[0] = this->other_dx_.data();
  if (tau != std::exchange(restep_tau_, tau))  // a crossing is asked for twice
    for (std::size_t stage = 1; stage < scheme_.end; ++stage)
      evaluate(restep_, stage, from + scheme_.nodes[stage] * h, h, this->other_x_, scratch_, nullptr);
  const auto [c, k] = over(h, scheme_.stages[scheme_.end], restep_);
  combine<Real>(this->view(this->other_x_), c, k, x);
  if (error.empty()) return;
  if (scheme_.error_holds_end()) {
    error_vector_.resize(this->x_.size());
    this->derivative_at(tau, x, this->view(error_vector_));
    restep_.k[scheme_.end] = error_vector_.data();
  }
  this->norm_.form(error_estimate(restep_, h), error);
}

template struct RungeKuttaScheme<double>;
template struct RungeKuttaScheme<Quad>;
template class ExplicitRungeKutta<double>;
template class ExplicitRungeKutta<Quad>;

}  // namespace solvers
