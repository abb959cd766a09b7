#include <gradflow/experiment/compare.hpp>

#include <fmt/format.h>

#include <algorithm>

#include "experiment/compare_parts.hpp"

namespace gradflow {
namespace {

[[noreturn]] void refuse(const settings::Experiment& experiment, const std::string& problem) {
  throw settings::Error({fmt::format("{}: {}", experiment.source.string(), problem)});
}

/// With the descents' defaults where the settings have none.
settings::Experiment completed(settings::Experiment experiment) {
  if (experiment.flow.formulation == settings::Formulation::coupled)
    refuse(experiment,
           "flow.formulation: descents move weights, and the \"coupled\" flow has inner products only. Choose "
           "\"reduced\" or \"full\".");
  if (!experiment.descent) experiment.descent.emplace();
  return experiment;
}

Weights<double> weights_of(const settings::Experiment& experiment, const Inputs& inputs) {
  if (const auto* weights = std::get_if<Weights<double>>(&inputs.start)) return *weights;
  refuse(experiment, "model.start: descents move weights, and this start has inner products only.");
}

std::vector<Update> make_updates(const settings::Experiment& experiment) {
  const settings::Descent& descent = *experiment.descent;
  const double until = experiment.solver.until;
  std::vector<Update> updates;
  std::vector<std::string> problems;
  for (const std::string& method : descent.methods)
    for (const double rate : descent.rates) {
      const Update& update = updates.emplace_back(make_update(descent, method, rate));
      if (update.time(1) > until)
        problems.push_back(
            fmt::format("{}: descent.rates: the first step of {} at rate {} ends at t = {:g}, after "
                        "solver.until = {:g}. Lower the rate, or raise solver.until.",
                        experiment.source.string(), method, rate, update.time(1), until));
      else if (until / update.time(1) >= 0x1p53)
        problems.push_back(
            fmt::format("{}: descent.rates: {} at rate {} would take {:.3g} steps to solver.until = "
                        "{:g}. Raise the rate, or lower solver.until.",
                        experiment.source.string(), method, rate, until / update.time(1), until));
    }
  if (!problems.empty()) throw settings::Error(problems);
  return updates;
}

}  // namespace

Update make_update(const settings::Descent& descent, const std::string& method, double rate) {
  const std::vector<std::pair<std::string_view, double>> given{{"beta", descent.momentum},
                                                               {"batch", static_cast<double>(descent.batch)}};
  std::vector<std::pair<std::string_view, double>> parameters;
  for (const RuleParameter& parameter : find_update_rule(method).parameters)
    for (const auto& [name, value] : given)
      if (name == parameter.name) parameters.emplace_back(name, value);
  return {method, rate, parameters};
}

Comparison::Parts::Parts(const settings::Experiment& experiment, Inputs inputs)
    : weights(weights_of(experiment, inputs)),
      updates(make_updates(experiment)),
      labels(updates),
      problem(experiment, std::move(inputs)) {
  const bool all_rotate = std::ranges::all_of(updates, [](const Update& u) { return u.rule().rotates; });
  if (experiment.flow.formulation == settings::Formulation::reduced && !all_rotate)
    full_width = make_reduced_flow(problem.task, weights, problem.flow->rates(), Coordinates::full_width);
  const settings::Descent& descent = *problem.experiment.descent;
  if (descent.curvature > 0 || !descent.modified.empty())
    field = experiment.flow.formulation == settings::Formulation::full
                ? FieldDerivatives::of_full_flow(problem.task, weights, problem.flow->rates())
                : FieldDerivatives::of_reduced_flow(problem.task, weights, problem.flow->rates());
}

Comparison::Comparison(settings::Experiment experiment) {
  experiment = completed(std::move(experiment));
  Inputs inputs = read_inputs(experiment, Undertaking::comparison);
  parts_ = std::make_unique<Parts>(experiment, std::move(inputs));
}
Comparison::Comparison(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Comparison::~Comparison() = default;
Comparison::Comparison(Comparison&&) noexcept = default;

const settings::Experiment& Comparison::experiment() const { return parts_->problem.experiment; }
const Task& Comparison::task() const { return parts_->problem.task; }
const std::optional<TextReport>& Comparison::text_report() const { return parts_->problem.text_report; }
const Flow<double>& Comparison::flow() const { return *parts_->problem.flow; }
void Comparison::use_threads(int threads) { parts_->problem.flow->use(std::make_shared<solvers::Workers>(threads)); }
const std::vector<FlowEvent>& Comparison::events() const { return parts_->problem.events; }
double Comparison::t0() const { return parts_->problem.clock.t0(); }
const std::vector<Update>& Comparison::updates() const { return parts_->updates; }
const std::vector<std::string>& Comparison::labels() const { return parts_->labels.descents; }

ComparisonResult Comparison::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                                 Listener& listener) {
  const Problem& p = parts_->problem;
  require_disk(p.experiment, Undertaking::comparison, sizes_of(p), file);
  return parts_->run(file, overwrite, command_line, listener, nullptr);
}

Comparison Comparison::of_file(const std::filesystem::path& file) {
  const settings::Experiment experiment = completed(read_run_settings(file, "flow"));
  auto parts = std::make_unique<Parts>(experiment, read_run_inputs(file, Undertaking::comparison, "flow"));
  parts->earlier_file = file;
  return Comparison(std::move(parts));
}

ComparisonResult Comparison::resume(const std::string& command_line, Listener& listener) {
  trajectory::ComparisonReader file(parts_->earlier_file);
  std::optional<trajectory::Checkpoint> checkpoint = file.checkpoint();
  const Parts::Earlier earlier{std::move(file), std::move(checkpoint)};
  return parts_->run(parts_->earlier_file, true, command_line, listener, &earlier);
}

}  // namespace gradflow
