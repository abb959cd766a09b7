#include "cli/experiment_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <gradflow/storage/sound_file.hpp>
#include <solvers/stepper.hpp>

namespace gradflow::cli {
namespace {

namespace fs = std::filesystem;

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

std::string class_sizes(const Task& task) {
  std::vector<Index> sizes(static_cast<std::size_t>(task.classes()));
  for (Index i = 0; i < task.samples(); ++i) ++sizes[static_cast<std::size_t>(task.class_of(i))];
  std::vector<std::string> parts;
  for (std::size_t c = 0; c < sizes.size(); ++c)
    parts.push_back(fmt::format("{} {}", task.data().class_names[c], sizes[c]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

void add_threads(CLI::App& command, int& threads) {
  command.add_option("--threads", threads, "of a large run's derivatives; the numbers do not depend on it")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->default_val(1);
}

void add_experiment_options(CLI::App& command, ExperimentOptions& options, const std::string& kind,
                            const std::string& name) {
  command.add_option("EXPERIMENT.toml", options.experiment, "the experiment's settings")->required()->type_name("");
  command
      .add_option("-o,--output", options.output,
                  fmt::format("the file to write; {} in the current folder unless given", name))
      ->type_name(kind);
  command.add_option("--set", options.overrides, "change one setting; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->type_size(1)
      ->allow_extra_args(false);  // CLI11 would take the file after it for a second value
  add_threads(command, options.threads);
  command.add_flag("--quiet", options.quiet, "neither progress nor events; results and errors remain");
  command.add_flag("--force", options.force, fmt::format("replace {} if it exists", kind));
}

settings::Experiment read_experiment(const ExperimentOptions& options) {
  require_file(options.experiment, "experiment file (.toml)");
  if (is_hdf5(options.experiment))
    throw UsageError(
        fmt::format("'{0}' is a run, or other HDF5 file, not an experiment. 'gradflow show {1}' shows a run.",
                    options.experiment, shell_word(options.experiment)));
  std::vector<std::string> methods;
  for (const solvers::Method& method : solvers::methods()) methods.emplace_back(method.name);
  settings::Experiment experiment = settings::read(options.experiment, split(options.overrides), methods);
  if (const auto* task = std::get_if<settings::FileTask>(&experiment.task)) require_sound(task->path);
  if (experiment.model.start.kind == settings::StartKind::file) require_sound(experiment.model.start.path);
  return experiment;
}

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

void announce(const settings::Experiment& experiment, const Task& task, const Flow<double>& flow, double t0,
              const std::optional<TextReport>& text, Talk& talk) {
  const settings::Solver& solver = experiment.solver;
  if (text)
    talk.line(fmt::format(
        "text: {} units read, {} kept; left out: {} too long, {} without words, {} of rare words only; {} rare words",
        text->units_read, text->units_kept, text->too_long, text->without_words, text->only_rare_words,
        text->rare_words));
  talk.line(fmt::format("{}: {} samples ({}), {} words of which {} occur, width {}, hidden {}", experiment.name,
                        task.samples(), class_sizes(task), task.words(), task.used_words().size(), flow.width(),
                        flow.hidden()));
  talk.line(fmt::format("{} flow of {} variables by {}, rtol {:g}, atol {:g}, to t = {:g} on the {}",
                        settings::name(experiment.flow.formulation), flow.dimension(), solver.method, solver.rtol,
                        solver.atol, solver.until,
                        t0 > 0 ? fmt::format("log clock, t0 = {:.4g}", t0) : "linear clock"));
}

}  // namespace gradflow::cli
