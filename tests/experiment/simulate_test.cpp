#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <gradflow/storage/file_error.hpp>
#include <limits>

#include "support/equation1.hpp"
#include "support/experiments.hpp"

// Tiny experiments from settings to the run's file.
namespace gradflow {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::experiment;
using trajectory::RunReader;

const std::string small = tests::small_task() + tests::small_model();
const std::string solver = "[solver]\nrtol = 1e-7\natol = 1e-9\nuntil = 200\n";

/// Writes down what it hears; asks to stop after `patience` questions.
struct Memory : Listener {
  bool wants_progress() override { return true; }
  void progress(const Progress& p) override { steps.push_back(p); }
  void crossing(const FlowEvent& event, const EventCrossing&) override { names.push_back(event.name); }
  bool interrupt() override { return patience-- == 0; }
  std::vector<Progress> steps;
  std::vector<std::string> names;
  int patience = -1;
};

class SimulateTest : public testing::Test {
 protected:
  RunResult run(const std::string& toml, Listener& listener, const char* name = "run.h5") {
    simulation_.emplace(experiment(toml, folder_.path()));
    return simulation_->run(file(name), true, "gradflow simulate test", listener);
  }
  RunResult run(const std::string& toml, const char* name = "run.h5") {
    Listener nobody;
    return run(toml, nobody, name);
  }
  std::filesystem::path file(const char* name = "run.h5") const { return folder_.path() / name; }
  RunReader reader(const char* name = "run.h5") const { return RunReader(file(name)); }

