#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <gradflow/trajectory/comparison.hpp>

#include <chrono>
#include <random>
#include <sstream>
#include <thread>

#include "trajectory/child_process.hpp"
#include "trajectory/example_comparison.hpp"

namespace gradflow::trajectory {
namespace {

using example::Folder;
using namespace std::chrono_literals;

// Every row is committed by itself, the worst case for a kill.
void write_rows(ComparisonWriter& writer, std::int64_t rows) {
  for (std::int64_t row = 0; row < rows; ++row) {
    example::write_row(writer, row);
    if (row % 50 == 0) example::write_snapshot(writer.descent(row / 50 % example::descents), static_cast<double>(row));
    writer.set_result("fits", "order", std::vector<double>(2, static_cast<double>(row)));
    writer.flush();
  }
}

/// Every value of every committed row, wherever it stands. How many rows the comparison has.
std::size_t expect_whole(const ComparisonReader& comparison) {
  const auto expect_ramp = [](const std::vector<double>& t, const std::vector<double>& values, double scale,
                              double first) {
    std::vector<double> expected;
    const std::size_t size = t.empty() ? 0 : values.size() / t.size();
    for (const double time : t)
      for (std::size_t i = 0; i < size; ++i) expected.push_back(scale * time + first + static_cast<double>(i));
    ASSERT_EQ(values, expected);
  };
  const auto expect_run = [&](const RunReader& run, double spacing) {
    double first = 0;
    for (std::size_t row = 0; row < run.t().size(); ++row) ASSERT_EQ(run.t()[row], spacing * static_cast<double>(row));
    for (const std::string& name : run.observables()) {
      const std::vector<double> values = run.observable(name).values;
      expect_ramp(run.t(), values, 1000, first);
      if (!run.t().empty()) first += static_cast<double>(values.size() / run.t().size());
    }
    for (std::size_t k = 0; k < run.state_t().size(); ++k)
      ASSERT_EQ(run.state("W", static_cast<std::int64_t>(k)).values,
                example::iota(example::hidden * example::width, 1000 * run.state_t()[k]));
    for (const Crossing& crossing : run.crossings()) ASSERT_EQ(crossing.values[0], 3 * crossing.t);
  };
  expect_run(comparison.flow(), 0.25);
  for (std::int64_t i = 0; i < comparison.descents(); ++i)
    expect_run(comparison.descent(i), example::descent_time_of(i, 1));
  expect_ramp(comparison.t(), comparison.column("distance").values, 10, 0);
  expect_ramp(comparison.t(), comparison.column("distance_matrix").values, 10, 3);
  return comparison.t().size();
}

std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

TEST(ComparisonCrash, AReaderInAnotherProcessFollowsTheWriter) {
  const Folder folder;
  const pid_t child = example::in_child([&] {
    ComparisonWriter writer(folder / "compare.h5", example::comparison());
    write_rows(writer, 500);
    writer.close();
    return 0;
  });
  const example::Output output = example::python("read_live.py", quoted(folder / "compare.h5") + " 500");
  EXPECT_EQ(example::wait_for(child), 0);
  ASSERT_EQ(output.code, 0) << output.text;
  std::istringstream numbers(output.text);
  int rows = 0, states = 0, steps = 0, crossings = 0, looks = 0, different = 0;
  numbers >> rows >> states >> steps >> crossings >> looks >> different;
  EXPECT_EQ(rows, 500);
  EXPECT_EQ(steps, 500);
  EXPECT_EQ(crossings, 500);
  EXPECT_GT(different, 3) << "it saw the file only at its end: no proof";
}

TEST(ComparisonCrash, ComparisonReaderFollowsTheWriter) {
  const Folder folder;
  const auto path = folder / "compare.h5";
  const pid_t child = example::in_child([&] {
    ComparisonWriter writer(path, example::comparison());
    write_rows(writer, 300);
    writer.close();
    return 0;
  });
  while (!std::filesystem::exists(path)) std::this_thread::sleep_for(1ms);
  std::size_t seen = 0, different = 0;
  while (seen < 300) {
    const std::size_t rows = expect_whole(ComparisonReader(path));
    EXPECT_GE(rows, seen);
    if (rows != seen) ++different;
    seen = rows;
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_EQ(example::wait_for(child), 0);
  EXPECT_GT(different, 3u) << "it saw the file only at its end: no proof";
}

TEST(ComparisonCrash, EveryCommittedRowSurvivesAKill) {
  const Folder folder;
  std::mt19937 random(1);
  std::size_t most = 0;
  for (int kill = 0; kill < 20; ++kill) {
    const auto path = folder / (std::to_string(kill) + ".h5");
    const pid_t child = example::in_child([&] {
      ComparisonWriter writer(path, example::comparison());
      write_rows(writer, 1'000'000);
      return 0;
    });
    while (!std::filesystem::exists(path)) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 300'000));
    ::kill(child, SIGKILL);
    ASSERT_EQ(example::wait_for(child), -SIGKILL);
    const ComparisonReader comparison(path);
    EXPECT_FALSE(comparison.closed());
    EXPECT_EQ(comparison.flow().outcome(comparison.flow().end().outcome), "unfinished");
    const std::size_t rows = expect_whole(comparison);
    ASSERT_FALSE(testing::Test::HasFailure()) << kill;
    most = std::max(most, rows);
    // A row of `comparison` is written after the runs' rows and before the next of any.
    for (std::int64_t i = 0; i < example::descents; ++i)
      EXPECT_NEAR(static_cast<double>(comparison.descent(i).t().size()), static_cast<double>(rows), 1);
    if (kill % 10 == 0) {
      const example::Output output = example::python("read_live.py", quoted(path));
      EXPECT_EQ(output.code, 0) << output.text;
    }
    std::filesystem::remove(path);
  }
  EXPECT_GT(most, 10u) << "every kill came before there was anything to lose";
}

// The limit on the size of a file stands in for a full disk: writes fail in the same place, with another reason.
TEST(ComparisonCrash, AFullDiskIsAnErrorAndKeepsWhatWasCommitted) {
  const Folder folder;
  constexpr int made = 10, not_made = 11;
  std::size_t most = 0;
  bool some_not_made = false;
  for (rlim_t limit = 100'000; limit < 3'000'000; limit = limit * 3 / 2) {
    const auto path = folder / (std::to_string(limit) + ".h5");
    const pid_t child = example::in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit size{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &size);
      int code = not_made;
      try {
        ComparisonWriter writer(path, example::comparison());
        code = made;
        write_rows(writer, 1'000'000);
      } catch (const FileError& error) {
        if (std::string(error.what()).ends_with("cannot be written: File too large")) return code;
      }
      return 1;
    });
    const int code = example::wait_for(child);
    ASSERT_TRUE(code == made || code == not_made) << code << " at " << limit;
    ASSERT_EQ(std::filesystem::exists(path), code == made) << limit;
    if (code == not_made) {
      some_not_made = true;
      continue;
    }
    most = std::max(most, expect_whole(ComparisonReader(path)));
    ASSERT_FALSE(testing::Test::HasFailure()) << limit;
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "a temporary file is left";
    std::filesystem::remove(path);
  }
  EXPECT_TRUE(some_not_made);
  EXPECT_GT(most, 100u);
}

}  // namespace
}  // namespace gradflow::trajectory
