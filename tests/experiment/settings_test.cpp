#include "gradflow/experiment/settings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "experiment/settings_wrong.hpp"

namespace gradflow::settings {
namespace {

using testing::Wrong;

const std::vector<std::string> methods{"dopri5", "fehlberg78"};

Experiment parsed(const std::string& text, const std::vector<Override>& overrides = {}) {
  return parse(text, "folder/experiment.toml", overrides, methods);
}

std::vector<std::string> problems_of(const std::string& text, const std::vector<Override>& overrides = {}) {
  try {
    parsed(text, overrides);
  } catch (const Error& error) {
    return error.problems();
  }
  return {};
}

// The one problem that the settings have; fails the test if there are more or fewer.
std::string problem_of(const std::string& text, const std::vector<Override>& overrides = {}) {
  const auto problems = problems_of(text, overrides);
  EXPECT_EQ(problems.size(), 1u) << ::testing::PrintToString(problems);
  return problems.empty() ? "" : problems.front();
}

// An excerpt of a long line is cut after 100 characters.
std::string cut(const std::string& line) { return line.size() > 100 ? line.substr(0, 100) + "..." : line; }

class WrongSetting : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongSetting, InTheFileSaysWhereWhatAndWhatToDo) {
  const auto& wrong = GetParam();
  const std::string context = wrong.context, key = wrong.key;
  const auto line = 1 + std::count(context.begin(), context.end(), '\n');
  // toml++ places a dotted key at its last part.
  const auto column = wrong.at_key ? key.find_last_of('.') + 2 : key.size() + 4;
  const auto setting = key + " = " + wrong.value;
  const auto expected = "folder/experiment.toml:" + std::to_string(line) + ":" +
                        std::to_string(key.find('.') == std::string::npos && wrong.at_key ? 1 : column) + ": key '" +
                        key + "': " + wrong.what + "\n    " + cut(setting) + "\n  ";
  const auto problem = problem_of(context + setting + "\n");
  EXPECT_EQ(problem.substr(0, expected.size()), expected);
  EXPECT_NE(problem.substr(std::min(problem.size(), expected.size())).find(wrong.advice), std::string::npos) << problem;
}

TEST_P(WrongSetting, InAnOverrideSaysTheSame) {
  const auto& wrong = GetParam();
  const std::string key = wrong.key;
  const auto expected =
      "--set " + key + ": key '" + key + "': " + wrong.what + "\n    --set " + cut(key + "=" + wrong.value) + "\n  ";
  const auto problem = problem_of(wrong.context, {{key, wrong.value}});
  EXPECT_EQ(problem.substr(0, expected.size()), expected);
  EXPECT_NE(problem.substr(std::min(problem.size(), expected.size())).find(wrong.advice), std::string::npos) << problem;
}

INSTANTIATE_TEST_SUITE_P(Table, WrongSetting, ::testing::ValuesIn(testing::wrong_settings));

TEST(SettingsErrors, AllAtOnceInTheOrderOfTheFileThenTheOverrides) {
  const auto problems = problems_of(R"([save]
records = 1

[task]
lenght = 5
samples = 61
[[event]]
name = "overtaken"
quantity = "loss"
crosses = inf
[[event]]
name = "mine"
quantity = "loss"
crosses = 1
[[event]]
name = "mine"
quantity = 3
[solver]
rtol = -1
)",
                                    {{"solver.until", "soon"}, {"a..b", "1"}});
  std::vector<std::string> first_lines;
  for (const auto& problem : problems) first_lines.push_back(problem.substr(0, problem.find('\n')));
  const std::vector<std::string> expected{
      "folder/experiment.toml:2:11: key 'save.records': must be a whole number from 2 to 1000000000, but is 1",
      "folder/experiment.toml:5:1: key 'task.lenght': is not a setting",
      "folder/experiment.toml:6:11: key 'task.samples': must divide exactly into the classes' fractions 1/2, 1/6, 1/6, "
      "1/6, "
      "but is 61",
      "folder/experiment.toml:8:8: key 'event[1].name': must not be the name of a standard event, but is \"overtaken\"",
      "folder/experiment.toml:10:11: key 'event[1].crosses': must be a finite number, but is inf",
      "folder/experiment.toml:15:1: key 'event[3].crosses': is missing",
      "folder/experiment.toml:16:8: key 'event[3].name': must be a name of its own, but event 2 is \"mine\" too",
      "folder/experiment.toml:17:12: key 'event[3].quantity': must be a string that is not empty, but is the whole "
      "number 3",
      "folder/experiment.toml:19:8: key 'solver.rtol': must be a number from 1e-14 to 0.1, but is -1.0",
      "--set a..b: key 'a..b': is not the name of a key",
      "--set solver.until: key 'solver.until': must be a number > 0, but is the string \"soon\""};
  EXPECT_EQ(first_lines, expected);
}

