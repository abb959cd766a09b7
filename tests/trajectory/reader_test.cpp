#include <gtest/gtest.h>
#include <gradflow/trajectory/array_file.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/writer.hpp>

#include "trajectory/child_process.hpp"
#include "trajectory/example_run.hpp"

namespace gradflow::trajectory {
namespace {

/// The files of make_files.py, and a whole run among them.
class Files : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new example::Folder;
    RunWriter writer(*folder / "run.h5", example::description());
    for (int row = 0; row < 300; ++row) writer.record(example::time_of(row), example::row_at(example::time_of(row)));
    for (int i = 0; i < 5; ++i) writer.step(i, 0.1, 0.5);
    example::write_snapshot(writer, 0);
    example::write_snapshot(writer, 7);
    writer.crossing({1, 2.5, 0.1, -3, -1, -1, {0.1}});
    writer.crossing({0, 2.5, 0.1, -3, -1, -1, {0.1}});
    writer.set_summary(1, {1, 0, 1, 2, 1, 2, 4.5, 1e-8});
    writer.set_run({1, "stopped by loss_below(0.1)", {160, 1000}, 2.5});
    writer.close();
    const example::Output output = example::python("make_files.py", "'" + folder->path().string() + "'");
    ASSERT_EQ(output.code, 0) << output.text;
  }
  static void TearDownTestSuite() { delete folder; }

  /// The message, which must begin with the file and contain `part`.
  template <class Work>
  static void fails(const std::string& file, const std::string& part, Work work) {
    const std::string path = (*folder / file).string();
    try {
      work(path);
      ADD_FAILURE() << file << ": no error where one must say: " << part;
    } catch (const FileError& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with(path + ": ")) << message;
      EXPECT_NE(message.find(part), std::string::npos) << message << "\ndoes not say: " << part;
    }
  }
  static void array_fails(const std::string& name, std::size_t rank, const std::string& part) {
    fails("arrays.h5", name + ": " + part, [&](const std::string& path) { ArrayFile(path).reals(name, rank); });
  }

  static example::Folder* folder;
};
example::Folder* Files::folder = nullptr;

TEST_F(Files, XarrayOpensARunAsItIs) {
  const example::Output output = example::python("read_xarray.py", "'" + (*folder / "run.h5").string() + "'");
  EXPECT_EQ(output.code, 0) << output.text;
}

TEST_F(Files, AnEarlierLayoutIsRead) {
  const RunReader run(*folder / "earlier.h5");
  EXPECT_EQ(run.number_attribute("schema_version"), 0);
  EXPECT_EQ(run.t().size(), 300U);
  EXPECT_EQ(run.crossings().size(), 2U);
}

TEST_F(Files, RunReaderSaysWhatIsWrongWithAFile) {
  const auto open = [](const std::string& path) { RunReader{path}; };
  fails("absent.h5", "there is no such file", open);
  fails("", "is a folder", open);
  fails("pipe.h5", "is not a regular file", open);
  fails("text.h5", "is not an HDF5 file", open);
  fails("nothing.h5", "is not an HDF5 file", open);
  fails("head.h5", "cannot open it as HDF5: ", open);
  fails("truncated.h5", "truncated file", open);
  fails("arrays.h5", "is not a run of gradflow", open);
  fails("later.h5", "has layout version 2; this program reads versions up to 1", open);
  fails("version.h5", "schema_version must be an integer", open);
  fails("no_t.h5", "t: there is no such data set", open);
  fails("text_t.h5", "t: must hold numbers; it holds text", open);
}

TEST_F(Files, RunReaderSaysWhatIsWrongWithAPart) {
  fails("short.h5", "G: is damaged: it has fewer rows than t, which has 300",
        [](auto path) { RunReader(path).observable("G"); });
  fails("run.h5", "H: there is no such data set", [](auto path) { RunReader(path).observable("H"); });
  fails("run.h5", "states: must be a data set; it is something else",
        [](auto path) { RunReader(path).observable("states"); });
  fails("run.h5", "states/W: has snapshots 0 to 1; snapshot 2", [](auto path) { RunReader(path).state("W", 2); });
  fails("run.h5", "states/W: has snapshots 0 to 1; snapshot -1", [](auto path) { RunReader(path).state("W", -1); });
  fails("run.h5", "the attribute colour is missing", [](auto path) { RunReader(path).text_attribute("colour"); });
  fails("run.h5", "@t0: the attribute must be text", [](auto path) { RunReader(path).text_attribute("t0"); });
  fails("run.h5", "settings must be a number; it is text",
        [](auto path) { RunReader(path).number_attribute("settings"); });
  fails("no_states.h5", "states: there is no such group", [](auto path) { RunReader(path).states(); });
  fails("wide_step.h5", "steps/clock_step: must have one value a row", [](auto path) { RunReader(path).steps(); });
  fails("real_outcome.h5", "run/outcome: must hold integers", [](auto path) { RunReader(path).end(); });
  fails("no_message.h5", "run/message: must be a single value; it is an array",
        [](auto path) { RunReader(path).end(); });
  fails("unknown_crossing.h5",
        "events/crossings/event: is damaged: row 0 (from 0) must be a number of an event, a sign or a flag; it is "
        "4.6116860184",
        [](auto path) { RunReader(path).crossings(); });
  fails("crossing_of_nothing.h5",
        "events/crossings/event: is damaged: row 1 (from 0) is of event -1, but there are the events 0 to ",
        [](auto path) { RunReader(path).crossings(); });
  fails("array_outcome.h5", "run/outcome: must be a single value", [](auto path) { RunReader(path).end(); });
  fails("short_summary.h5", "events/summary/ups: is damaged", [](auto path) { RunReader(path).summary(); });
}

