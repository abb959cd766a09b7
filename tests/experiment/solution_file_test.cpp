// The solution of a system of one's own as a run's file: what goes in comes out, for RunReader, the command and xarray.
#include <gradflow/experiment/solution_file.hpp>
#include <gradflow/trajectory/reader.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/problems.hpp"
#include "support/process.hpp"
#include "trajectory/example_run.hpp"

namespace gradflow {
namespace {

using trajectory::RunReader;
using trajectory::example::Folder;

/// x' = -x for a matrix of 2 x 3 by columns, its transpose by rows, a vector, and a number: entries are told apart by
/// their starts.
solvers::Problem<double> decay() {
  using Vectors = solvers::Block::Vectors;
  solvers::Problem<double> system(
      {{.name = "by columns", .rows = 2, .columns = 3},
       {.name = "by rows", .rows = 2, .columns = 3, .vectors = Vectors::rows},
       {.name = "w", .rows = 4},
       {.name = "c"}},
      [](double, auto x, auto dx) { std::transform(x.begin(), x.end(), dx.begin(), [](double v) { return -v; }); });
  system.watch([](double, auto x) { return 8.5 - x[16]; });  // of the number, from 17: at t = log 2
  system.watch([](double, auto x) { return x[0]; });
  return system;
}

struct SolutionFile : testing::Test {
  const solvers::Problem<double> system = decay();
  const std::vector<double> start = trajectory::example::iota(17, 1);
  const solvers::Schedule<double> schedule{.end = 2, .outputs = {0, 0.5, 1}};
  const solvers::SolveOptions<double> options{.clock = solvers::Clock<double>::log(0.25), .error_bars = true};
  const solvers::Solution<double> solution = solvers::solve(system, start, schedule, options);
  const SolutionNotes notes{.observables = {{"total", "m", "the sum of all",
                                             [](double t, std::span<const double> x) { return t + x[0] + x[16]; }},
                                            {"time", "s", "", [](double t, auto) { return t; }}},
                            .attributes = {{"title", std::string("Decay")}, {"rate", 1.0}}};
  const Folder folder;