TEST(SettingsErrors, WhatListsOneProblemToAParagraph) {
  try {
    parsed("seed = -1\nsaev = 2\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "folder/experiment.toml:1:8: key 'seed': must be a whole number >= 0, but is -1\n"
                 "    seed = -1\n"
                 "  Correct it, or leave the key out for 1.\n"
                 "\n"
                 "folder/experiment.toml:2:1: key 'saev': is not a setting\n"
                 "    saev = 2\n"
                 "  The nearest valid key is 'save'. Valid at the top: name, seed, task, model, flow, solver, save, "
                 "phases, event, "
                 "descent.");
  }
}

TEST(SettingsErrors, MissingKeysStandAtTheTableThatNeedsThem) {
  EXPECT_EQ(problem_of("[task]\nkind = \"file\"\n"),
            "folder/experiment.toml:1:1: key 'task.path': is missing, and kind \"file\" needs it\n    [task]\n"
            "  Give task.path = a string that is not empty.");
  EXPECT_EQ(problems_of("[task]\nkind = \"text\"\n").size(), 2u);             // path, targets
  EXPECT_EQ(problems_of("[model.start]\nkind = \"gaussian\"\n").size(), 4u);  // W, W_V, W_K, W_Q
  EXPECT_TRUE(
      problem_of("model.start = {kind = \"gaussian\", W = 1, W_V = 1, W_Q = 1}\n")
          .starts_with(
              "folder/experiment.toml:1:15: key 'model.start.W_K': is missing, and kind \"gaussian\" needs it\n"));
  EXPECT_TRUE(problem_of("", {{"task.kind", "file"}})
                  .starts_with("--set task.kind: key 'task.path': is missing, and kind \"file\" needs it\n"));
  EXPECT_NE(
      problem_of("[task]\nkind = \"file\"\npath = \"a.jsonl\"\n").find("'task.words': is missing, and JSON Lines"),
      std::string::npos);
  EXPECT_EQ(problems_of("[[event]]\n").size(), 3u);       // name, quantity, crosses
  EXPECT_EQ(problems_of("[[task.class]]\n").size(), 4u);  // name, words, label, fraction
}

TEST(SettingsErrors, WrongEvents) {
  const auto named = [](const std::string& name) {
    return "[[event]]\nname = \"" + name + "\"\nquantity = \"loss\"\ncrosses = 0.5\n";
  };
  for (const auto* name :
       {"classified", "overtaken", "bracket(0.3)", "aligned(0)", "attention_moves(1e-3)", "loss_below(1)"})
    EXPECT_NE(problem_of(named(name)).find("standard event"), std::string::npos) << name;
  EXPECT_TRUE(problems_of(named("classified_late")).empty());
  EXPECT_NE(problem_of(named("a") + "direction = \"sideways\"\n").find("must be \"down\" or \"up\""),
            std::string::npos);
  EXPECT_NE(problem_of(named("a") + "stop = \"yes\"\n").find("must be true or false"), std::string::npos);
  EXPECT_NE(problem_of(named("a") + "level = 1\n").find("key 'event[1].level': is not a setting"), std::string::npos);
  EXPECT_NE(problem_of("event = [1]\n").find("key 'event[1]': must be a table, but is the whole number 1"),
            std::string::npos);
}

