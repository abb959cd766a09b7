#include "experiment/recorder.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace gradflow {
namespace {

std::vector<double> chosen(const SavePlan& plan, const std::vector<bool>& which) {
  std::vector<double> times;
  for (std::size_t i = 0; i < plan.times.size(); ++i)
    if (which[i]) times.push_back(plan.times[i]);
  return times;
}

TEST(SavePlanTest, MergesRecordsAndSnapshots) {
  const auto linear = solvers::Clock<double>::linear();
  const SavePlan plan = save_plan(linear, 12, 5, 4);
  EXPECT_EQ(plan.times, (std::vector<double>{0, 3, 4, 6, 8, 9, 12}));
  EXPECT_EQ(chosen(plan, plan.record), (std::vector<double>{0, 3, 6, 9, 12}));
  EXPECT_EQ(chosen(plan, plan.snapshot), (std::vector<double>{0, 4, 8, 12}));
}

TEST(SavePlanTest, EndsAreExactAndNumbersAsAsked) {
  for (const double until : {1e-3, 0.3, 300.0, 1e12})
    for (const auto& clock : {solvers::Clock<double>::linear(), solvers::Clock<double>::log(0.37)})
      for (const std::size_t records : {2U, 3U, 400U})
        for (const std::size_t snapshots : {2U, 20U, 7U}) {
          const SavePlan plan = save_plan(clock, until, records, snapshots);
          EXPECT_EQ(plan.times.front(), 0);
          EXPECT_EQ(plan.times.back(), until);
          EXPECT_TRUE(std::is_sorted(plan.times.begin(), plan.times.end()));
          EXPECT_EQ(chosen(plan, plan.record), clock.evenly_spaced(0, until, records));
          EXPECT_EQ(chosen(plan, plan.snapshot).size(), snapshots);
        }
}

TEST(SavePlanTest, SnapshotsThatFallOnRecordsAreRecords) {
  // 399 = 19 x 21 intervals: every snapshot is a record, though 21/399 and 1/19 are not rounded alike.
  for (const double until : {300.0, 1e8}) {
    const SavePlan plan = save_plan(solvers::Clock<double>::log(0.37), until, 400, 20);
    EXPECT_EQ(plan.times.size(), 400U);
    EXPECT_TRUE(std::all_of(plan.record.begin(), plan.record.end(), [](bool record) { return record; }));
  }
}

}  // namespace
}  // namespace gradflow
