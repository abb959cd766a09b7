#pragma once
#include <solvers/one_step.hpp>

#include <cstdlib>
#include <type_traits>
#include <utility>

namespace solvers {

/// A pair of explicit Runge-Kutta methods with dense output. Stages are numbered from 0 (the derivative at the step's
/// start); the stage `end` is the derivative at the step's end, the next step's first; those after it are needed by the
/// dense output alone and are not evaluated before it is asked for.
template <class Real>
struct Tableau {
  /// c k of one stage k, in a sum.
  struct Term {
    Term(int of_stage, Real factor) : stage(of_stage), c(std::move(factor)) {}
    Term(int of_stage, const char* digits) : stage(of_stage), c(number(digits)) {}
    int stage;
    Real c;
  };
  using Terms = std::vector<Term>;

  int end;
  std::vector<Real> nodes;  ///< of every stage, in steps
  /// What stands where each stage is evaluated: x + h (the sum). The one of `end` is the step's result.
  std::vector<Terms> stages;
  Terms error;  ///< h (the sum) is the error estimate
  /// Where there is one: a second estimate e3 of lower order, by which the first, e5, is taken times
  /// |e5| / sqrt(|e5|^2 + 0.01 |e3|^2) (Hairer, Norsett, Wanner, II.10), here vector by vector of the error norm.
  Terms lower_error;
  /// F3, F4, ... in x(s) = x0 + s (F0 + (1-s) (F1 + s (F2 + (1-s) (F3 + ...)))), over h; F0, F1 and F2 follow from the
  /// values and derivatives at both ends (Hairer, Norsett, Wanner, II.6).
  std::vector<Terms> dense;

  /// A coefficient by its decimal digits, to the accuracy of Real.
  static Real number(const char* digits) {
    if constexpr (std::is_floating_point_v<Real>)
      return static_cast<Real>(std::strtold(digits, nullptr));
    else
      return Real(digits);
  }
};

/// A tableau made ready to run: sums over stages, and none where a coefficient is 0.
template <class Real>
struct RungeKuttaScheme {
  /// c[i] k of stages[i], which ascend where those of the tableau do, and those of its two error estimates together.
  struct Sum {
    std::vector<std::size_t> stages;
    std::vector<Real> c;
  };

  explicit RungeKuttaScheme(const Tableau<Real>& tableau);

  std::size_t end;
  std::vector<Real> nodes;
  std::vector<Sum> stages, dense;
  Sum error;
  std::vector<Real> lower_error;  ///< over the stages of `error`; may be empty

  bool error_holds_end() const;
  /// x(s) - x0 over h, at s steps from the start, in the nested form of Tableau::dense.
  Sum at(Real s) const;
};

/// The stepper of a tableau, on derivatives in factors where the system has such (System::frozen_step), else on
/// vectors. `method`, `tableau` and `system` must outlive it.
template <class Real>
std::unique_ptr<Stepper<Real>> make_explicit_runge_kutta(const Method& method, const Tableau<Real>& tableau,
                                                         const System<Real>& system, Clock<Real> clock,
                                                         Tolerances<Real> tolerances);

/// Runs a tableau through System::stage: neither stage sums nor the error estimate are ever stored.
template <class Real>
class ExplicitRungeKutta final : public OneStepStepper<Real> {
  using typename OneStepStepper<Real>::State;

 public:
  /// `method` and `tableau` must outlive the stepper.
  ExplicitRungeKutta(const Method& method, const Tableau<Real>& tableau, const System<Real>& system, Clock<Real> clock,
                     Tolerances<Real> tolerances);

  const Method& method() const override { return method_; }
  Real attempt(Real tau_next) override;
  std::span<const Real> trial_error() const override;
  void accept() override;
  void interpolate(Real tau, std::span<Real> x) const override;
  void restep(Real tau, std::span<Real> x, std::span<Real> error) const override;

 private:
  using Sum = typename RungeKuttaScheme<Real>::Sum;
  /// The derivatives of one step: k of every stage, the inner ones in slots.
  struct Stages {
    std::vector<State> slots;
    std::vector<const Real*> k;
  };

  void assign_slots(const Tableau<Real>& tableau);
  bool inner(std::size_t stage) const { return stage != 0 && stage != scheme_.end; }
  /// The c of a sum over a step of length h and the k that they belong to, until the next call.
  std::pair<std::span<const Real>, std::span<const Real* const>> over(Real h, const Sum& sum, const Stages& of) const;
  void evaluate(Stages& step, std::size_t stage, Real tau, Real h, const State& x, State& y, State* dx) const;
  CombinedError<Real> error_estimate(const Stages& step, Real h) const;
  void prepare_dense_output() const;

  const Method& method_;
  const RungeKuttaScheme<Real> scheme_;
  std::vector<std::size_t> slot_;  // of every stage; stages that are never needed together share one
  std::size_t slots_ = 0;

  mutable Stages step_, restep_;
  mutable State scratch_, error_vector_;
  mutable bool dense_ready_ = false;
  mutable Real restep_tau_ = 0;  // where restep_ leads
  mutable std::vector<Real> c_, lower_c_;
  mutable std::vector<const Real*> k_;
};

}  // namespace solvers
