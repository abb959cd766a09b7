#include "experiment/compare_fits.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace gradflow {
namespace {

constexpr std::array<std::pair<const char*, Compared>, 3> references{
    {{"flow", Compared::distance}, {"order 2", Compared::distance_order2}, {"order 3", Compared::distance_order3}}};

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

}  // namespace

Line fit_line(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  Line line{trajectory::unknown, trajectory::unknown};
  if (x.size() < 2) return line;
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, residuals = 0;
  for (std::size_t i = 0; i < x.size(); ++i) mean_x += x[i] / n, mean_y += y[i] / n;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  line.slope = xy / xx;
  for (std::size_t i = 0; i < x.size(); ++i) residuals += std::pow(y[i] - mean_y - line.slope * (x[i] - mean_x), 2);
  if (x.size() > 2) line.error = std::sqrt(residuals / (n - 2) / xx);
  return line;
}

std::vector<std::string> fit_references() {
  std::vector<std::string> names;
  for (const auto& [name, column] : references) names.emplace_back(name);
  return names;
}

Fits fit_orders(const std::vector<DescentResult>& descents, const std::vector<ComparisonRow>& rows) {
  Fits fits{.orders = {},
            .largest_distance = std::vector<double>(descents.size() * references.size(), trajectory::unknown)};
  std::vector<std::string> methods;
  for (const DescentResult& descent : descents)
    if (const std::string method(descent.update.rule().name); methods.empty() || methods.back() != method)
      methods.push_back(method);

  for (const std::string& method : methods) {
    std::vector<std::size_t> members;
    for (std::size_t d = 0; d < descents.size(); ++d)
      if (descents[d].update.rule().name == method && counts(descents[d])) members.push_back(d);
    for (std::size_t r = 0; r < references.size(); ++r) {
      const std::vector<double> distance = largest(members, references[r].second, rows);
      std::vector<double> x, y;
      for (std::size_t i = 0; i < members.size(); ++i) {
        fits.largest_distance[members[i] * references.size() + r] = distance[i];
        if (!(distance[i] > 0)) continue;
        x.push_back(std::log(descents[members[i]].update.rate()));
        y.push_back(std::log(distance[i]));
      }
      const Line line = fit_line(x, y);
      fits.orders.push_back({method, references[r].first, line.slope, line.error, x.size()});
    }
  }
  return fits;
}

}  // namespace gradflow
