#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <gradflow/descent/rate_estimate.hpp>
#include <limits>
#include <stdexcept>

namespace gradflow {
namespace {

double log_of_sum(double log_a, double log_b) {
  const auto [low, high] = std::minmax(log_a, log_b);
  return std::isinf(low) ? high : high + std::log1p(std::exp(low - high));
}

}  // namespace

RateEstimate elkabetz_cohen_estimate(std::span<const CurvatureSample> samples, double eps) {
  if (!(eps > 0) || !std::isfinite(eps))
    throw std::invalid_argument(fmt::format("rate estimate: eps must be positive and finite, but is {}", eps));
  if (samples.size() < 2 || samples.front().t != 0)
    throw std::invalid_argument("rate estimate: there must be two samples or more, the first at t = 0");
  double beta = 0, gamma = 0, log_integral = -std::numeric_limits<double>::infinity();
  double log_worst = log_integral, t_worst = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const CurvatureSample& now = samples[i];
    if (!std::isfinite(now.t + now.gradient + now.largest + now.smallest))
      throw std::invalid_argument(fmt::format("rate estimate: sample {} (t = {}) is not finite", i, now.t));
    beta = std::max({beta, std::abs(now.largest), std::abs(now.smallest)});
    gamma = std::max(gamma, now.gradient);
    if (i == 0) continue;
    const CurvatureSample& before = samples[i - 1];
    const double h = now.t - before.t;
    if (!(h > 0))
      throw std::invalid_argument(
          fmt::format("rate estimate: the times of samples must ascend, but {} follows {}", now.t, before.t));
    // I' = 1 + m I: over the interval I becomes e^c I + h (e^c - 1) / c, c = m h.
    const double c = h * (std::max(0.0, -now.smallest) + std::max(0.0, -before.smallest)) / 2;
    log_integral = c + log_of_sum(log_integral, std::log(h) + (c > 0 ? std::log(-std::expm1(-c) / c) : 0));
    const double log_bound = std::log(beta) + std::log(gamma) + log_integral;
    if (log_bound > log_worst) log_worst = log_bound, t_worst = now.t;
  }
  return {std::log(eps) - log_worst, t_worst};
}

}  // namespace gradflow
