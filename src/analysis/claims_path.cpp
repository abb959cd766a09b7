#include "analysis/claims_path.hpp"

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <stdexcept>

namespace gradflow {
namespace {

constexpr double shortest = 1e-6;  // interval told, in the clock's time

/// A function that is somewhere not defined does not hold there.
double defined(double value) { return std::isnan(value) ? -std::numeric_limits<double>::infinity() : value; }

/// How deep a dip beside the middle one of three samples can be, if that is the lowest: a guess on the safe side, which
/// spares the search where it cannot matter.
double deepest(double left, double middle, double right) { return middle - 4 * (std::max(left, right) - middle); }

}  // namespace

const std::array<double, ClaimPath::intervals + 1>& ClaimPath::points() {
  static const auto all = [] {
    std::array<double, intervals + 1> x{};
    for (std::size_t i = 0; i <= intervals; ++i)
      x[i] = (1 - std::cos(std::numbers::pi * static_cast<double>(i) / static_cast<double>(intervals))) / 2;
    x.front() = 0, x.back() = 1;
    return x;
  }();
  return all;
}

ClaimPath::ClaimPath(double tau, const Row& first) : width_(first.size()), taus_{tau}, values_(first) {}

void ClaimPath::add_step(double tau_end, const std::vector<Row>& rows) {
  if (rows.size() != intervals) throw std::logic_error("ClaimPath::add_step: a step has 8 rows");
  const double begin = taus_.back();
  for (std::size_t i = 0; i < intervals; ++i) {
    taus_.push_back(i + 1 == intervals ? tau_end : begin + (tau_end - begin) * points()[i + 1]);
    values_.insert(values_.end(), rows[i].begin(), rows[i].end());
  }
}

ClaimPath::Row ClaimPath::at(double tau) const {
  const auto after = static_cast<std::size_t>(std::ranges::upper_bound(taus_, tau) - taus_.begin());
  const std::size_t before = after == 0 ? 0 : after - 1;
  const auto row = [&](std::size_t i) { return std::span(values_).subspan(i * width_, width_); };
  if (taus_[before] == tau || taus_.size() == 1) return {row(before).begin(), row(before).end()};
  const std::size_t step = std::min(before, taus_.size() - 2) / intervals * intervals;
  // Barycentric: the weights of these points are alternating ones, halved at the ends.
  Row sum(width_);
  double weights = 0;
  for (std::size_t i = 0; i <= intervals; ++i) {
    const double end = i == 0 || i == intervals ? 0.5 : 1.0;
    const double weight = (i % 2 == 0 ? end : -end) / (tau - taus_[step + i]);
    weights += weight;
    for (std::size_t c = 0; c < width_; ++c) sum[c] += weight * values_[(step + i) * width_ + c];
  }
  for (double& v : sum) v /= weights;
  return sum;
}

ClaimPath::Samples ClaimPath::samples(const Function& f, double from, double to) const {
  Samples result{{from, value(f, from)}};
  const auto first = std::ranges::upper_bound(taus_, from), last = std::ranges::lower_bound(taus_, to);
  for (auto tau = first; tau < last; ++tau) {
    const auto i = static_cast<std::size_t>(tau - taus_.begin());
    result.push_back({*tau, f(std::span(values_).subspan(i * width_, width_))});
  }
  if (to > from) result.push_back({to, value(f, to)});
  return result;
}

ClaimPath::Extreme ClaimPath::least(const Function& f, double from, double to) const {
  const Samples all = samples(f, from, to);
  Extreme best = all.front();
  for (const Extreme& sample : all) {
    if (std::isnan(sample.value)) return sample;
    if (sample.value < best.value) best = sample;
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Extreme &left = all[i == 0 ? i : i - 1], &right = all[std::min(i + 1, all.size() - 1)];
    const bool lowest = all[i].value <= left.value && all[i].value <= right.value;
    if (!lowest || !(deepest(left.value, all[i].value, right.value) < best.value)) continue;
    const auto [tau, value] = local_minimum([&](double x) { return this->value(f, x); }, left.tau, right.tau);
    if (value < best.value) best = {tau, value};
  }
  return best;
}

ClaimPath::Extreme ClaimPath::greatest(const Function& f, double from, double to) const {
  const Extreme opposite = least([&](std::span<const double> row) { return -f(row); }, from, to);
  return {opposite.tau, -opposite.value};
}

double ClaimPath::root(const Function& f, double a, double b) const {
  const bool holds_at_a = defined(value(f, a)) > 0;
  for (;;) {
    const double middle = std::midpoint(a, b);
    if (middle <= a || middle >= b) return middle;
    (((defined(value(f, middle)) > 0) == holds_at_a) ? a : b) = middle;
  }
}

std::vector<std::pair<double, double>> ClaimPath::fails(const Function& f, double from, double to) const {
  Samples all = samples(f, from, to);
  // A dip between two points, below zero and back, or the opposite, shows as a local extreme at one of them.
  Samples dips;
  for (std::size_t i = 1; i + 1 < all.size(); ++i) {
    const double sign = defined(all[i].value) > 0 ? 1 : -1;
    const double left = sign * all[i - 1].value, v = sign * all[i].value, right = sign * all[i + 1].value;
    if (!(v <= left && v <= right && deepest(left, v, right) < 0)) continue;
    const auto [tau, value] =
        local_minimum([&](double x) { return sign * this->value(f, x); }, all[i - 1].tau, all[i + 1].tau);
    if (value < 0) dips.push_back({tau, sign * value});
  }
  all.insert(all.end(), dips.begin(), dips.end());
  std::ranges::sort(all, {}, &Extreme::tau);

  std::vector<std::pair<double, double>> result;
  bool fails = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool now = !(defined(all[i].value) > 0);
    if (now == fails) continue;
    const double change = i == 0 ? from : root(f, all[i - 1].tau, all[i].tau);
    if (now)
      result.emplace_back(change, to);
    else
      result.back().second = change;
    fails = now;
  }
  std::erase_if(result, [](const auto& interval) { return interval.second - interval.first < shortest; });
  return result;
}

std::pair<double, double> local_minimum(const std::function<double(double)>& f, double a, double b) {
  constexpr int bits = std::numeric_limits<double>::digits / 2;  // beyond that rounding of the values decides
  return boost::math::tools::brent_find_minima(f, a, b, bits);
}

}  // namespace gradflow
