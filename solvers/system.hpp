#pragma once
#include <solvers/point.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

/// Initial-value problems in general: nothing in this library knows what is being solved.
namespace solvers {

using Index = std::ptrdiff_t;

/// One named part of the state: a matrix, laid out as contiguous vectors. The error norm measures each vector by
/// itself, so a flow that lays its vectors along the directions which a change of basis mixes gets a norm that no
/// rotation changes.
struct Block {
  enum class Vectors { columns, rows };  ///< what is contiguous in memory

  std::string name;
  Index rows = 1, columns = 1;
  Vectors vectors = Vectors::columns;
  bool measured = true;  ///< false: carried along (a quadrature, say), without a say in the step size
  /// Dimension of the space that the vectors lie in, where they are given by coordinates in a subspace: what the norm
  /// takes for their size. 0: their length.
  Index space = 0;
  std::vector<Index> column_numbers = {};  ///< how messages number the columns, where it is not 0, 1, ...

  Index size() const { return rows * columns; }
  Index vector_length() const { return vectors == Vectors::columns ? rows : columns; }
};

/// A condition on the solution: it holds where its function is positive. All crossings of zero are located, both ways.
struct Event {
  std::string name;
  bool stop = false;  ///< end the integration where the condition becomes true
};

/// Where a stage of an explicit Runge-Kutta method asks for the derivative: at t and y = x + sum_j c[j] k[j].
template <class Real>
struct StagePoint {
  Real t;
  std::span<const Real> x;         ///< [dimension]
  std::span<const Real> c;         ///< one for each of k
  std::span<const Real* const> k;  ///< earlier derivatives, [dimension] each
  Real scale = 1;                  ///< what the derivative is multiplied by: dt/dtau of a clock
  /// Each of k is what this system has written as a derivative, and not a sum of such: it may know more of their form.
  bool unmixed = false;
};

class Workers;

/// x' = f(t, x) in R^dimension, with the events that watch its solution. All functions are pure: the same arguments
/// give the same bits, whoever asked before. An object may keep scratch memory, so one object serves one thread.
template <class Real>
class System {
 public:
  virtual ~System() = default;

  /// How the state divides into named blocks, in memory order; their sizes add up to the dimension.
  virtual std::vector<Block> blocks() const = 0;

  /// dx = f(t, x); both spans have the system's dimension and do not overlap. Where f is undefined it writes NaN.
  virtual void derivative(Real t, std::span<const Real> x, std::span<Real> dx) const = 0;

  /// The events, in the order of `event_values`.
  virtual std::vector<Event> events() const { return {}; }

  /// The value of every event's function at (t, x), all in one call, so that they share one pass over the state. NaN:
  /// not defined here.
  virtual void event_values(Real t, std::span<const Real> x, std::span<Real> values) const;
  /// The same at a point whose state has not been formed yet, perhaps; a system with frozen steps may do without.
  virtual void event_values_at(const Point<Real>& at, std::span<Real> values) const {
    event_values(at.t(), at.x(), values);
  }

  /// One stage: dx = scale f(t, y). Point and derivative may be formed tile by tile, so that no pass over memory lies
  /// between them. `y` [dimension] is where the point goes; where it is not to be kept, `y` may be left with anything.
  virtual void stage(const StagePoint<Real>& at, std::span<Real> y, bool keep, std::span<Real> dx) const;

  /// For methods of at most `stages` stages, the one of the dense output included, where the system can keep the
  /// derivatives of a step in factors and that is less work; else null. The system must outlive it.
  virtual std::unique_ptr<FrozenStep<Real>> frozen_step(std::size_t /*stages*/) const { return nullptr; }

  /// Threads that a stepper may share for sums of its own, as the system uses them for its derivative; null: none. They
  /// must not change while a stepper lives.
  virtual Workers* workers() const { return nullptr; }

  Index dimension() const;
};

}  // namespace solvers
