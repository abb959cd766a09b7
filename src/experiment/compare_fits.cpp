#include "experiment/compare_fits.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

namespace gradflow {
namespace {

bool counts(const DescentResult& descent) {
  return descent.update.rule().flow_time && descent.report.outcome != DescentOutcome::diverged &&
         descent.report.outcome != DescentOutcome::interrupted;
}

/// The largest distance of each of these descents, over the rows in which all of them have one.
std::vector<double> largest(const std::vector<std::size_t>& descents, Compared distance,
                            const std::vector<ComparisonRow>& rows) {
  std::vector<double> result(descents.size(), trajectory::unknown);
  for (const ComparisonRow& row : rows) {
    const auto at = [&](std::size_t descent) { return row.at(distance, descent); };
    if (!std::ranges::all_of(descents, [&](std::size_t descent) { return std::isfinite(at(descent)); })) continue;
    for (std::size_t i = 0; i < descents.size(); ++i) result[i] = std::fmax(result[i], at(descents[i]));
  }
  return result;
}

/// Points (log rate, log distance), of the distances that have a logarithm.
struct Points {
  std::vector<double> x, y;
  void add(double rate, double distance) {
    if (!(distance > 0 && std::isfinite(distance))) return;
    x.push_back(std::log(rate));
    y.push_back(std::log(distance));
  }
};

/// In order of their points; NaN for the last one.
std::vector<double> slopes_downwards(const std::vector<std::size_t>& members, const std::vector<double>& distance,
                                     const std::vector<DescentResult>& descents) {
  const auto rate = [&](std::size_t i) { return descents[members[i]].update.rate(); };
  std::vector<double> slopes(members.size(), trajectory::unknown);
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::size_t next = i;
    for (std::size_t j = 0; j < members.size(); ++j)
      if (rate(j) < rate(i) && (next == i || rate(j) > rate(next))) next = j;
    Points two;
    for (const std::size_t k : {i, next}) two.add(rate(k), distance[k]);
    if (next != i) slopes[i] = fit_line(two.x, two.y).slope;
  }
  return slopes;
}

}  // namespace

Line fit_line(std::span<const double> x, std::span<const double> y) {
  Line line{trajectory::unknown, trajectory::unknown, trajectory::unknown};
  if (x.size() < 2) return line;
  const auto n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, residuals = 0;
  for (std::size_t i = 0; i < x.size(); ++i) mean_x += x[i] / n, mean_y += y[i] / n;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  line.slope = xy / xx;
  if (x.size() < 3) return line;
  for (std::size_t i = 0; i < x.size(); ++i) residuals += std::pow(y[i] - mean_y - line.slope * (x[i] - mean_x), 2);
  line.error = std::sqrt(residuals / (n - 2) / xx);
  line.confidence = line.error * boost::math::quantile(boost::math::students_t(n - 2), 0.975);
  return line;
}

void fit_row(ComparisonRow& row, const std::vector<Update>& updates, const ComparisonLabels& labels) {
  for (std::size_t method = 0; method < labels.methods.size(); ++method)
    for (std::size_t r = 0; r < distance_from.size(); ++r) {
      Points points;
      for (std::size_t d = 0; d < updates.size(); ++d)
        if (labels.method_of[d] == method && updates[d].rule().flow_time)
          points.add(updates[d].rate(), row.at(distance_from[r], d));
      const Line line = fit_line(points.x, points.y);
      row.at(Compared::order, method, r) = line.slope;
      row.at(Compared::order_error, method, r) = line.error;
    }
}

Fits fit_orders(const std::vector<DescentResult>& descents, const std::vector<ComparisonRow>& rows,
                const ComparisonLabels& labels) {
  const std::vector<std::string> references = fit_references();
  Fits fits{.orders = {},
            .largest_distance = std::vector<double>(descents.size() * references.size(), trajectory::unknown),
            .order_at_rate = {}};
  fits.order_at_rate = fits.largest_distance;
  for (std::size_t method = 0; method < labels.methods.size(); ++method) {
    std::vector<std::size_t> members;
    for (std::size_t d = 0; d < descents.size(); ++d)
      if (labels.method_of[d] == method && counts(descents[d])) members.push_back(d);
    for (std::size_t r = 0; r < references.size(); ++r) {
      const std::vector<double> distance = largest(members, distance_from[r], rows);
      const std::vector<double> slopes = slopes_downwards(members, distance, descents);
      Points points;
      for (std::size_t i = 0; i < members.size(); ++i) {
        fits.largest_distance[members[i] * references.size() + r] = distance[i];
        fits.order_at_rate[members[i] * references.size() + r] = slopes[i];
        points.add(descents[members[i]].update.rate(), distance[i]);
      }
      const Line line = fit_line(points.x, points.y);
      fits.orders.push_back(
          {labels.methods[method], references[r], line.slope, line.error, line.confidence, points.x.size()});
    }
  }
  return fits;
}

}  // namespace gradflow
