#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <gradflow/experiment/compare.hpp>
#include <gradflow/flows/curvature.hpp>
#include <gradflow/trajectory/comparison.hpp>
#include <numbers>
#include <solvers/solve.hpp>

#include "experiment/compare_fits.hpp"
#include "experiment/compare_plan.hpp"
#include "experiment/compare_rates.hpp"
#include "support/experiments.hpp"

// The flow beside its descents, from settings to the comparison's file.
namespace gradflow {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::experiment;
using trajectory::ComparisonReader;
using trajectory::RunReader;

const std::string small = tests::small_task() + tests::small_model();
const std::string solver = "[solver]\nmethod = 'fehlberg78'\nrtol = 1e-12\natol = 1e-14\nuntil = 20\n";
const std::string save = "[save]\nrecords = 40\nstates = 3\n";

/// Wide enough for the reduced flow to run in compressed coordinates.
const std::string wide = tests::small_task() + "[model]\nwidth = 40\nhidden = 6\n" +
                         "start = { kind = 'gaussian', W = 0.3, W_V = 0.2, W_K = 0.4, W_Q = 0.5 }\n";

/// Counts what it hears; asks to stop after `patience` questions.
struct Memory : Listener {
  bool wants_progress() override { return true; }
  void progress(const Progress& p) override { solves.emplace_back(p.solve); }
  void crossing(const FlowEvent&, const EventCrossing&) override { ++crossings; }
  bool interrupt() override { return patience >= 0 && patience-- == 0; }
  std::vector<std::string> solves;
  int crossings = 0, patience = -1;
};

class CompareTest : public testing::Test {
 protected:
  ComparisonResult run(const std::string& toml, Listener& listener) {
    comparison_.emplace(experiment(toml, folder_.path()));
    return comparison_->run(file(), true, "gradflow compare test", listener);
  }
  ComparisonResult run(const std::string& toml) {
    Listener nobody;
    return run(toml, nobody);
  }
  std::filesystem::path file() const { return folder_.path() / "compare.h5"; }

  /// A column over the descents, of one of them.
  std::vector<double> column(const std::string& name, std::int64_t descent) const {
    const ComparisonReader reader(file());
    const trajectory::Values all = reader.column(name);
    std::vector<double> result;
    for (auto i = static_cast<std::size_t>(descent); i < all.values.size();
         i += static_cast<std::size_t>(reader.descents()))
      result.push_back(all.values[i]);
    return result;
  }

