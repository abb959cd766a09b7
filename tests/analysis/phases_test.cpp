#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/analysis/phases.hpp>
#include <gradflow/trajectory/writer.hpp>
#include <solvers/events.hpp>

#include "support/process.hpp"

// Reports of runs whose events are made up.
namespace gradflow {
namespace {

using solvers::Verdict;

struct Story {
  std::string name;
  bool start = false;                               ///< held at t = 0
  std::vector<std::pair<double, int>> crossings{};  ///< t, direction
  bool applicable = true;
};

class PhasesTest : public testing::Test {
 protected:
  /// The report of a run to t = 100 with these events.
  PhasesReport report(const std::vector<Story>& stories, std::int64_t outcome = 0, double T2 = trajectory::unknown) {
    trajectory::RunDescription d;
    d.attributes = {
        {"T1_constant", 2.0}, {"T1_theory_rate", 8.0}, {"T1_theory_rate_is", std::string("s1^2 m m1")}, {"T2", T2}};
    d.observables.columns.push_back({"loss", {}, "1", "loss", ""});
    for (const Story& story : stories) d.events.push_back({story.name, "condition of " + story.name});
    d.crossing_values = {{"drift_U", {}, "1", "", ""}, {"power_share_kq", {}, "1", "", ""}};
    d.verdicts = {"not_applicable", "never", "from_start", "once", "crossings_holds", "crossings_lost"};
    d.outcomes = {"reached_end", "stopped_by_event", "step_limit"};
    trajectory::RunWriter writer(folder_.path() / "run.h5", d, true);
    for (const double t : {0.0, 100.0}) writer.record(t, std::vector<double>{1});
    for (std::size_t i = 0; i < stories.size(); ++i)
      write(writer, static_cast<std::int64_t>(i), stories[i], outcome >= 0);
    if (outcome >= 0) writer.set_run({outcome, "", {}, 0});
    writer.close();
    return phases(folder_.path() / "run.h5");
  }

 private:
  static void write(trajectory::RunWriter& writer, std::int64_t event, const Story& story, bool ended) {
    bool holds = story.start;
    trajectory::EventSummary summary{
        .applicable = story.applicable, .true_at_start = story.start, .true_at_end = 0, .ups = 0, .downs = 0};
    for (const auto& [t, direction] : story.crossings) {
      writer.crossing({.event = event,
                       .t = t,
                       .t_error = t / 1000,
                       .slope = direction * 2.0,
                       .direction = direction,
                       .certain = 1,
                       .values = {t + 0.5, 0.25}});
      holds = direction > 0;
      ++(direction > 0 ? summary.ups : summary.downs);
    }
    summary.true_at_end = holds;
    summary.verdict = static_cast<std::int64_t>(
        story.applicable ? solvers::verdict(story.start, holds, story.crossings.size()) : Verdict::not_applicable);
    if (ended) writer.set_summary(event, summary);
  }