TEST(SettingsErrors, WrongClasses) {
  const auto with = [](const std::string& second) {
    return "[[task.class]]\nname = \"a\"\nwords = [1, 2]\nlabel = 1\nfraction = \"1/2\"\n[[task.class]]\n" + second;
  };
  EXPECT_TRUE(problems_of(with("name = \"b\"\nwords = []\nlabel = -1\nfraction = 0.5\n")).empty());
  const std::vector<std::pair<std::string, std::string>> table{
      {"name = \"a\"\nwords = []\nlabel = -1\nfraction = 0.5\n",
       ":7:8: key 'task.class[2].name': must be a name of its own"},
      {"name = \"b\"\nwords = [65]\nlabel = -1\nfraction = 0.5\n",
       ":8:9: key 'task.class[2].words': must be a word from 1 to task.words = 64, but is 65"},
      {"name = \"b\"\nwords = [4, 4]\nlabel = -1\nfraction = 0.5\n", "but is a list that has 4 twice"},
      {"name = \"b\"\nwords = []\nlabel = 0\nfraction = 0.5\n", "must be a whole number -1 or 1, but is 0"},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = 0.51234567\n", "with a denominator up to 10000"},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = 0.166667\n", "write the exact one, such as \"1/6\""},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = \"1:2\"\n", "must be a fraction > 0 and <= 1"},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = \"1/0\"\n", "must be a fraction > 0 and <= 1"},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = 0\n", "but is the whole number 0"},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = nan\n", "but is the number nan"},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = \"3/2\"\n", "but is the string \"3/2\""},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = \"1/1000001\"\n", "Denominators go up to 1000000."},
      {"name = \"b\"\nwords = []\nlabel = -1\nfraction = \"499/1000\"\n", "1/2, 499/1000 sum to 999/1000"},
      {"name = \"b\"\nwords = [1, 2, 3, 4, 5, 6]\nlabel = -1\nfraction = 0.5\n",
       "key 'task.length': must be at least 6"},
  };
  for (const auto& [second, part] : table) {
    const auto problem = problem_of(with(second));
    EXPECT_NE(problem.find(part), std::string::npos) << second << problem;
  }
}

TEST(SettingsErrors, TextThatIsNoTomlAndFilesThatCannotBeRead) {
  EXPECT_TRUE(problem_of("[solver]\nrtol = = 3\n").starts_with("folder/experiment.toml:2:8: is not TOML: Error"));
  EXPECT_NE(problem_of("seed = 1\nseed = 2\n").find("folder/experiment.toml:2:"), std::string::npos);
  for (const auto* malformed : {"[$model]", "[=]", "[<x]", "[\xc3\xa9]", "x = \xff", "\"", "a = [[[["})
    EXPECT_EQ(problems_of(malformed).size(), 1u) << malformed;
  const auto folder = std::filesystem::path(::testing::TempDir());
  const std::vector<std::pair<std::filesystem::path, int>> unreadable{{folder / "no such file.toml", ENOENT},
                                                                      {folder, EISDIR}};
  for (const auto& [file, reason] : unreadable) {
    try {
      read(file, {}, methods);
      ADD_FAILURE() << file;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), reason);
      EXPECT_NE(std::string(error.what()).find(file.string()), std::string::npos);
    }
  }
}