  support::TemporaryFolder folder_;
  std::optional<Comparison> comparison_;
};

double largest(const std::vector<double>& values) { return *std::ranges::max_element(values); }

TEST_F(CompareTest, DistancesFallWithTheirOrders) {
  for (const char* formulation : {"reduced", "full"}) {
    SCOPED_TRACE(formulation);
    const ComparisonResult result =
        run(small + solver + save + "[flow]\nformulation = '" + formulation +
            "'\n[descent]\nmethods = ['gd', 'heavy-ball']\nmomentum = 0.5\nrates = [0.04, 0.02, 0.01]\n"
            "modified = [2, 3]\n");
    ASSERT_EQ(result.fits.size(), 6U);
    for (const OrderFit& fit : result.fits) {
      SCOPED_TRACE(fit.method + " " + fit.reference);
      if (fit.method == "heavy-ball" && fit.reference == "order 3") {
        EXPECT_EQ(fit.rates, 0U);  // there is no such flow
        EXPECT_TRUE(std::isnan(fit.order));
        continue;
      }
      const double expected = fit.reference == "flow" ? 1 : fit.reference == "order 2" ? 2 : 3;
      EXPECT_NEAR(fit.order, expected, 0.15);  // the next term of the expansion, at these rates
      EXPECT_LT(fit.order_error, 0.1);
      EXPECT_EQ(fit.rates, 3U);
    }
    const ComparisonReader reader(file());
    EXPECT_TRUE(reader.closed());
    EXPECT_EQ(reader.labels(), (std::vector<std::string>{"gd 0.04", "gd 0.02", "gd 0.01", "heavy-ball 0.04",
                                                         "heavy-ball 0.02", "heavy-ball 0.01"}));
    for (const trajectory::Array& array : reader.results("fits").arrays)
      if (array.name == "order") {
        const auto& order = std::get<std::vector<double>>(array.values);
        EXPECT_EQ(order[1], result.fits[1].order);
      }
    EXPECT_EQ(reader.column("distance").values[0], 0);
    EXPECT_LT(largest(column("distance_order3", 0)), 0.1 * largest(column("distance_order2", 0)));
    EXPECT_LT(largest(column("distance_order2", 0)), 0.1 * largest(column("distance", 0)));
    EXPECT_EQ(result.modified.size(), 9U);
  }
}

// The same from a solve of the whole flow and descents stepped by hand.
TEST_F(CompareTest, NumbersAreThoseOfTheLibrarysPieces) {
  run(wide + solver + save + "[descent]\nmethods = ['gd', 'adam', 'sgd']\nbatch = 2\nrates = [0.04, 0.015]\n");
  const ComparisonReader reader(file());
  const std::vector<double> t = reader.t();
  ASSERT_GT(t.size(), 15U);
  const Weights<double> start = make_start(comparison_->experiment(), comparison_->task());
  for (std::size_t d = 0; d < 6; ++d) {
    SCOPED_TRACE(reader.labels()[d]);
    const auto full = make_full_flow(comparison_->task(), start);
    Descent descent(*full, comparison_->updates()[d], comparison_->experiment().seed);
    const std::vector<double> distance = column("distance", static_cast<std::int64_t>(d)),
                              loss = column("difference_loss", static_cast<std::int64_t>(d)),
                              at = column("descent_t", static_cast<std::int64_t>(d));
    const auto solution = solvers::solve<double>(*full, full->initial_state(), {20, at},
                                                 {.method = "fehlberg78", .tolerances = {1e-12, 1e-14}});
    Moment moment(*full), beside(*full);
    for (std::size_t row = 0; row < t.size(); ++row) {
      const Index steps = descent.update().steps_until(t[row]);
      EXPECT_EQ(at[row], descent.update().time(steps));
      while (descent.steps() < steps) ASSERT_TRUE(descent.step());
      const Eigen::Map<const Eigen::VectorXd> x(descent.state().data(), full->dimension() - 1),
          y(solution.x[row].data(), full->dimension() - 1);
      // Words that occur in no sample never move; they count for the size alone.
      const Weights<double> w = full->weights(solution.x[row]);
      const double size =
          std::sqrt(w.W.squaredNorm() + w.W_V.squaredNorm() + w.W_K.squaredNorm() + w.W_Q.squaredNorm());
      // Both solves of the flow are good to some hundred times rtol.
      EXPECT_NEAR(distance[row], (x - y).norm() / size, 1e-10);
      moment.set(0, descent.state());
      beside.set(0, solution.x[row]);
      EXPECT_NEAR(loss[row], moment.forward().loss - beside.forward().loss, 1e-10);
    }
  }
}

// Descents are stepped from one time of comparison to the next; their events must not notice. The accuracy stays on its
// level exactly for many steps, across such times.
TEST_F(CompareTest, EventsAreThoseOfAnUnbrokenDescent) {
  const ComparisonResult result = run(small + solver + save +
                                      "[[event]]\nname = 'half'\nquantity = 'accuracy'\ncrosses = 0.5\n"
                                      "[[event]]\nname = 'most'\nquantity = 'accuracy'\ncrosses = 0.6666666666666666\n"
                                      "[descent]\nrates = [0.04, 0.03]\n");
  const ComparisonReader reader(file());
  struct Keep : DescentObserver {
    std::vector<StepCrossing> crossings;
    void crossing(const StepCrossing& c, std::span<const double>) override { crossings.push_back(c); }
  };
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < comparison_->events().size(); ++i)
    if (comparison_->events()[i].applicable) rows.push_back(i);
  for (std::size_t d = 0; d < 2; ++d) {
    Descent descent(comparison_->flow(), comparison_->updates()[d]);
    Keep keep;
    const Index end = descent.update().steps_until(20);
    const DescentReport report =
        descend(descent, WatchedFlow(comparison_->flow(), comparison_->events()), {end, {}}, keep);
    const auto crossings = reader.descent(static_cast<std::int64_t>(d)).crossings();
    ASSERT_EQ(crossings.size(), keep.crossings.size());
    ASSERT_GT(crossings.size(), 4U);
    for (std::size_t i = 0; i < crossings.size(); ++i) {
      EXPECT_EQ(crossings[i].event, static_cast<std::int64_t>(rows[static_cast<std::size_t>(keep.crossings[i].event)]));
      EXPECT_EQ(crossings[i].t, keep.crossings[i].t);
      EXPECT_EQ(crossings[i].slope, keep.crossings[i].slope);
      EXPECT_EQ(crossings[i].direction, keep.crossings[i].direction);
      EXPECT_NEAR(crossings[i].t_error, comparison_->updates()[d].rate() / 2, 1e-14);  // rounding of a time of 20
      EXPECT_EQ(crossings[i].certain, -1);
      const auto steps = std::span(crossings[i].values).last(2);
      EXPECT_EQ(steps[0], static_cast<double>(keep.crossings[i].before));
      EXPECT_EQ(steps[1], static_cast<double>(keep.crossings[i].after));
    }
    EXPECT_EQ(result.descents[d].report.sign_at_start, report.sign_at_start);
    EXPECT_EQ(result.descents[d].report.sign_at_end, report.sign_at_end);
    EXPECT_EQ(result.descents[d].report.gradients, end);
  }
}

