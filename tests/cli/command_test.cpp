// The real command on real files, as a person or a script uses it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <gradflow/trajectory/reader.hpp>
#include <nlohmann/json.hpp>

#include "support/process.hpp"

namespace gradflow {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;
using support::Finished;
using support::Process;
namespace fs = std::filesystem;

class Command : public ::testing::Test {
 protected:
  void SetUp() override {
    write("small.toml",
          "[task]\nsamples = 6\nlength = 4\nwords = 8\n[model]\nwidth = 8\nhidden = 8\n[solver]\nuntil = 20.0\nrtol = "
          "1e-6\n"
          "[save]\nrecords = 5\nstates = 2\n");
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }
  std::string read(const std::string& name) const {
    std::ifstream file(folder / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool exists(const std::string& name) const { return fs::exists(folder / name); }

  static std::vector<std::string> words(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), GRADFLOW_COMMAND);
    return arguments;
  }
  Finished gradflow(std::vector<std::string> arguments) const {
    return Process(words(std::move(arguments)), folder).finish();
  }
  /// A run of the small experiment, run.h5.
  void simulate(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"simulate", "small.toml", "-o", "run.h5", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished run = gradflow(arguments);
    ASSERT_EQ(run.code, 0) << run.err;
  }
  Json json(const std::string& command) const {
    const Finished shown = gradflow({command, "run.h5", "--json"});
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_THAT(shown.err, IsEmpty());
    return Json::parse(shown.out);  // throws unless it is one document and nothing else
  }
  /// Steps of a millionth in a time of a million: ends by a limit or an interrupt only.
  static std::vector<std::string> endless() {
    return {"simulate", "small.toml",           "--set", "solver.clock=linear",        "--set", "solver.until=1e6",
            "--set",    "solver.max_step=1e-6", "--set", "solver.max_steps=1000000000"};
  }

  support::TemporaryFolder temporary;
  fs::path folder = temporary.path();
};

TEST_F(Command, SimulateWritesTheFileUnderTheExperimentsNameAndSaysWhatCameOut) {
  const Finished run = gradflow({"simulate", "small.toml"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_TRUE(exists("small.h5"));
  for (const char* part :
       {"reached_end", "accepted", "rejected error", "evaluations", "smallest step", "wall time", "classified",
        "verdict", "loss", "accuracy", "margin_min", "drift_vw", "gradflow phases small.h5"})
    EXPECT_THAT(run.out, HasSubstr(part));
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("small: 6 samples (I1 3, I2 1, I3 1, I4 1), 8 words"), HasSubstr("dopri5, rtol 1e-06")));
  EXPECT_THAT(run.err, HasSubstr(" becomes true")) << "events, as they are found";
  EXPECT_THAT(run.out, Not(HasSubstr(" becomes true")));
  EXPECT_THAT(run.err, Not(AllOf(HasSubstr("% "), HasSubstr("left"))))
      << "no progress of a short run outside a terminal";
}

TEST_F(Command, QuietLeavesOnlyResults) {
  const Finished run = gradflow({"simulate", "small.toml", "--quiet", "-o", "run.h5"});
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.err, IsEmpty());
  EXPECT_THAT(run.out, HasSubstr("reached_end"));
}

TEST_F(Command, SetChangesTheSettingsThatTheFileKeeps) {
  simulate({"--set", "solver.until=7.5", "--set", "solver.method=cash-karp54", "--set", "save.words=[1, 4]"});
  const Json shown = json("show");
  EXPECT_EQ(shown["settings"]["solver"]["until"], 7.5);
  EXPECT_EQ(shown["settings"]["solver"]["method"], "cash-karp54");
  EXPECT_EQ(shown["end"]["t"], 7.5);
  EXPECT_EQ(shown["end"]["G"].size(), 2);
  EXPECT_THAT(shown["provenance"]["command"].get<std::string>(),
              AllOf(StartsWith("gradflow simulate small.toml"), HasSubstr("'save.words=[1, 4]'")));
}

