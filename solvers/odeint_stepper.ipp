// One wrapper for Odeint's explicit error steppers. Odeint supplies the tableau and the stage arithmetic; acceptance,
// error norm and control are this library's, because Odeint's controlled stepper takes a NaN error for success.
#include <solvers/stepper.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include <boost/numeric/odeint/algebra/vector_space_algebra.hpp>
// Without this header Odeint does not resize its Eigen temporaries, and every step silently returns the initial state.
#include <boost/numeric/odeint/external/eigen/eigen.hpp>

#include "quad.ipp"

namespace solvers {

template <class Real>
using OdeintState = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

/// `Traits` gives `method`, the Odeint stepper type `Scheme`, `fsal` (whether the first stage of a step is the last of
/// the one before), and `interpolate` where the scheme has a dense output.
template <class Real, class Traits>
class OdeintStepper final : public Stepper<Real> {
  using State = OdeintState<Real>;
  using Scheme = typename Traits::Scheme;

 public:
  OdeintStepper(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances)
      : system_(system), clock_(clock), norm_(system.blocks(), tolerances), x_(State::Zero(system.dimension())) {
    for (State* s : {&dx_, &other_x_, &other_dx_, &error_}) s->setZero(x_.size());
  }

  const Method& method() const override { return Traits::method; }
  const System<Real>& system() const override { return system_; }
  const Clock<Real>& clock() const override { return clock_; }
  const ErrorNorm<Real>& norm() const override { return norm_; }

  void start(Real tau, std::span<const Real> x) override {
    check(tau, x);
    tau_ = previous_tau_ = tau;
    std::copy(x.begin(), x.end(), x_.begin());
    other_x_ = x_;
    evaluate(x_, dx_, tau_);
    other_dx_ = dx_;
  }

  StepperState<Real> save() const override { return {tau_, {x_.begin(), x_.end()}, {dx_.begin(), dx_.end()}}; }

  void restore(const StepperState<Real>& state) override {
    check(state.tau, state.x);
    check(state.tau, state.dx);
    tau_ = previous_tau_ = state.tau;
    std::copy(state.x.begin(), state.x.end(), x_.begin());
    std::copy(state.dx.begin(), state.dx.end(), dx_.begin());
    other_x_ = x_;
    other_dx_ = dx_;
  }

  Real tau() const override { return tau_; }
  std::span<const Real> state() const override { return view(x_); }
  std::span<const Real> derivative() const override { return view(dx_); }
  Real previous_tau() const override { return previous_tau_; }

  Real attempt(Real tau_next) override {
    trial_tau_ = tau_next;
    do_step(scheme_, x_, dx_, tau_, other_x_, other_dx_, error_, tau_next - tau_);
    const Real ratio = norm_(view(error_), view(x_), view(other_x_));
    if (!(ratio <= 1)) return ratio;
    // The next step's first stage: known to be finite before this one is taken, or the state would be beyond the wall.
    if constexpr (!Traits::fsal) evaluate(other_x_, other_dx_, trial_tau_);
    return other_dx_.allFinite() ? ratio : std::numeric_limits<Real>::quiet_NaN();
  }
  std::span<const Real> trial_state() const override { return view(other_x_); }
  std::span<const Real> trial_error() const override { return view(error_); }

  void accept() override {
    x_.swap(other_x_);
    dx_.swap(other_dx_);
    previous_tau_ = std::exchange(tau_, trial_tau_);
  }

  void interpolate(Real tau, std::span<Real> x) const override {
    Eigen::Map<State> out(x.data(), x_.size());
    if (tau == tau_) {
      out = x_;
    } else if (tau == previous_tau_) {
      out = other_x_;
    } else if constexpr (requires {
                           Traits::interpolate(scheme_, tau, out, other_x_, other_dx_, tau_, x_, dx_, tau_);
                         }) {
      Traits::interpolate(scheme_, tau, out, other_x_, other_dx_, previous_tau_, x_, dx_, tau_);
    } else {
      const Real h = tau_ - previous_tau_, s = (tau - previous_tau_) / h;
      out = (1 + 2 * s) * (1 - s) * (1 - s) * other_x_ + s * s * (3 - 2 * s) * x_ +
            h * s * (1 - s) * ((1 - s) * other_dx_ - s * dx_);
    }
  }