TEST_F(CompareTest, EveryRunIsLaidOutAsItsOwn) {
  Memory memory;
  const ComparisonResult result =
      run(wide + solver + save + "[descent]\nmethods = ['gd', 'sign']\nrates = [0.03]\n", memory);
  const ComparisonReader reader(file());
  Simulation simulation(comparison_->experiment());
  Listener nobody;
  simulation.run(folder_.path() / "run.h5", false, "gradflow simulate test", nobody);
  const RunReader alone(folder_.path() / "run.h5"), flow = reader.flow();
  // The times of comparison are read off the flow's steps and change none of them.
  EXPECT_EQ(flow.t(), alone.t());
  for (const std::string& name : alone.observables())
    EXPECT_THAT(flow.observable(name).values,
                testing::Pointwise(testing::NanSensitiveDoubleEq(), alone.observable(name).values))
        << name;
  ASSERT_EQ(flow.crossings().size(), alone.crossings().size());
  for (std::size_t i = 0; i < flow.crossings().size(); ++i) {
    EXPECT_EQ(flow.crossings()[i].t, alone.crossings()[i].t);
    EXPECT_EQ(flow.crossings()[i].t_error, alone.crossings()[i].t_error);
  }
  EXPECT_EQ(memory.crossings, std::ssize(flow.crossings()));  // of the flow alone
  EXPECT_THAT(memory.solves, AllOf(testing::Contains(""), testing::Contains("error bars"), testing::Contains("gd 0.03"),
                                   testing::Contains("sign 0.03")));

  for (std::int64_t d = 0; d < 2; ++d) {
    const RunReader descent = reader.descent(d);
    EXPECT_EQ(descent.observables(), flow.observables());
    EXPECT_EQ(descent.text_attribute("t_is"), d == 0 ? "flow time" : "steps x rate");
    EXPECT_EQ(descent.number_attribute("rate"), 0.03);
    EXPECT_EQ(descent.outcome(descent.end().outcome), "reached_end");
    EXPECT_EQ(descent.end().counts.at(1), 666);  // gradients: steps of 0.03 to 20
    EXPECT_EQ(descent.t().back(), comparison_->updates()[0].time(666));
    EXPECT_EQ(descent.state_t(), (std::vector<double>{0, descent.t().back()}));
    const std::vector<double> loss = descent.observable("loss").values, shift = column("difference_loss", d);
    ASSERT_EQ(loss.size(), reader.t().size());  // here the last step is a time of comparison
    EXPECT_NEAR(shift[0], 0, 1e-15);            // one start through two sets of coordinates
    EXPECT_EQ(descent.events().size(), flow.events().size());
  }
  EXPECT_TRUE(std::isnan(result.fits.at(3).order));  // sign descent has no flow time
  EXPECT_EQ(result.fits.at(3).rates, 0U);
}