TEST_F(Command, ShowGivesSettingsOutcomeStatisticsAndEndValues) {
  simulate();
  const Json shown = json("show");
  EXPECT_EQ(shown["outcome"], "reached_end");
  EXPECT_EQ(shown["records"], 5);
  EXPECT_EQ(shown["snapshots"], 2);
  EXPECT_GT(shown["statistics"]["accepted"], 0);
  EXPECT_GE(shown["statistics"]["largest_step"], shown["statistics"]["smallest_step"]);
  EXPECT_TRUE(shown["end"]["loss"].is_number());
  EXPECT_EQ(shown["end"]["loss_class"].size(), 4);
  const std::vector<double> B = trajectory::RunReader(folder / "run.h5").observable("B").values;
  EXPECT_EQ(shown["end"]["B"]["mu_2"]["mu_1"], B[B.size() - 9 + 3]) << "3 x 3 words, key before query, the last record";
  const Finished text = gradflow({"show", "run.h5"});
  EXPECT_EQ(text.code, 0);
  for (const char* part :
       {"rtol = 1e-06", "commit", "reached_end", "accepted", "loss_class[I2]", "B[mu_2,mu_1]", "energy_defect"})
    EXPECT_THAT(text.out, HasSubstr(part));
}

TEST_F(Command, PhasesGivesEveryEventWithErrorBars) {
  simulate();
  const Json report = json("phases");
  for (const char* key : {"T1", "T1_error", "T1_theory", "T2", "at_T1", "claims"})
    EXPECT_TRUE(report.contains(key)) << key;
  EXPECT_EQ(report["T2"], 20.0);
  int crossings = 0;
  for (const Json& event : report["events"]) {
    EXPECT_TRUE(event["applicable"].is_boolean() && event["true_at_start"].is_boolean() &&
                event["true_at_end"].is_boolean());
    EXPECT_FALSE(event["condition"].get<std::string>().empty());
    // A continuous condition alternates: what it is at the end follows from the start and the number of crossings.
    const auto ups = event["up"].size(), downs = event["down"].size();
    EXPECT_EQ(ups + event["true_at_start"].get<bool>(), downs + event["true_at_end"].get<bool>()) << event;
    for (const char* direction : {"up", "down"})
      for (const Json& crossing : event[direction]) {
        ++crossings;
        EXPECT_TRUE(crossing["t"] > 0 && crossing["t"] <= 20);
        if (crossing["certain"] == true) {
          EXPECT_GT(crossing["error"], 0) << event;
        }
        EXPECT_EQ(crossing["slope"] > 0, direction == std::string("up")) << event;
      }
  }
  EXPECT_GT(crossings, 0);
  const Finished text = gradflow({"phases", "run.h5"});
  EXPECT_EQ(text.code, 0);
  for (const char* part : {"classified", "min_i z_i > 0", "T1(C)", "T2", "("}) EXPECT_THAT(text.out, HasSubstr(part));
}

TEST_F(Command, WithoutErrorBarsTheErrorsAreNull) {
  simulate({"--set", "solver.error_bars=false"});
  const Json report = json("phases");
  for (const Json& event : report["events"])
    for (const Json& crossing : event["up"]) EXPECT_TRUE(crossing["error"].is_null() && crossing["certain"].is_null());
  EXPECT_THAT(gradflow({"phases", "run.h5"}).out, HasSubstr("no error bar"));
}

