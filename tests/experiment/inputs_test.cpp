#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <gradflow/flows/start.hpp>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/tasks/co_occurrence.hpp>

#include "experiment/problem.hpp"
#include "storage/file.hpp"
#include "support/experiments.hpp"

// Tasks and starts from settings and from files.
namespace gradflow {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using tests::experiment;
using tests::problems_of;

class InputsTest : public testing::Test {
 protected:
  settings::Experiment parse(const std::string& toml) const { return experiment(toml, folder_.path()); }
  TaskData task(const std::string& toml) const {
    std::optional<TextReport> report;
    return make_task(parse(toml), report);
  }
  Weights<double> start(const std::string& toml) const {
    const settings::Experiment e = parse(toml);
    std::optional<TextReport> report;
    return make_start(e, Task(make_task(e, report)));
  }
  std::filesystem::path path(const char* name) const { return folder_.path() / name; }
  void write(const char* name, const std::string& text) const { std::ofstream(path(name)) << text; }

  /// A task of three ragged samples over five words.
  void write_hdf5_task(const std::vector<std::int64_t>& tokens, const std::vector<std::int64_t>& labels,
                       std::optional<std::int64_t> words) const {
    storage::File file = storage::File::create(path("task.h5"), true);
    storage::Group root = file.root();
    const auto n = std::ssize(labels);
    root.create_dataset("tokens", {storage::Kind::integer, {n, std::ssize(tokens) / n}}).write(std::span(tokens));
    root.create_dataset("labels", {storage::Kind::integer, {n}}).write(std::span(labels));
    if (words) root.set_attribute("words", *words);
    file.publish();
    file.close();
  }

  support::TemporaryFolder folder_;
  const std::vector<std::int64_t> tokens_{0, 1, 2, 4, 4, -1, 2, 0, -1, -1, -1, -1, 3, 1, 2, 2, 0, 1}, labels_{1, -1, 1};
};

void expect_equal(const TaskData& a, const TaskData& b) {
  EXPECT_EQ(a.words, b.words);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.targets, b.targets);
  EXPECT_EQ(a.common, b.common);
  const Task x(a), y(b);  // these fill in classes and names where they are left out
  EXPECT_EQ(x.data().sample_class, y.data().sample_class);
  EXPECT_EQ(x.data().class_names, y.data().class_names);
  EXPECT_EQ(x.data().word_names, y.data().word_names);
}

void expect_equal(const Weights<double>& a, const Weights<double>& b) {
  EXPECT_EQ(a.W, b.W);
  EXPECT_EQ(a.W_V, b.W_V);
  EXPECT_EQ(a.W_K, b.W_K);
  EXPECT_EQ(a.W_Q, b.W_Q);
  EXPECT_EQ(a.a, b.a);
}

TEST_F(InputsTest, Hdf5AndJsonLinesGiveTheSameTask) {
  write_hdf5_task(tokens_, labels_, 5);
  write("task.jsonl", R"({"tokens": [0, 1, 2, 4, 4], "label": 1}
{"tokens": [2, 0], "label": -1}

{"label": 1, "tokens": [3, 1, 2, 2, 0, 1]}
)");
  const TaskData hdf5 = task("task = { kind = 'file', path = 'task.h5' }");
  expect_equal(hdf5, task("task = { kind = 'file', path = 'task.jsonl', words = 5 }"));
  EXPECT_EQ(hdf5.tokens, (std::vector<std::vector<Index>>{{0, 1, 2, 4, 4}, {2, 0}, {3, 1, 2, 2, 0, 1}}));
  EXPECT_EQ(hdf5.labels, (std::vector<int>{1, -1, 1}));
  EXPECT_EQ(hdf5.sample_class, (std::vector<Index>{0, 1, 0}));
  // Words are numbered from 1 in settings.
  const TaskData others = task("task = { kind = 'file', path = 'task.h5', words = 5, targets = [3, 2] }");
  EXPECT_EQ(others.targets, (std::array<Index, 2>{2, 1}));
  EXPECT_FALSE(others.common);
  EXPECT_EQ(others.sample_class, (std::vector<Index>{0, 1, 0}));
}

