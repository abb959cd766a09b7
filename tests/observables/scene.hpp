#pragma once
#include <gradflow/observables/observables.hpp>

#include "support/equation1.hpp"
#include "support/flow_cases.hpp"

namespace gradflow::tests {

/// A flow at its start and at another state, with the observables over some tracked words, and the same state as
/// weights and token by token.
struct Scene {
  explicit Scene(const FlowCase& c, std::vector<Index> words = {2, 0, 3}, double step = 0.2)
      : flow(c),
        x0(flow->initial_state()),
        x(away_from_start(*flow, step)),
        start(at(x0)),
        now(at(x)),
        observables(start, std::move(words)),
        weights(flow->weights(x)),
        weights0(flow->weights(x0)),
        model(equation1<long double>(c.task, weights.cast<long double>())),
        model0(equation1<long double>(c.task, weights0.cast<long double>())) {}

  Moment at(const std::vector<double>& state) const {
    Moment moment(*flow);
    moment.set(1, state);
    return moment;
  }
  const TaskData& data() const { return flow.task->data(); }

  OwnedFlow<double> flow;
  std::vector<double> x0, x;
  Moment start, now;
  Observables observables;
  Weights<double> weights, weights0;
  Equation1<long double> model, model0;
};

inline FlowCase case_of(const TaskData& task, Rates<double> rates = {}, bool full = false) {
  return {"", task, draw_start(StartLaw::gaussian, 4, 5, task.words, {0.3, 0.3, 0.4, 0.5}, 11), rates, full};
}

}  // namespace gradflow::tests