TEST_F(CompareTest, ADescentThatDivergesIsAResult) {
  // Two equal samples of opposite labels: there is always a gradient, and large steps make it larger.
  std::ofstream(folder_.path() / "same.jsonl") << R"({"tokens": [0, 1, 3], "label": 1}
{"tokens": [0, 1, 3], "label": -1}
)";
  const ComparisonResult result =
      run("[task]\nkind = 'file'\npath = 'same.jsonl'\nwords = 4\n" + tests::small_model() + save +
          "[solver]\nuntil = 2000\nrtol = 1e-6\n[descent]\nrates = [0.2, 5.0, 0.1]\n");
  EXPECT_TRUE(result.flow.report.reached_target());
  ASSERT_EQ(result.descents[1].report.outcome, DescentOutcome::diverged) << result.descents[1].report.message();
  const std::vector<double> distance = column("distance", 1);
  EXPECT_EQ(distance.front(), 0);
  EXPECT_TRUE(std::isnan(distance.back()));
  EXPECT_TRUE(std::isnan(column("descent_t", 1).back()));
  const RunReader descent = ComparisonReader(file()).descent(1);
  EXPECT_EQ(descent.outcome(descent.end().outcome), "diverged");
  EXPECT_EQ(descent.t().back(), result.descents[1].report.t);
  EXPECT_FALSE(result.interrupted);
}

TEST_F(CompareTest, AnInterruptKeepsWhatWasComputed) {
  const std::string toml = small + solver + save + "[descent]\nrates = [0.01]\nmodified = [2]\n";
  Memory memory;
  memory.patience = 1000;  // in the midst of the descents
  const ComparisonResult result = run(toml, memory);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.flow.report.outcome, solvers::Outcome::interrupted);
  EXPECT_EQ(result.descents[0].report.outcome, DescentOutcome::interrupted);
  EXPECT_TRUE(result.modified.empty());
  const ComparisonReader reader(file());
  EXPECT_TRUE(reader.closed());
  EXPECT_GT(reader.t().size(), 5U);
  EXPECT_LT(reader.t().back(), 20);
  const RunReader descent = reader.descent(0);
  EXPECT_EQ(descent.outcome(descent.end().outcome), "interrupted");
  EXPECT_EQ(descent.t().back(), result.descents[0].report.t);
}

TEST_F(CompareTest, WhereTheFlowFailsTheDescentsEndWithIt) {
  const ComparisonResult result = run(small + solver + "max_steps = 20\n" + save + "[descent]\nrates = [0.04]\n");
  EXPECT_EQ(result.flow.report.outcome, solvers::Outcome::step_limit);
  EXPECT_EQ(result.descents[0].report.outcome, DescentOutcome::interrupted);
  EXPECT_LE(result.descents[0].report.t, result.flow.report.t);
  EXPECT_FALSE(result.interrupted);  // by nobody
}

