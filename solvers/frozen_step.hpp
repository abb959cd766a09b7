#pragma once
#include <cstddef>
#include <span>

namespace solvers {

template <class Real>
class ErrorNorm;

/// The derivatives k_0, k_1, ... of one step of an explicit Runge-Kutta method from a point x, kept in factors instead
/// of vectors: a system may know that they all lie in few directions, which it freezes for the step. What a stage then
/// costs is reading x, where a method on vectors would read and write several of the state's size.
///
/// k_0 belongs to x itself; the others are evaluated in the order of their numbers. x must stay as it is while the step
/// is used.
template <class Real>
class FrozenStep {
 public:
  /// sum_j c[j] k_{stages[j]}, the stages ascending.
  struct Sum {
    std::span<const std::size_t> stages;
    std::span<const Real> c;
  };
  /// As CombinedError: `lower` (may be empty) has the c of a second estimate over the same stages.
  struct Error {
    Sum sum;
    std::span<const Real> lower;
  };

  virtual ~FrozenStep() = default;

  /// k_0 = scale f(t, x).
  virtual void start(Real t, Real scale, std::span<const Real> x) = 0;
  /// Another step from where `other`, of the same system, has started.
  virtual void start_as(const FrozenStep& other) = 0;
  /// k_stage = scale f(t, x + sum).
  virtual void evaluate(std::size_t stage, Real t, Real scale, const Sum& sum) = 0;
  /// The step's end: y = x + sum, k_stage = scale f(t, y), and `next` has started there. Returns the error's norm; NaN
  /// where the error, y or its derivative is not finite.
  virtual Real finish(std::size_t stage, Real t, Real scale, const Sum& sum, const Error& error,
                      const ErrorNorm<Real>& norm, std::span<Real> y, FrozenStep& next) = 0;
  /// out = x + sum; without x where it does not `stand_on_x`.
  virtual void form(bool stand_on_x, const Sum& sum, std::span<Real> out) const = 0;
};

}  // namespace solvers