TEST_F(Command, NeverOverwritesWithoutForce) {
  write("run.h5", "precious");
  const Finished refused = gradflow({"simulate", "small.toml", "-o", "run.h5"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("run.h5"), HasSubstr("--force"), Not(HasSubstr("samples"))))
      << "before any work";
  EXPECT_EQ(gradflow({"simulate", "small.toml", "-o", "run.h5", "--force"}).code, 3)
      << "not an HDF5 file, so not a run";
  EXPECT_EQ(gradflow({"simulate", "small.toml", "-o", "small.toml", "--force"}).code, 3);
  EXPECT_EQ(read("run.h5"), "precious");

  fs::remove(folder / "run.h5");
  simulate();
  const std::string before = read("run.h5");
  const Finished again = gradflow({"simulate", "small.toml", "-o", "run.h5", "--set", "seed=2"});
  EXPECT_EQ(again.code, 3);
  EXPECT_THAT(again.err, AllOf(HasSubstr("--force"), Not(HasSubstr("samples"))));
  EXPECT_EQ(read("run.h5"), before);
  simulate({"--force", "--set", "seed=2"});
  EXPECT_EQ(json("show")["settings"]["seed"], 2);
}

TEST_F(Command, RefusesOutputsThatCannotBeBeforeAnyWork) {
  fs::create_directory(folder / "sub");
  const std::vector<std::pair<std::string, std::string>> outputs{
      {"sub", "is a folder"}, {"nowhere/run.h5", "no folder 'nowhere'"}, {"/dev/null", "not an ordinary file"}};
  for (const auto& [output, reason] : outputs) {
    const Finished refused = gradflow({"simulate", "small.toml", "--force", "-o", output});
    EXPECT_EQ(refused.code, 3) << output;
    EXPECT_THAT(refused.err, AllOf(HasSubstr(output), HasSubstr(reason), Not(HasSubstr("samples"))));
  }
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(Command, WrongSettingsAreListedAllAtOnce) {
  write("wrong.toml", "sed = 1\n[solver]\nrtol = -1.0\nmethod = \"dopri6\"\n");
  const Finished run = gradflow({"simulate", "wrong.toml"});
  EXPECT_EQ(run.code, 2);
  EXPECT_THAT(run.err,
              AllOf(HasSubstr("3 problems"), HasSubstr("wrong.toml:1:"), HasSubstr("rtol"), HasSubstr("dopri5")));
  EXPECT_THAT(run.out, IsEmpty());
  EXPECT_FALSE(exists("wrong.h5"));
}

TEST_F(Command, ARunThatEndsBeforeItsTargetSaysWhyAndKeepsItsFile) {
  const Finished run = gradflow({"simulate", "small.toml", "-o", "run.h5", "--quiet", "--set", "solver.max_steps=3"});
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.err, AllOf(HasSubstr("the budget of accepted steps is used up"), HasSubstr("run.h5")));
  EXPECT_EQ(json("show")["outcome"], "step_limit");
  EXPECT_EQ(json("phases")["finished"], false);
  EXPECT_THAT(gradflow({"phases", "run.h5"}).out, HasSubstr("has not reached its target"));
}