// The settings of the documentation, with every key at a value that is not its default.
const std::string every_key = R"(name = "run 7"
seed = 12
[task]
kind = "co-occurrence"
samples = 120
length = 6
words = 640
fillers = "distinct"
targets = [4, 5]
common = 6
test_samples = 30
[[task.class]]
name = "both"
words = [4, 5, 6]
label = 1
fraction = 0.25
[[task.class]]
name = "neither"
words = []
label = -1
fraction = 0.75
[model]
width = 1280
hidden = 7
start = { kind = "orthogonal", W = 0.1, W_V = 0.2, W_K = 0, W_Q = 1e-3 }
[flow]
formulation = "full"
rates = { W = 0, W_V = 2, W_K = 0.5, W_Q = 3 }
[solver]
method = "fehlberg78"
rtol = 1e-6
atol = 1e-9
until = 1e8
clock = "log"
t0 = 0.25
error_bars = false
max_steps = 10
max_rejections = 11
max_wall_seconds = 3.5
initial_step = 1e-5
max_step = 2
[save]
records = 10
states = 3
words = [4, 640]
observables = ["sharpness", "attention"]
checkpoint_seconds = 1.5
[phases]
aligned = [0, 1]
bracket = []
attention_moves = [0.5]
loss_below = [3]
T1_constant = 2
T2 = 1e7
[[event]]
name = "loss_1e-6"
quantity = "loss"
crosses = 1e-6
direction = "down"
stop = true
[descent]
methods = ["heavy-ball", "gd"]
rates = [0.5]
momentum = 0.5
batch = 7
modified = [3]
curvature = 9
eps = [0.01, 0.1]
)";

TEST(Settings, EveryKeyArrives) {
  const auto x = parsed(every_key);
  EXPECT_EQ(x.name, "run 7");
  EXPECT_EQ(x.source, "folder/experiment.toml");
  EXPECT_EQ(x.seed, 12u);
  CoOccurrenceTask task{120, 6, 640, Fillers::distinct, {4, 5}, 6, {}, 30};
  task.classes = {{"both", {4, 5, 6}, 1, 1, 4}, {"neither", {}, -1, 3, 4}};
  EXPECT_EQ(std::get<CoOccurrenceTask>(x.task), task);
  EXPECT_EQ(x.model, (Model{1280, 7, {StartKind::orthogonal, 0.1, 0.2, 0, 1e-3, {}, {}}}));
  EXPECT_EQ(x.flow, (Flow{Formulation::full, {0, 2, 0.5, 3}}));
  EXPECT_EQ(x.solver, (Solver{"fehlberg78", 1e-6, 1e-9, 1e8, ClockKind::log, 0.25, false, 10, 11, 3.5, 1e-5, 2.0}));
  EXPECT_EQ(x.save, (Save{10, 3, {{4, 640}}, 1.5, {"sharpness", "attention"}}));
  EXPECT_EQ(x.phases, (Phases{{0, 1}, {}, {0.5}, {3}, 2, 1e7}));
  EXPECT_EQ(x.events, (std::vector<Event>{{"loss_1e-6", "loss", 1e-6, -1, true, ""}}));
  EXPECT_EQ(x.events.at(0).where, "folder/experiment.toml:55:1");
  EXPECT_EQ(x.descent, (Descent{{"heavy-ball", "gd"}, {0.5}, 0.5, 7, {3}, 9, {0.01, 0.1}}));
}

TEST(Settings, AnEmptyFileIsThePapersExperiment) {
  const auto x = parsed("");
  EXPECT_EQ(x.name, "experiment");
  const auto& task = std::get<CoOccurrenceTask>(x.task);
  EXPECT_EQ(task.common, 3);
  EXPECT_EQ(
      task.classes,
      (std::vector<TaskClass>{
          {"I1", {1, 2, 3}, 1, 1, 2}, {"I2", {1, 3}, -1, 1, 6}, {"I3", {2, 3}, -1, 1, 6}, {"I4", {3}, -1, 1, 6}}));
  EXPECT_EQ(x.model, (Model{128, 256, {}}));
  EXPECT_EQ(x.solver, Solver{});
}

