#include <solvers/combine.hpp>
#include <solvers/stabilised.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

#include "methods.ipp"
#include "quad.ipp"

namespace solvers {
namespace {

/// h rho is covered with this factor: power iteration comes from below, and rho may grow until it is asked again.
constexpr double margin = 1.2;
constexpr double agreement = 0.05;  // of two values of rho
constexpr int most_iterations = 50, most_steps_between = 25, most_stages = 1000;
constexpr Index scalars_kept = 4;  // of what is known of rho, before the direction

}  // namespace

Index stabilised_memory_size(Index dimension) { return scalars_kept + dimension; }

template <class Real>
void StabilisedStepper<Real>::start(Real tau, std::span<const Real> x) {
  OneStepStepper<Real>::start(tau, x);
  radius_ = {};
  estimated_here_ = failed_ = false;
}

template <class Real>
StepperState<Real> StabilisedStepper<Real>::save() const {
  StepperState<Real> state = OneStepStepper<Real>::save();
  state.memory.assign(static_cast<std::size_t>(stabilised_memory_size(this->x_.size())), Real(0));
  if (!radius_.known) return state;
  const std::array scalars{radius_.rho, radius_.rate, Real(radius_.age), Real(radius_.due)};
  std::copy(radius_.direction.begin(), radius_.direction.end(),
            std::copy(scalars.begin(), scalars.end(), state.memory.begin()));
  return state;
}

template <class Real>
void StabilisedStepper<Real>::restore(const StepperState<Real>& state) {
  const std::vector<Real>& memory = state.memory;
  if (std::ssize(memory) != stabilised_memory_size(this->x_.size()))
    throw std::invalid_argument("a state to start from: its memory should have " +
                                std::to_string(stabilised_memory_size(this->x_.size())) + " numbers, and has " +
                                std::to_string(memory.size()));
  OneStepStepper<Real>::restore(state);
  radius_ = {};
  estimated_here_ = failed_ = false;
  if (memory[1] == 0) return;  // dt/dtau never is
  radius_ = {true, memory[0], memory[1], static_cast<int>(memory[2]), static_cast<int>(memory[3]), {}};
  radius_.direction = Eigen::Map<const State>(memory.data() + scalars_kept, this->x_.size());
}

template <class Real>
bool StabilisedStepper<Real>::radius_wanted(Real h) const {
  if (estimated_here_) return false;
  if (!radius_.known || failed_) return true;
  // While the system's own Jacobian stays what it was, rho grows like dt/dtau.
  const Real growth = this->clock_.rate(this->tau_) / radius_.rate;
  const Real likely = radius_.rho * (growth > 1 ? growth : Real(1));
  const bool fewest_do = Real(2 * margin) * h * likely <= Real(reach(fewest_stages()));
  return radius_.age >= (fewest_do ? most_steps_between : radius_.due);
}

template <class Real>
void StabilisedStepper<Real>::estimate_radius() {
  using std::abs;
  const bool known = radius_.known;
  const Real before = radius_.rho;
  iterate_power();
  const Real change = abs(radius_.rho - before);
  if (known && change <= Real(0.1) * before)
    radius_.due = std::min(2 * radius_.due, most_steps_between);
  else if (!known || change > Real(0.2) * before)
    radius_.due = std::max(1, radius_.due / 2);
  radius_.known = estimated_here_ = true;
  radius_.rate = this->clock_.rate(this->tau_);
  radius_.age = 0;
}

/// Where power iteration begins. A failed step's error points where it is not stable. Otherwise a tenth of the
/// derivative keeps the iteration from staying with an eigenvector whose eigenvalue another has overtaken.
template <class Real>
void StabilisedStepper<Real>::choose_direction() {
  using std::isfinite;
  const auto usable = [](const Real& length) { return length > 0 && isfinite(length); };
  State& direction = radius_.direction;
  const Real slope = this->dx_.norm(), error = failed_ ? error_.norm() : Real(0);
  if (usable(error))
    direction = error_;
  else if (!radius_.known)
    direction = this->dx_;
  else if (usable(slope))
    direction = direction / direction.norm() + (Real(0.1) / slope) * this->dx_;
  if (!usable(direction.norm())) direction.setOnes(this->x_.size());
}

/// The trial's state and derivative, not yet formed, are the scratch.
template <class Real>
void StabilisedStepper<Real>::iterate_power() {
  using std::abs;
  using std::isfinite;
  using std::sqrt;
  State &moved = this->other_x_, &change = this->other_dx_, &direction = radius_.direction;
  choose_direction();
  const Real size = this->x_.norm();
  const Real distance = sqrt(std::numeric_limits<Real>::epsilon()) * (size > 0 ? size : Real(1));
  for (int iteration = 0; iteration < most_iterations; ++iteration) {
    direction /= direction.norm();
    moved = this->x_ + distance * direction;
    this->evaluate(moved, change, this->tau_);
    change = (change - this->dx_) / distance;
    const Real now = change.norm();
    if (!isfinite(now)) return;  // nothing is learnt; the error control must do
    const Real last = std::exchange(radius_.rho, now);
    if (now == 0) return;
    direction = change;
    if ((radius_.known || iteration > 0) && abs(now - last) <= Real(agreement) * now) return;
  }
}

template <class Real>
int StabilisedStepper<Real>::stages(Real h) const {
  const double needed = margin * static_cast<double>(h * radius_.rho);
  int stages = fewest_stages();
  // Beyond the last of these the step is not stable, and the error control has to shorten it.
  while (stages < most_stages && reach(stages) < needed) ++stages;
  return stages;
}

template <class Real>
Real StabilisedStepper<Real>::attempt(Real tau_next) {
  this->trial_tau_ = tau_next;
  const Real h = tau_next - this->tau_;
  if (radius_wanted(h)) estimate_radius();
  const auto evaluate_end = [&] { this->evaluate(this->other_x_, this->other_dx_, tau_next); };
  advance(stages(h), this->tau_, h, this->x_, this->dx_, this->other_x_);
  if (error_needs_end()) evaluate_end();
  error_.resize(this->x_.size());
  error(h, this->x_, this->dx_, this->other_x_, this->other_dx_, error_);
  const Real ratio = this->norm_(this->view(error_), this->view(this->x_), this->view(this->other_x_));
  failed_ = !(ratio <= 1);
  if (failed_) return ratio;
  if (!error_needs_end()) evaluate_end();
  // The next step's first stage: known to be finite before this one is taken, or the state would be beyond the wall.
  failed_ = !this->other_dx_.allFinite();
  return failed_ ? std::numeric_limits<Real>::quiet_NaN() : ratio;
}

template <class Real>
void StabilisedStepper<Real>::accept() {
  OneStepStepper<Real>::accept();
  ++radius_.age;
  estimated_here_ = failed_ = false;
}

template <class Real>
void StabilisedStepper<Real>::restep(Real tau, std::span<Real> x, std::span<Real> local_error) const {
  const Real from = this->previous_tau_, h = tau - from;
  const auto tell = [](const State& state, std::span<Real> out) { std::copy(state.begin(), state.end(), out.begin()); };
  if (tau == this->tau_ || tau == from) {
    tell(tau == from ? this->other_x_ : this->x_, x);
    if (local_error.empty()) return;
    if (tau == from) std::fill(local_error.begin(), local_error.end(), Real(0));
    if (tau != from) tell(error_, local_error);
    return;
  }
  const State &start = this->other_x_, &slope = this->other_dx_;
  State end(start.size()), end_slope(start.size()), estimate(start.size());
  advance(stages(h), from, h, start, slope, end);
  tell(end, x);
  if (local_error.empty()) return;
  if (error_needs_end()) this->evaluate(end, end_slope, tau);
  error(h, start, slope, end, end_slope, estimate);
  tell(estimate, local_error);
}

template <class Real>
void StabilisedStepper<Real>::form(std::span<const Real> c, std::span<const Real* const> k, State& out) const {
  combine<Real>({}, c, k, this->view(out));
}

template class StabilisedStepper<double>;
template class StabilisedStepper<Quad>;

}  // namespace solvers
