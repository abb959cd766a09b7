#pragma once
#include <gradflow/experiment/settings.hpp>
#include <gradflow/flows/gram.hpp>
#include <gradflow/observables/events.hpp>
#include <gradflow/tasks/text.hpp>

#include <filesystem>
#include <optional>
#include <solvers/clock.hpp>
#include <variant>

#include "experiment/needs.hpp"

namespace gradflow {

/// What a flow starts from: weights, or their inner products alone.
using FlowStart = std::variant<Weights<double>, GramStart<double>>;

/// What the settings refer to, read or drawn.
struct Inputs {
  TaskData task;
  std::optional<TaskData> test;  ///< samples over the same vocabulary that are not trained on
  std::optional<TextReport> text_report;
  FlowStart start;
};

/// Whether a start's file holds inner products (a coupled run's) and no weights; and those. Both throw FileError.
bool holds_inner_products(const settings::Start& start);
GramStart<double> read_gram_start(const settings::Start& start);

/// What the experiment's flow starts from; of inner products those of the test samples' words too. Throws as
/// read_inputs does.
FlowStart make_flow_start(const settings::Experiment& experiment, const Task& task,
                          const std::optional<TaskData>& test);

/// Puts in m and m1 of a start.
void set_widths(ProblemSizes& sizes, const FlowStart& start);

/// The experiment's own. Throws settings::Error for settings that only show to be wrong here, and where the undertaking
/// needs more memory than there is; FileError for files that cannot be read.
Inputs read_inputs(const settings::Experiment& experiment, Undertaking undertaking = Undertaking::simulation);

/// The settings that a run's file holds, or a comparison's: `group` is then "flow".
settings::Experiment read_run_settings(const std::filesystem::path& run, const std::string& group = "");
/// The task, its test samples and the start that it holds; never what its settings once referred to. Both throw
/// FileError; this settings::Error where the undertaking needs more memory than there is.
Inputs read_run_inputs(const std::filesystem::path& run, Undertaking undertaking = Undertaking::simulation,
                       const std::string& group = "");

/// An experiment made ready: task, start, flow, observables, events and clock, everything checked. Every solve of it
/// begins here. Its parts refer to each other, so it stays where it is.
struct Problem {
  /// Throws settings::Error for words, events and shapes that do not fit the inputs.
  Problem(settings::Experiment given, Inputs inputs);
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  settings::Experiment experiment;
  std::optional<TextReport> text_report;
  Task task;
  std::optional<Task> test;
  std::unique_ptr<Flow<double>> flow;
  std::vector<double> x0;
  Moment start;  ///< at t = 0

 private:
  std::vector<std::string> problems_;  // that only show once the task is there; thrown all at once

 public:
  Observables observables;
  std::vector<FlowEvent> events;
  solvers::Clock<double> clock;
};

ProblemSizes sizes_of(const Problem& problem);

}  // namespace gradflow