  void restep(Real tau, std::span<Real> x, std::span<Real> local_error) const override {
    Eigen::Map<State> out(x.data(), x_.size());
    const auto tell_error = [&](const State& error) {
      if (!local_error.empty()) std::copy(error.begin(), error.end(), local_error.begin());
    };
    if (tau == tau_) {
      out = x_;
      tell_error(error_);
    } else if (tau == previous_tau_) {
      out = other_x_;
      tell_error(State::Zero(x_.size()));
    } else {
      // A scheme of its own: the stages of the step just accepted are still needed by its dense output.
      State end(x_.size()), dx_end(x_.size()), error(x_.size());
      do_step(restep_scheme_, other_x_, other_dx_, previous_tau_, end, dx_end, error, tau - previous_tau_);
      out = end;
      tell_error(error);
    }
  }

  void derivative_at(Real tau, std::span<const Real> x, std::span<Real> dx) const override {
    ++evaluations_;
    system_.derivative(clock_.time(tau), x, dx);
    if (!clock_.is_log()) return;
    const Real rate = clock_.rate(tau);
    for (Real& component : dx) component *= rate;
  }

  Real initial_step(Real h_max) const override {
    using std::isfinite;
    using std::max;
    using std::min;
    using std::pow;
    const State zero = State::Zero(x_.size());
    const auto size = [&](const State& s) { return norm_(view(s), view(x_), view(zero)); };
    const Real d0 = size(x_), d1 = size(dx_);
    const Real h0 = min(h_max, d0 > Real(1e-5) && d1 > Real(1e-5) ? Real(d0 / (100 * d1)) : Real(h_max * Real(1e-6)));
    State moved = x_ + h0 * dx_, dx_moved(x_.size());
    evaluate(moved, dx_moved, tau_ + h0);
    const Real d2 = size((dx_moved - dx_) / h0), larger = max(d1, d2);
    const Real h1 = larger > Real(1e-15) ? Real(pow(Real(0.01) / larger, Real(1) / (method().error_order + 1)))
                                         : max(Real(h_max * Real(1e-6)), Real(h0 / 1000));
    const Real h = min(h_max, min(Real(100 * h0), h1));
    return isfinite(h) && h > 0 ? h : Real(h_max * Real(1e-6));
  }

  Index evaluations() const override { return evaluations_; }

 private:
  static std::span<const Real> view(const State& s) { return {s.data(), static_cast<std::size_t>(s.size())}; }

  void evaluate(const State& x, State& dx, Real tau) const {
    derivative_at(tau, view(x), {dx.data(), static_cast<std::size_t>(dx.size())});
  }

  void check(Real tau, std::span<const Real> x) const {
    using std::isfinite;
    if (static_cast<Index>(x.size()) != x_.size())
      throw std::invalid_argument("a state to start from: the system has dimension " + std::to_string(x_.size()) +
                                  ", the given state " + std::to_string(x.size()));
    if (!isfinite(tau)) throw std::invalid_argument("a state to start from: its time is not finite");
    if (!std::all_of(x.begin(), x.end(), [](const Real& component) { return isfinite(component); }))
      throw std::invalid_argument("a state to start from: " + norm_.worst(x, x, x, 1).front().name + " is not finite");
  }

  void do_step(Scheme& scheme, const State& x, const State& dx, Real tau, State& x_new, State& dx_new, State& error,
               Real h) const {
    const auto f = [this](const State& at, State& out, Real when) { evaluate(at, out, when); };
    if constexpr (Traits::fsal)
      scheme.do_step(f, x, dx, tau, x_new, dx_new, h, error);
    else
      scheme.do_step(f, x, dx, tau, x_new, h, error);
  }

  const System<Real>& system_;
  Clock<Real> clock_;
  ErrorNorm<Real> norm_;
  Scheme scheme_;
  mutable Scheme restep_scheme_;
  Real tau_ = 0, previous_tau_ = 0, trial_tau_ = 0;
  State x_, dx_, other_x_, other_dx_;  // other: the trial's end before accept, the step's start after it
  State error_;
  mutable Index evaluations_ = 0;
};

}  // namespace solvers