// What a kill between growing t and writing it leaves behind.
TEST_F(Files, RowsWhoseTimeIsNotWrittenAreNotCommitted) {
  EXPECT_EQ(RunReader(*folder / "unwritten.h5").crossings().size(), RunReader(*folder / "run.h5").crossings().size());
}

TEST_F(Files, ArrayFileReadsNumbersOfAnyWidth) {
  const ArrayFile file(*folder / "arrays.h5");
  EXPECT_EQ(file.reals("float32", 2).values, (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(file.integers("big_endian", 1).values, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(file.reals("big_endian", 1).values, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(file.reals("soft", 2).shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(file.reals("none", 2).shape, (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(file.reals("zeros", 1).values.size(), 3'000'000u) << "what is really stored, if packed well, must pass";
  EXPECT_EQ(file.integer_attribute("words"), 8);
  EXPECT_EQ(file.integer_attribute("absent"), std::nullopt);
  EXPECT_FALSE(file.has("absent"));
  EXPECT_FALSE(file.has("absent/deeper"));
  EXPECT_FALSE(file.has("dangling"));
  EXPECT_EQ(ArrayFile(*folder / "run.h5").integers("task/tokens", 2).values,
            (std::vector<std::int64_t>{0, 1, 2, 7, 2, -1}));
  EXPECT_EQ(ArrayFile(*folder / "run.h5").integer_attribute("words", "task"), example::words);
}

TEST_F(Files, ArrayFileSaysWhatIsWrongWithAnArray) {
  array_fails("absent", 2, "there is no such data set");
  array_fails("group", 2, "must be a data set");
  array_fails("matrix", 1, "must have 1 dimension; its shape is [2, 3]");
  array_fails("nan", 2, "must be finite; element [1, 1] (from 0) is nan");
  array_fails("infinite", 1, "must be finite; element [1] (from 0) is inf");
  array_fails("text", 0, "must hold numbers; it holds text");
  array_fails("complex", 1, "must hold numbers; it holds compound values");
  array_fails("boolean", 1, "must hold numbers; it holds an enumeration");
  array_fails("empty", 0, "is empty");
  array_fails("sparse", 2, "its shape asks for 1000000000000 values, but the file stores only 0 bytes");
  array_fails("chunks", 1, "its chunks are of 1073741824 bytes, but the file stores only 13 for it");
  array_fails("overflow", 3, "is damaged: its shape asks for more values than any file can hold");
  array_fails("overflow_of_none", 3, "is damaged: its shape asks for more values than any file can hold");
  fails("arrays.h5", "float32: must hold integers", [](auto path) { ArrayFile(path).integers("float32", 2); });
  fails("arrays.h5", "@name: the attribute must be an integer",
        [](auto path) { ArrayFile(path).integer_attribute("name"); });
  fails("damaged.h5", "x: cannot read: ", [](auto path) { ArrayFile(path).reals("x", 1); });
}

TEST_F(Files, ArrayFileReadsNoOtherFile) {
  for (const char* name : {"external", "group/outside/W", "soft_external"}) {
    EXPECT_FALSE(ArrayFile(*folder / "arrays.h5").has(name));
    array_fails(name, 2, "there is no such data set in the file (links to other files are not followed)");
  }
  array_fails("virtual", 2, "its values lie in other files");
  array_fails("external_storage", 2, "its values lie in other files");
}

TEST_F(Files, ArrayFileFindsAStart) {
  const ArrayFile file(*folder / "arrays.h5"), run(*folder / "run.h5");
  EXPECT_EQ(file.start("W", 2, {}).values, std::vector<double>(4, 5.0)) << "the group start comes before the root";
  EXPECT_EQ(file.start("a", 1, {}).values, (std::vector<double>{1, -1}));
  EXPECT_EQ(run.start("W", 2, {}).values, example::iota(example::hidden * example::width, 0));
  EXPECT_EQ(run.start("W", 2, 1).values, example::iota(example::hidden * example::width, 7000));
  EXPECT_EQ(run.start("W_V", 2, 1).shape, (std::vector<std::int64_t>{example::width, example::words}));
  EXPECT_EQ(run.start("a", 1, 1).values, std::vector<double>(example::hidden, 1.0))
      << "what does not move is in start alone";
  EXPECT_EQ(run.find_start("W_K", {}), "");
  fails("run.h5", "states/W: has snapshots 0 to 1; snapshot 2", [](auto path) { ArrayFile(path).start("W", 2, 2); });
  fails("run.h5", "states/W: must have 2 dimensions", [](auto path) { ArrayFile(path).start("W", 1, 1); });
  fails("run.h5", "W_K: there is no such data set, neither at the root nor",
        [](auto path) { ArrayFile(path).start("W_K", 2, {}); });
}

}  // namespace
}  // namespace gradflow::trajectory
