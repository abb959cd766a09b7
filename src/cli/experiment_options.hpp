#pragma once
#include <gradflow/experiment/settings.hpp>
#include <gradflow/flows/flow.hpp>
#include <gradflow/tasks/text.hpp>

#include "cli/command.hpp"
#include "cli/progress.hpp"

/// What the subcommands that start from an experiment file have in common.
namespace gradflow::cli {

struct ExperimentOptions {
  std::string experiment, output;
  std::vector<std::string> overrides;
  int threads = 1;
  bool quiet = false, force = false;
};

/// --threads.
void add_threads(CLI::App& command, int& threads);

/// The file to read, -o, --set, --threads, --quiet and --force. `kind` is what -o makes: "RUN.h5"; `name` its name
/// unless given.
void add_experiment_options(CLI::App& command, ExperimentOptions& options, const std::string& kind,
                            const std::string& name);

/// Throws FileError, UsageError and settings::Error.
settings::Experiment read_experiment(const ExperimentOptions& options);

/// Throws FileError, before any work, where the output would be refused after it.
void check_output(const std::filesystem::path& file, bool force);

/// Task and flow, before the work begins. `t0` of the log clock; 0 where it is linear.
void announce(const settings::Experiment& experiment, const Task& task, const Flow<double>& flow, double t0,
              const std::optional<TextReport>& text, Talk& talk);

}  // namespace gradflow::cli
