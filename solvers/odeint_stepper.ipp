// One wrapper for Odeint's explicit error steppers. Odeint supplies the tableau and the stage arithmetic; acceptance,
// error norm and control are this library's, because Odeint's controlled stepper takes a NaN error for success.
#include <solvers/one_step.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <limits>

#include <boost/numeric/odeint/algebra/vector_space_algebra.hpp>
// Without this header Odeint does not resize its Eigen temporaries, and every step silently returns the initial state.
#include <boost/numeric/odeint/external/eigen/eigen.hpp>

#include "quad.ipp"

namespace solvers {

template <class Real>
using OdeintState = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

/// `Traits` gives `method` and the Odeint stepper type `Scheme`, a pair without dense output whose last stage is not
/// the next step's first.
template <class Real, class Traits>
class OdeintStepper final : public OneStepStepper<Real> {
  using Base = OneStepStepper<Real>;
  using typename Base::State;
  using Scheme = typename Traits::Scheme;

 public:
  using Base::Base;

  const Method& method() const override { return Traits::method; }

  Real attempt(Real tau_next) override {
    this->trial_tau_ = tau_next;
    error_.resize(this->x_.size());
    do_step(this->x_, this->dx_, this->tau_, this->other_x_, error_, tau_next - this->tau_);
    const Real ratio = this->norm_(this->view(error_), this->view(this->x_), this->view(this->other_x_));
    if (!(ratio <= 1)) return ratio;
    // The next step's first stage: known to be finite before this one is taken, or the state would be beyond the wall.
    this->evaluate(this->other_x_, this->other_dx_, tau_next);
    return this->other_dx_.allFinite() ? ratio : std::numeric_limits<Real>::quiet_NaN();
  }
  std::span<const Real> trial_error() const override { return this->view(error_); }

  void restep(Real tau, std::span<Real> x, std::span<Real> local_error) const override {
    Eigen::Map<State> out(x.data(), this->x_.size());
    const auto tell_error = [&](const State& error) {
      if (!local_error.empty()) std::copy(error.begin(), error.end(), local_error.begin());
    };
    if (tau == this->tau_) {
      out = this->x_;
      tell_error(error_);
    } else if (tau == this->previous_tau_) {
      out = this->other_x_;
      tell_error(State::Zero(this->x_.size()));
    } else {
      State end(this->x_.size()), error(this->x_.size());
      do_step(this->other_x_, this->other_dx_, this->previous_tau_, end, error, tau - this->previous_tau_);
      out = end;
      tell_error(error);
    }
  }

 private:
  void do_step(const State& x, const State& dx, Real tau, State& x_new, State& error, Real h) const {
    const auto f = [this](const State& at, State& out, Real when) { this->evaluate(at, out, when); };
    scheme_.do_step(f, x, dx, tau, x_new, h, error);
  }

  mutable Scheme scheme_;
  State error_;
};

}  // namespace solvers