TEST_F(CompareTest, AnEventMayStopAnyOfThem) {
  const ComparisonResult result = run(small + solver + save +
                                      "[[event]]\nname = 'done'\nquantity = 'loss'\ncrosses = 0.5\ndirection = 'down'\n"
                                      "stop = true\n[descent]\nrates = [0.04, 0.02]\n");
  ASSERT_EQ(result.flow.report.outcome, solvers::Outcome::stopped_by_event);
  for (const DescentResult& descent : result.descents) {
    EXPECT_EQ(descent.report.outcome, DescentOutcome::stopped_by_event);
    EXPECT_NEAR(descent.report.t, result.flow.report.t, 0.2);  // a few steps: the distance is of order eta
  }
  EXPECT_FALSE(result.interrupted);
}

TEST_F(CompareTest, RefusesWhatHasNoDescents) {
  const auto refusal = [&](const std::string& toml) {
    return tests::problems_of([&] { Comparison(experiment(toml, folder_.path())); });
  };
  EXPECT_THAT(refusal(small + "[flow]\nformulation = 'coupled'\n"),
              AllOf(HasSubstr("experiment.toml: flow.formulation"), HasSubstr("inner products only")));
  EXPECT_THAT(refusal(small + "[solver]\nuntil = 0.5\n[descent]\nrates = [0.4, 0.6, 0.7]\nmethods = ['gd', 'adam']\n"),
              AllOf(HasSubstr("first step of gd at rate 0.6 ends at t = 0.6, after solver.until = 0.5"),
                    HasSubstr("gd at rate 0.7"), HasSubstr("adam at rate 0.6")));
  EXPECT_THAT(refusal(small + "[solver]\nuntil = 1e12\n[descent]\nrates = [1e-6]\n"), HasSubstr("1e+18 steps"));
}

TEST(ComparisonPlanTest, RatesThatDivideEachOtherMeetInEveryRow) {
  const auto clock = solvers::Clock<double>::log(0.01);
  const SavePlan save_plan_ = save_plan(clock, 30, 50, 4);
  const std::vector<Update> updates{{"gd", 0.1}, {"gd", 0.05}, {"gd", 0.03}};
  const ComparisonPlan plan = comparison_plan(save_plan_, updates);
  EXPECT_EQ(plan.t.front(), 0);
  EXPECT_EQ(plan.t.back(), 30);
  EXPECT_TRUE(std::ranges::is_sorted(plan.save.times));
  EXPECT_EQ(std::ranges::count(plan.save.record, true), 50);
  EXPECT_EQ(std::ranges::count(plan.save.snapshot, true), 4);
  std::size_t ended = 0;
  for (std::size_t i = 0; i < plan.save.times.size(); ++i) {
    if (!plan.meetings[i]) continue;
    const auto& [row, descents, ends_row] = *plan.meetings[i];
    EXPECT_EQ(row, ended);
    for (const std::size_t d : descents)
      EXPECT_NEAR(updates[d].time(plan.steps[row][d]), plan.save.times[i], 1e-12 * 30);  // rounding
    if (!ends_row) continue;
    EXPECT_EQ(plan.save.times[i], plan.t[row]);
    EXPECT_THAT(descents, testing::IsSupersetOf({0U, 1U}));
    ++ended;
  }
  EXPECT_EQ(ended, plan.t.size());
  for (std::size_t row = 0; row < plan.t.size(); ++row) {
    EXPECT_EQ(plan.steps[row][1], 2 * plan.steps[row][0]);
    EXPECT_LT(plan.t[row] - updates[2].time(plan.steps[row][2]), 0.03);
  }
}

/// One of the file's groups of results, by name.
std::vector<double> results(const ComparisonReader& reader, const std::string& group, const std::string& name) {
  for (const trajectory::Array& array : reader.results(group).arrays)
    if (array.name == name) return std::get<std::vector<double>>(array.values);
  throw std::invalid_argument("no result " + name);
}

