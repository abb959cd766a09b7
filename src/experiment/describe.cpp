// What a run's file says before the first step: settings, provenance, task, start, and the names of all that will grow.
#include "experiment/layout.hpp"
#include "experiment/recorder.hpp"
#include "experiment/solve.hpp"
#include "experiment/states.hpp"

#include <algorithm>

namespace gradflow {
namespace {

using trajectory::Arrays;
using trajectory::Attribute;
using trajectory::Series;

std::vector<Attribute> attributes(const Problem& problem, const std::string& command_line) {
  const settings::Experiment& experiment = problem.experiment;
  const settings::Start& start = experiment.model.start;
  const bool has_s1 = start.kind == settings::StartKind::gaussian || start.kind == settings::StartKind::orthogonal ||
                      start.kind == settings::StartKind::limit;
  const auto m = static_cast<double>(problem.flow->width()), m1 = static_cast<double>(problem.flow->hidden());
  std::vector<Attribute> attributes{
      {"title", "Gradient flow of a shallow transformer learning word co-occurrence (Yang et al. 2024)"}};
  const auto append = [&](const std::vector<Attribute>& more) {
    attributes.insert(attributes.end(), more.begin(), more.end());
  };
  append(provenance());
  append({{"command", command_line},
          {"settings", settings::to_toml(experiment)},
          {"seed", static_cast<std::int64_t>(experiment.seed)},
          {"formulation", std::string(settings::name(experiment.flow.formulation))}});
  append(solver_attributes(solve_options(problem)));
  append({{"until", experiment.solver.until},
          {"width", problem.flow->width()},
          {"hidden", problem.flow->hidden()},
          {"T1_constant", experiment.phases.T1_constant},
          {"T1_theory_rate", has_s1 ? start.W * start.W * m * m1 : problem.observables.context().origin.U},
          {"T1_theory_rate_is", has_s1 ? "s1^2 m m1" : "U(0)"},
          {"T2", experiment.phases.T2.value_or(trajectory::unknown)}});
  return attributes;
}

Series observable_series(const Observables& observables) {
  Series series;
  for (const char* dimension :
       {"class", "word", "word2", "key", "query", "matrix", "statistic", "key_role", "query_role"}) {
    const auto has = [&](const Observable* row) {
      return std::ranges::find(row->dimensions, dimension) != row->dimensions.end();
    };
    if (std::ranges::any_of(observables.rows(), has))
      series.dimensions.emplace_back(dimension, observables.labels(dimension));
  }
  for (const Observable* row : observables.rows())
    series.columns.push_back({row->name, row->dimensions, row->unit, row->long_name, row->source});
  return series;
}

/// Adds a task's samples; the names begin with `prefix`.
void add_samples(Arrays& arrays, const std::string& prefix, const TaskData& data) {
  std::size_t length = 0;
  for (const auto& sample : data.tokens) length = std::max(length, sample.size());
  std::vector<std::int64_t> tokens;
  for (const auto& sample : data.tokens) {
    tokens.insert(tokens.end(), sample.begin(), sample.end());
    tokens.insert(tokens.end(), length - sample.size(), -1);
  }
  arrays.dimensions.emplace_back(prefix + "sample", std::ssize(data.tokens));
  arrays.dimensions.emplace_back(prefix + "position", static_cast<std::int64_t>(length));
  arrays.arrays.push_back({prefix + "tokens",
                           {prefix + "sample", prefix + "position"},
                           tokens,
                           "1",
                           "words of each sample, from 0; padded with -1"});
  arrays.arrays.push_back({prefix + "labels",
                           {prefix + "sample"},
                           std::vector<std::int64_t>(data.labels.begin(), data.labels.end()),
                           "1",
                           "label of each sample"});
}

Arrays task_arrays(const Task& task, const std::optional<Task>& test) {
  const TaskData& data = task.data();
  std::vector<Attribute> attributes{{"words", data.words}, {"target1", data.targets[0]}, {"target2", data.targets[1]}};
  if (data.common) attributes.emplace_back("common", *data.common);
  Arrays arrays{attributes, {}, {}};
  add_samples(arrays, "", data);
  arrays.dimensions.emplace_back("class", data.class_names);
  arrays.dimensions.emplace_back("word", data.word_names);
  arrays.arrays.push_back({"sample_class",
                           {"sample"},
                           std::vector<std::int64_t>(data.sample_class.begin(), data.sample_class.end()),
                           "1",
                           "class of each sample, from 0"});
  if (test) add_samples(arrays, "test_", test->data());
  return arrays;
}

}  // namespace

trajectory::RunDescription describe(const Problem& problem, const std::string& command_line) {
  trajectory::RunDescription description = solve_description();
  description.attributes = attributes(problem, command_line);
  description.observables = observable_series(problem.observables);
  description.task = task_arrays(problem.task, problem.test);
  description.start = start_arrays(*problem.flow, problem.x0);
  description.states = state_series(*problem.flow);
  for (const FlowEvent& event : problem.events) description.events.push_back({event.name, event.condition});
  for (const CoupledDrift::Entry& entry : CoupledDrift::entries())
    description.crossing_values.push_back(
        {entry.name, {}, entry.unit, entry.long_name, "Yang et al. 2024, Theorem 3.1"});
  return description;
}

}  // namespace gradflow