  support::TemporaryFolder folder_;
  std::optional<Simulation> simulation_;
};

Matrix<double> state(const RunReader& reader, const char* name, std::int64_t snapshot) {
  const trajectory::Values values = reader.state(name, snapshot);
  return Eigen::Map<const RowMatrix<double>>(values.values.data(), values.shape[0], values.shape[1]);
}

TEST_F(SimulateTest, RecordsAndSnapshotsAgreeWithEachOther) {
  for (const char* formulation : {"full", "reduced"}) {
    SCOPED_TRACE(formulation);
    const RunResult result =
        run(small + solver + "[flow]\nformulation = '" + formulation +
            "'\nrates = { W = 0.5, W_V = 2, W_K = 0, W_Q = 3 }\n[save]\nrecords = 13\nstates = 4\n");
    EXPECT_EQ(result.report.outcome, solvers::Outcome::reached_end);
    const RunReader r = reader();
    const auto clock = solvers::Clock<double>::log(simulation_->t0());
    EXPECT_EQ(r.t(), clock.evenly_spaced(0, 200, 13));
    ASSERT_EQ(r.state_t(), (std::vector<double>{0, r.t()[4], r.t()[8], 200}));
    const std::vector<double> loss = r.observable("loss").values, U = r.observable("U").values,
                              defect = r.observable("energy_defect").values;
    const Weights<double> start = simulation_->flow().weights(simulation_->flow().initial_state());
    for (std::int64_t k = 0; k < 4; ++k) {
      const Weights<double> w{state(r, "W", k), state(r, "W_V", k), state(r, "W_K", k), state(r, "W_Q", k), start.a};
      const auto row = static_cast<std::size_t>(4 * k);
      // The same state through two formulas: rounding, in sums of a hundred terms of order 1.
      EXPECT_NEAR(loss[row],
                  static_cast<double>(tests::equation1(simulation_->task().data(), w.cast<long double>()).loss), 1e-13);
      EXPECT_NEAR(U[row], (w.W.transpose() * w.a).squaredNorm(), 1e-13 * U[row]);
      EXPECT_EQ(w.W_K, start.W_K);  // frozen
      EXPECT_EQ(w.W_Q == start.W_Q, k == 0);
      for (const char* law : {"law_drift_vw", "law_drift_kq", "law_drift_W"})
        EXPECT_LE(r.state(law, k).values.at(0), 1e-5) << law;  // about a hundred steps of rtol
    }
    EXPECT_LT(loss.back(), 0.5 * loss.front());
    for (const double d : defect) EXPECT_NEAR(d, 0, 1e-5);
    EXPECT_EQ(std::ssize(r.steps().t), result.report.counts.accepted);
    EXPECT_EQ(r.steps().t.back(), 200);
    EXPECT_EQ(r.outcome(r.end().outcome), "reached_end");
    EXPECT_EQ(r.text_attribute("formulation"), formulation);
    EXPECT_EQ(r.text_attribute("command"), "gradflow simulate test");
    EXPECT_EQ(r.number_attribute("t0"), simulation_->t0());
    EXPECT_TRUE(r.closed());
    // The settings in the file are the experiment.
    EXPECT_EQ(experiment(r.text_attribute("settings"), folder_.path()), simulation_->experiment());
  }
}

TEST_F(SimulateTest, CrossingsStandInTheFileWithTheirErrors) {
  Memory memory;
  const RunResult result = run(small + solver + "[save]\nrecords = 200\n", memory);
  const RunReader r = reader();
  const auto crossings = r.crossings();
  ASSERT_GE(crossings.size(), 5U);  // attention_moves and loss_below at least
  ASSERT_EQ(crossings.size(), result.crossings.size());
  ASSERT_EQ(memory.names.size(), crossings.size());
  ASSERT_TRUE(result.companion);
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    const EventCrossing& own = result.crossings[i];
    EXPECT_EQ(crossings[i].event, static_cast<std::int64_t>(own.event));
    EXPECT_EQ(crossings[i].t, own.t);
    EXPECT_EQ(crossings[i].t_error, own.t_error);
    EXPECT_EQ(crossings[i].direction, own.direction);
    EXPECT_EQ(own.certain, 1);
    EXPECT_GT(own.t_error, 0);
    EXPECT_LT(own.t_error, 1e-3 * (1 + own.t));
    EXPECT_EQ(memory.names[i], simulation_->events()[own.event].name);
    EXPECT_GT(own.slope * own.direction, 0);
    EXPECT_GE(own.t, i > 0 ? result.crossings[i - 1].t : 0);
  }
  // Between which records the loss passes 0.1 is seen without any event.
  const std::vector<double> loss = r.observable("loss").values;
  const auto events = r.events();
  const auto summary = r.summary();
  for (std::size_t i = 0; i < events.size(); ++i)
    if (events[i].name == "loss_below(1e-1)") {
      const auto row = static_cast<std::size_t>(
          std::find_if(loss.begin(), loss.end(), [](double v) { return v < 0.1; }) - loss.begin());
      ASSERT_LT(row, loss.size());
      EXPECT_GT(summary[i].for_good, r.t()[row - 1]);
      EXPECT_LE(summary[i].for_good, r.t()[row]);
      EXPECT_EQ(summary[i].true_at_start, 0);
      EXPECT_EQ(summary[i].true_at_end, 1);
      EXPECT_EQ(summary[i].ups, 1);
      EXPECT_EQ(summary[i].downs, 0);
      EXPECT_EQ(r.verdict(summary[i].verdict), "crossed_once_and_for_good");
    }
  bool companion_heard = false;
  for (const Progress& p : memory.steps) {
    companion_heard |= std::string(p.solve) == "error bars";
    EXPECT_GT(p.loss, 0);
    EXPECT_TRUE(p.clock_fraction > 0 && p.clock_fraction <= 1);
    EXPECT_EQ(p.until, 200);
  }
  EXPECT_TRUE(companion_heard);
}

TEST_F(SimulateTest, ErrorBarsHoldWhereALargestStepBindsBothSolves) {
  // Tolerances that never reject: only max_step sets the steps, of the run and, loosened, of its companion.
  Listener nobody;
  const std::string bound = "[solver]\nuntil = 20\nrtol = 1e-3\natol = 1e-1\ninitial_step = 0.1\nmax_step = 0.1\n";
  const RunResult coarse = run(small + bound, nobody);
  EXPECT_EQ(coarse.report.counts.rejected_error, 0);
  ASSERT_TRUE(coarse.companion);
  EXPECT_LT(coarse.companion->counts.accepted, coarse.report.counts.accepted);
  const RunResult exact =
      run(small + "[solver]\nuntil = 20\nrtol = 1e-12\natol = 1e-14\nmethod = 'fehlberg78'\n", nobody);
  ASSERT_GE(coarse.crossings.size(), 3U);
  ASSERT_EQ(coarse.crossings.size(), exact.crossings.size());
  for (std::size_t i = 0; i < coarse.crossings.size(); ++i) {
    const double error = std::abs(coarse.crossings[i].t - exact.crossings[i].t);
    EXPECT_LE(error, coarse.crossings[i].t_error + 1e-12 * exact.crossings[i].t) << i;
  }
}