  support::TemporaryFolder folder_;
};

TEST_F(PhasesTest, T1IsTheLaterOfTwo) {
  const PhasesReport r = report({{"classified", false, {{10, 1}, {20, -1}, {30, 1}}}, {"aligned", false, {{25, 1}}}});
  EXPECT_EQ(r.T1, 30);
  EXPECT_EQ(r.T1_error, 0.03);
  EXPECT_EQ(r.at_T1, (std::vector<std::pair<std::string, double>>{{"drift_U", 30.5}, {"power_share_kq", 0.25}}));
  EXPECT_EQ(report({{"classified", false, {{10, 1}}}, {"aligned", false, {{25, 1}}}}).T1, 25);
}

TEST_F(PhasesTest, T1IsAbsentWhereOneIsNeverForGood) {
  const Story good{"classified", false, {{10, 1}}};
  for (const Story& other :
       {Story{"aligned"}, Story{"aligned", false, {{10, 1}, {20, -1}}}, Story{"aligned", true, {{5, -1}}},
        Story{"aligned", false, {}, false}, Story{"alignedly", true}}) {
    const PhasesReport r = report({good, other});
    EXPECT_FALSE(r.T1);
    EXPECT_TRUE(std::isnan(r.T1_error));
    EXPECT_TRUE(r.at_T1.empty());
  }
  EXPECT_FALSE(report({{"classified"}, {"aligned", false, {{10, 1}}}}).T1);
}

TEST_F(PhasesTest, WhatHeldFromTheStartCountsAsZero) {
  EXPECT_EQ(report({{"classified", true}, {"aligned", false, {{10, 1}}}}).T1, 10);
  EXPECT_EQ(report({{"classified", false, {{4, 1}}}, {"aligned", true}}).T1, 4);
  const PhasesReport both = report({{"classified", true}, {"aligned", true}});
  EXPECT_EQ(both.T1, 0);
  EXPECT_EQ(both.T1_error, 0);
  EXPECT_TRUE(both.at_T1.empty());
  // Held, lost and regained: for good from the regain on.
  EXPECT_EQ(report({{"classified", true, {{2, -1}, {6, 1}}}, {"aligned", true}}).T1, 6);
}

TEST_F(PhasesTest, OfSeveralAlignedTheOneAtZeroCounts) {
  const Story classified{"classified", true};
  EXPECT_EQ(report({classified, {"aligned(0.5)", false, {{50, 1}}}, {"aligned", false, {{20, 1}}}}).T1, 20);
  EXPECT_EQ(report({classified, {"aligned(0.5)", false, {{50, 1}}}, {"aligned(0.2)", false, {{30, 1}}}}).T1, 50);
}

TEST_F(PhasesTest, VerdictsCountTheCrossings) {
  const PhasesReport r = report({{"a"},
                                 {"b", true},
                                 {"c", false, {{1, 1}}},
                                 {"d", false, {{1, 1}, {2, -1}, {3, 1}}},
                                 {"e", true, {{1, -1}}},
                                 {"f", false, {{1, 1}, {2, -1}}},
                                 {"g", false, {}, false}});
  const std::vector<std::string> verdicts{"never",
                                          "at start and for good",
                                          "crossed once and for good",
                                          "3 crossings, holds at the end",
                                          "1 crossing, does not hold at the end",
                                          "2 crossings, does not hold at the end",
                                          "not applicable"};
  ASSERT_EQ(r.events.size(), verdicts.size());
  for (std::size_t i = 0; i < verdicts.size(); ++i) EXPECT_EQ(r.events[i].verdict, verdicts[i]) << r.events[i].name;
  const EventReport& d = r.events[3];
  EXPECT_EQ(d.condition, "condition of d");
  ASSERT_EQ(d.up.size(), 2U);
  ASSERT_EQ(d.down.size(), 1U);
  EXPECT_EQ(d.up[1].t, 3);
  EXPECT_EQ(d.down[0].slope, -2);
  EXPECT_EQ(d.down[0].error, 0.002);
  EXPECT_EQ(d.down[0].certain, 1);
  ASSERT_TRUE(d.for_good);
  EXPECT_EQ(d.for_good->t, 3);
  EXPECT_FALSE(r.events[1].for_good);
  EXPECT_FALSE(r.events[5].for_good);
  EXPECT_TRUE(r.events[1].true_at_start && r.events[1].true_at_end);
  EXPECT_FALSE(r.events[6].applicable);
}

TEST_F(PhasesTest, EndsAndTheTheorysT1) {
  const PhasesReport r = report({{"classified"}});
  EXPECT_EQ(r.T1_theory, 0.25);
  EXPECT_EQ(r.T1_constant, 2);
  EXPECT_FALSE(r.T1_theory_from_U);
  EXPECT_EQ(r.t_end, 100);
  EXPECT_EQ(r.T2, 100);
  EXPECT_TRUE(r.finished);
  EXPECT_EQ(report({{"classified"}}, 0, 40).T2, 40);
  EXPECT_TRUE(report({{"classified"}}, 1).finished);
  EXPECT_FALSE(report({{"classified"}}, 2).finished);
}

TEST_F(PhasesTest, ARunThatGoesOnStandsWhereItsCrossingsLeftIt) {
  const PhasesReport r = report({{"classified", false, {{10, 1}}}, {"aligned", true, {{15, -1}, {25, 1}}}}, -1);
  EXPECT_FALSE(r.finished);
  EXPECT_EQ(r.T1, 25);
  EXPECT_EQ(r.T1_error, 0.025);
  EXPECT_TRUE(r.events[0].true_at_end && r.events[1].true_at_end && r.events[1].true_at_start);
  EXPECT_FALSE(r.events[0].true_at_start);
  EXPECT_FALSE(report({{"classified", false, {{10, 1}}}, {"aligned", true, {{15, -1}}}}, -1).T1);
}

TEST_F(PhasesTest, ARunThatGoesOnHasNoVerdictYet) {
  const PhasesReport r = report({{"classified", false, {{10, 1}}}, {"aligned", false, {{25, 1}, {26, -1}}}}, -1);
  EXPECT_FALSE(r.finished);
  EXPECT_FALSE(r.T1);
  EXPECT_EQ(r.events[0].verdict, "1 crossing so far");
  EXPECT_EQ(r.events[1].verdict, "2 crossings so far");
  ASSERT_EQ(r.events[1].up.size(), 1U);
  EXPECT_EQ(r.events[1].up[0].t, 25);
}

}  // namespace
}  // namespace gradflow