TEST_F(CompareTest, OrdersAreFittedAtEveryTime) {
  run(small + solver + save + "[descent]\nmethods = ['sign', 'gd']\nrates = [0.04, 0.02, 0.01]\n");
  const ComparisonReader reader(file());
  const trajectory::Values order = reader.column("order"), error = reader.column("order_error");
  ASSERT_EQ(order.shape, (std::vector<std::int64_t>{std::ssize(reader.t()), 2, 3}));
  const std::vector<double> x{std::log(0.04), std::log(0.02), std::log(0.01)};
  EXPECT_TRUE(std::isnan(order.values[3]));  // at t = 0 nothing is apart
  for (std::size_t row = 1; row < reader.t().size(); ++row) {
    std::vector<double> y;
    for (std::int64_t d = 3; d < 6; ++d) y.push_back(std::log(column("distance", d)[row]));
    EXPECT_EQ(order.values[row * 6 + 3], fit_line(x, y).slope);
    EXPECT_EQ(error.values[row * 6 + 3], fit_line(x, y).error);
    EXPECT_TRUE(std::isnan(order.values[row * 6])) << "sign descent has no flow time";
    EXPECT_TRUE(std::isnan(order.values[row * 6 + 4])) << "there was no modified flow";
  }
  const std::vector<double> between = results(reader, "fits", "order_at_rate"),
                            distance = results(reader, "fits", "largest_distance");
  for (std::size_t d = 3; d < 5; ++d)
    EXPECT_NEAR(between[3 * d], std::log2(distance[3 * d] / distance[3 * (d + 1)]), 1e-13);  // rounding
  EXPECT_TRUE(std::isnan(between[15]));
}

TEST_F(CompareTest, RulesWithoutFlowTimeAreComparedAtEqualLoss) {
  run(small + solver + save + "[descent]\nmethods = ['gd', 'adam']\nrates = [0.02]\n");
  const ComparisonReader reader(file());
  const Flow<double>& flow = comparison_->flow();
  const auto solution = solvers::solve<double>(flow, flow.initial_state(), {20, reader.t()},
                                               {.method = "fehlberg78", .tolerances = {1e-12, 1e-14}});
  Descent descent(flow, comparison_->updates()[1]);
  Moment moment(flow);
  const auto loss_of = [&](std::span<const double> x) {
    moment.set(0, x);
    return moment.forward().loss;
  };
  double loss = loss_of(descent.state()), before = loss;
  const std::vector<double> t = column("equal_loss_t", 1), distance = column("equal_loss_distance", 1);
  for (std::size_t row = 0; row < reader.t().size(); ++row) {
    const double level = loss_of(solution.x[row]);
    while (loss > level && descent.steps() < 1000) {
      ASSERT_TRUE(descent.step());
      before = std::exchange(loss, loss_of(descent.state()));
    }
    if (row == 0 || loss > level) continue;  // at t = 0 they are one, but for rounding
    EXPECT_LE(t[row], descent.time() + 1e-12);
    EXPECT_GE(t[row], descent.time() - 0.02 - 1e-12);
    // Linear in the logarithm of the loss, from the step before.
    EXPECT_NEAR(std::log(level), std::log(loss) + (descent.time() - t[row]) / 0.02 * std::log(before / loss), 1e-8);
    const Weights<double> own = flow.weights(descent.state()), of_flow = flow.weights(solution.x[row]);
    const double squares = (own.W - of_flow.W).squaredNorm() + (own.W_V - of_flow.W_V).squaredNorm() +
                           (own.W_K - of_flow.W_K).squaredNorm() + (own.W_Q - of_flow.W_Q).squaredNorm();
    const double sizes =
        of_flow.W.squaredNorm() + of_flow.W_V.squaredNorm() + of_flow.W_K.squaredNorm() + of_flow.W_Q.squaredNorm();
    EXPECT_NEAR(distance[row], std::sqrt(squares / sizes), 1e-10);
  }
  EXPECT_TRUE(std::isfinite(t.back()));  // Adam is the faster one
  EXPECT_TRUE(std::ranges::all_of(column("equal_loss_t", 0), [](double value) { return std::isnan(value); }));
}