TEST_F(SimulateTest, AStoppingEventEndsTheRunAtItsTime) {
  const RunResult result =
      run("[[event]]\nname = 'half'\nquantity = 'loss'\ncrosses = 0.35\ndirection = 'down'\nstop = true\n" + small +
          solver);
  EXPECT_EQ(result.report.outcome, solvers::Outcome::stopped_by_event);
  const RunReader r = reader();
  ASSERT_FALSE(result.crossings.empty());
  const double stop = result.crossings.back().t;
  EXPECT_EQ(simulation_->events()[result.crossings.back().event].name, "half");
  EXPECT_LT(stop, 200);
  EXPECT_EQ(r.t().back(), stop);
  EXPECT_EQ(r.state_t().back(), stop);
  EXPECT_EQ(r.steps().t.back(), stop);
  EXPECT_NEAR(r.observable("loss").values.back(), 0.35, 1e-12);  // located to rounding
  EXPECT_EQ(r.outcome(r.end().outcome), "stopped_by_event");
  EXPECT_EQ(result.crossings.back().certain, 1);  // the companion is stopped by the same event
  EXPECT_EQ(r.verdict(r.summary()[result.crossings.back().event].verdict), "crossed_once_and_for_good");
}

TEST_F(SimulateTest, WithoutErrorBarsNothingIsCertain) {
  const RunResult result = run(small + solver + "error_bars = false\n");
  EXPECT_FALSE(result.companion);
  ASSERT_FALSE(result.crossings.empty());
  for (const trajectory::Crossing& crossing : reader().crossings()) {
    EXPECT_EQ(crossing.certain, -1);
    EXPECT_TRUE(std::isnan(crossing.t_error));
  }
}

TEST_F(SimulateTest, WhateverEndsARunIsInItsFile) {
  const RunResult limited = run(small + solver + "max_steps = 7\n");
  EXPECT_EQ(limited.report.outcome, solvers::Outcome::step_limit);
  EXPECT_FALSE(limited.companion);
  {
    const RunReader r = reader();
    EXPECT_EQ(r.outcome(r.end().outcome), "step_limit");
    EXPECT_EQ(r.steps().t.size(), 7U);
    EXPECT_LT(limited.report.t, 200);
    EXPECT_EQ(r.t().back(), limited.report.t);
    EXPECT_EQ(r.state_t().back(), limited.report.t);
    EXPECT_EQ(r.end().message, limited.report.message());
    EXPECT_EQ(r.summary()[0].true_at_end, limited.report.sign_at_end[0] > 0);
    EXPECT_TRUE(r.closed());
  }
  Memory memory;
  memory.patience = 4;
  EXPECT_EQ(run(small + solver, memory).report.outcome, solvers::Outcome::interrupted);
  EXPECT_EQ(reader().outcome(reader().end().outcome), "interrupted");
  EXPECT_EQ(memory.steps.size(), 5U);
}

TEST_F(SimulateTest, AnExistingFileIsKept) {
  run(small + solver);
  const auto before = std::filesystem::last_write_time(file());
  Listener nobody;
  EXPECT_THROW(simulation_->run(file(), false, "", nobody), FileError);
  EXPECT_EQ(std::filesystem::last_write_time(file()), before);
}

TEST_F(SimulateTest, EqualSettingsGiveEqualBits) {
  run(small + solver, "a.h5");
  run(small + solver, "a_file_with_quite_another_name_that_moves_what_is_allocated_after_it.h5");
  const RunReader a = reader("a.h5"),
                  b = reader("a_file_with_quite_another_name_that_moves_what_is_allocated_after_it.h5");
  for (const std::string& name : a.observables())
    EXPECT_EQ(a.observable(name).values, b.observable(name).values) << name;
  EXPECT_EQ(a.steps().error_ratio, b.steps().error_ratio);
}

