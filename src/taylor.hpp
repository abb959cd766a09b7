#pragma once
#include <Eigen/Core>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <solvers/system.hpp>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradflow {

/// A truncated power series x0 + x1 e + ... + xN e^N as a scalar: f(x + e v) has the coefficients f, f'v, f''(v,v)/2,
/// ... of f at x along v, exact but for rounding (Griewank and Walther, Evaluating Derivatives, 2008, section 13.2).
/// Comparisons look at x0 alone, so that code branches as it does on the value. Uninitialised unless given a value, as
/// the numbers that it stands for.
template <class Real, int N>
class Taylor {
  static_assert(N >= 1);

 public:
  Taylor() = default;
  Taylor(const Real& value) : c_{value} {}
  template <class Number>
  requires(std::is_arithmetic_v<Number> && !std::same_as<Number, Real>) Taylor(Number value)
      : Taylor(static_cast<Real>(value)) {}
  /// value + e direction
  Taylor(const Real& value, const Real& direction) : c_{value, direction} {}

  const Real& operator[](int k) const { return c_[static_cast<std::size_t>(k)]; }
  Real& operator[](int k) { return c_[static_cast<std::size_t>(k)]; }

  /// The value x0 alone.
  template <class Number>
  requires std::is_arithmetic_v<Number>
  explicit operator Number() const { return static_cast<Number>(c_[0]); }

  friend bool operator<(const Taylor& x, const Taylor& y) { return x[0] < y[0]; }
  friend bool operator>(const Taylor& x, const Taylor& y) { return x[0] > y[0]; }
  friend bool operator<=(const Taylor& x, const Taylor& y) { return x[0] <= y[0]; }
  friend bool operator>=(const Taylor& x, const Taylor& y) { return x[0] >= y[0]; }
  friend bool operator==(const Taylor& x, const Taylor& y) { return x[0] == y[0]; }

  friend Taylor operator-(const Taylor& x) {
    Taylor z;
    for (int k = 0; k <= N; ++k) z[k] = -x[k];
    return z;
  }
  Taylor& operator+=(const Taylor& y) {
    for (int k = 0; k <= N; ++k) (*this)[k] += y[k];
    return *this;
  }
  Taylor& operator-=(const Taylor& y) {
    for (int k = 0; k <= N; ++k) (*this)[k] -= y[k];
    return *this;
  }
  Taylor& operator*=(const Taylor& y) { return *this = *this * y; }
  Taylor& operator/=(const Taylor& y) { return *this = *this / y; }
  friend Taylor operator+(Taylor x, const Taylor& y) { return x += y; }
  friend Taylor operator-(Taylor x, const Taylor& y) { return x -= y; }
  friend Taylor operator*(const Taylor& x, const Taylor& y) {  // unrolled: nearly all of the work is here
    return [&]<std::size_t... k>(std::index_sequence<k...>) {
      Taylor z;
      ((z.c_[k] = convolution(x, y, std::make_index_sequence<k + 1>())), ...);
      return z;
    }
    (std::make_index_sequence<N + 1>());
  }
  friend Taylor operator/(const Taylor& x, const Taylor& y) {
    Taylor z;
    for (int k = 0; k <= N; ++k) {
      z[k] = x[k];
      for (int j = 0; j < k; ++j) z[k] -= z[j] * y[k - j];
      z[k] /= y[0];
    }
    return z;
  }

  friend Taylor exp(const Taylor& x) {
    using std::exp;
    Taylor z(Real(exp(x[0])));
    for (int k = 1; k <= N; ++k) {  // z' = x' z
      for (int j = 1; j <= k; ++j) z[k] += Real(j) * x[j] * z[k - j];
      z[k] /= Real(k);
    }
    return z;
  }
  friend Taylor log1p(const Taylor& x) {
    using std::log1p;
    Taylor z(Real(log1p(x[0])));
    for (int k = 1; k <= N; ++k) {  // (1 + x) z' = x'
      for (int j = 1; j < k; ++j) z[k] += Real(j) * z[j] * x[k - j];
      z[k] = (x[k] - z[k] / Real(k)) / (1 + x[0]);
    }
    return z;
  }
  /// x0 > 0: at 0 the root has no series.
  friend Taylor sqrt(const Taylor& x) {
    using std::sqrt;
    Taylor z(Real(sqrt(x[0])));
    for (int k = 1; k <= N; ++k) {  // z z = x
      for (int j = 1; j < k; ++j) z[k] += z[j] * z[k - j];
      z[k] = (x[k] - z[k]) / (2 * z[0]);
    }
    return z;
  }

 private:
  /// The coefficient k of x y, j = 0, ..., k.
  template <std::size_t... j>
  static Real convolution(const Taylor& x, const Taylor& y, std::index_sequence<j...>) {
    return (... + (x.c_[j] * y.c_[sizeof...(j) - 1 - j]));
  }

  std::array<Real, N + 1> c_;
};

}  // namespace gradflow

template <class Real, int N>
class std::numeric_limits<gradflow::Taylor<Real, N>> : public std::numeric_limits<Real> {};

template <class Real, int N>
struct Eigen::NumTraits<gradflow::Taylor<Real, N>> : Eigen::GenericNumTraits<gradflow::Taylor<Real, N>> {
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = NumTraits<Real>::RequireInitialization,
    ReadCost = (N + 1) * NumTraits<Real>::ReadCost,
    AddCost = (N + 1) * NumTraits<Real>::AddCost,
    MulCost = (N + 1) * (N + 2) / 2 * NumTraits<Real>::MulCost
  };
};

/// A flow on Taylor numbers is evaluated and never integrated: of a system it needs no more than these.
template <class Real, int N>
class solvers::System<gradflow::Taylor<Real, N>> {
 public:
  using Scalar = gradflow::Taylor<Real, N>;
  virtual ~System() = default;
  virtual std::vector<Block> blocks() const = 0;
  virtual void derivative(Scalar t, std::span<const Scalar> x, std::span<Scalar> dx) const = 0;
  virtual Workers* workers() const { return nullptr; }
  virtual std::unique_ptr<FrozenStep<Scalar>> frozen_step(std::size_t) const { return nullptr; }
  virtual void stage(const StagePoint<Scalar>& at, std::span<Scalar> y, bool keep, std::span<Scalar> dx) const = 0;
};
