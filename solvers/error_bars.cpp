#include <solvers/error_bars.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "quad.ipp"

namespace solvers {
namespace {

/// The cheapest way to give every one of `few` its own of `many`, both ascending, keeping the order: for each the index
/// into `many`. Dynamic programming over the surplus: cost[i][s] = best cost of the first i when s of `many` were
/// skipped.
template <class Real>
std::vector<std::size_t> align(const std::vector<Real>& few, const std::vector<Real>& many) {
  using std::abs;
  const std::size_t n = few.size(), surplus = many.size() - n;
  const Real infinity = std::numeric_limits<Real>::infinity();
  std::vector<std::vector<Real>> cost(n + 1, std::vector<Real>(surplus + 1, infinity));
  std::fill(cost[0].begin(), cost[0].end(), Real(0));
  for (std::size_t i = 1; i <= n; ++i)
    for (std::size_t s = 0; s <= surplus; ++s) {
      cost[i][s] = cost[i - 1][s] + abs(few[i - 1] - many[i - 1 + s]);
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

/// For each crossing how far from it the nearest other one of its event is; infinite where there is no other.
template <class Real>
std::vector<Real> gaps(const std::vector<Crossing<Real>>& crossings) {
  std::vector<Real> gap(crossings.size(), std::numeric_limits<Real>::infinity());
  std::map<Index, std::size_t> latest;  // of each event: its crossing before this one
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    const auto [before, first] = latest.try_emplace(crossings[i].event, i);
    if (first) continue;
    gap[i] = crossings[i].t - crossings[before->second].t;
    gap[before->second] = std::min(gap[before->second], gap[i]);
    before->second = i;
  }
  return gap;
}

}  // namespace

template <class Real>
std::vector<std::optional<std::size_t>> match(const std::vector<Crossing<Real>>& crossings,
                                              const std::vector<Crossing<Real>>& companion) {
  struct Group {  // of one event and direction: positions in `crossings` and in `companion`, and their times
    std::vector<std::size_t> mine, theirs;
    std::vector<Real> my_times, their_times;
  };
  std::map<std::pair<Index, int>, Group> groups;
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    Group& group = groups[{crossings[i].event, crossings[i].direction}];
    group.mine.push_back(i);
    group.my_times.push_back(crossings[i].tau);
  }
  for (std::size_t i = 0; i < companion.size(); ++i) {
    Group& group = groups[{companion[i].event, companion[i].direction}];
    group.theirs.push_back(i);
    group.their_times.push_back(companion[i].tau);
  }

  std::vector<std::optional<std::size_t>> partners(crossings.size());
  for (const auto& [key, group] : groups) {
    if (group.mine.size() <= group.theirs.size()) {
      const auto partner = align(group.my_times, group.their_times);
      for (std::size_t i = 0; i < partner.size(); ++i) partners[group.mine[i]] = group.theirs[partner[i]];
    } else {
      const auto partner = align(group.their_times, group.my_times);
      for (std::size_t i = 0; i < partner.size(); ++i) partners[group.mine[partner[i]]] = group.theirs[i];
    }
  }
  return partners;
}

template <class Real>
std::vector<ErrorBar<Real>> error_bars(const std::vector<Crossing<Real>>& crossings,
                                       const std::vector<Crossing<Real>>& companion, const Clock<Real>& clock) {
  using std::abs;
  const auto partners = match(crossings, companion);
  const std::vector<Real> gap = gaps(crossings);
  std::vector<ErrorBar<Real>> bars(crossings.size(), {std::numeric_limits<Real>::quiet_NaN(), false});
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    if (!partners[i]) continue;
    const Real distance = abs(companion[*partners[i]].t - crossings[i].t);
    const Real resolution = 8 * std::numeric_limits<Real>::epsilon() * (crossings[i].t + clock.t0());
    bars[i] = {std::max({Real(3 * distance), crossings[i].local_error, resolution}), distance < gap[i] / 2};
  }
  return bars;
}

template std::vector<std::optional<std::size_t>> match(const std::vector<Crossing<double>>&,
                                                       const std::vector<Crossing<double>>&);
template std::vector<std::optional<std::size_t>> match(const std::vector<Crossing<Quad>>&,
                                                       const std::vector<Crossing<Quad>>&);
template std::vector<ErrorBar<double>> error_bars(const std::vector<Crossing<double>>&,
                                                  const std::vector<Crossing<double>>&, const Clock<double>&);
template std::vector<ErrorBar<Quad>> error_bars(const std::vector<Crossing<Quad>>&, const std::vector<Crossing<Quad>>&,
                                                const Clock<Quad>&);

}  // namespace solvers
