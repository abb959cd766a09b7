#pragma once
#include <solvers/clock.hpp>
#include <solvers/error_norm.hpp>
#include <solvers/system.hpp>

#include <functional>
#include <memory>
#include <string_view>

namespace solvers {

/// What a method is: p(q) means it advances with order p and estimates the error with order q.
struct Method {
  std::string_view name;
  int order;          ///< p
  int error_order;    ///< q; the error estimate of a step h shrinks like h^(q+1)
  int evaluations;    ///< of the right-hand side per accepted step; 0: they vary
  int rejected;       ///< of the right-hand side per rejected step; 0: they vary
  bool dense_output;  ///< an interpolant about as accurate as the step; else a cubic Hermite interpolant, for
                      ///< bracketing only
  std::string_view source;
  std::string_view use;       ///< when to choose it
  int dense_evaluations = 0;  ///< more of them in a step that is interpolated, once
};

/// All that the next step depends on; a stepper restored from it takes the same steps to the last bit.
template <class Real>
struct StepperState {
  Real tau;
  std::vector<Real> x, dx;        ///< dx = dx/dtau at x
  std::vector<Real> memory = {};  ///< what else the method goes on from: [memory_size()], its own affair
};

/// One step after another along the solution, in the clock's time tau. The caller proposes, looks at the error ratio,
/// and accepts or proposes again:
///
///     ratio = attempt(tau_next)   a trial; the state has not moved. NaN: it, its error or its derivative is not finite
///     accept()                    move to the trial's end
///     interpolate(tau, x)         inside the step just accepted, until the next attempt
///     restep(tau, x, error)       likewise, by one step of the method from the step's start: its accuracy is the
///                                 method's; `error` takes the step's estimated local error, where it is given
///     interpolated, restepped     the same points, whose states are formed when they are asked for
///
/// attempt takes the end and not the length of the step, so that the last step ends on the last time exactly.
template <class Real>
class Stepper {
 public:
  virtual ~Stepper() = default;

  virtual const Method& method() const = 0;
  virtual const System<Real>& system() const = 0;
  virtual const Clock<Real>& clock() const = 0;
  virtual const ErrorNorm<Real>& norm() const = 0;

  /// Forgets everything and stands at (tau, x). Also the only way to change the state between steps: a derivative kept
  /// from before the change would be stale. Throws std::invalid_argument when x does not have the system's dimension
  /// or, naming the component, is not finite.
  virtual void start(Real tau, std::span<const Real> x) = 0;
  virtual StepperState<Real> save() const = 0;
  virtual void restore(const StepperState<Real>& state) = 0;  ///< throws as start does

  virtual Real tau() const = 0;
  virtual std::span<const Real> state() const = 0;       ///< at tau
  virtual std::span<const Real> derivative() const = 0;  ///< dx/dtau at tau
  virtual Real previous_tau() const = 0;                 ///< where the step just accepted began

  virtual Real attempt(Real tau_next) = 0;
  virtual std::span<const Real> trial_state() const = 0;  ///< of the latest attempt, until it is accepted
  virtual std::span<const Real> trial_error() const = 0;
  virtual void accept() = 0;

  virtual void interpolate(Real tau, std::span<Real> x) const = 0;
  virtual void restep(Real tau, std::span<Real> x, std::span<Real> error = {}) const = 0;
  /// Points inside the step just accepted; each until the next call of any function of the stepper. `room` [dimension]
  /// takes the state.
  virtual Point<Real> interpolated(Real tau, std::span<Real> room) const = 0;
  virtual Point<Real> restepped(Real tau, std::span<Real> room) const = 0;
  /// Shows x + distance dx/dtau for each of the distances, where x is what restep gives at tau.
  virtual void along_tangent(Real tau, std::span<const Real> x, std::span<const Real> distances, std::span<Real> room,
                             const std::function<void(const Point<Real>&)>& see) const = 0;
  virtual void derivative_at(Real tau, std::span<const Real> x, std::span<Real> dx) const = 0;  ///< dx/dtau anywhere

  /// A first step from the state's size and its first two derivatives (Hairer, Norsett, Wanner, Solving ODEs I, II.4),
  /// at most h_max.
  virtual Real initial_step(Real h_max) const = 0;

  /// Evaluations of the right-hand side so far, for whatever purpose.
  virtual Index evaluations() const = 0;
};

/// Every method that `make_stepper` knows; the first is the default.
std::span<const Method> methods();

/// The method of that name. Throws std::invalid_argument, listing the names there are, for an unknown one.
const Method& find_method(std::string_view name);

/// How many numbers a saved state of that method has in its memory. Throws as find_method does.
Index memory_size(std::string_view method, Index dimension);

/// The method to hold `method` against: one of another family, that shares neither tableau nor stages with it. Throws
/// as find_method does.
std::string_view other_family(std::string_view method);

/// Throws std::invalid_argument, listing the names there are, for an unknown one. `system` must outlive the stepper.
template <class Real>
std::unique_ptr<Stepper<Real>> make_stepper(std::string_view method, const System<Real>& system, Clock<Real> clock,
                                            Tolerances<Real> tolerances);

}  // namespace solvers
