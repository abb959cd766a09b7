#include <gtest/gtest.h>

#include <algorithm>
#include <gradflow/trajectory/comparison.hpp>

#include <cmath>
#include <optional>

#include "trajectory/child_process.hpp"
#include "trajectory/example_comparison.hpp"
#include "trajectory/table.hpp"

namespace gradflow::trajectory {
namespace {

using example::Folder;
using namespace std::chrono_literals;

/// The message of the FileError that `work` throws.
std::string file_error(const auto& work) {
  try {
    work();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no FileError";
}

void expect_error(const std::string& part, const auto& work) {
  const std::string message = file_error(work);
  EXPECT_NE(message.find(part), std::string::npos) << message << "\ndoes not say: " << part;
}

/// But for the lock of a writer that lives.
std::size_t files_in(const Folder& folder) {
  return static_cast<std::size_t>(std::count_if(std::filesystem::directory_iterator(folder.path()),
                                                std::filesystem::directory_iterator(),
                                                [](const auto& entry) { return entry.path().extension() != ".lock"; }));
}

/// Every value of the run's observables, from the time of its row.
void expect_rows(const RunReader& run, std::int64_t rows, double spacing) {
  ASSERT_EQ(std::ssize(run.t()), rows);
  double first = 0;
  for (const std::string& name : run.observables()) {
    const Values values = run.observable(name);
    const std::size_t size = values.values.size() / run.t().size();
    for (std::size_t row = 0; row < run.t().size(); ++row) {
      ASSERT_EQ(run.t()[row], spacing * static_cast<double>(row));
      for (std::size_t i = 0; i < size; ++i)
        ASSERT_EQ(values.values[row * size + i], 1000 * run.t()[row] + first + static_cast<double>(i)) << name;
    }
    first += static_cast<double>(size);
  }
}

/// A comparison of 300 rows, closed.
void write_comparison(const std::filesystem::path& path) {
  ComparisonWriter writer(path, example::comparison());
  for (std::int64_t row = 0; row < 300; ++row) example::write_row(writer, row);
  for (std::int64_t i = 0; i < example::descents; ++i) {
    const double number = static_cast<double>(i + 1);
    example::write_snapshot(writer.descent(i), number);
    writer.descent(i).set_crossing_error(7, number, 1);
    writer.descent(i).set_summary(1, {1, 0, 1, i, 1, 2, number, 1e-8});
    writer.descent(i).set_run({2, "descent " + std::to_string(i), {i, 1000}, 2.5});
  }
  writer.flow().set_run({0, "the flow", {160, 1000}, 2.5});
  writer.set_result("fits", "order", std::vector<double>{1, 2});
  writer.close();
}

TEST(Comparison, GivesBackWhatWasWritten) {
  const Folder folder;
  const ComparisonDescription given = example::comparison();
  write_comparison(folder / "compare.h5");
  EXPECT_EQ(files_in(folder), 1u);
  const ComparisonReader comparison(folder / "compare.h5");
  EXPECT_TRUE(comparison.closed());
  EXPECT_EQ(comparison.text_attribute("program"), "gradflow 0.1");
  EXPECT_EQ(comparison.number_attribute("seed"), 1);
  EXPECT_EQ(comparison.attributes().size(), given.attributes.size() + 1) << "schema_version beside the given ones";
  EXPECT_EQ(comparison.descents(), example::descents);
  EXPECT_EQ(comparison.labels(), given.comparison.dimensions[0].labels);

  ASSERT_EQ(comparison.t().size(), 300u);
  EXPECT_EQ(comparison.columns(), (std::vector<std::string>{"distance", "distance_matrix"}));
  const Values distance = comparison.column("distance"), matrices = comparison.column("distance_matrix");
  EXPECT_EQ(distance.shape, (std::vector<std::int64_t>{300, 3}));
  EXPECT_EQ(matrices.dimensions, (std::vector<std::string>{"t", "descent", "matrix"}));
  EXPECT_EQ(comparison.dimension("matrix").labels, given.comparison.dimensions[1].labels);
  for (std::size_t row = 0; row < 300; ++row) {
    EXPECT_EQ(comparison.t()[row], example::time_of(static_cast<std::int64_t>(row)));
    EXPECT_EQ(distance.values[3 * row + 2], 10 * comparison.t()[row] + 2);
    EXPECT_EQ(matrices.values[12 * row + 11], 10 * comparison.t()[row] + 14);
  }
  const Arrays fits = comparison.results("fits");
  EXPECT_EQ(fits.attributes, given.results[0].second.attributes);
  ASSERT_EQ(fits.arrays.size(), 4u);
  EXPECT_EQ(std::get<0>(fits.arrays[0].values), (std::vector<double>{1, 2}));
  EXPECT_TRUE(std::isnan(std::get<0>(fits.arrays[1].values).at(0)));
  EXPECT_EQ(fits.arrays[2].values, given.results[0].second.arrays[2].values);
  EXPECT_EQ(fits.arrays[3].values, given.results[0].second.arrays[3].values);

  expect_rows(comparison.flow(), 300, 0.25);
  EXPECT_EQ(comparison.flow().end().message, "the flow");
  EXPECT_EQ(comparison.flow().number_attribute("t0"), 0.5);
  EXPECT_TRUE(comparison.flow().state_t().empty());
  for (std::int64_t i = 0; i < example::descents; ++i) {
    const RunReader descent = comparison.descent(i);
    const double number = static_cast<double>(i + 1);
    expect_rows(descent, 300, 0.25 * (number + 1));
    EXPECT_EQ(descent.number_attribute("rate"), 0.1 * number);
    EXPECT_EQ(descent.text_attribute("method"), "gd");
    EXPECT_EQ(descent.state("W", 0).values, example::iota(example::hidden * example::width, 1000 * number));
    EXPECT_EQ(descent.task().arrays[0].values, given.descents[0].task.arrays[0].values);
    EXPECT_EQ(descent.dimension("word").labels, given.flow.observables.dimensions[0].labels);
    EXPECT_EQ(descent.steps().t[299], example::descent_time_of(i, 299));
    EXPECT_EQ(descent.summary()[1].ups, i);
    EXPECT_EQ(descent.crossings()[7].t_error, number);
    EXPECT_EQ(descent.crossings()[8].t_error, example::descent_time_of(i, 8));
    EXPECT_EQ(descent.end().counts[0], i);
    EXPECT_EQ(descent.outcome(descent.end().outcome), "step_limit");
  }
  EXPECT_EQ(RunReader(folder / "compare.h5", "descents/2").end().message, "descent 2");
  EXPECT_EQ(RunReader(folder / "compare.h5", "flow").end().message, "the flow");
}

TEST(Comparison, XarrayOpensEveryGroupAndEachIsLaidOutAsARunsOwnFile) {
  const Folder folder;
  write_comparison(folder / "compare.h5");
  RunDescription plain = example::description();
  {
    RunWriter run(folder / "run.h5", plain);
    run.record(0, example::row_at(0));
    example::write_snapshot(run, 0);
    run.close();
  }
  const example::Output output = example::python(
      "read_comparison.py", "'" + (folder / "compare.h5").string() + "' '" + (folder / "run.h5").string() + "'");
  EXPECT_EQ(output.code, 0) << output.text;
}

TEST(Comparison, ACommitIsOfAllRuns) {
  const Folder folder;
  const auto path = folder / "compare.h5";
  const auto rows = [&] {
    const ComparisonReader comparison(path);
    return std::vector<std::size_t>{comparison.flow().t().size(), comparison.descent(0).t().size(),
                                    comparison.descent(2).t().size(), comparison.t().size()};
  };
  using Rows = std::vector<std::size_t>;
  {
    ComparisonWriter writer(path, example::comparison(), false, 1h);
    EXPECT_FALSE(ComparisonReader(path).closed());
    example::write_row(writer, 0);
    example::write_row(writer.descent(2), example::descent_time_of(2, 1));
    EXPECT_EQ(rows(), (Rows{0, 0, 0, 0})) << "a row was committed by itself";
    writer.descent(0).flush();
    EXPECT_EQ(rows(), (Rows{1, 1, 2, 1}));
    writer.set_result("fits", "order", std::vector<double>{3, 4});
    EXPECT_EQ(std::get<0>(ComparisonReader(path).results("fits").arrays[0].values), (std::vector<double>{3, 4}))
        << "at once";
    example::write_row(writer, 1);
    example::write_snapshot(writer.flow(), 0);
    EXPECT_EQ(rows(), (Rows{1, 1, 2, 1})) << "a small snapshot waits for others";
    using namespace example;
    const std::size_t snapshot_bytes = sizeof(double) * (hidden * width + width * words + 1);
    for (std::size_t bytes = 2 * snapshot_bytes; bytes < Table::bytes_at_once; bytes += snapshot_bytes)
      example::write_snapshot(writer.flow(), static_cast<double>(bytes));
    EXPECT_EQ(rows(), (Rows{1, 1, 2, 1}));
    example::write_snapshot(writer.flow(), 1e9);
    EXPECT_EQ(rows(), (Rows{2, 2, 3, 2})) << "4 MiB of snapshots are committed at once";
    example::write_row(writer, 2);
  }
  EXPECT_EQ(rows(), (Rows{3, 3, 4, 3})) << "the destructor must close the file";
  EXPECT_TRUE(ComparisonReader(path).closed());
  ComparisonWriter impatient(path, example::comparison(), true, 0s);
  impatient.compare(0, example::comparison_at(0));
  impatient.descent(0).record(0, example::row_at(0));
  EXPECT_EQ(rows(), (Rows{0, 1, 0, 1}));
}

TEST(Comparison, MayHaveNoDescentsOrFits) {
  const Folder folder;
  ComparisonDescription nothing;
  nothing.comparison.dimensions = {{"descent", std::vector<std::string>{}}};
  ComparisonWriter(folder / "compare.h5", nothing).close();
  const ComparisonReader comparison(folder / "compare.h5");
  EXPECT_EQ(comparison.descents(), 0);
  EXPECT_TRUE(comparison.t().empty());
  EXPECT_FALSE(comparison.has_results("fits"));
  EXPECT_TRUE(comparison.flow().t().empty());
}

TEST(Comparison, ReadersSayWhatAFileIs) {
  const Folder folder;
  const auto path = folder / "compare.h5", run = folder / "run.h5";
  write_comparison(path);
  RunDescription with_column = example::description();
  with_column.observables.columns.push_back({"comparison", {}, "1", "a column of that name makes no comparison", ""});
  RunWriter(run, with_column).close();
  EXPECT_TRUE(is_comparison(path));
  EXPECT_FALSE(is_comparison(run));
  EXPECT_EQ(RunReader(run).observables().back(), "comparison");
  expect_error("there is no such file", [&] { is_comparison(folder / "absent.h5"); });
  expect_error("there is no such file", [&] { ComparisonReader(folder / "absent.h5"); });
  expect_error(path.string() +
                   ": is a comparison, which holds several runs: read one of them, the group flow or descents/0, "
                   "descents/1, ...",
               [&] { RunReader{path}; });
  expect_error(run.string() + ": is a run, not a comparison", [&] { ComparisonReader{run}; });
  expect_error("descents/3: there is no such group in the file", [&] { RunReader(path, "descents/3"); });
  expect_error("flow: there is no such group in the file", [&] { RunReader(run, "flow"); });
  for (const char* part : {"comparison", "descents", "flow/states", "fits"})
    expect_error(std::string(": ") + part + ": is not a run of gradflow", [&] { RunReader(path, part); });
  const ComparisonReader comparison(path);
  expect_error("has 3 descents; descent 3 (from 0) is asked for", [&] { comparison.descent(3); });
  expect_error("has 3 descents; descent -1", [&] { comparison.descent(-1); });
  expect_error("comparison/speed: there is no such data set", [&] { comparison.column("speed"); });
  expect_error("the attribute colour is missing", [&] { comparison.text_attribute("colour"); });
  expect_error("program must be a number; it is text", [&] { comparison.number_attribute("program"); });
  expect_error("descents/1: the attribute colour is missing", [&] { comparison.descent(1).text_attribute("colour"); });
  expect_error("descents/1/H: there is no such data set", [&] { comparison.descent(1).observable("H"); });
}

TEST(Comparison, ReadersSayWhatIsWrongWithAFile) {
  const Folder folder;
  write_comparison(folder / "compare.h5");
  const example::Output output = example::python("make_comparisons.py", "'" + folder.path().string() + "'");
  ASSERT_EQ(output.code, 0) << output.text;
  expect_error("has layout version 2; this program reads", [&] { ComparisonReader(folder / "later.h5"); });
  expect_error("has layout version 2; this program reads", [&] { RunReader(folder / "later.h5", "flow"); });
  expect_error("descents/1: has layout version 2", [&] { ComparisonReader(folder / "later_descent.h5").descent(1); });
  expect_error("is not a comparison of gradflow", [&] { ComparisonReader(folder / "stranger.h5"); });
  EXPECT_FALSE(is_comparison(folder / "stranger.h5"));
  expect_error("comparison/descent: there is no such data set", [&] { ComparisonReader(folder / "no_labels.h5"); });
  expect_error("descents/1: there is no such group", [&] { ComparisonReader(folder / "no_descent.h5").descent(1); });
  expect_error("comparison/distance: is damaged: it has fewer rows than t",
               [&] { ComparisonReader(folder / "short.h5").column("distance"); });
}

TEST(Comparison, ItsRunsOutliveItsReaderAndItsName) {
  const Folder folder;
  write_comparison(folder / "compare.h5");
  std::optional<ComparisonReader> comparison(folder / "compare.h5");
  std::filesystem::remove(folder / "compare.h5");
  const RunReader descent = comparison->descent(1);
  comparison.reset();
  expect_rows(descent, 300, 0.75);
}

TEST(Comparison, RefusesMisuse) {
  const Folder folder;
  const auto refuses = [&](auto change) {
    ComparisonDescription description = example::comparison();
    change(description);
    EXPECT_THROW(ComparisonWriter(folder / "wrong.h5", description), std::invalid_argument);
    EXPECT_EQ(files_in(folder), 0u);
  };
  refuses([](ComparisonDescription& wrong) { wrong.descents.pop_back(); });
  refuses([](ComparisonDescription& wrong) { wrong.comparison.dimensions[0] = {"descent", 3}; });
  refuses([](ComparisonDescription& wrong) { wrong.comparison = {}; });
  refuses([](ComparisonDescription& wrong) { wrong.descents[2].observables.columns[1].name = "q0"; });
  refuses([](ComparisonDescription& wrong) { wrong.results[0].second.arrays[0].dimensions = {"nowhere"}; });
  refuses([](ComparisonDescription& wrong) { wrong.results[0].second.arrays[2].values = std::vector<double>(2); });
  refuses([](ComparisonDescription& wrong) { wrong.results[0].second.arrays[1].name = "order"; });

  ComparisonWriter writer(folder / "compare.h5", example::comparison());
  EXPECT_NE(file_error([&] { ComparisonWriter(folder / "compare.h5", example::comparison()); }).find("exists already"),
            std::string::npos);
  EXPECT_THROW(writer.descent(3), std::invalid_argument);
  EXPECT_THROW(writer.descent(-1), std::invalid_argument);
  EXPECT_THROW(writer.compare(0, std::vector<double>(example::comparison_values + 1)), std::invalid_argument);
  EXPECT_THROW(writer.set_result("fits", "order", std::vector<double>(3)), std::invalid_argument);
  EXPECT_THROW(writer.set_result("fits", "rates", std::vector<double>(1)), std::invalid_argument) << "integers";
  EXPECT_THROW(writer.set_result("fits", "nothing", {}), std::invalid_argument);
  EXPECT_THROW(writer.descent(1).set_summary(2, {}), std::invalid_argument);
  EXPECT_THROW(writer.descent(1).record(0, {}), std::invalid_argument);
  example::write_row(writer, 0);
  writer.close();
  writer.close();
  EXPECT_THROW(writer.compare(0, example::comparison_at(0)), std::invalid_argument);
  EXPECT_THROW(writer.descent(1).record(0, example::row_at(0)), std::invalid_argument);
  EXPECT_THROW(writer.flow().flush(), std::invalid_argument);
  EXPECT_EQ(ComparisonReader(folder / "compare.h5").descent(1).t().size(), 1u) << "misuse harmed the file";
}

TEST(Comparison, WhatFailsInOneRunFailsInAll) {
  const Folder folder;
  ComparisonWriter writer(folder / "compare.h5", example::comparison(), false, 1h);
  example::write_row(writer, 0);
  std::filesystem::remove(folder / "compare.h5");
  expect_error("was removed while", [&] { writer.descent(2).flush(); });
  expect_error("was removed while", [&] { writer.flow().record(1, example::row_at(1)); });
  expect_error("was removed while", [&] { writer.compare(1, example::comparison_at(1)); });
  expect_error("was removed while", [&] { writer.set_result("fits", "order", std::vector<double>(2)); });
  writer.close();  // says nothing again
  EXPECT_EQ(files_in(folder), 0u);
}

}  // namespace
}  // namespace gradflow::trajectory
