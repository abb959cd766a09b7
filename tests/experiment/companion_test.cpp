#include "experiment/companion.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace gradflow {
namespace {

using Crossings = std::vector<solvers::Crossing<double>>;

/// Crossings of event 0 into its condition, unless said otherwise.
Crossings at(const std::vector<double>& taus, solvers::Index event = 0, int direction = 1) {
  Crossings result;
  for (const double tau : taus) {
    solvers::Crossing<double> crossing{};
    crossing.event = event;
    crossing.t = std::expm1(tau);
    crossing.tau = tau;
    crossing.direction = direction;
    result.push_back(crossing);
  }
  return result;
}

/// For each crossing its partner's tau; -1 without.
std::vector<double> partners(const Crossings& solve, const Crossings& companion) {
  std::vector<double> result;
  for (const auto& partner : match(solve, companion)) result.push_back(partner ? partner->tau : -1);
  return result;
}

using Taus = std::vector<double>;

TEST(CompanionTest, EqualNumbersAreMatchedInOrder) {
  EXPECT_EQ(partners(at({1, 2, 3}), at({1.9, 2.1, 9})), (Taus{1.9, 2.1, 9}));
  EXPECT_EQ(partners({}, {}), Taus{});
}

TEST(CompanionTest, ASurplusGoesWhereItCostsLeast) {
  EXPECT_EQ(partners(at({1, 2, 3}), at({2.01})), (Taus{-1, 2.01, -1}));
  EXPECT_EQ(partners(at({1, 2, 3}), at({0.9, 3.2})), (Taus{0.9, -1, 3.2}));
  EXPECT_EQ(partners(at({1, 2, 3}), {}), (Taus{-1, -1, -1}));
  EXPECT_EQ(partners(at({2}), at({1, 1.9, 3})), Taus{1.9});
  EXPECT_EQ(partners(at({1, 2}), at({0.5, 1.1, 1.2, 2.1, 7})), (Taus{1.1, 2.1}));
  EXPECT_EQ(partners({}, at({1, 2})), Taus{});
}

TEST(CompanionTest, OrderIsKeptWhereNearestNeighboursWouldCross) {
  // Both are nearest to 1.9; each needs its own, in order.
  EXPECT_EQ(partners(at({1.8, 2}), at({1.9, 3, 4})), (Taus{1.9, 3}));
}

TEST(CompanionTest, EventsAndDirectionsAreKeptApart) {
  Crossings solve = at({1}), companion = at({1.5});
  const Crossings down = at({1.2}, 0, -1), other = at({1.1}, 1);
  solve.insert(solve.end(), down.begin(), down.end());
  solve.insert(solve.end(), other.begin(), other.end());
  EXPECT_EQ(partners(solve, companion), (Taus{1.5, -1, -1}));
  EXPECT_EQ(partners(at({1}), down), Taus{-1});
  const Crossings theirs = at({5}, 1);
  companion.insert(companion.begin(), theirs.begin(), theirs.end());
  EXPECT_EQ(partners(solve, companion), (Taus{1.5, -1, 5}));
}

TEST(CompanionTest, IsTheCheapestOfAllOrderKeepingMatches) {
  const Taus many{0.3, 0.9, 1.7, 2.2, 3.1, 4.4}, few{0.8, 2.3, 2.9};
  double cheapest = 1e9;
  Taus best;
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t j = i + 1; j < 6; ++j)
      for (std::size_t k = j + 1; k < 6; ++k) {
        const double cost = std::abs(few[0] - many[i]) + std::abs(few[1] - many[j]) + std::abs(few[2] - many[k]);
        if (cost < cheapest) cheapest = cost, best = {many[i], many[j], many[k]};
      }
  EXPECT_EQ(partners(at(few), at(many)), best);
  Taus other_way(6, -1);
  for (std::size_t i = 0; i < 3; ++i)
    other_way[static_cast<std::size_t>(std::find(many.begin(), many.end(), best[i]) - many.begin())] = few[i];
  EXPECT_EQ(partners(at(many), at(few)), other_way);
}

}  // namespace
}  // namespace gradflow
