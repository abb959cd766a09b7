#pragma once
#include <array>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace gradflow {

/// Scalars along a solve as functions of the clock's time tau: in each step the polynomials of degree 8 through their
/// values at its Chebyshev-Lobatto points. A step of a method of order 5 or 8 is short enough for these to be about as
/// accurate as the step.
class ClaimPath {
 public:
  using Row = std::vector<double>;                                  ///< one value for each scalar
  using Function = std::function<double(std::span<const double>)>;  ///< of a row; NaN where it is not defined

  static constexpr std::size_t intervals = 8;  ///< between a step's points
  /// Where the points lie in a step, 0..1.
  static const std::array<double, intervals + 1>& points();

  ClaimPath(double tau, const Row& first);
  /// The next step: one row for each point but the first. Throws std::logic_error for another number.
  void add_step(double tau_end, const std::vector<Row>& rows);

  double begin() const { return taus_.front(); }
  double end() const { return taus_.back(); }
  Row at(double tau) const;
  double value(const Function& f, double tau) const { return f(at(tau)); }

  struct Extreme {
    double tau, value;
  };
  /// Of f on [from, to]; NaN where f is somewhere not defined.
  Extreme least(const Function& f, double from, double to) const;
  Extreme greatest(const Function& f, double from, double to) const;

  /// Where on [from, to] f > 0 does not hold (a NaN does not): intervals in order, ends to rounding. What is shorter
  /// than 1e-6 of the clock's time, the accuracy of all this, is left out.
  std::vector<std::pair<double, double>> fails(const Function& f, double from, double to) const;

 private:
  using Samples = std::vector<Extreme>;
  Samples samples(const Function& f, double from, double to) const;
  double root(const Function& f, double a, double b) const;

  std::size_t width_;
  std::vector<double> taus_;    // of all points
  std::vector<double> values_;  // [points, width]
};

/// The least value of a function of one variable on [a, b] and where it is, by Brent's method: to rounding where the
/// function has one minimum there.
std::pair<double, double> local_minimum(const std::function<double(double)>& f, double a, double b);

}  // namespace gradflow
