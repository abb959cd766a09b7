#pragma once
#include <solvers/one_step.hpp>

namespace solvers {

/// What stabilised explicit methods share. They are stable on an interval [-reach, 0] of the real axis that grows like
/// the square of the number of stages, so every step takes the fewest stages whose reach covers h rho, with a margin
/// of a fifth; rho is the spectral radius of the Jacobian of dx/dtau. Meant for Jacobians whose eigenvalues lie near
/// the real axis, such as those of gradient flows.
///
/// rho comes from power iteration on differences of the right-hand side (Sommeijer, Shampine, Verwer, J. Comput. Appl.
/// Math. 88, 1997), which goes on from the last direction, at first from the derivative, until two values agree within
/// a twentieth. Its evaluations belong to the attempt that they are made in. It is asked again when a step failed, and
/// otherwise after ever more steps, up to 25, while it hardly changes, or while the fewest stages would do were it
/// twice as large. What is known of it is part of the saved state; a failed attempt may leave a better value behind.
template <class Real>
class StabilisedStepper : public OneStepStepper<Real> {
 public:
  using OneStepStepper<Real>::OneStepStepper;

  void start(Real tau, std::span<const Real> x) override;
  StepperState<Real> save() const override;
  void restore(const StepperState<Real>& state) override;  ///< throws as start does

  Real attempt(Real tau_next) override;
  std::span<const Real> trial_error() const override { return this->view(error_); }
  void accept() override;
  void restep(Real tau, std::span<Real> x, std::span<Real> error) const override;

 protected:
  using typename OneStepStepper<Real>::State;

  virtual int fewest_stages() const = 0;
  virtual double reach(int stages) const = 0;

  /// x_new by a step of so many stages over h from (tau, x, dx = dx/dtau). Its stages are kept for `error`.
  virtual void advance(int stages, Real tau, Real h, const State& x, const State& dx, State& x_new) const = 0;
  /// Whether the error estimate needs the derivative at the step's end.
  virtual bool error_needs_end() const = 0;
  /// The error estimate of the step just advanced; dx_new has meaning only where it is needed.
  virtual void error(Real h, const State& x, const State& dx, const State& x_new, const State& dx_new,
                     State& out) const = 0;

  /// out = sum_j c[j] k[j].
  void form(std::span<const Real> c, std::span<const Real* const> k, State& out) const;

 private:
  /// What is known of rho.
  struct Radius {
    bool known = false;
    Real rho = 0;          // of dx/dtau
    Real rate = 1;         // dt/dtau where it was estimated
    int age = 0, due = 1;  // in steps
    State direction;
  };

  bool radius_wanted(Real h) const;
  void estimate_radius();
  void choose_direction();
  void iterate_power();
  int stages(Real h) const;

  Radius radius_;
  bool estimated_here_ = false, failed_ = false;
  State error_;
};

}  // namespace solvers
