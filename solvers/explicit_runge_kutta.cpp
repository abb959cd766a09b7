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
auto ExplicitRungeKutta<Real>::convert(const typename Tableau<Real>::Terms& terms) -> Sum {
  Sum sum;
  for (const typename Tableau<Real>::Term& term : terms) {
    sum.stages.push_back(to_size(term.stage));
    sum.c.push_back(term.c);
  }
  return sum;
}

template <class Real>
ExplicitRungeKutta<Real>::ExplicitRungeKutta(const Method& method, const Tableau<Real>& tableau,
                                             const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances)
    : OneStepStepper<Real>(system, clock, tolerances),
      method_(method),
      end_(to_size(tableau.end)),
      nodes_(tableau.nodes) {
  for (const typename Tableau<Real>::Terms& terms : tableau.stages) stages_.push_back(convert(terms));
  for (const typename Tableau<Real>::Terms& terms : tableau.dense) dense_.push_back(convert(terms));
  // Both estimates over the same stages, so that they share one pass.
  error_ = convert(tableau.error);
  if (!tableau.lower_error.empty()) lower_error_.assign(error_.c.size(), Real(0));
  for (const typename Tableau<Real>::Term& term : tableau.lower_error) {
    const auto at = std::find(error_.stages.begin(), error_.stages.end(), to_size(term.stage)) - error_.stages.begin();
    if (at == std::ssize(error_.stages)) {
      error_.stages.push_back(to_size(term.stage));
      error_.c.push_back(Real(0));
      lower_error_.push_back(Real(0));
    }
    lower_error_[static_cast<std::size_t>(at)] = term.c;
  }
  assign_slots(tableau);
  for (Stages* stages : {&step_, &restep_}) {
    stages->slots.resize(slots_);
    stages->k.resize(stages_.size());
  }
}

/// In the order of evaluation. What the result, the error estimate and the interpolant stand on is kept to the last:
/// all three may be asked for once the stages of the dense output are there.
template <class Real>
void ExplicitRungeKutta<Real>::assign_slots(const Tableau<Real>& tableau) {
  std::vector<std::size_t> last_use(stages_.size());
  const auto used = [&](const typename Tableau<Real>::Terms& terms, std::size_t when) {
    for (const typename Tableau<Real>::Term& term : terms)
      last_use[to_size(term.stage)] = std::max(last_use[to_size(term.stage)], when);
  };
  for (std::size_t stage = 0; stage < stages_.size(); ++stage) used(tableau.stages[stage], stage);
  used(tableau.error, stages_.size());
  used(tableau.lower_error, stages_.size());
  used(tableau.stages[end_], stages_.size());
  for (const typename Tableau<Real>::Terms& terms : tableau.dense) used(terms, stages_.size());

  slot_.assign(stages_.size(), 0);
  std::vector<std::size_t> busy_until;
  for (std::size_t stage = 1; stage < stages_.size(); ++stage) {
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
  const auto [c, k] = over(h, stages_[stage], step);
  this->stage(tau, x, c, k, y, stage == end_, *dx, true);
  step.k[stage] = dx->data();
}

template <class Real>
Real ExplicitRungeKutta<Real>::attempt(Real tau_next) {
  dense_ready_ = false;
  this->trial_tau_ = tau_next;
  const Real h = tau_next - this->tau_;
  step_.k[0] = this->dx_.data();
  for (std::size_t stage = 1; stage < end_; ++stage)
    evaluate(step_, stage, this->tau_ + nodes_[stage] * h, h, this->x_, this->other_x_, nullptr);
  evaluate(step_, end_, tau_next, h, this->x_, this->other_x_, &this->other_dx_);
  const Real ratio = this->norm_(error_estimate(step_, h), this->view(this->x_), this->view(this->other_x_));
  // The next step's first stage: known to be finite before this one is taken, or the state would be beyond the wall.
  // Where the error estimate holds it, the ratio has seen it.
  return error_holds_end() || this->other_dx_.allFinite() ? ratio : std::numeric_limits<Real>::quiet_NaN();
}

template <class Real>
void ExplicitRungeKutta<Real>::accept() {
  OneStepStepper<Real>::accept();
  step_.k[0] = this->other_dx_.data();
  step_.k[end_] = this->dx_.data();
}

template <class Real>
bool ExplicitRungeKutta<Real>::error_holds_end() const {
  return std::find(error_.stages.begin(), error_.stages.end(), end_) != error_.stages.end();
}

template <class Real>
CombinedError<Real> ExplicitRungeKutta<Real>::error_estimate(const Stages& step, Real h) const {
  const auto [c, k] = over(h, error_, step);
  lower_c_.clear();
  for (const Real& lower : lower_error_) lower_c_.push_back(h * lower);
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
  for (std::size_t stage = end_ + 1; stage < stages_.size(); ++stage)
    evaluate(step_, stage, this->previous_tau_ + nodes_[stage] * h, h, this->other_x_, scratch_, nullptr);
}

/// What each stage contributes to x(s) - x0, over h.
template <class Real>
auto ExplicitRungeKutta<Real>::dense_sum(Real s) const -> Sum {
  std::vector<Real> weights(stages_.size(), Real(0));
  const auto add = [&](const Sum& sum, Real factor) {
    for (std::size_t i = 0; i < sum.c.size(); ++i) weights[sum.stages[i]] += factor * sum.c[i];
  };
  const auto outer = [&](std::size_t level) -> Real { return level % 2 == 0 ? s : Real(1 - s); };
  for (std::size_t level = dense_.size() + 3; level-- > 0;) {
    if (level >= 3) add(dense_[level - 3], 1);
    if (level == 2) add(stages_[end_], 2), weights[0] -= 1, weights[end_] -= 1;
    if (level == 1) add(stages_[end_], -1), weights[0] += 1;
    if (level == 0) add(stages_[end_], 1);
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
void ExplicitRungeKutta<Real>::interpolate(Real tau, std::span<Real> x) const {
  if (tau == this->tau_ || tau == this->previous_tau_) {
    const State& end = tau == this->tau_ ? this->x_ : this->other_x_;
    std::copy(end.begin(), end.end(), x.begin());
    return;
  }
  prepare_dense_output();
  const Real h = this->tau_ - this->previous_tau_;
  const auto [c, k] = over(h, dense_sum((tau - this->previous_tau_) / h), step_);
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
  for (std::size_t stage = 1; stage < end_; ++stage)
    evaluate(restep_, stage, from + nodes_[stage] * h, h, this->other_x_, scratch_, nullptr);
  const auto [c, k] = over(h, stages_[end_], restep_);
  combine<Real>(this->view(this->other_x_), c, k, x);
  if (error.empty()) return;
  if (error_holds_end()) {
    error_vector_.resize(this->x_.size());
    this->derivative_at(tau, x, this->view(error_vector_));
    restep_.k[end_] = error_vector_.data();
  }
  this->norm_.form(error_estimate(restep_, h), error);
}

template class ExplicitRungeKutta<double>;
template class ExplicitRungeKutta<Quad>;

}  // namespace solvers
