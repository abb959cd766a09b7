#pragma once
#include <solvers/stepper.hpp>

#include <Eigen/Core>

namespace solvers {

/// What all one-step methods share: where they stand, where the step before began, the trial, the checks, the first
/// step. A method derives from it and supplies method(), attempt() and restep(), and a dense output where it has one.
///
/// A step goes from (tau_, x_, dx_) to (trial_tau_, other_x_, other_dx_); accept() exchanges the two, so that
/// afterwards `other` is the step's start, which interpolation needs.
template <class Real>
class OneStepStepper : public Stepper<Real> {
 public:
  OneStepStepper(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances);

  const System<Real>& system() const override { return system_; }
  const Clock<Real>& clock() const override { return clock_; }
  const ErrorNorm<Real>& norm() const override { return norm_; }

  void start(Real tau, std::span<const Real> x) override;
  StepperState<Real> save() const override { return {tau_, {x_.begin(), x_.end()}, {dx_.begin(), dx_.end()}}; }
  void restore(const StepperState<Real>& state) override;

  Real tau() const override { return tau_; }
  std::span<const Real> state() const override { return view(x_); }
  std::span<const Real> derivative() const override { return view(dx_); }
  Real previous_tau() const override { return previous_tau_; }
  std::span<const Real> trial_state() const override { return view(other_x_); }
  void accept() override;

  /// The cubic Hermite interpolant, unless the method has a better one.
  void interpolate(Real tau, std::span<Real> x) const override;
  Point<Real> interpolated(Real tau, std::span<Real> room) const override;
  Point<Real> restepped(Real tau, std::span<Real> room) const override;
  void along_tangent(Real tau, std::span<const Real> x, std::span<const Real> distances, std::span<Real> room,
                     const std::function<void(const Point<Real>&)>& see) const override;
  void derivative_at(Real tau, std::span<const Real> x, std::span<Real> dx) const override;
  Real initial_step(Real h_max) const override;
  Index evaluations() const override { return evaluations_; }

 protected:
  using State = Eigen::Matrix<Real, Eigen::Dynamic, 1>;

  static std::span<const Real> view(const State& s) { return {s.data(), static_cast<std::size_t>(s.size())}; }
  static std::span<Real> view(State& s) { return {s.data(), static_cast<std::size_t>(s.size())}; }

  /// System::stage at tau, in the clock's time: dx = dx/dtau. `unmixed`: each of k is a derivative that the system has
  /// written (StagePoint).
  void stage(Real tau, const State& x, std::span<const Real> c, std::span<const Real* const> k, State& y, bool keep,
             State& dx, bool unmixed = false) const;
  void evaluate(const State& x, State& dx, Real tau) const { derivative_at(tau, view(x), view(dx)); }

  /// Throws as start does.
  void check(Real tau, std::span<const Real> x) const;

  const System<Real>& system_;
  Clock<Real> clock_;
  ErrorNorm<Real> norm_;
  Real tau_ = 0, previous_tau_ = 0, trial_tau_ = 0;
  State x_, dx_, other_x_, other_dx_;
  mutable Index evaluations_ = 0;
};

}  // namespace solvers