TEST(Settings, TheCommonWordMayBeAbsentBesideTargets) {
  const auto task = std::get<CoOccurrenceTask>(parsed("task.targets = [4, 5]\n").task);
  EXPECT_EQ(task.common, std::nullopt);
  EXPECT_EQ(task.classes,
            (std::vector<TaskClass>{
                {"I1", {4, 5}, 1, 1, 2}, {"I2", {4}, -1, 1, 6}, {"I3", {5}, -1, 1, 6}, {"I4", {}, -1, 1, 6}}));
  const std::string file = "task.kind = \"file\"\ntask.path = \"x.h5\"\n";
  EXPECT_EQ(std::get<FileTask>(parsed(file).task).common, 3);
  EXPECT_EQ(std::get<FileTask>(parsed(file + "task.targets = [1, 2]\n").task).common, std::nullopt);
}

TEST(Settings, FractionsAreExact) {
  const auto fraction = [](const std::string& given) {
    const auto x =
        parsed("task.samples = 1000000\ntask.class = [{name = \"a\", words = [], label = 1, fraction = " + given +
               "}, {name = \"b\", words = [], label = 1, fraction = \"1/2\"}]\n");
    const auto& one = std::get<CoOccurrenceTask>(x.task).classes.at(0);
    return std::pair(one.numerator, one.denominator);
  };
  for (const auto* given : {"0.5", "\"1/2\"", "\"500000/1000000\"", "0.4999999999"})
    EXPECT_EQ(fraction(given), std::pair(std::int64_t{1}, std::int64_t{2})) << given;
  const auto sixths = parsed(
      "task.class = [{name = \"a\", words = [], label = 1, fraction = 0.16666666667}, {name = \"b\", words = "
      "[], label = -1, fraction = 0.83333333333}]\n");
  EXPECT_EQ(std::get<CoOccurrenceTask>(sixths.task).classes.at(0).denominator, 6);
  EXPECT_EQ(std::get<CoOccurrenceTask>(sixths.task).classes.at(1).numerator, 5);
  const auto whole = parsed("task.class = [{name = \"a\", words = [], label = 1, fraction = 1}]\n");
  EXPECT_EQ(std::get<CoOccurrenceTask>(whole.task).classes.at(0).denominator, 1);
}

TEST(Settings, OverridesApplyInOrderAsTomlOrElseAsStrings) {
  const auto x =
      parsed("[solver]\nrtol = \"wrong\"\n", {{"solver.rtol", "1e-3"},
                                              {"solver.rtol", "1e-4"},
                                              {"solver.clock", "linear"},
                                              {"flow.rates", "{W = 0}"},
                                              {"flow.rates.W_K", "0"},
                                              {"name", "7\nseed = 3"},
                                              {"event", "[{name = \"e\", quantity = \"loss\", crosses = 1}]"},
                                              {"save.words", "[1, 2]"}});
  EXPECT_EQ(x.solver.rtol, 1e-4);
  EXPECT_EQ(x.solver.clock, ClockKind::linear);
  EXPECT_EQ(x.flow.rates, (std::array<double, 4>{0, 1, 0, 1}));
  EXPECT_EQ(x.name, "7\nseed = 3");  // no second setting can be smuggled in
  EXPECT_EQ(x.seed, 1u);
  EXPECT_EQ(x.events.at(0).name, "e");
  EXPECT_EQ(x.events.at(0).where, "--set event");
  EXPECT_EQ(x.save.words, (std::vector<std::int64_t>{1, 2}));
}

TEST(Settings, OverridesOfATableInAFileReplaceOnlyTheirKey) {
  const auto x = parsed(every_key, {{"model.start.W", "0.7"}, {"task.common", "7"}, {"task.class", "[]"}});
  EXPECT_EQ(x.model.start.W, 0.7);
  EXPECT_EQ(x.model.start.W_V, 0.2);
  EXPECT_EQ(std::get<CoOccurrenceTask>(x.task).classes.at(0).words, (std::vector<std::int64_t>{4, 5, 7}));
}

