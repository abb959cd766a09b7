#include "experiment/companion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace gradflow {
namespace {

using Crossings = std::vector<solvers::Crossing<double>>;

/// The cheapest way to give every one of `few` its own of `many`, both ascending, keeping the order: for each the index
/// into `many`. Dynamic programming over the surplus: cost[i][s] = best cost of the first i when s of `many` were
/// skipped.
std::vector<std::size_t> align(const std::vector<double>& few, const std::vector<double>& many) {
  const std::size_t n = few.size(), surplus = many.size() - n;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<std::vector<double>> cost(n + 1, std::vector<double>(surplus + 1, infinity));
  std::fill(cost[0].begin(), cost[0].end(), 0.0);
  for (std::size_t i = 1; i <= n; ++i)
    for (std::size_t s = 0; s <= surplus; ++s) {
      cost[i][s] = cost[i - 1][s] + std::abs(few[i - 1] - many[i - 1 + s]);
      if (s > 0) cost[i][s] = std::min(cost[i][s], cost[i][s - 1]);
    }
  std::vector<std::size_t> partner(n);
  for (std::size_t i = n, s = surplus; i > 0;) {
    if (s > 0 && cost[i][s] == cost[i][s - 1]) {
      --s;
    } else {
      --i;
      partner[i] = i + s;
    }
  }
  return partner;
}

}  // namespace

std::vector<std::optional<solvers::Crossing<double>>> match(const Crossings& solve, const Crossings& companion) {
  // By event and direction: positions in `solve` and in `companion`.
  std::map<std::pair<solvers::Index, int>, std::pair<std::vector<std::size_t>, std::vector<std::size_t>>> groups;
  for (std::size_t i = 0; i < solve.size(); ++i) groups[{solve[i].event, solve[i].direction}].first.push_back(i);
  for (std::size_t i = 0; i < companion.size(); ++i)
    groups[{companion[i].event, companion[i].direction}].second.push_back(i);

  std::vector<std::optional<solvers::Crossing<double>>> partners(solve.size());
  for (const auto& [key, group] : groups) {
    const auto& [mine, theirs] = group;
    std::vector<double> my_times, their_times;
    for (const std::size_t i : mine) my_times.push_back(solve[i].tau);
    for (const std::size_t i : theirs) their_times.push_back(companion[i].tau);
    if (mine.size() <= theirs.size()) {
      const auto partner = align(my_times, their_times);
      for (std::size_t i = 0; i < mine.size(); ++i) partners[mine[i]] = companion[theirs[partner[i]]];
    } else {
      const auto partner = align(their_times, my_times);
      for (std::size_t i = 0; i < theirs.size(); ++i) partners[mine[partner[i]]] = companion[theirs[i]];
    }
  }
  return partners;
}

void set_error_bars(std::vector<EventCrossing>& crossings, const Crossings& located, const Crossings& companion,
                    const solvers::Clock<double>& clock) {
  const auto partners = match(located, companion);
  std::map<std::size_t, std::size_t> latest;  // of each event: its crossing before this one
  std::vector<double> gap(crossings.size(), std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    if (const auto before = latest.find(crossings[i].event); before != latest.end()) {
      const double distance = crossings[i].t - crossings[before->second].t;
      gap[i] = distance;
      gap[before->second] = std::min(gap[before->second], distance);
    }
    latest[crossings[i].event] = i;
  }
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    EventCrossing& crossing = crossings[i];
    crossing.certain = 0;
    if (!partners[i]) continue;
    const double distance = std::abs(partners[i]->t - crossing.t);
    const double resolution = 8 * std::numeric_limits<double>::epsilon() * (crossing.t + clock.t0());
    crossing.t_error = std::max({3 * distance, located[i].local_error, resolution});
    crossing.certain = distance < gap[i] / 2 ? 1 : 0;
  }
}

}  // namespace gradflow