  std::filesystem::path write() const {
    write_solution(folder / "decay.h5", system, solution, options, notes);
    return folder / "decay.h5";
  }
};

TEST_F(SolutionFile, StatesAreRowMajorByTheirNamesAndShapes) {
  const RunReader run(write());
  EXPECT_TRUE(run.closed());
  EXPECT_EQ(run.states(), (std::vector<std::string>{"by columns", "by rows", "w", "c"}));
  EXPECT_EQ(run.state_t(), (std::vector<double>{0, 0.5, 1, 2}));  // the end as well
  const auto first = run.state("by columns", 0);
  EXPECT_EQ(first.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(first.dimensions, (std::vector<std::string>{"by columns_row", "by columns_column"}));
  EXPECT_EQ(first.values, (std::vector<double>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(run.state("by rows", 0).values, (std::vector<double>{7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(run.state("w", 0).dimensions, std::vector<std::string>{"w_index"});
  EXPECT_EQ(run.state("w", 0).values, (std::vector<double>{13, 14, 15, 16}));
  EXPECT_EQ(run.state("c", 0).shape, std::vector<std::int64_t>{});
  EXPECT_EQ(run.state("c", 1).values, std::vector<double>{solution.x[1][16]});
  EXPECT_EQ(run.state("c", 3).values, std::vector<double>{solution.x_end[16]});
}

TEST_F(SolutionFile, ObservablesAreFunctionsOfTheStates) {
  const RunReader run(write());
  EXPECT_EQ(run.t(), run.state_t());
  EXPECT_EQ(run.observables(), (std::vector<std::string>{"total", "time"}));
  const auto total = run.observable("total");
  EXPECT_EQ(total.unit, "m");
  EXPECT_EQ(total.long_name, "the sum of all");
  ASSERT_EQ(total.values.size(), 4u);
  EXPECT_EQ(total.values[2], 1 + solution.x[2][0] + solution.x[2][16]);
  EXPECT_EQ(run.observable("time").values, run.t());
}

TEST_F(SolutionFile, EventsStepsAndOutcomeAreTheSolutions) {
  const RunReader run(write());
  ASSERT_EQ(run.events().size(), 2u);
  const auto summary = run.summary();
  EXPECT_EQ(summary[0].true_at_start, 0);
  EXPECT_EQ(summary[0].ups, 1);
  EXPECT_EQ(summary[0].downs, 0);
  EXPECT_EQ(run.verdict(summary[0].verdict), "crossed_once_and_for_good");
  EXPECT_EQ(run.verdict(summary[1].verdict), "at_start_and_for_good");
  ASSERT_EQ(run.crossings().size(), 1u);
  const auto crossing = run.crossings()[0];
  EXPECT_EQ(crossing.t, solution.crossings[0].t);
  EXPECT_EQ(crossing.t_error, solution.error_bars[0].error);
  EXPECT_LE(std::abs(crossing.t - std::log(2)), crossing.t_error);
  EXPECT_EQ(crossing.certain, 1);
  EXPECT_NEAR(crossing.slope, 8.5, 1e-6);
  EXPECT_EQ(summary[0].for_good, crossing.t);
  EXPECT_EQ(summary[0].for_good_error, crossing.t_error);

  EXPECT_EQ(run.steps().t.size(), solution.steps.size());
  EXPECT_EQ(run.steps().t.back(), 2);
  EXPECT_EQ(run.steps().clock_step[1], solution.steps[1].clock_step);
  EXPECT_EQ(run.steps().error_ratio[1], solution.steps[1].ratio);
  EXPECT_EQ(run.outcome(run.end().outcome), "reached_end");
  EXPECT_EQ(run.end().message, solution.report.message());
  EXPECT_EQ(run.end().counts[0], solution.report.counts.accepted);
  EXPECT_EQ(run.end().counts[9], solution.companion->counts.evaluations());
}

TEST_F(SolutionFile, AttributesSayHowItWasSolved) {
  const RunReader run(write());
  EXPECT_EQ(run.text_attribute("title"), "Decay");
  EXPECT_EQ(run.number_attribute("rate"), 1);
  EXPECT_EQ(run.number_attribute("rtol"), 1e-8);
  EXPECT_EQ(run.number_attribute("t0"), 0.25);
  EXPECT_EQ(run.text_attribute("settings"),
            "[solver]\nmethod = \"dopri5\"\nrtol = 1e-08\natol = 1e-10\nclock = \"log\"\nt0 = 0.25\n"
            "error_bars = true\nmax_steps = 1000000\nmax_rejections = 10000\n");
}

TEST_F(SolutionFile, WithoutErrorBarsEventsOrOutputs) {
  const auto bare = solvers::solve(system, start, solvers::Schedule<double>{.end = 1, .outputs = {}});
  write_solution(folder / "bare.h5", system, bare, {});
  const RunReader run(folder / "bare.h5");
  EXPECT_EQ(run.t(), std::vector<double>{1});
  EXPECT_EQ(run.crossings()[0].certain, -1);
  EXPECT_TRUE(std::isnan(run.crossings()[0].t_error));

  const auto oscillator = solvers::oscillator();
  const auto quiet = solvers::solve(oscillator, {1, 0}, solvers::Schedule<double>{.end = 1, .outputs = {0}});
  write_solution(folder / "quiet.h5", oscillator, quiet, {});
  EXPECT_TRUE(RunReader(folder / "quiet.h5").events().empty());
  EXPECT_TRUE(RunReader(folder / "quiet.h5").crossings().empty());
}

TEST_F(SolutionFile, TheCommandShowsIt) {
  write();
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{}, {"--json"}}) {
    std::vector<std::string> command{GRADFLOW_COMMAND, "show", "decay.h5"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto shown = support::Process(command, folder.path()).finish();
    EXPECT_EQ(shown.code, 0) << shown.err;
    for (const char* part : {"Decay", "reached_end", "total", "dopri5"})
      EXPECT_NE(shown.out.find(part), std::string::npos) << part << " in:\n" << shown.out;
  }
}

TEST_F(SolutionFile, XarrayOpensIt) {
  write();
  const std::string program = R"(
import numpy as np, xarray as xr
for group in (None, "states", "events/summary", "events/crossings", "steps", "run"):
    assert xr.open_dataset("decay.h5", group=group, engine="h5netcdf").sizes is not None
root = xr.open_dataset("decay.h5", engine="h5netcdf")
assert root.total.dims == ("t",) and root.total.attrs["units"] == "m", root
states = xr.open_dataset("decay.h5", group="states", engine="h5netcdf")
assert states["by columns"].sel(t=0).values.tolist() == [[1, 3, 5], [2, 4, 6]], states
assert np.isclose(float(states.c.sel(t=1)), 17 / np.e, rtol=1e-6), states.c
crossings = xr.open_dataset("decay.h5", group="events/crossings", engine="h5netcdf").to_dataframe()
assert len(crossings) == 1 and abs(crossings.index[0] - np.log(2)) <= crossings.t_error.iloc[0], crossings
)";
  const auto result = support::Process({GRADFLOW_PYTHON, "-c", program}, folder.path()).finish();
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(SolutionFile, MisuseAndFilesThatExistAreRefused) {
  const auto path = write();
  EXPECT_THROW(write(), FileError);
  SolutionNotes again = notes;
  again.overwrite = true;
  EXPECT_NO_THROW(write_solution(path, system, solution, options, again));

  EXPECT_THROW(write_solution(folder / "a.h5", solvers::oscillator(), solution, options), std::invalid_argument);
  for (const char* name : {"", "a/b", "total"}) {
    SolutionNotes bad = notes;
    bad.observables.push_back({name, "1", "", [](double, auto) { return 0.0; }});
    EXPECT_THROW(write_solution(folder / "a.h5", system, solution, options, bad), std::invalid_argument) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "a.h5"));
}

}  // namespace
}  // namespace gradflow