TEST(SettingsErrors, MalformedOverrides) {
  for (const auto* key : {"", ".", "solver.", ".rtol", "solver..rtol", "solver rtol", "\"a\"", "a\nb", "a=b"})
    EXPECT_NE(problem_of("", {{key, "1"}}).find("is not the name of a key"), std::string::npos) << key;
  EXPECT_NE(problem_of("seed = 1\n", {{"seed.x", "1"}}).find("key 'seed': is not a table"), std::string::npos);
  EXPECT_NE(problem_of("", {{"solver.clock", "\xff"}}).find("no TOML string can hold"), std::string::npos);
  EXPECT_NE(problem_of("", {{"save.words", "[1, 2"}}).find("It was taken as a string, because as a TOML value: "),
            std::string::npos);
  EXPECT_NE(problem_of("", {{"solver.rtol", ""}}).find("but is the string \"\""), std::string::npos);
}

TEST(Settings, PathsStartAtTheFolderOfTheFile) {
  const auto here = std::filesystem::current_path();
  const auto x = parsed(
      "task = {kind = \"file\", path = \"../a.h5\", words = 9}\nmodel.start = {kind = \"file\", path = \"/b.h5\"}\n");
  EXPECT_EQ(std::get<FileTask>(x.task).path, here / "a.h5");
  EXPECT_EQ(x.model.start.path, "/b.h5");
  EXPECT_EQ(x.model.width, std::nullopt);  // it is the file's
}

// Nothing has the size of a limit start's weights, so their widths are bounded as numbers only.
TEST(Settings, TheLimitStartIsOfAnyWidth) {
  const std::string sizes = "model = {width = 1000000000, hidden = 1000000000, ";
  const auto x = parsed("flow.formulation = \"coupled\"\n" + sizes +
                        "start = {kind = \"limit\", W = 0.1, W_V = 0.2, W_K = 0, W_Q = 1e-3}}\ntask.words = 1000000\n");
  EXPECT_EQ(x.flow.formulation, Formulation::coupled);
  EXPECT_EQ(x.model, (Model{1'000'000'000, 1'000'000'000, {StartKind::limit, 0.1, 0.2, 0, 1e-3, {}, {}}}));
  EXPECT_EQ(problems_of("flow.formulation = \"coupled\"\nmodel.start.kind = \"limit\"\n").size(), 4u);  // W, ..., W_Q
  // A formulation that is not understood is one problem, not two.
  const std::string limit = "model.start = {kind = \"limit\", W = 1, W_V = 1, W_K = 1, W_Q = 1}\n";
  EXPECT_NE(problem_of(limit + "flow.formulation = \"copuled\"\n").find("key 'flow.formulation'"), std::string::npos);
  EXPECT_NE(problem_of(limit + "flow.formulation = \"full\"\n").find("flow.formulation = \"full\" needs them"),
            std::string::npos);
}

TEST(Settings, WrittenSettingsReadBackEqual) {
  const std::string text_task =
      "[task]\nkind = \"text\"\npath = \"a \\\"b\\\" \\\\ \\u0001 \\u00e9.txt\"\ntargets = [\"a\", \"b\"]\n";
  const std::vector<std::string> experiments{
      "",
      every_key,
      text_task,
      text_task + "common = \"c\"\nunit = \"line\"\nmin_count = 3\nmax_length = 9\nlimit = 10\ntest_share = 0.25\n",
      "task = {kind = \"file\", path = \"a.jsonl\", words = 9, targets = [8, 9]}\n",
      "model.start = {kind = \"file\", path = \"run.h5\", snapshot = 4}\n",
      "flow.formulation = \"coupled\"\nmodel.start = {kind = \"file\", path = \"run.h5\", snapshot = 4}\n",
      "flow.formulation = \"coupled\"\nmodel.start = {kind = \"limit\", W = 0.1, W_V = 0.2, W_K = 0, W_Q = 1e-3}\n",
      "solver = {clock = \"linear\", until = 1.7976931348623157e308, atol = 5e-324, rtol = 0.030000000000000002}\n",
      "seed = 9223372036854775807\nsolver.max_wall_seconds = 86400\n",
      "descent = {}\n"};
  for (const auto& text : experiments) {
    const auto x = parsed(text);
    const auto written = to_toml(x);
    EXPECT_EQ(parsed(written), x) << written;
    EXPECT_EQ(to_toml(parsed(written)), written);
    // The written settings stand alone, wherever they are read from.
    auto elsewhere = parse(written, "/elsewhere/other.h5", {}, methods);
    elsewhere.source = x.source;
    EXPECT_EQ(elsewhere, x);
  }
}