TEST_F(InputsTest, WrongTaskFilesSayWhere) {
  const std::string hdf5 = "task = { kind = 'file', path = 'task.h5' }";
  const auto problems = [&](const std::string& toml) { return problems_of([&] { task(toml); }); };
  write_hdf5_task(tokens_, labels_, std::nullopt);
  EXPECT_THAT(problems(hdf5),
              AllOf(HasSubstr("experiment.toml: task.words: "), HasSubstr("task.h5 has no integer attribute")));
  write_hdf5_task(tokens_, labels_, 5);
  EXPECT_THAT(problems("task = { kind = 'file', path = 'task.h5', words = 6 }"), HasSubstr("is 6, but"));
  write_hdf5_task(tokens_, labels_, 4);
  EXPECT_THAT(problems(hdf5),
              AllOf(HasSubstr("task.h5: sample 0"), HasSubstr("token 4 is not in the vocabulary, 0 to 3")));
  write_hdf5_task(tokens_, {1, -1, 1'000'000'007}, 5);
  EXPECT_THAT(problems(hdf5), HasSubstr("task.h5: sample 2 (from 0): a label must be 1 or -1; given 1000000007"));
  write_hdf5_task({0, 1, -1, -1}, {1, 1}, 5);
  EXPECT_THAT(problems(hdf5), HasSubstr("sample 1 (from 0): it has no tokens"));
  write("task.txt", R"({"tokens": [0], "label": 1})");
  EXPECT_THAT(problems("task = { kind = 'file', path = 'task.txt' }"),
              HasSubstr("task.words: a task in JSON Lines needs"));
  write("task.jsonl", R"({"tokens": [7], "label": 1})");
  EXPECT_THAT(problems("task = { kind = 'file', path = 'task.jsonl', words = 5 }"), HasSubstr("task.jsonl:1"));
  EXPECT_THROW(task("task = { kind = 'file', path = 'missing', words = 5 }"), FileError);
  EXPECT_THROW(task("task = { kind = 'file', path = '.', words = 5 }"), FileError);
}

TEST_F(InputsTest, GeneratedTasksFollowTheSettings) {
  const TaskData made = task(R"(
seed = 9
[task]
samples = 4
length = 3
words = 8
targets = [4, 2]
common = 7
class = [{ name = "yes", words = [4, 2, 7], label = 1, fraction = 0.25 }, { name = "no", words = [8], label = -1, fraction = 0.75 }]
)");
  CoOccurrenceOptions options;
  options.samples = 4;
  options.length = 3;
  options.words = 8;
  options.targets = {3, 1};
  options.common = 6;
  options.classes = {{"yes", {3, 1, 6}, 1, {1, 4}}, {"no", {7}, -1, {3, 4}}};
  expect_equal(made, co_occurrence(options, 9));
  EXPECT_EQ(made.class_names, (std::vector<std::string>{"yes", "no"}));
}

TEST_F(InputsTest, TextsComeWithTheirReport) {
  write("text.txt", "The licence covers the program. A licence is short. Programs run. This program runs.");
  const settings::Experiment e = parse("task = { kind = 'text', path = 'text.txt', targets = ['licence', 'program'] }");
  std::optional<TextReport> report;
  const TaskData data = make_task(e, report);
  EXPECT_TRUE(report);
  EXPECT_EQ(data.labels, (std::vector<int>{1, -1, -1, -1}));
  EXPECT_THAT(problems_of([&] { task("task = { kind = 'text', path = 'text.txt', targets = ['licence', 'zebra'] }"); }),
              AllOf(HasSubstr("experiment.toml: task: "), HasSubstr("zebra")));
  EXPECT_THROW(task("task = { kind = 'text', path = 'no.txt', targets = ['a', 'b'] }"), FileError);
}

TEST_F(InputsTest, EveryKindOfStartIsItsLaw) {
  const std::vector<std::pair<std::string, StartLaw>> kinds{{"kaiming-normal", StartLaw::kaiming_normal},
                                                            {"kaiming-uniform", StartLaw::kaiming_uniform},
                                                            {"linear-default", StartLaw::linear_default}};
  for (const auto& [name, law] : kinds)
    expect_equal(
        start("seed = 3\nmodel = { width = 8, hidden = 6, start = { kind = '" + name + "' } }" + tests::small_task()),
        draw_start(law, 8, 6, 13, {}, 3));
  expect_equal(start(tests::small_model() + tests::small_task()),
               draw_start(StartLaw::gaussian, 8, 6, 13, {0.3, 0.2, 0.4, 0.5}, 1));
  const std::string deviations = "W = 1, W_V = 2, W_K = 3, W_Q = 4";
  expect_equal(start("model = { width = 26, hidden = 6, start = { kind = 'orthogonal', " + deviations + " } }" +
                     tests::small_task()),
               draw_start(StartLaw::orthogonal, 26, 6, 13, {1, 2, 3, 4}, 1));
  EXPECT_THAT(problems_of([&] {
                start("model = { width = 25, hidden = 6, start = { kind = 'orthogonal', " + deviations + " } }" +
                      tests::small_task());
              }),
              HasSubstr("26"));
}

TEST_F(InputsTest, TheTaskDoesNotChangeTheStart) {
  const std::string other = "[task]\nsamples = 12\nlength = 3\nwords = 13\nfillers = 'uniform'\n";
  expect_equal(start(tests::small_model() + tests::small_task()), start(tests::small_model() + other));
}

TEST_F(InputsTest, ARunsOwnTargetsAndCommonWordHoldUnlessTheSettingsNameOthers) {
  Simulation simulation(parse("[task]\nsamples = 6\nlength = 4\nwords = 18\nfillers = 'distinct'\ntargets = [4, 2]\n" +
                              tests::small_model() + "[solver]\nuntil = 1\nrtol = 1e-6\n"));
  Listener nobody;
  simulation.run(path("run.h5"), false, "", nobody);
  const std::string from_run = "[task]\nkind = 'file'\npath = 'run.h5'\n";
  const TaskData same = task(from_run);
  EXPECT_EQ(same.targets, (std::array<Index, 2>{3, 1}));
  EXPECT_FALSE(same.common);
  EXPECT_EQ(same.sample_class, simulation.task().data().sample_class);
  const TaskData other = task(from_run + "targets = [1, 3]\ncommon = 2\n");
  EXPECT_EQ(other.targets, (std::array<Index, 2>{0, 2}));
  EXPECT_EQ(other.common, std::optional<Index>(1));
}

TEST_F(InputsTest, ARunIsATaskAndAStart) {
  const settings::Experiment e =
      parse(tests::small_task() + tests::small_model() + "[solver]\nuntil = 5\nrtol = 1e-6\n[save]\nstates = 3\n");
  Simulation simulation(e);
  Listener nobody;
  simulation.run(path("run.h5"), false, "", nobody);
  const std::string from_run = "[task]\nkind = 'file'\npath = 'run.h5'\n";
  expect_equal(task(from_run), simulation.task().data());

  const std::string model = "[model.start]\nkind = 'file'\npath = 'run.h5'\n";
  std::optional<TextReport> report;
  const Weights<double> drawn = make_start(e, Task(make_task(e, report)));
  expect_equal(start(from_run + model), drawn);
  // A snapshot, entry by entry from the file: every matrix has its own shape, so a transposed one would not fit or not
  // agree.
  const trajectory::RunReader reader(path("run.h5"));
  const Weights<double> snapshot = start(from_run + model + "snapshot = 1\n");
  const auto expect_state = [&](const char* name, const auto& matrix) {
    const trajectory::Values values = reader.state(name, 1);
    ASSERT_EQ(values.shape, (std::vector<std::int64_t>{matrix.rows(), matrix.cols()})) << name;
    for (Eigen::Index i = 0; i < matrix.rows(); ++i)
      for (Eigen::Index j = 0; j < matrix.cols(); ++j)
        ASSERT_EQ(matrix(i, j), values.values[static_cast<std::size_t>(i * matrix.cols() + j)]) << name;
  };
  expect_state("W", snapshot.W);
  expect_state("W_V", snapshot.W_V);
  expect_state("W_K", snapshot.W_K);
  expect_state("W_Q", snapshot.W_Q);
  EXPECT_EQ(snapshot.a, drawn.a);
  EXPECT_NE(snapshot.W_V, drawn.W_V);
  expect_equal(start(from_run + model + "snapshot = 0\n"), drawn);

  const auto problems = [&](const std::string& toml) { return problems_of([&] { start(toml); }); };
  EXPECT_THAT(problems(from_run + "[model]\nwidth = 6\n" + model),
              HasSubstr("model.width: is 6, but the width of the start in"));
  EXPECT_THAT(problems(from_run + "[model]\nhidden = 8\n" + model), HasSubstr("model.hidden: is 8, but the start in"));
  EXPECT_NO_THROW(start(from_run + "[model]\nwidth = 8\nhidden = 6\n" + model));
  EXPECT_THAT(problems("[task]\nsamples = 6\nwords = 14\n" + model),
              AllOf(HasSubstr("model.start: "), HasSubstr("run.h5: "),
                    HasSubstr("W_V has shape [8, 13], but must have [8, 14]")));
  EXPECT_THROW(start(from_run + model + "snapshot = 3\n"), FileError);
  EXPECT_THROW(start(from_run + "[model.start]\nkind = 'file'\npath = 'none.h5'\n"), FileError);
}

TEST_F(InputsTest, ADrawnTasksTestSamplesLeaveTheRestAsItWas) {
  const std::string uniform = "seed = 4\n[task]\nsamples = 6\nlength = 4\nwords = 13\n";
  const Inputs plain = read_inputs(parse(uniform + tests::small_model())),
               inputs = read_inputs(parse(uniform + "test_samples = 9\n" + tests::small_model()));
  EXPECT_FALSE(plain.test);
  ASSERT_TRUE(inputs.test);
  expect_equal(inputs.task, plain.task);
  expect_equal(std::get<Weights<double>>(inputs.start), std::get<Weights<double>>(plain.start));
  CoOccurrenceOptions options;
  options.samples = 6;
  options.length = 4;
  options.words = 13;
  expect_equal(*inputs.test, co_occurrence_test(options, 9, 4));
}

TEST_F(InputsTest, ATextHoldsAShareBack) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "The licence covers the program. A licence is short. Programs run. ";
  write("text.txt", text);
  const std::string settings = "task = { kind = 'text', path = 'text.txt', targets = ['licence', 'program'], ";
  const auto inputs = [&](const std::string& more) { return read_inputs(parse(more + tests::small_model())); };
  const Inputs whole = inputs("seed = 5\n" + settings + "limit = 30 }"),
               parts = inputs("seed = 5\n" + settings + "limit = 30, test_share = 0.2 }");
  ASSERT_TRUE(parts.test && parts.text_report);
  EXPECT_EQ(parts.test->labels.size(), 6U);
  EXPECT_EQ(parts.task.labels.size(), 24U);
  EXPECT_EQ(parts.task.word_names, whole.task.word_names);
  EXPECT_EQ(parts.text_report->units_kept, 30);
  EXPECT_NE(parts.test->tokens, inputs("seed = 6\n" + settings + "limit = 30, test_share = 0.2 }").test->tokens);
  EXPECT_THAT(problems_of([&] { inputs(settings + "limit = 2, test_share = 0.5 }"); }),
              AllOf(HasSubstr("experiment.toml: task: "), HasSubstr("text.txt: test_share: with 1 of 2 samples")));
}

TEST_F(InputsTest, FilesKeepTestSamplesBesideTheOthers) {
  const auto write_task = [&](const std::vector<std::int64_t>& test, const std::vector<std::int64_t>& labels) {
    storage::File file = storage::File::create(path("task.h5"), true);
    storage::Group root = file.root();
    const auto write_array = [&](const char* name, const storage::Shape& shape,
                                 const std::vector<std::int64_t>& values) {
      root.create_dataset(name, {storage::Kind::integer, shape}).write(std::span(values));
    };
    write_array("tokens", {3, 6}, tokens_);
    write_array("labels", {3}, labels_);
    write_array("test_tokens", {2, 3}, test);
    write_array("test_labels", {std::ssize(labels)}, labels);
    root.set_attribute("words", std::int64_t{5});
    file.publish();
    file.close();
  };
  const std::string settings = "task = { kind = 'file', path = 'task.h5' }\n" + tests::small_model();
  write_task({3, 1, -1, 0, 1, 2}, {-1, 1});
  const Inputs inputs = read_inputs(parse(settings));
  EXPECT_EQ(inputs.task.tokens.size(), 3U);
  ASSERT_TRUE(inputs.test);
  EXPECT_EQ(inputs.test->tokens, (std::vector<std::vector<Index>>{{3, 1}, {0, 1, 2}}));
  EXPECT_EQ(inputs.test->labels, (std::vector<int>{-1, 1}));
  const auto problems = [&] { return problems_of([&] { read_inputs(parse(settings)); }); };
  write_task({3, 1, -1, 0, 5, 2}, {-1, 1});
  EXPECT_THAT(problems(), HasSubstr("task.h5: test samples: sample 1 (from 0): token 5 is not in the vocabulary"));
  write_task({3, 1, -1, 0, 1, 2}, {-1, 1, 1});
  EXPECT_THAT(problems(), HasSubstr("task.h5: test samples: labels: one entry for each sample is needed, 2 in all"));
}

TEST_F(InputsTest, ARunKeepsItsTestSamples) {
  for (const char* formulation : {"reduced", "coupled"}) {
    const settings::Experiment e =
        parse("[task]\nsamples = 6\nlength = 4\nwords = 40\ntest_samples = 30\n" + tests::small_model() +
              "[solver]\nuntil = 1\nrtol = 1e-6\n[flow]\nformulation = '" + formulation + "'\n");
    const Inputs inputs = read_inputs(e);
    Simulation simulation(e);
    Listener nobody;
    simulation.run(path("run.h5"), true, "", nobody);
    const Inputs again = read_run_inputs(path("run.h5")),
                 as_task = read_inputs(parse("task = { kind = 'file', path = 'run.h5' }\nmodel = { start = { kind = "
                                             "'file', path = 'run.h5' } }\nflow = { "
                                             "formulation = '" +
                                             std::string(formulation) + "' }\n"));
    for (const Inputs* read : {&again, &as_task}) {
      expect_equal(read->task, inputs.task);
      ASSERT_TRUE(read->test);
      EXPECT_EQ(read->test->tokens, inputs.test->tokens);
      EXPECT_EQ(read->test->labels, inputs.test->labels);
      const auto* gram = std::get_if<GramStart<double>>(&read->start);
      ASSERT_EQ(gram != nullptr, std::string(formulation) == "coupled");
      if (gram == nullptr) continue;
      // The coupled flow holds all words that the test samples are made of.
      for (const auto& sample : inputs.test->tokens)
        for (const Index word : sample) EXPECT_TRUE(std::ranges::binary_search(gram->words, word)) << word;
      EXPECT_GT(gram->words.size(), Task(inputs.task).used_words().size());
      EXPECT_LT(gram->words.size(), 40U);
    }
  }
}

}  // namespace
}  // namespace gradflow
