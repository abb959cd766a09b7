#include "experiment/companion.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

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

TEST(CompanionTest, ErrorBarsAreThriceTheDistanceOrTheMethodsOwnEstimate) {
  const auto clock = solvers::Clock<double>::linear();
  Crossings solve = at({1, 2, 5}), companion = at({1, 2, 5});
  companion[1].t += 0.01;
  solve[2].local_error = 0.5;
  std::vector<EventCrossing> bars(3);
  for (std::size_t i = 0; i < 3; ++i) bars[i].t = solve[i].t;
  set_error_bars(bars, solve, companion, clock);
  EXPECT_DOUBLE_EQ(bars[0].t_error, 8 * std::numeric_limits<double>::epsilon() * bars[0].t);  // the clock's resolution
  EXPECT_NEAR(bars[1].t_error, 0.03, 1e-12);                                                  // rounding of t
  EXPECT_EQ(bars[2].t_error, 0.5);
  for (const EventCrossing& bar : bars) EXPECT_EQ(bar.certain, 1);
}

TEST(CompanionTest, CertainIsWhatTheCompanionFindsClearOfTheNext) {
  const auto clock = solvers::Clock<double>::linear();
  const Crossings solve = at({1, 1.1, 3});
  Crossings companion = at({1, 1.1});
  companion[0].t += 0.6 * (solve[1].t - solve[0].t);
  std::vector<EventCrossing> bars(3);
  for (std::size_t i = 0; i < 3; ++i) bars[i] = {.t = solve[i].t, .t_error = std::nan("")};
  set_error_bars(bars, solve, companion, clock);
  EXPECT_EQ(bars[0].certain, 0);
  EXPECT_GT(bars[0].t_error, 0);
  EXPECT_EQ(bars[1].certain, 1);
  EXPECT_EQ(bars[2].certain, 0);
  EXPECT_TRUE(std::isnan(bars[2].t_error));
}

}  // namespace
}  // namespace gradflow