TEST(Settings, WrittenSettingsSpellOutEveryDefault) {
  const auto written = to_toml(parsed(""));
  for (const auto* line :
       {"name = \"experiment\"\n", "fillers = \"uniform\"\n", "fraction = \"1/6\"\n", "width = 128\n",
        "[flow.rates]\nW = 1.0\n", "rtol = 1e-08\n", "until = 300.0\n", "error_bars = true\n",
        "max_rejections = 10000\n", "records = 400\n", "attention_moves = [0.0001, 0.001, 0.01]\n"})
    EXPECT_NE(written.find(line), std::string::npos) << line;
}

TEST(Settings, ReadsTheExampleOfTheDocumentation) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "documented.toml";
  std::ofstream(file) << R"(seed = 1                                 # one seed
[task]
kind    = "co-occurrence"                # or "file", or "text"
samples = 60
length  = 5
words   = 64                             # vocabulary size d
fillers = "uniform"                      # or "distinct"
targets = [1, 2]
common  = 3

[model]
width  = 128                             # m
hidden = 256                             # m1
[model.start]
kind = "kaiming-normal"

[flow]
formulation = "reduced"
rates = { W = 1, W_V = 1, W_K = 1, W_Q = 1 }   # 0 freezes a matrix

[solver]
method = "dopri5"
rtol = 1e-8
atol = 1e-10
until = 300.0
clock = "log"
error_bars = true

[save]
records = 400
states  = 20
words   = [1, 2, 3]
checkpoint_seconds = 30

[[event]]
name = "loss_1e-6"
quantity = "loss"
crosses = 1e-6
direction = "down"
stop = false

[descent]
methods = ["gd"]
rates = [0.1, 0.05, 0.025]
)";
  const auto x = read(file, {}, methods);
  EXPECT_EQ(x.name, "documented");
  EXPECT_EQ(std::get<CoOccurrenceTask>(x.task).classes.size(), 4u);
  EXPECT_EQ(x.events.at(0).direction, -1);
  EXPECT_EQ(x.events.at(0).where, file.string() + ":35:1");
  EXPECT_EQ(x.save.states, 20);
  std::filesystem::remove(file);
}

// Whatever is done to a file, it is read or refused with an Error: no crash, no other exception.
TEST(SettingsErrors, EveryOneByteChangeIsReadOrRefused) {
  int refused = 0;
  for (std::size_t i = 0; i < every_key.size(); ++i) {
    for (const char byte : {'\0', '"', '[', '=', '-', '9', '\n', '\xff'}) {
      auto text = every_key;
      text[i] = byte;
      try {
        parsed(text);
      } catch (const Error& error) {
        ++refused;
        for (const auto& problem : error.problems())
          EXPECT_EQ(problem.substr(0, 23), "folder/experiment.toml:") << problem;
      }
    }
  }
  // Most changes break a key, a word or a limit; the rest fall on digits, spaces and free names.
  EXPECT_GT(refused, static_cast<int>(every_key.size()));
}

}  // namespace
}  // namespace gradflow::settings
