#include <gradflow/flows/limit.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "scalars.hpp"

namespace gradflow {
namespace {

constexpr std::size_t classes = 4;
constexpr std::array<int, classes> labels{1, -1, -1, -1};

/// Samples of a class over all samples.
template <class Real>
constexpr std::array<Real, classes> shares() {
  return {1 / Real(2), 1 / Real(6), 1 / Real(6), 1 / Real(6)};
}

/// 1/n.
template <class Real>
Real checked_per_sample(const LimitTask& task) {
  if (task.length < 3)
    throw std::invalid_argument(
        "limit system: length must be at least 3, which a sample of I1 has without any filler, but is " +
        std::to_string(task.length));
  if (!task.samples) return 0;
  const Index n = *task.samples;
  if (n <= 0 || n % 6 != 0)
    throw std::invalid_argument(
        "limit system: samples must be a positive multiple of 6, as the classes' shares are 1/2, 1/6, 1/6, "
        "1/6, but is " +
        std::to_string(n) + "; the next one is " + std::to_string(n <= 0 ? 6 : n - n % 6 + 6));
  return 1 / Real(n);
}

/// e^{-|z|}: all that the logistic functions need, and it never overflows.
template <class Real>
Real decay(const Real& z) {
  using std::exp;
  return exp(z > 0 ? Real(-z) : z);
}

template <class Real>
std::array<Real, classes> residuals(const std::array<Real, classes>& margins) {
  std::array<Real, classes> g;
  std::transform(margins.begin(), margins.end(), g.begin(), [](const Real& z) -> Real {
    const Real e = decay(z);
    return (z > 0 ? e : Real(1)) / (1 + e);
  });
  return g;
}

}  // namespace

template <class Real>
LimitFlow<Real>::LimitFlow(const LimitTask& task)
    : fillers_{Real(task.length - 3), Real(task.length - 2), Real(task.length - 2), Real(task.length - 1)},
      per_sample_(checked_per_sample<Real>(task)) {}

template <class Real>
std::vector<solvers::Block> LimitFlow<Real>::blocks() const {
  return {{.name = "x", .rows = 3}, {.name = "filler", .rows = classes}};
}

template <class Real>
std::array<Real, classes> LimitFlow<Real>::margins(State x) const {
  const std::array<Real, classes> own{x[0] + x[1] + x[2], x[0] + x[2], x[1] + x[2], x[2]};
  std::array<Real, classes> z;
  for (std::size_t c = 0; c < classes; ++c) z[c] = labels[c] * (own[c] + fillers_[c] * x[3 + c]);
  return z;
}

template <class Real>
std::array<Real, classes> LimitFlow<Real>::gradient_sums(State x) const {
  std::array<Real, classes> S = residuals(margins(x));
  for (std::size_t c = 0; c < classes; ++c) S[c] *= shares<Real>()[c];
  return S;
}

template <class Real>
void LimitFlow<Real>::derivative(Real, State x, std::span<Real> dx) const {
  const auto [S1, S2, S3, S4] = gradient_sums(x);
  dx[0] = S1 - S2;
  dx[1] = S1 - S3;
  dx[2] = S1 - S2 - S3 - S4;
  const std::array<Real, classes> g = residuals(margins(x));
  for (std::size_t c = 0; c < classes; ++c)
    dx[3 + c] = fillers_[c] > 0 ? Real(labels[c] * g[c] * per_sample_) : Real(0);
}

template <class Real>
std::vector<solvers::Event> LimitFlow<Real>::events() const {
  return {{.name = "overtaken"}, {.name = "past_the_peak"}, {.name = "classified"}};
}

template <class Real>
void LimitFlow<Real>::event_values(Real t, State x, std::span<Real> values) const {
  using std::abs;
  std::array<Real, 7> speed;
  derivative(t, x, speed);
  const Real target = std::max(speed[0], speed[1]);
  values[0] = (-speed[2] - target) / (abs(speed[2]) + abs(target));
  const std::array<Real, classes> z = margins(x), z_speed = margins(speed);
  values[1] = std::min(z_speed[1], z_speed[2]) / (abs(speed[2]) + abs(target));
  values[2] = *std::min_element(z.begin(), z.end());
}

template <class Real>
Real LimitFlow<Real>::loss(State x) const {
  using std::log1p;
  const std::array<Real, classes> z = margins(x);
  Real sum = 0;
  for (std::size_t c = 0; c < classes; ++c)
    sum += shares<Real>()[c] * (log1p(decay(z[c])) - (z[c] > 0 ? Real(0) : z[c]));
  return sum;
}

template <class Real>
Real LimitFlow<Real>::R(State x) const {
  const auto [S1, S2, S3, S4] = gradient_sums(x);
  return S1 > S2 ? Real((S2 + S3 + S4 - S1) / (S1 - S2)) : std::numeric_limits<Real>::quiet_NaN();
}

template <class Real>
LimitAtInfiniteTime<Real> limit_at_infinite_time(const LimitTask& task) {
  const Real per_sample = checked_per_sample<Real>(task), L = Real(task.length);
  const Real a = 3 + 2 * (L - 3) * per_sample, b = 3 + 6 * (L - 2) * per_sample, c = 1 + 6 * (L - 1) * per_sample;
  // a >= 3 and b >= 3, so that the determinants (8 is 4 times 2) are positive.
  Real s1 = (b + 4) / (a * b - 8), s2 = (a + 2) / (a * b - 8), s4 = 0;
  if (2 * s2 - s1 < 1) {
    // The first two equations give s1 and s2 as these plus multiples of s4.
    const Real s1_rate = (b - 4) / (a * b - 8), s2_rate = (2 - a) / (a * b - 8);
    s4 = (1 + s1 - 2 * s2) / (c - s1_rate + 2 * s2_rate);
    s1 += s1_rate * s4;
    s2 += s2_rate * s4;
  }
  return {{s1, s2, s2, s4}, s1 + 2 * s2 + s4, (2 * s2 + s4 - s1) / (s1 - s2)};
}

template class LimitFlow<double>;
template class LimitFlow<Quad>;
template LimitAtInfiniteTime<double> limit_at_infinite_time(const LimitTask&);
template LimitAtInfiniteTime<Quad> limit_at_infinite_time(const LimitTask&);

}  // namespace gradflow
