#pragma once
#include <solvers/system.hpp>

namespace solvers {

template <class Real>
struct Tolerances {
  Real rtol, atol;
};

/// One component of a state, by name (`W_Q[3,7]`: row and column, from 0).
template <class Real>
struct Component {
  std::string name;
  Real value;  ///< at the end of the trial step
  Real error;  ///< its estimated local error
  Real share;  ///< |error| over the tolerance of its vector; above 1 it alone rejects the step
};

/// An error estimate by its terms, the sum of c[j] k[j]. Where a second estimate of lower order is given, over the same
/// k, each vector of the first, e5, counts |e5| / sqrt(|e5|^2 + 0.01 |e3|^2) times (Hairer, Norsett, Wanner, II.10).
template <class Real>
struct CombinedError {
  std::span<const Real> c;
  std::span<const Real* const> k;
  std::span<const Real> lower;  ///< c of the second; empty: there is none
};

/// The tolerance norm: the maximum over the vectors v of all measured blocks (columns of the matrices, say) of
///     |error_v|_2 / (atol sqrt(size of v) + rtol |x_v|_2),
/// |x_v| the larger of its lengths at the two ends of the step, the size that of the space v lies in (Block::space).
/// Independent of the basis within a vector; a step is good at <= 1.
template <class Real>
class ErrorNorm {
 public:
  /// Throws std::invalid_argument unless rtol and atol are finite, not negative and not both 0.
  ErrorNorm(std::vector<Block> blocks, Tolerances<Real> tolerances);

  /// Threads that share the work from now on; null: the caller alone.
  void use(Workers* workers) { workers_ = workers; }

  /// NaN when any component of `error` or `x_new`, measured or not, is not finite. Spans of the system's dimension.
  Real operator()(std::span<const Real> error, std::span<const Real> x_old, std::span<const Real> x_new) const;

  /// The same of an estimate that is never stored.
  Real operator()(const CombinedError<Real>& error, std::span<const Real> x_old, std::span<const Real> x_new) const;
  /// The estimate, stored.
  void form(const CombinedError<Real>& error, std::span<Real> out) const;

  /// What one vector of a block contributes, given by its lengths: of the error and at the two ends of the step.
  Real of_vector(const Block& block, Real error, Real before, Real after) const;
  /// What an error estimate is multiplied by where a second one of lower order has the length `lower` (CombinedError).
  static Real weight(Real length, Real lower);
  /// Of two contributions; a NaN, once there, stays.
  static Real larger(Real now, Real before) { return now > before || now != now ? now : before; }

  /// The `count` components with the largest share, largest first; those that are not finite come before all others.
  std::vector<Component<Real>> worst(std::span<const Real> error, std::span<const Real> x_old,
                                     std::span<const Real> x_new, std::size_t count) const;

  const std::vector<Block>& blocks() const { return blocks_; }
  static const char* description();  ///< the formula above, for files

 private:
  struct Scratch {
    std::vector<Real> error, lower;  // of one vector
  };
  struct Formed {
    Real length, weight;
  };

  template <class Visit>
  void for_each_vector(Visit visit) const;
  Formed form(const CombinedError<Real>& error, Index at, std::span<Real> out, Scratch& scratch) const;
  template <class LengthOfError>
  Real largest_ratio(LengthOfError length_of_error, std::span<const Real> x_old, std::span<const Real> x_new) const;
  Real scale(const Block& block, Real norm_old, Real norm_new) const;

  std::vector<Block> blocks_;
  Tolerances<Real> tolerances_;
  Workers* workers_ = nullptr;
};

}  // namespace solvers