TEST_F(CompareTest, TheRateForADistanceIsBracketed) {
  const std::string toml = small + solver + save;
  const ComparisonResult result =
      run(toml + "[descent]\nmethods = ['gd', 'heavy-ball', 'adam']\nrates = [0.04]\neps = [0.002, 0.01]\n");
  ASSERT_EQ(result.rates.size(), 4U);  // not of adam
  const ComparisonReader reader(file());
  const std::vector<double> in_file = results(reader, "learning_rate", "largest"),
                            estimate = results(reader, "learning_rate", "log10_estimate");
  ASSERT_EQ(in_file.size(), 6U);
  EXPECT_EQ(in_file[0], *result.rates[0].largest);
  EXPECT_EQ(in_file[4], *result.rates[3].largest);
  EXPECT_TRUE(std::isnan(in_file[5]));
  EXPECT_NEAR(estimate[1] - estimate[0], std::log10(5), 1e-12);  // it is in proportion to eps
  EXPECT_LT(std::pow(10, estimate[0]), *result.rates[0].largest);
  for (const RateSearch& search : std::vector(result.rates)) {
    SCOPED_TRACE(search.method);
    ASSERT_TRUE(search.largest && search.too_large);
    EXPECT_LE(*search.too_large, 1.05 * *search.largest);
    EXPECT_LE(*search.largest_distance, search.eps);
    EXPECT_GT(*search.too_large_distance, search.eps);
    // Once more, as descents of a comparison of its own.
    for (const double rate : {*search.largest, *search.too_large}) {
      run(toml + fmt::format("[descent]\nmethods = ['{}']\nrates = [{}]\n", search.method, rate));
      const double distance = largest(column("distance", 0));
      if (rate == *search.largest)
        EXPECT_NEAR(distance, *search.largest_distance, 1e-9);  // two solves of the flow, at rtol 1e-12
      else
        EXPECT_GT(distance, search.eps);
    }
  }
}

TEST_F(CompareTest, CurvatureIsSampledAlongTheFlow) {
  for (const std::string& start : {small, wide}) {
    run(start + solver + save + "[descent]\nmethods = ['gd', 'nesterov', 'sign']\nrates = [0.02]\ncurvature = 6\n");
    const ComparisonReader reader(file());
    const std::vector<double> t = results(reader, "curvature", "t"),
                              sharpness = results(reader, "curvature", "sharpness"),
                              smallest = results(reader, "curvature", "curvature_min"),
                              gradient = results(reader, "curvature", "gradient");
    ASSERT_EQ(t.size(), 6U);
    const std::vector<double> records = reader.flow().t();
    for (const double time : t) EXPECT_TRUE(std::ranges::binary_search(records, time));
    EXPECT_EQ(t.front(), 0);
    EXPECT_EQ(t.back(), 20);
    const Weights<double> weights = make_start(comparison_->experiment(), comparison_->task());
    const auto full = FieldDerivatives::of_full_flow(comparison_->task(), weights);
    const Flow<double>& flow = full.flow();
    const auto solution = solvers::solve<double>(flow, flow.initial_state(), {20, t},
                                                 {.method = "fehlberg78", .tolerances = {1e-12, 1e-14}});
    for (std::size_t i = 0; i < t.size(); ++i) {
      const Curvature expected = curvature(full, solution.x[i]);
      EXPECT_NEAR(sharpness[i], expected.largest, 1e-8 * expected.largest);
      EXPECT_NEAR(smallest[i], expected.smallest, 2e-6 * expected.largest);  // twice the bar of its residual
      std::vector<double> f(solution.x[i].size());
      flow.derivative(0, solution.x[i], f);
      EXPECT_NEAR(gradient[i], std::sqrt(f.back()), 1e-9 * gradient[i]);
    }
    const double most = largest(sharpness);
    EXPECT_EQ(results(reader, "curvature", "eta_sharpness_largest")[0], 0.02 * most);
    EXPECT_EQ(results(reader, "curvature", "eta_sharpness_largest_t")[1],
              t[static_cast<std::size_t>(std::ranges::find(sharpness, most) - sharpness.begin())]);
    EXPECT_NEAR(results(reader, "curvature", "stability_limit")[1], 2 * 1.9 / 2.8, 1e-15);
    EXPECT_TRUE(std::isnan(results(reader, "curvature", "eta_sharpness_start")[2]));
  }
  run(small + solver + save + "[descent]\nrates = [0.02]\ncurvature = 0\n");
  EXPECT_FALSE(ComparisonReader(file()).has_results("curvature"));
  EXPECT_FALSE(ComparisonReader(file()).has_results("learning_rate"));
}

