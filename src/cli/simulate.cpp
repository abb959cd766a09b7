#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <gradflow/experiment/simulate.hpp>

#include "cli/command.hpp"
#include "cli/format.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

namespace fs = std::filesystem;
using Report = solvers::Report<double>;

struct Options {
  std::string experiment, output;
  std::vector<std::string> overrides;
  bool quiet = false, force = false;
};

std::string footer() {
  std::vector<std::vector<std::string>> rows{
      {"  name", "order", "error", "evaluations a step", "rejected", "dense output", "source"}};
  for (const solvers::Method& method : solvers::methods())
    rows.push_back({fmt::format("  {}", method.name), fmt::format("{}", method.order),
                    fmt::format("{}", method.error_order), fmt::format("{}", method.evaluations),
                    fmt::format("{}", method.rejected), method.dense_output ? "its own" : "by a real step",
                    std::string(method.source)});
  return "Methods (solver.method; order of the solution, order of its error estimate, evaluations of the gradient for "
         "each\n"
         "accepted and each rejected step, and how values between steps are found):\n" +
         table(rows) +
         "\nExamples:\n"
         "  gradflow simulate data/paper.toml                        writes paper.h5 here\n"
         "  gradflow simulate data/paper.toml -o long.h5 --set solver.until=1e8 --set solver.method=fehlberg78\n"
         "  gradflow simulate data/paper.toml --force --set 'save.words=[1,2,3,4]'\n"
         "\n"
         "--set takes a value as TOML has it, or else as text. Progress and events go to standard error.";
}

std::vector<settings::Override> split(const std::vector<std::string>& overrides) {
  std::vector<settings::Override> pairs;
  for (const std::string& text : overrides) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw UsageError(
          fmt::format("--set takes section.key=value, for example --set solver.rtol=1e-10; given was '{}'", text));
    pairs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return pairs;
}

settings::Experiment read_experiment(const Options& options) {
  require_file(options.experiment, "experiment file (.toml)");
  if (is_hdf5(options.experiment))
    throw UsageError(
        fmt::format("'{0}' is a run, or other HDF5 file, not an experiment. 'gradflow show {1}' shows a run.",
                    options.experiment, shell_word(options.experiment)));
  std::vector<std::string> methods;
  for (const solvers::Method& method : solvers::methods()) methods.emplace_back(method.name);
  return settings::read(options.experiment, split(options.overrides), methods);
}

/// Refuses, before any work, what could only be refused after it.
void check_output(const fs::path& file, bool force) {
  const auto refuse = [&](const std::string& why) {
    throw FileError(fmt::format("cannot write '{}': {}", file.string(), why));
  };
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!fs::is_directory(folder)) refuse(fmt::format("there is no folder '{}'", folder.string()));
  const fs::file_status status = fs::status(file);
  if (!fs::exists(status)) return;
  if (fs::is_directory(status)) refuse("it is a folder; name a file with -o");
  if (!fs::is_regular_file(status)) refuse("it is not an ordinary file");
  if (!force) refuse("it exists already; name another file with -o, or replace it with --force");
  if (fs::file_size(file) > 0 && !is_hdf5(file)) refuse("it is not an HDF5 file, and --force replaces no other");
}

std::string class_sizes(const Task& task) {
  std::vector<Index> sizes(static_cast<std::size_t>(task.classes()));
  for (Index i = 0; i < task.samples(); ++i) ++sizes[static_cast<std::size_t>(task.class_of(i))];
  std::vector<std::string> parts;
  for (std::size_t c = 0; c < sizes.size(); ++c)
    parts.push_back(fmt::format("{} {}", task.data().class_names[c], sizes[c]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

void announce(const Simulation& simulation, Talk& talk) {
  const settings::Experiment& experiment = simulation.experiment();
  const Flow<double>& flow = simulation.flow();
  const settings::Solver& solver = experiment.solver;
  if (const auto& text = simulation.text_report())
    talk.line(fmt::format(
        "text: {} units read, {} kept; left out: {} too long, {} without words, {} of rare words only; {} rare words",
        text->units_read, text->units_kept, text->too_long, text->without_words, text->only_rare_words,
        text->rare_words));
  const Task& task = simulation.task();
  talk.line(fmt::format("{}: {} samples ({}), {} words of which {} occur, width {}, hidden {}", experiment.name,
                        task.samples(), class_sizes(task), task.words(), task.used_words().size(), flow.width(),
                        flow.hidden()));
  talk.line(fmt::format("{} flow of {} variables by {}, rtol {:g}, atol {:g}, to t = {:g} on the {}",
                        settings::name(experiment.flow.formulation), flow.dimension(), solver.method, solver.rtol,
                        solver.atol, solver.until,
                        simulation.t0() > 0 ? fmt::format("log clock, t0 = {:.4g}", simulation.t0()) : "linear clock"));
}

void print_results(const fs::path& file) {
  const trajectory::RunReader run(file);
  fmt::print("{}\n{}\n", statistics_text(run), events_text(phases(file)));
  std::vector<std::vector<std::string>> rows;
  for (const char* name : {"loss", "accuracy", "margin_min", "drift_vw", "drift_kq", "energy_defect"})
    rows.push_back({name, end_value(run, name).is_number() ? fmt::format("{:.6g}", end_value(run, name).get<double>())
                                                           : "undefined"});
  fmt::print("End values, t = {:.8g}\n{}\n", run.t().empty() ? trajectory::unknown : run.t().back(), table(rows));
  fmt::print("The run is in {0}. Next: gradflow phases {1}, gradflow show {1}\n", file.string(),
             shell_word(file.string()));
}

/// Why this is not simply done, on standard error; the exit code.
int conclude(const RunResult& result, const fs::path& file) {
  if (!result.report.reached_target()) {
    fmt::print(stderr, "gradflow: the run ended before its target: {}\nWhat was computed is in {}.\n",
               result.report.message(), file.string());
    return result.report.outcome == solvers::Outcome::interrupted ? interrupted_run : ended_early;
  }
  if (!result.companion || result.companion->reached_target()) return done;
  fmt::print(stderr, "gradflow: the run is complete, but without error bars; the second solve ended early: {}\n",
             result.companion->message());
  return result.companion->outcome == solvers::Outcome::interrupted ? interrupted_run : done;
}

int simulate(const Options& options, const std::string& command_line) {
  const settings::Experiment experiment = read_experiment(options);
  const fs::path file = options.output.empty() ? experiment.name + ".h5" : options.output;
  check_output(file, options.force);
  Simulation simulation(experiment);
  RunResult result;
  {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    announce(simulation, talk);
    result = simulation.run(file, options.force, command_line, talk);
  }
  print_results(file);
  return conclude(result, file);
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("simulate", "Integrate the gradient flow of an experiment");
  command->add_option("EXPERIMENT.toml", options->experiment, "the experiment's settings")->required()->type_name("");
  command->add_option("-o,--output", options->output, "the run's file; NAME.h5 in the current folder unless given")
      ->type_name("RUN.h5");
  command->add_option("--set", options->overrides, "change one setting; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->type_size(1)
      ->allow_extra_args(false);  // CLI11 would take the file after it for a second value
  command->add_flag("--quiet", options->quiet, "neither progress nor events; results and errors remain");
  command->add_flag("--force", options->force, "replace RUN.h5 if it exists");
  command->footer(footer());
  command->callback([options, &action] {
    action = [options](const std::string& command_line) { return simulate(*options, command_line); };
  });
}

}  // namespace gradflow::cli
