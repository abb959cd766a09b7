#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <chrono>
#include <random>
#include <sstream>
#include <thread>

#include "trajectory/child_process.hpp"
#include "trajectory/example_run.hpp"

namespace gradflow::trajectory {
namespace {

using example::Folder;
using namespace std::chrono_literals;

// Every row is committed by itself, the worst case for a kill.
void write_rows(RunWriter& writer, std::int64_t rows) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const double t = example::time_of(row);
    writer.record(t, example::row_at(t));
    writer.step(t, t, t / 2);
    writer.crossing({0, t, t, -t, 1, -1, {3 * t}});
    if (row % 50 == 0) example::write_snapshot(writer, t);
    writer.flush();
  }
}

std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

TEST(Crash, AReaderInAnotherProcessFollowsTheWriter) {
  const Folder folder;
  const pid_t child = example::in_child([&] {
    RunWriter writer(folder / "run.h5", example::description());
    write_rows(writer, 1000);
    writer.close();
    return 0;
  });
  const example::Output output = example::python("read_live.py", quoted(folder / "run.h5") + " 1000");
  EXPECT_EQ(example::wait_for(child), 0);
  ASSERT_EQ(output.code, 0) << output.text;
  std::istringstream numbers(output.text);
  int rows = 0, states = 0, steps = 0, crossings = 0, looks = 0, different = 0;
  numbers >> rows >> states >> steps >> crossings >> looks >> different;
  EXPECT_EQ(rows, 1000);
  EXPECT_EQ(states, 20);
  EXPECT_EQ(crossings, 1000);
  EXPECT_GT(different, 3) << "it saw the file only at its end: no proof";
}

TEST(Crash, EveryCommittedRowSurvivesAKill) {
  const Folder folder;
  std::mt19937 random(1);
  std::size_t most = 0;
  for (int kill = 0; kill < 30; ++kill) {
    const auto path = folder / (std::to_string(kill) + ".h5");
    const pid_t child = example::in_child([&] {
      RunWriter writer(path, example::description());
      write_rows(writer, 1'000'000);
      return 0;
    });
    while (!std::filesystem::exists(path)) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 150'000));
    ::kill(child, SIGKILL);
    ASSERT_EQ(example::wait_for(child), -SIGKILL);
    const RunReader run(path);
    EXPECT_FALSE(run.closed());
    EXPECT_EQ(run.outcome(run.end().outcome), "unfinished");
    most = std::max(most, run.t().size());
    double first = 0;
    for (const std::string& name : run.observables()) {
      const std::vector<double> values = run.observable(name).values;
      const std::size_t size = run.t().empty() ? 0 : values.size() / run.t().size();
      for (std::size_t row = 0; row < run.t().size(); ++row)
        for (std::size_t i = 0; i < size; ++i)
          ASSERT_EQ(values[row * size + i],
                    1000 * example::time_of(static_cast<std::int64_t>(row)) + first + static_cast<double>(i));
      first += static_cast<double>(size);
    }
    for (std::size_t k = 0; k < run.state_t().size(); ++k)
      ASSERT_EQ(run.state("W", static_cast<std::int64_t>(k)).values,
                example::iota(example::hidden * example::width, 1000 * run.state_t()[k]));
    for (const Crossing& crossing : run.crossings()) ASSERT_EQ(crossing.values[0], 3 * crossing.t);
    if (kill % 10 == 0) {
      const example::Output output = example::python("read_live.py", quoted(path));
      EXPECT_EQ(output.code, 0) << output.text;
    }
    std::filesystem::remove(path);
  }
  EXPECT_GT(most, 10u) << "every kill came before there was anything to lose";
}

// The kernel cuts the write of a process that is killed short only between two pages.
TEST(Crash, NothingThatIsWrittenAgainLiesAcrossPages) {
  const Folder folder;
  const pid_t child = example::in_child([&] {
    RunWriter writer(folder / "run.h5", example::description());
    write_rows(writer, 1000);
    writer.close();
    return 0;
  });
  ASSERT_EQ(example::wait_for(child), 0);
  const example::Output output = example::python("read_headers.py", quoted(folder / "run.h5"));
  EXPECT_EQ(output.code, 0) << output.text;
}

TEST(Crash, WhatADeadWriterLeftDamagedIsAnErrorAndNotAnEndlessWait) {
  const Folder folder;
  RunWriter writer(folder / "run.h5", example::description());
  write_rows(writer, 3);
  std::filesystem::copy(folder / "run.h5", folder / "dead.h5");
  const example::Output output = example::python("damage_header.py", quoted(folder / "dead.h5") + " G");
  ASSERT_EQ(output.code, 0) << output.text;
  // In a process of its own: HDF5 1.10 does not forget such an error, and complains of it on exit.
  const pid_t child = example::in_child([&] {
    const RunReader run(folder / "dead.h5");
    if (run.closed() || run.observable("B").values.size() != 27) return 1;
    try {
      run.observable("G");
    } catch (const FileError& error) {
      const std::string message = error.what();
      return message.find("G: cannot open: incorrect metadata checksum") != std::string::npos ? 0 : 2;
    }
    return 3;
  });
  EXPECT_EQ(example::wait_for(child), 0);
}

// The limit on the size of a file stands in for a full disk: writes fail in the same place, with another reason.
TEST(Crash, AFullDiskIsAnErrorAndKeepsWhatWasCommitted) {
  const Folder folder;
  constexpr int made = 10, not_made = 11;
  std::size_t most = 0;
  bool some_not_made = false;
  for (rlim_t limit = 20'000; limit < 1'000'000; limit = limit * 4 / 3) {
    const auto path = folder / (std::to_string(limit) + ".h5");
    const pid_t child = example::in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit size{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &size);
      int code = not_made;
      try {
        RunWriter writer(path, example::description());
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
    const RunReader run(path);
    most = std::max(most, run.t().size());
    const std::vector<double> last = run.observable("power").values;
    for (std::size_t row = 0; row < run.t().size(); ++row)
      ASSERT_EQ(last[4 * row + 3], 1000 * run.t()[row] + example::row_values - 1);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "a temporary file is left";
    std::filesystem::remove(path);
  }
  EXPECT_TRUE(some_not_made);
  EXPECT_GT(most, 100u);
}

TEST(Crash, AWriterLeftByAnExceptionClosesItsFile) {
  const Folder folder;
  const pid_t child = example::in_child([&] {
    try {
      RunWriter writer(folder / "run.h5", example::description(), false, 1h);
      writer.record(0, example::row_at(0));
      throw 1;
    } catch (int) {
      return 0;
    }
  });
  EXPECT_EQ(example::wait_for(child), 0);
  const RunReader run(folder / "run.h5");
  EXPECT_TRUE(run.closed());
  EXPECT_EQ(run.t().size(), 1u);
}

}  // namespace
}  // namespace gradflow::trajectory
