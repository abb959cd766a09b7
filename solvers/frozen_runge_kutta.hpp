#pragma once
#include <solvers/explicit_runge_kutta.hpp>

namespace solvers {

/// Runs a tableau on derivatives that the system keeps in factors: as vectors there are the two ends of a step, and the
/// derivative at the end once somebody asks for it.
template <class Real>
class FrozenRungeKutta final : public OneStepStepper<Real> {
  using typename OneStepStepper<Real>::State;
  using Sum = typename RungeKuttaScheme<Real>::Sum;

 public:
  /// `step`: of the system, for as many stages as the tableau has. `method` must outlive the stepper.
  FrozenRungeKutta(const Method& method, const Tableau<Real>& tableau, const System<Real>& system, Clock<Real> clock,
                   Tolerances<Real> tolerances, std::unique_ptr<FrozenStep<Real>> step);

  const Method& method() const override { return method_; }
  void start(Real tau, std::span<const Real> x) override;
  void restore(const StepperState<Real>& state) override;
  StepperState<Real> save() const override;
  std::span<const Real> derivative() const override;
  Real attempt(Real tau_next) override;
  std::span<const Real> trial_error() const override;
  void accept() override;
  void interpolate(Real tau, std::span<Real> x) const override;
  void restep(Real tau, std::span<Real> x, std::span<Real> error) const override;
  Point<Real> interpolated(Real tau, std::span<Real> room) const override;
  Point<Real> restepped(Real tau, std::span<Real> room) const override;
  void along_tangent(Real tau, std::span<const Real> x, std::span<const Real> distances, std::span<Real> room,
                     const std::function<void(const Point<Real>&)>& see) const override;

 private:
  using Step = FrozenStep<Real>;

  void stand(Real tau, std::span<const Real> x);
  typename Step::Sum over(Real h, const Sum& sum) const;
  typename Step::Error error_estimate(Real h) const;
  void evaluate(Step& step, std::size_t stage, Real from, Real h) const;
  Point<Real> point(Real tau, Step& step, Real h, Sum sum, std::span<Real> room) const;
  void form_error(const Step& step, Real h, std::span<Real> out) const;

  const Method& method_;
  const RungeKuttaScheme<Real> scheme_;
  /// Of the step from x_; of the one before, and while a step is tried of the next; of steps within the one before.
  std::unique_ptr<Step> step_, other_step_;
  mutable std::unique_ptr<Step> restep_;
  mutable bool dense_ready_ = false, restep_ready_ = false, derivative_ready_ = false;
  mutable State derivative_, error_, lower_;
  mutable std::vector<Real> c_, lower_c_;
  mutable Real restep_tau_ = 0;  // where the latest one ended
  mutable Sum sum_;              // of the latest point
};

}  // namespace solvers