TEST_F(SimulateTest, TheFirstTimeScaleIsTheFlowsOwn) {
  const Simulation simulation(experiment(small));
  const Weights<double> w = simulation.flow().weights(simulation.flow().initial_state());
  const double U = (w.W.transpose() * w.a).squaredNorm(), Gamma = w.W_V.colwise().squaredNorm().maxCoeff();
  EXPECT_NEAR(simulation.t0(), 1 / (U + 6 * Gamma), 1e-14);  // rounding
  EXPECT_EQ(Simulation(experiment(small + "[solver]\nt0 = 7.5\n")).t0(), 7.5);
  EXPECT_EQ(Simulation(experiment(small + "[solver]\nclock = 'linear'\n")).t0(), 0);
  const std::string zero =
      "[model]\nwidth = 2\nhidden = 2\nstart = { kind = 'gaussian', W = 0, W_V = 0, W_K = 0, W_Q = 0 }\n";
  EXPECT_EQ(Simulation(experiment(tests::small_task() + zero)).t0(), 1);
}

TEST_F(SimulateTest, TracksTargetsAndCommonWordUnlessTold) {
  run(small + solver);
  EXPECT_EQ(reader().dimension("word").labels, (std::vector<std::string>{"mu_1", "mu_2", "mu_3"}));
  run(small + solver + "[save]\nwords = [13, 2]\n");
  EXPECT_EQ(reader().dimension("word").labels, (std::vector<std::string>{"mu_13", "mu_2"}));
}

TEST_F(SimulateTest, SettingsThatOnlyShowToBeWrongHereSayWhere) {
  const auto problems = [&](const std::string& toml) {
    return tests::problems_of([&] { Simulation(experiment(toml, folder_.path())); });
  };
  const std::string events = R"(
[[event]]
name = "one"
quantity = "G[9]"
crosses = 1
direction = "up"
[[event]]
name = "two"
quantity = "losss"
crosses = 1
direction = "up"
)";
  EXPECT_THAT(problems(small + events),
              AllOf(HasSubstr("experiment.toml:"), HasSubstr("event 'one'"), HasSubstr("no tracked word '9'"),
                    HasSubstr("event 'two'"), HasSubstr("unknown quantity 'losss'")));
  // The size of a vocabulary that a file brings is not known before.
  Simulation(experiment(small, folder_.path())).run(file(), true, "", *std::make_unique<Listener>());
  EXPECT_THAT(problems("[task]\nkind = 'file'\npath = 'run.h5'\n[save]\nwords = [1, 99]\n" + events),
              AllOf(HasSubstr("word 99 lies outside"), HasSubstr("event 'one'"), HasSubstr("event 'two'")));
}

TEST_F(SimulateTest, TestSamplesAndRequestsChangeNothingElse) {
  const std::string uniform = "[task]\nsamples = 6\nlength = 4\nwords = 13\n";
  const std::string rest = tests::small_model() + solver + "[save]\nrecords = 13\nstates = 4\n";
  const RunResult plain = run(uniform + rest, "plain.h5");
  const RunResult more = run(uniform + "test_samples = 20\n" + rest +
                                 "observables = ['curvature_min', 'sharpness', 'stable_rank', 'loss_class_slope', "
                                 "'attention']\n",
                             "more.h5");
  EXPECT_EQ(plain.report.counts.evaluations(), more.report.counts.evaluations());
  const RunReader first = reader("plain.h5"), second = reader("more.h5");
  EXPECT_EQ(first.t(), second.t());
  for (const std::string& name : first.observables())
    EXPECT_EQ(first.observable(name).values, second.observable(name).values) << name;
  for (const std::string& name : first.states())
    for (const std::int64_t k : {0, 3}) EXPECT_EQ(first.state(name, k).values, second.state(name, k).values) << name;
  const std::vector<std::string> before = first.observables(), names = second.observables();
  const std::vector<std::string> added(names.begin() + std::ssize(before), names.end());
  EXPECT_THAT(added, testing::ElementsAre("loss_test", "accuracy_test", "attention", "loss_class_slope", "stable_rank",
                                          "sharpness", "curvature_min"));
  EXPECT_THAT(second.observable("attention").dimensions, testing::ElementsAre("t", "class", "key_role", "query_role"));
  EXPECT_EQ(second.observable("attention").shape, (std::vector<std::int64_t>{13, 4, 4, 4}));
  for (const double sharpness : second.observable("sharpness").values) EXPECT_GT(sharpness, 0);
  for (const double smallest : second.observable("curvature_min").values) EXPECT_LT(smallest, 0);
  EXPECT_EQ(experiment(second.text_attribute("settings"), folder_.path()), simulation_->experiment());
}