TEST(RateSearchTest, BracketsWhereTheDistanceGoesThroughEps) {
  RateSearch wanted;
  wanted.eps = 1e-3;
  const auto search = [&](double guess, auto distance) {
    return search_rate(wanted, guess, 1e-9, 10, [&](double rate) { return RateTrial{distance(rate), true}; });
  };
  for (const double guess : {1e-12, 1e-6, 0.02, 100.0})
    for (const double order : {0.5, 1.0, 3.0}) {
      const RateSearch found = search(guess, [&](double rate) { return 1e-3 * std::pow(rate / 0.0123, order); });
      EXPECT_LE(*found.largest, 0.0123);
      EXPECT_GT(*found.too_large, 0.0123);
      EXPECT_LE(*found.too_large, 1.05 * *found.largest);
      EXPECT_LT(found.trials, 40);
    }
  const RateSearch wild = search(1.0, [](double rate) { return rate > 1e-4 ? HUGE_VAL : 0.0; });
  EXPECT_LE(*wild.largest, 1e-4);
  EXPECT_GT(*wild.too_large, 1e-4);
  const RateSearch all = search(1.0, [](double) { return 0.0; });
  EXPECT_EQ(*all.largest, 10);
  EXPECT_FALSE(all.too_large);
  const RateSearch none = search(1.0, [](double) { return 1.0; });
  EXPECT_EQ(*none.too_large, 1e-9);
  EXPECT_FALSE(none.largest);
  const RateSearch cut = search_rate(wanted, 1, 1e-9, 10, [](double) { return RateTrial{0, false}; });
  EXPECT_EQ(cut.trials, 0);
  EXPECT_FALSE(cut.largest || cut.too_large);
}

TEST(OrderFitTest, LineThroughKnownPoints) {
  const std::vector<double> x{0, 1, 2}, y{1, 3, 5}, bent{0, 1, 0};
  EXPECT_DOUBLE_EQ(fit_line(x, y).slope, 2);
  EXPECT_NEAR(fit_line(x, y).error, 0, 1e-15);
  EXPECT_DOUBLE_EQ(fit_line(x, bent).slope, 0);
  EXPECT_DOUBLE_EQ(fit_line(x, bent).error, std::sqrt((2.0 / 3) / 1 / 2));  // residual sum 2/3, one degree, Sxx 2
  // Student's t of one degree of freedom, Cauchy's law: its quantile at 0.975 is tan(0.475 pi).
  EXPECT_NEAR(fit_line(x, bent).confidence, std::sqrt(1.0 / 3) * std::tan(0.475 * std::numbers::pi), 1e-12);
  EXPECT_TRUE(std::isnan(fit_line(std::span(x).first(2), std::span(y).first(2)).error));
  EXPECT_TRUE(std::isnan(fit_line(std::span(x).first(1), std::span(y).first(1)).slope));
}

}  // namespace
}  // namespace gradflow