TEST_F(Command, AnEventThatStopsTheRunIsSuccess) {
  write("stop.toml",
        read("small.toml") +
            "[[event]]\nname = \"halfway\"\nquantity = \"loss\"\ncrosses = 0.5\ndirection = \"down\"\nstop = true\n");
  const Finished run = gradflow({"simulate", "stop.toml", "-o", "run.h5", "--set", "solver.until=1000.0"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(json("show")["outcome"], "stopped_by_event");
}

class Interrupt : public Command, public ::testing::WithParamInterface<int> {};

TEST_P(Interrupt, FinishesTheStepClosesTheFileAndGives130) {
  Process run(words(endless()), folder);
  ASSERT_TRUE(run.says("rtol"));
  run.send(GetParam());
  const Finished ended = run.finish();
  EXPECT_EQ(ended.code, 130) << "signal " << ended.signal;
  EXPECT_THAT(ended.err, HasSubstr("interrupted"));
  fs::rename(folder / "small.h5", folder / "run.h5");
  const Json shown = json("show");
  EXPECT_EQ(shown["outcome"], "interrupted");
  EXPECT_GE(shown["records"], 1);
}
INSTANTIATE_TEST_SUITE_P(Signals, Interrupt, ::testing::Values(SIGINT, SIGTERM));

TEST_F(Command, AnInterruptOfTheSecondSolveKeepsTheRunAndSaysThatErrorBarsAreMissing) {
  // Fifty thousand steps: longer than the tenth of a second after which a terminal is told of the second solve.
  Process run(words({"simulate", "small.toml", "-o", "run.h5", "--set", "solver.clock=linear", "--set",
                     "solver.until=1.0", "--set", "solver.max_step=2e-5"}),
              folder, true);
  ASSERT_TRUE(run.says("error bars: "));
  run.send(SIGINT);
  const Finished ended = run.finish();
  EXPECT_EQ(ended.code, 130) << "signal " << ended.signal;
  EXPECT_THAT(ended.err, HasSubstr("complete, but without error bars"));
  EXPECT_EQ(json("show")["outcome"], "reached_end");
}

TEST_F(Command, ARunThatWasKilledCanBeShown) {
  Process run(words(endless()), folder);
  ASSERT_TRUE(run.says("rtol"));
  while (!exists("small.h5")) ::usleep(1000);
  run.send(SIGKILL);
  EXPECT_EQ(run.finish().signal, SIGKILL);
  fs::rename(folder / "small.h5", folder / "run.h5");
  EXPECT_TRUE(json("show")["outcome"].is_null());
  EXPECT_THAT(gradflow({"show", "run.h5"}).out, HasSubstr("killed"));
  EXPECT_EQ(json("phases")["finished"], false);
}

TEST_F(Command, ATerminalSeesOneLineOfProgressThatIsWipedBeforeOthers) {
  const auto begin = std::chrono::steady_clock::now();
  Process run(words(endless()), folder, true);
  ASSERT_TRUE(run.says(" left"));
  ::usleep(300'000);  // for some more of them
  run.send(SIGINT);
  const std::string err = run.finish().err;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  int drawn = 0;
  for (auto at = err.find("\rt = "); at != std::string::npos; at = err.find("\rt = ", at + 1)) {
    ++drawn;
    const auto end = err.find("\x1b[K", at);
    EXPECT_THAT(err.substr(at, end - at),
                AllOf(HasSubstr("loss"), HasSubstr(" steps"), HasSubstr(" evaluations"), Not(HasSubstr("\n"))));
    EXPECT_LE(end - at, 100U) << "a line of the terminal";
    EXPECT_EQ(err.substr(end + 3, 1), "\r") << "over it comes the next, or nothing before it is wiped: " << err;
  }
  EXPECT_LE(drawn, 10 * elapsed.count() + 1);
  EXPECT_THAT(err, HasSubstr("interrupted: closing the file"));
  // Wiped before the next line, be it the interrupt's or that of an event found just before it.
  EXPECT_THAT(err, HasSubstr("\r\x1b[K"));
  EXPECT_THAT(gradflow({"simulate", "small.toml", "--force"}).err, Not(HasSubstr("\r"))) << "not a terminal";
}

TEST_F(Command, ResultsThatCannotBeWrittenAreAnError) {
  simulate();
  for (const std::string command : {"show", "phases"}) {
    const Finished run =
        Process({"/bin/sh", "-c", std::string(GRADFLOW_COMMAND) + " " + command + " run.h5 > /dev/full"}, folder)
            .finish();
    EXPECT_EQ(run.code, 3);
    EXPECT_THAT(run.err, HasSubstr("No space left"));
  }
}

TEST_F(Command, HelpShowsMethodsAndExamples) {
  const Finished all = gradflow({"--help"});
  EXPECT_EQ(all.code, 0);
  EXPECT_THAT(all.out, AllOf(HasSubstr("simulate"), HasSubstr("show"), HasSubstr("phases"), HasSubstr("Exit codes"),
                             HasSubstr("resume"), HasSubstr("certify")));
  const Finished one = gradflow({"simulate", "--help"});
  EXPECT_EQ(one.code, 0);
  EXPECT_THAT(one.out,
              AllOf(HasSubstr("dopri5"), HasSubstr("fehlberg78"), HasSubstr("cash-karp54"), HasSubstr("dense output"),
                    HasSubstr("Dormand"), HasSubstr("gradflow simulate data/paper.toml")));
  for (const char* command : {"show", "phases"}) EXPECT_THAT(gradflow({command, "--help"}).out, HasSubstr("Examples:"));
  const Finished version = gradflow({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, AllOf(StartsWith("gradflow 0."), HasSubstr("commit"), HasSubstr("compiler"),
                                 HasSubstr("build type"), HasSubstr("architecture")));
}

struct Slip {
  std::vector<std::string> typed;
  int code;
  std::string answer;
};

TEST_F(Command, SlipsGetAnAnswerThatSaysWhatToDo) {
  simulate();
  fs::create_directory(folder / "sub");
  write("text.h5", "not HDF5");
  const std::vector<Slip> slips{
      {{}, 2, "simulate, resume, compare, show, phases, certify"},
      {{"simulat", "small.toml"}, 2, "Did you mean 'simulate'?"},
      {{"simmulat", "small.toml"}, 2, "Did you mean 'simulate'?"},
      {{"small.toml"}, 2, "'gradflow simulate small.toml'"},
      {{"run.h5"}, 2, "'gradflow show run.h5'"},
      {{"resume", "text.h5"}, 3, "text.h5"},
      {{"resume", "small.toml"}, 2, "'gradflow simulate small.toml'"},
      {{"resume", "run.h5", "--until", "0.5"}, 2, "must lie after that, but is 0.5"},
      {{"certify"}, 2, "gradflow certify RUN.h5"},
      {{"certify", "run.h5", "--ordr"}, 2, "Did you mean '--order'?"},
      {{"certify", "small.toml"}, 2, "'gradflow simulate small.toml'"},
      {{"certify", "text.h5"}, 3, "text.h5"},
      {{"--quiet", "simulate", "small.toml"}, 2, "a command comes first"},
      {{"simulate"}, 2, "gradflow simulate EXPERIMENT.toml"},
      {{"show"}, 2, "gradflow show RUN.h5"},
      {{"simulate", "small.toml", "--qiet"}, 2, "Did you mean '--quiet'?"},
      {{"show", "run.h5", "--jsn"}, 2, "Did you mean '--json'?"},
      {{"simulate", "small.toml", "--set", "seed=2", "other.toml"}, 2, "'other.toml' is one argument too many"},
      {{"simulate", "--set", "seed=2", "small.toml", "-o"}, 2, "--output"},
      {{"simulate", "small.toml", "--set", "seed"}, 2, "section.key=value"},
      {{"simulate", "run.h5"}, 2, "'gradflow show run.h5'"},
      {{"show", "small.toml"}, 2, "'gradflow simulate small.toml'"},
      {{"phases", "small.toml"}, 2, "'gradflow simulate small.toml'"},
      {{"simulate", "smal.toml"}, 3, "Did you mean 'small.toml'?"},
      {{"simulate", "sub"}, 3, "is a folder"},
      {{"show", "runn.h5"}, 3, "Did you mean 'run.h5'?"},
      {{"phases", "sub"}, 3, "is a folder"},
      {{"show", "text.h5"}, 3, "text.h5"},
  };
  for (const Slip& slip : slips) {
    const Finished run = gradflow(slip.typed);
    const std::string typed = ::testing::PrintToString(slip.typed);
    EXPECT_EQ(run.code, slip.code) << typed << run.err;
    EXPECT_THAT(run.err, AllOf(StartsWith("gradflow: "), HasSubstr(slip.answer))) << typed;
    EXPECT_THAT(run.out, IsEmpty()) << typed;
    EXPECT_LE(std::count(run.err.begin(), run.err.end(), '\n'), 2) << typed;
  }
}

}  // namespace
}  // namespace gradflow
