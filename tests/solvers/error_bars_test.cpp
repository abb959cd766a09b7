#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <solvers/error_bars.hpp>
#include <solvers/quad.ipp>

namespace solvers {
namespace {

template <class Real>
using CrossingsOf = std::vector<Crossing<Real>>;
using Crossings = CrossingsOf<double>;

/// Crossings of event 0 into its condition, unless said otherwise.
template <class Real = double>
CrossingsOf<Real> at(const std::vector<double>& taus, Index event = 0, int direction = 1) {
  CrossingsOf<Real> result;
  for (const double tau : taus) {
    using std::expm1;
    Crossing<Real> crossing{};
    crossing.event = event;
    crossing.t = expm1(Real(tau));
    crossing.tau = tau;
    crossing.direction = direction;
    result.push_back(crossing);
  }
  return result;
}

/// For each crossing its partner's tau; -1 without.
std::vector<double> partners(const Crossings& crossings, const Crossings& companion) {
  std::vector<double> result;
  for (const auto& partner : match(crossings, companion)) result.push_back(partner ? companion[*partner].tau : -1);
  return result;
}

using Taus = std::vector<double>;

TEST(MatchTest, EqualNumbersAreMatchedInOrder) {
  EXPECT_EQ(partners(at({1, 2, 3}), at({1.9, 2.1, 9})), (Taus{1.9, 2.1, 9}));
  EXPECT_EQ(partners({}, {}), Taus{});
}

TEST(MatchTest, ASurplusGoesWhereItCostsLeast) {
  EXPECT_EQ(partners(at({1, 2, 3}), at({2.01})), (Taus{-1, 2.01, -1}));
  EXPECT_EQ(partners(at({1, 2, 3}), at({0.9, 3.2})), (Taus{0.9, -1, 3.2}));
  EXPECT_EQ(partners(at({1, 2, 3}), {}), (Taus{-1, -1, -1}));
  EXPECT_EQ(partners(at({2}), at({1, 1.9, 3})), Taus{1.9});
  EXPECT_EQ(partners(at({1, 2}), at({0.5, 1.1, 1.2, 2.1, 7})), (Taus{1.1, 2.1}));
  EXPECT_EQ(partners({}, at({1, 2})), Taus{});
}

TEST(MatchTest, OrderIsKeptWhereNearestNeighboursWouldCross) {
  // Both are nearest to 1.9; each needs its own, in order.
  EXPECT_EQ(partners(at({1.8, 2}), at({1.9, 3, 4})), (Taus{1.9, 3}));
}

TEST(MatchTest, EventsAndDirectionsAreKeptApart) {
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

TEST(MatchTest, IsTheCheapestOfAllOrderKeepingMatches) {
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

template <class Real>
void expect_bars() {
  using std::abs;
  const Real epsilon = std::numeric_limits<Real>::epsilon();
  auto solve = at<Real>({1, 2, 5}), companion = at<Real>({1, 2, 5});
  companion[1].t -= Real(1) / 64;
  solve[2].local_error = Real(1) / 2;
  for (const auto& clock : {Clock<Real>::linear(), Clock<Real>::log(Real(1) / 4)}) {
    const auto bars = error_bars(solve, companion, clock);
    EXPECT_EQ(bars[0].error, 8 * epsilon * (solve[0].t + clock.t0()));
    EXPECT_LT(abs(bars[1].error - Real(3) / 64), 16 * epsilon);  // rounding of t near 6
    EXPECT_EQ(bars[2].error, Real(1) / 2);
    for (const auto& bar : bars) EXPECT_TRUE(bar.certain);
  }
}

TEST(ErrorBarsTest, AreThriceTheDistanceOrTheMethodsOwnEstimateOrTheResolution) {
  expect_bars<double>();
  expect_bars<Quad>();
}

template <class Real>
void expect_certainty() {
  using std::isnan;
  const auto solve = at<Real>({1, 1.1, 3});
  auto companion = at<Real>({1, 1.1});
  companion[0].t += Real(0.6) * (solve[1].t - solve[0].t);
  const auto bars = error_bars(solve, companion, Clock<Real>::linear());
  EXPECT_FALSE(bars[0].certain);
  EXPECT_GT(bars[0].error, 0);
  EXPECT_TRUE(bars[1].certain);
  EXPECT_FALSE(bars[2].certain);
  EXPECT_TRUE(isnan(bars[2].error));
}

TEST(ErrorBarsTest, AreCertainForWhatTheCompanionFindsClearOfTheNext) {
  expect_certainty<double>();
  expect_certainty<Quad>();
}

template <class Real>
void expect_gap_of_the_event() {
  auto solve = at<Real>({1});
  solve.push_back(at<Real>({1.01}, 1)[0]);     // close by, but of another event
  solve.push_back(at<Real>({1.1}, 0, -1)[0]);  // the way back
  auto companion = solve;
  companion[0].t += Real(0.4) * (solve[2].t - solve[0].t);
  EXPECT_TRUE(error_bars(solve, companion, Clock<Real>::linear())[0].certain);
  companion[0].t += Real(0.2) * (solve[2].t - solve[0].t);
  EXPECT_FALSE(error_bars(solve, companion, Clock<Real>::linear())[0].certain);
  companion[2].t += Real(0.6) * (solve[2].t - solve[0].t);  // nothing comes after it, but the first comes before it
  EXPECT_FALSE(error_bars(solve, companion, Clock<Real>::linear())[2].certain);
  solve.insert(solve.begin(), at<Real>({0.1}, 0, -1)[0]);  // of several before it the nearest counts
  companion.insert(companion.begin(), solve[0]);
  EXPECT_FALSE(error_bars(solve, companion, Clock<Real>::linear())[3].certain);
}

TEST(ErrorBarsTest, TheNextCrossingIsOfTheSameEventAndOfEitherDirection) {
  expect_gap_of_the_event<double>();
  expect_gap_of_the_event<Quad>();
}

}  // namespace
}  // namespace solvers