TEST_F(SimulateTest, SnapshotsHoldMarginAndLossOfEverySample) {
  for (const char* formulation : {"reduced", "coupled"}) {
    run(small + solver + "[save]\nrecords = 4\nstates = 4\n[flow]\nformulation = '" + formulation + "'\n");
    const RunReader r = reader();
    const std::vector<double> loss = r.observable("loss").values, margin_min = r.observable("margin_min").values;
    for (std::int64_t k = 0; k < 4; ++k) {
      const std::vector<double> z = r.state("margin", k).values, losses = r.state("sample_loss", k).values;
      ASSERT_EQ(z.size(), 6U);
      EXPECT_EQ(*std::ranges::min_element(z), margin_min[static_cast<std::size_t>(k)]);
      double sum = 0;
      for (std::size_t i = 0; i < z.size(); ++i) {
        EXPECT_NEAR(losses[i], std::log1p(std::exp(-z[i])), 1e-15 * (1 + std::abs(z[i])));
        sum += losses[i];
      }
      EXPECT_EQ(sum / 6, loss[static_cast<std::size_t>(k)]);  // the same sum in the same order
    }
    EXPECT_EQ(r.state("margin", 0).dimensions, std::vector<std::string>{"sample"});
  }
}

TEST_F(SimulateTest, SharpnessCrossesLikeAnyOtherQuantity) {
  const std::string settings = small + solver + "[save]\nrecords = 60\nobservables = ['sharpness']\n";
  run(settings);
  const std::vector<double> sharpness = reader().observable("sharpness").values;
  const auto [smallest, largest] = std::ranges::minmax(sharpness);
  const double level = 0.5 * (smallest + largest);
  run(settings + "[[event]]\nname = 'edge'\nquantity = 'sharpness'\ncrosses = " + std::to_string(level) + "\n");
  const RunReader r = reader();
  const auto events = r.events();
  const auto at = std::ranges::find(events, "edge", &trajectory::EventInfo::name) - events.begin();
  std::size_t crossings = 0, changes = 0;
  for (const trajectory::Crossing& c : r.crossings()) {
    if (c.event != at) continue;
    ++crossings;
    EXPECT_EQ(c.certain, 1);
    // It lies between two records on either side of the level.
    const auto after = static_cast<std::size_t>(std::ranges::lower_bound(r.t(), c.t) - r.t().begin());
    EXPECT_LT((sharpness[after - 1] - level) * (sharpness[after] - level), 0);
    EXPECT_EQ(sharpness[after] > level, c.direction > 0);
  }
  for (std::size_t i = 1; i < sharpness.size(); ++i) changes += (sharpness[i - 1] > level) != (sharpness[i] > level);
  EXPECT_EQ(crossings, changes);
  EXPECT_GT(crossings, 0U);
}

TEST_F(SimulateTest, RefusesWhatTheRunDoesNotHave) {
  const auto problem = [&](const std::string& more) {
    return tests::problems_of([&] { Simulation(experiment(small + more, folder_.path())); });
  };
  EXPECT_THAT(problem("[[event]]\nname = 'x'\nquantity = 'loss_test'\ncrosses = 1\n"),
              AllOf(HasSubstr("experiment.toml:"), HasSubstr("event 'x': quantity 'loss_test' needs test samples")));
  EXPECT_THAT(problem("[flow]\nformulation = 'coupled'\n[[event]]\nname = 'x'\nquantity = 'sharpness'\ncrosses = 1\n"),
              HasSubstr("event 'x': quantity 'sharpness' needs weights, and this flow has inner products only"));
  EXPECT_THAT(problem("[flow]\nformulation = 'coupled'\n[save]\nobservables = ['sharpness']\n"),
              HasSubstr("key 'save.observables': has \"sharpness\", which needs weights"));
}

}  // namespace
}  // namespace gradflow
