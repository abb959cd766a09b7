#include "experiment/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gradflow {
namespace {

using solvers::Clock;

/// Throws settings::Error where start and task do not fit together.
std::unique_ptr<Flow<double>> make_flow(const settings::Experiment& experiment, const Task& task,
                                        const FlowStart& start) {
  const auto& rho = experiment.flow.rates;
  const Rates<double> rates{rho[0], rho[1], rho[2], rho[3]};
  const auto* weights = std::get_if<Weights<double>>(&start);
  try {
    if (weights == nullptr) return make_coupled_flow(task, std::get<GramStart<double>>(start), rates);
    return experiment.flow.formulation == settings::Formulation::full ? make_full_flow(task, *weights, rates)
                                                                      : make_reduced_flow(task, *weights, rates);
  } catch (const std::invalid_argument& problem) {
    throw settings::Error({fmt::format("{}: model.start: {}", experiment.source.string(), problem.what())});
  }
}

/// Where the flow starts. Throws settings::Error for weights whose squares overflow.
std::vector<double> make_state(const settings::Experiment& experiment, const Flow<double>& flow) {
  std::vector<double> x0 = flow.initial_state();
  if (!std::ranges::all_of(x0, [](double value) { return std::isfinite(value); }))
    throw settings::Error(
        {fmt::format("{}: model.start: its weights are so large that their inner products exceed the largest number of "
                     "double precision, 1.8e308; start smaller",
                     experiment.source.string())});
  return x0;
}

/// Leaves out, and adds to `problems`, words that lie outside the vocabulary.
std::vector<Index> tracked_words(const settings::Experiment& experiment, const Task& task,
                                 std::vector<std::string>& problems) {
  std::vector<Index> words;
  if (experiment.save.words) {
    for (const std::int64_t word : *experiment.save.words)
      if (word <= task.words())
        words.push_back(word - 1);
      else
        problems.push_back(fmt::format("{}: save.words: word {} lies outside the vocabulary of {} words",
                                       experiment.source.string(), word, task.words()));
    return words;
  }
  words = {task.data().targets[0], task.data().targets[1]};
  if (task.data().common) words.push_back(*task.data().common);
  return words;
}

/// Throws settings::Error for what is requested and cannot be had.
Observables make_observables(const settings::Experiment& experiment, Moment& start, const std::optional<Task>& test,
                             std::vector<std::string>& problems) {
  std::vector<Index> words = tracked_words(experiment, start.task(), problems);
  try {
    return {start, std::move(words), experiment.save.observables, test ? &*test : nullptr};
  } catch (const std::invalid_argument& problem) {
    problems.push_back(fmt::format("{}: save.observables: {}", experiment.source.string(), problem.what()));
    throw settings::Error(problems);
  }
}

/// 1 / (U + M max_k Gamma(k,k)) at t = 0, the flow's own first time scale; 1 if that, or what it is 1 over, is not
/// finite.
double first_time_scale(const Flow<double>& flow, std::span<const double> x) {
  double largest = flow.other_words().largest_Gamma;
  for (const Index k : flow.words()) largest = std::max(largest, flow.Gamma(x, k, k));
  const double scale = 1 / (flow.U(x) + static_cast<double>(flow.hidden()) * largest);
  return std::isfinite(scale) && scale > 0 ? scale : 1;
}

/// Throws settings::Error with the given problems and those of the events, if there are any.
std::vector<FlowEvent> make_events(const settings::Experiment& experiment, const Task& task,
                                   const Observables& observables, std::vector<std::string> problems) {
  const settings::Phases& phases = experiment.phases;
  std::vector<FlowEvent> events =
      standard_events(task, observables, {phases.bracket, phases.aligned, phases.attention_moves, phases.loss_below});
  for (const settings::Event& event : experiment.events) try {
      events.push_back(
          level_event(observables, event.name, event.quantity, event.crosses, event.direction, event.stop));
    } catch (const std::invalid_argument& problem) {
      problems.push_back(fmt::format("{}: event '{}': {}", event.where, event.name, problem.what()));
    }
  if (!problems.empty()) throw settings::Error(problems);
  return events;
}

Moment at_start(const Flow<double>& flow, std::span<const double> x0) {
  Moment moment(flow);
  moment.set(0, x0);
  return moment;
}

}  // namespace

Problem::Problem(settings::Experiment given, Inputs inputs)
    : experiment(std::move(given)),
      text_report(std::move(inputs.text_report)),
      task(std::move(inputs.task)),
      test(std::move(inputs.test)),
      flow(make_flow(experiment, task, inputs.start)),
      x0(make_state(experiment, *flow)),
      start(at_start(*flow, x0)),
      observables(make_observables(experiment, start, test, problems_)),
      events(make_events(experiment, task, observables, problems_)),
      clock(experiment.solver.clock == settings::ClockKind::linear
                ? Clock<double>::linear()
                : Clock<double>::log(experiment.solver.t0.value_or(first_time_scale(*flow, x0)))) {}

ProblemSizes sizes_of(const Problem& problem) {
  ProblemSizes sizes = sizes_of(problem.experiment, problem.task, problem.test ? &problem.test->data() : nullptr);
  sizes.width = static_cast<double>(problem.flow->width());
  sizes.hidden = static_cast<double>(problem.flow->hidden());
  return sizes;
}

}  // namespace gradflow
