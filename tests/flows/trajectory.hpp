#pragma once
#include <algorithm>
#include <gradflow/observables/events.hpp>
#include <iterator>
#include <solvers/solve.hpp>

#include "support/flow_cases.hpp"
#include "support/gram_cases.hpp"

/// One experiment in every formulation, and its solution.
namespace gradflow::tests {

enum class Formulation { full, reduced, compressed, coupled };
inline constexpr std::array formulations{Formulation::full, Formulation::reduced, Formulation::compressed,
                                         Formulation::coupled};

/// Compressed: where m is large enough. Coupled: with the inner products among the given words, or all.
inline std::unique_ptr<Flow<double>> make_flow(Formulation formulation, const Task& task, const Weights<double>& start,
                                               const Rates<double>& rates = {}, std::vector<Index> words = {}) {
  if (words.empty()) words = all_words(task);
  switch (formulation) {
    case Formulation::full:
      return make_full_flow<double>(task, start, rates);
    case Formulation::reduced:
      return make_reduced_flow<double>(task, start, rates, Coordinates::full_width);
    case Formulation::compressed:
      return make_reduced_flow<double>(task, start, rates);
    case Formulation::coupled:
      return make_coupled_flow<double>(task, gram_start(start, words), rates);
  }
  return nullptr;
}

struct Experiment {
  std::string name;
  TaskData task;
  Weights<double> start;
  Rates<double> rates;
};

struct How {
  std::string method = "dopri5";
  double rtol = 1e-9, until = 1e3;
  bool events = true;                ///< locate the standard ones
  std::vector<Index> tracked{0, 1};  ///< words of the observables
  std::vector<Index> words = {};     ///< of `grams`; all where there are none
};

/// A solution and what is known at its six outputs, from t = 0 to the end.
struct Trajectory {
  solvers::Solution<double> solution;
  std::vector<GramStart<double>> grams;
  std::vector<std::vector<double>> margins, observables;
  std::vector<double> losses, integrated_powers;
  std::vector<std::array<double, 3>> drifts;
};

inline Trajectory solve(const Flow<double>& flow, const How& how = {}) {
  const std::vector<double> x0 = flow.initial_state();
  Moment moment(flow);
  moment.set(0, x0);
  const Observables observables(moment, how.tracked);
  const WatchedFlow watched(
      flow, how.events ? standard_events(flow.task(), observables, EventLevels()) : std::vector<FlowEvent>());
  const auto clock = solvers::Clock<double>::log(1);
  Trajectory result;
  result.solution = solvers::solve<double>(
      watched, x0, {.end = how.until, .outputs = clock.evenly_spaced(0, how.until, 6)},
      {.method = how.method, .tolerances = {.rtol = how.rtol, .atol = 1e-3 * how.rtol}, .clock = clock});
  const std::vector<Index> words = how.words.empty() ? all_words(flow.task()) : how.words;
  for (const std::vector<double>& x : result.solution.x) {
    moment.set(0, x);
    result.grams.push_back(gram_at(flow, x, words));
    result.margins.push_back(moment.forward().margin);
    result.losses.push_back(moment.forward().loss);
    result.integrated_powers.push_back(flow.integrated_power(x));
    result.observables.emplace_back(observables.size());
    observables.evaluate(moment, result.observables.back());
    result.drifts.push_back(flow.law_drifts(x));
  }
  return result;
}

/// Without those of values that start at 0 but for rounding, and change their signs right after it.
inline std::vector<solvers::Crossing<double>> late_crossings(const Trajectory& trajectory) {
  std::vector<solvers::Crossing<double>> late;
  std::ranges::copy_if(trajectory.solution.crossings, std::back_inserter(late),
                       [](const solvers::Crossing<double>& crossing) { return crossing.t > 1e-7; });
  return late;
}

}  // namespace gradflow::tests
