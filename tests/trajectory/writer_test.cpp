#include <gtest/gtest.h>

#include <algorithm>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <cmath>
#include <fstream>
#include <optional>

#include "trajectory/example_run.hpp"

namespace gradflow::trajectory {
namespace {

using example::Folder;
using namespace std::chrono_literals;

std::string file_error(const auto& work) {
  try {
    work();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no FileError";
}

/// But for the lock of a writer that lives.
std::size_t files_in(const Folder& folder) {
  return static_cast<std::size_t>(std::count_if(std::filesystem::directory_iterator(folder.path()),
                                                std::filesystem::directory_iterator(),
                                                [](const auto& entry) { return entry.path().extension() != ".lock"; }));
}

void write_rows(RunWriter& writer, std::int64_t first, std::int64_t count) {
  for (std::int64_t row = first; row < first + count; ++row)
    writer.record(example::time_of(row), example::row_at(example::time_of(row)));
}

TEST(RunWriter, GivesBackWhatWasWritten) {
  const Folder folder;
  const RunDescription given = example::description();
  {
    RunWriter writer(folder / "run.h5", given);
    write_rows(writer, 0, 300);
    example::write_snapshot(writer, 0);
    example::write_snapshot(writer, 7);
    for (int i = 0; i < 5; ++i) writer.step(i, 0.1 * i, 0.5);
    EXPECT_EQ(writer.crossing({1, 2.5, unknown, -3, -1, -1, {0.1}}), 0);
    EXPECT_EQ(writer.crossing({0, 2.5, 1e-9, 3, +1, 1, {0.2}}), 1);
    writer.set_crossing_error(0, 1e-7, 0);
    writer.set_summary(1, {1, 0, 1, 2, 1, 2, 4.5, 1e-8});
    writer.set_run({1, "stopped by loss_below(0.1)", {160, 1000}, 2.5});
    writer.close();
  }
  const RunReader run(folder / "run.h5");
  EXPECT_TRUE(run.closed());
  EXPECT_EQ(run.text_attribute("settings"), std::get<std::string>(given.attributes[1].second));
  EXPECT_EQ(run.number_attribute("t0"), 0.5);
  EXPECT_EQ(run.number_attribute("threads"), 2);
  ASSERT_EQ(run.t().size(), 300u);
  ASSERT_EQ(run.observables().size(), given.observables.columns.size());
  double first = 0;
  for (const Column& column : given.observables.columns) {
    const Values values = run.observable(column.name);
    ASSERT_EQ(values.dimensions.size(), column.dimensions.size() + 1);
    EXPECT_EQ(values.dimensions.front(), "t");
    EXPECT_TRUE(std::equal(column.dimensions.begin(), column.dimensions.end(), values.dimensions.begin() + 1));
    const std::size_t size = values.values.size() / 300;
    for (std::size_t row = 0; row < 300; ++row)
      for (std::size_t i = 0; i < size; ++i)
        ASSERT_EQ(values.values[row * size + i], 1000 * run.t()[row] + first + static_cast<double>(i)) << column.name;
    first += static_cast<double>(size);
  }
  EXPECT_EQ(run.observable("G").source, "Yang et al. 2024, equation 1");
  EXPECT_EQ(run.dimension("word").labels, given.observables.dimensions[0].labels);

  const Arrays task = run.task();
  EXPECT_EQ(task.attributes, given.task.attributes);
  ASSERT_EQ(task.arrays.size(), 2u);
  EXPECT_EQ(task.arrays[0].name, "tokens");
  EXPECT_EQ(task.arrays[0].values, given.task.arrays[0].values);
  EXPECT_EQ(task.dimensions[2].labels, given.task.dimensions[2].labels);
  EXPECT_EQ(run.start().arrays[1].values, given.start.arrays[1].values);

  EXPECT_EQ(run.state_t(), (std::vector<double>{0, 7}));
  const Values W = run.state("W", 1);
  EXPECT_EQ(W.shape, (std::vector<std::int64_t>{example::hidden, example::width}));
  EXPECT_EQ(W.dimensions, (std::vector<std::string>{"hidden", "width"}));
  EXPECT_EQ(W.values, example::iota(example::hidden * example::width, 7000));
  EXPECT_EQ(run.state("drift", 1).values, std::vector<double>{7});

  EXPECT_EQ(run.steps().clock_step[3], 0.1 * 3);
  EXPECT_EQ(run.events()[1].condition, "loss < 0.1");
  EXPECT_EQ(run.summary()[0].verdict, -1);
  EXPECT_TRUE(std::isnan(run.summary()[0].for_good));
  EXPECT_EQ(run.summary()[1].ups, 2);
  EXPECT_EQ(run.summary()[1].for_good, 4.5);
  EXPECT_EQ(run.verdict(2), "once_and_for_good");
  const std::vector<Crossing> crossings = run.crossings();
  ASSERT_EQ(crossings.size(), 2u);
  EXPECT_EQ(crossings[0].event, 1);
  EXPECT_EQ(crossings[0].direction, -1);
  EXPECT_EQ(crossings[0].t_error, 1e-7);
  EXPECT_EQ(crossings[0].certain, 0);
  EXPECT_EQ(crossings[1].slope, 3);
  EXPECT_EQ(crossings[1].values, std::vector<double>{0.2});
  EXPECT_EQ(run.crossing_values(), std::vector<std::string>{"loss"});
  EXPECT_EQ(run.outcome(run.end().outcome), "stopped_by_event");
  EXPECT_EQ(run.end().message, "stopped by loss_below(0.1)");
  EXPECT_EQ(run.end().counts, (std::vector<std::int64_t>{160, 1000}));
  EXPECT_EQ(run.counts(), (std::vector<std::string>{"steps", "evaluations"}));
}

TEST(RunWriter, WritesARunWithoutEventsCountsOrRows) {
  const Folder folder;
  RunWriter(folder / "run.h5", {}).close();
  const RunReader run(folder / "run.h5");
  EXPECT_TRUE(run.t().empty());
  EXPECT_TRUE(run.events().empty());
  EXPECT_TRUE(run.summary().empty());
  EXPECT_TRUE(run.crossings().empty());
  EXPECT_TRUE(run.counts().empty());
  EXPECT_EQ(run.end().outcome, -1);
}

TEST(RunWriter, ShowsRowsOnceCommitted) {
  const Folder folder;
  RunWriter writer(folder / "run.h5", example::description(), false, 1h);
  write_rows(writer, 0, 3);
  EXPECT_EQ(RunReader(folder / "run.h5").t().size(), 0u);
  writer.flush();
  EXPECT_EQ(RunReader(folder / "run.h5").t().size(), 3u);
  write_rows(writer, 3, 200);  // more than a chunk
  const std::size_t rows = RunReader(folder / "run.h5").t().size();
  EXPECT_GT(rows, 3u);
  EXPECT_LT(rows, 203u);
  for (int i = 0; i < 4; ++i) {
    writer.crossing({0, 1, 2, 3, 1, -1, {0.5}});
    if (i == 1) writer.flush();
  }
  writer.set_crossing_error(1, 7, 1);  // committed
  writer.set_crossing_error(3, 8, 0);  // not yet
  writer.flush();
  const std::vector<Crossing> crossings = RunReader(folder / "run.h5").crossings();
  ASSERT_EQ(crossings.size(), 4u);
  const double errors[] = {2, 7, 2, 8};
  const std::int64_t certain[] = {-1, 1, -1, 0};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(crossings[i].t_error, errors[i]);
    EXPECT_EQ(crossings[i].certain, certain[i]);
  }
  EXPECT_FALSE(RunReader(folder / "run.h5").closed());
}

TEST(RunWriter, CommitsRowsOfASlowRun) {
  const Folder folder;
  RunWriter writer(folder / "run.h5", example::description(), false, 0s);
  for (std::int64_t row = 0; row < 5; ++row) {
    write_rows(writer, row, 1);
    EXPECT_EQ(std::ssize(RunReader(folder / "run.h5").t()), row + 1);
  }
}

// A partly filled chunk is written again where it stands: with a filter that changes its size it would be moved each
// time, and SWMR never uses the space again.
TEST(RunWriter, DoesNotGrowByCommittingOften) {
  const Folder folder;
  for (const bool often : {false, true}) {
    RunWriter writer(folder / (often ? "often.h5" : "once.h5"), example::description(), false, 1h);
    for (std::int64_t row = 0; row < 128; ++row) {
      write_rows(writer, row, 1);
      if (often) writer.flush();
    }
    writer.close();
  }
  EXPECT_EQ(std::filesystem::file_size(folder / "often.h5"), std::filesystem::file_size(folder / "once.h5"));
}

TEST(RunWriter, OverwritesOnlyWhenAskedAndOnlyWithAWholeFile) {
  const Folder folder;
  RunWriter(folder / "run.h5", example::description()).close();
  EXPECT_NE(file_error([&] {
              RunWriter(folder / "run.h5", {});
            }).find("run.h5: exists already and is not overwritten: choose"),
            std::string::npos);
  RunDescription wrong = example::description();
  wrong.observables.columns.push_back({"x", {"nowhere"}, "1", "", ""});
  EXPECT_THROW(RunWriter(folder / "run.h5", wrong, true), std::invalid_argument);
  EXPECT_EQ(RunReader(folder / "run.h5").observables().size(), example::description().observables.columns.size());
  EXPECT_EQ(files_in(folder), 1u) << "a temporary file is left";
  RunWriter(folder / "run.h5", {}, true).close();
  EXPECT_TRUE(RunReader(folder / "run.h5").observables().empty());
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(RunWriter, FollowsALinkWhenItOverwrites) {
  const Folder folder;
  RunWriter(folder / "run.h5", {}).close();
  std::filesystem::create_symlink("run.h5", folder / "link.h5");
  RunWriter(folder / "link.h5", example::description(), true).close();
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link.h5"));
  EXPECT_FALSE(RunReader(folder / "run.h5").observables().empty());
}

TEST(RunWriter, SaysWhyAFileCannotBeMade) {
  const Folder folder;
  const auto create = [](const std::filesystem::path& path) { return file_error([&] { RunWriter(path, {}, true); }); };
  EXPECT_NE(create(folder / "no/run.h5").find("there is no folder " + (folder / "no").string()), std::string::npos);
  EXPECT_NE(create(folder.path()).find("not a regular file"), std::string::npos);
  EXPECT_NE(create("/dev/null").find("not a regular file"), std::string::npos);
  EXPECT_NE(create("/proc/run.h5").find("/proc/run.h5: cannot be created: No such file"), std::string::npos);
  std::ofstream(folder / "kept.h5") << "kept";
  std::filesystem::permissions(folder / "kept.h5", std::filesystem::perms::owner_read);
  EXPECT_NE(create(folder / "kept.h5").find("read-only"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(folder / "kept.h5"), 4u);
}

TEST(RunWriter, NoticesThatItsNameIsGone) {
  const Folder folder;
  RunWriter removed(folder / "removed.h5", {}), replaced(folder / "replaced.h5", {});
  std::filesystem::remove(folder / "removed.h5");
  RunWriter(folder / "other.h5", {}).close();
  std::filesystem::rename(folder / "other.h5", folder / "replaced.h5");
  EXPECT_NE(file_error([&] { removed.flush(); }).find("was removed while"), std::string::npos);
  EXPECT_NE(file_error([&] { replaced.close(); }).find("was replaced by another file"), std::string::npos);
  EXPECT_NE(file_error([&] { removed.flush(); }).find("was removed while"), std::string::npos) << "it must fail again";
}

TEST(RunWriter, RefusesMisuse) {
  const Folder folder;
  const auto refuses = [&](auto change) {
    RunDescription run = example::description();
    change(run);
    EXPECT_THROW(RunWriter(folder / "wrong.h5", run), std::invalid_argument);
    EXPECT_EQ(files_in(folder), 0u);
  };
  refuses([](RunDescription& run) { run.observables.columns[0].dimensions = {"word", "word"}; });
  refuses([](RunDescription& run) { run.observables.columns[1].name = "q0"; });
  refuses([](RunDescription& run) { run.observables.columns[0].name = "word"; });
  refuses([](RunDescription& run) { run.observables.dimensions.push_back({"word", 3}); });
  refuses([](RunDescription& run) { run.start.arrays[0].values = std::vector<double>(3); });
  refuses([](RunDescription& run) { run.start.arrays[0].name = "W_V"; });

  RunWriter writer(folder / "run.h5", example::description());
  EXPECT_THROW(writer.record(0, std::vector<double>(example::row_values - 1)), std::invalid_argument);
  EXPECT_THROW(writer.record(0, std::vector<double>(example::row_values + 1)), std::invalid_argument);
  EXPECT_THROW(writer.snapshot(0, {}), std::invalid_argument);
  EXPECT_THROW(writer.crossing({2, 0, 0, 0, 1, -1, {0.0}}), std::invalid_argument);
  EXPECT_THROW(writer.crossing({0, 0, 0, 0, 1, -1, {}}), std::invalid_argument);
  EXPECT_THROW(writer.set_crossing_error(0, 0, 0), std::invalid_argument);
  EXPECT_THROW(writer.set_summary(2, {}), std::invalid_argument);
  EXPECT_THROW(writer.set_run({0, "", {1}, 0}), std::invalid_argument);
  writer.close();
  EXPECT_THROW(writer.record(0, example::row_at(0)), std::invalid_argument);
  EXPECT_TRUE(RunReader(folder / "run.h5").t().empty()) << "a refused row was kept";
}

TEST(RunWriter, CutsALongMessageBetweenCharacters) {
  const Folder folder;
  RunWriter writer(folder / "run.h5", {});
  std::string message = "x";
  for (int i = 0; i < 600; ++i) message += "µ";
  writer.set_run({0, message, {}, 0});
  writer.close();
  EXPECT_EQ(RunReader(folder / "run.h5").end().message, message.substr(0, 999));
}

}  // namespace
}  // namespace gradflow::trajectory
