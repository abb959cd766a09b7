#pragma once
#include <gradflow/observables/observables.hpp>

namespace gradflow {

/// One condition on the flow: it holds where `value` is positive.
struct FlowEvent {
  std::string name;
  std::string condition;   ///< as a person reads it
  bool applicable = true;  ///< false: the task lacks what the condition speaks of; `value` is never called
  bool stop = false;       ///< end the run where the condition becomes true
  std::function<double(Moment&)> value;
  /// What rounding makes of `value`, where that is more than its own last digits: a small difference of terms.
  double rounding = 0;
};

/// Inputs of the standard events; lists give one event per value.
struct EventLevels {
  std::vector<double> bracket{0.1}, aligned{0}, attention_moves{1e-4, 1e-3, 1e-2}, loss_below{1e-1, 1e-2, 1e-4};
};

/// The transitions between the phases of training (1, 2: the targets; 3: the common word):
///   - classified: min_i z_i > 0
///   - overtaken: -G'(3) > max(G'(1), G'(2)) (proof of Lemma 4.3)
///   - bracket(C): (1+C) max(G'(1), G'(2)) < -G'(3) < (1-C) (G'(1) + G'(2)) (Lemma 4.3)
///   - aligned(c): min{ G(1), G(2), -G(3) } > c; called "aligned" where c = 0 (Theorem 3.1)
///   - attention_moves(e): max over i, q, k of |P_iq(k; t) - P_iq(k; 0)| > e
///   - loss_below(e): loss < e
///
/// The functions of overtaken and bracket are differences over |G'(3)| + max(|G'(1)|, |G'(2)|). Where the task has no
/// common word, overtaken, bracket and aligned do not apply. `observables` must outlive the events.
std::vector<FlowEvent> standard_events(const Task& task, const Observables& observables, const EventLevels& levels);

/// The user's own: `quantity` (Observables::scalar) above (direction > 0) or below a level.
FlowEvent level_event(const Observables& observables, std::string name, const std::string& quantity, double level,
                      int direction, bool stop);

/// A flow together with the events that watch it: what the integration sees.
class WatchedFlow final : public solvers::System<double> {
 public:
  /// The flow must outlive it. Events that do not apply are left out of the integration.
  WatchedFlow(const Flow<double>& flow, const std::vector<FlowEvent>& events);

  std::vector<solvers::Block> blocks() const override { return flow_.blocks(); }
  void derivative(double t, std::span<const double> x, std::span<double> dx) const override {
    flow_.derivative(t, x, dx);
  }
  void stage(const solvers::StagePoint<double>& at, std::span<double> y, bool keep,
             std::span<double> dx) const override {
    flow_.stage(at, y, keep, dx);
  }
  std::unique_ptr<solvers::FrozenStep<double>> frozen_step(std::size_t stages) const override {
    return flow_.frozen_step(stages);
  }
  solvers::Workers* workers() const override { return flow_.workers(); }
  std::vector<solvers::Event> events() const override;
  void event_values(double t, std::span<const double> x, std::span<double> values) const override {
    event_values_at({t, x}, values);
  }
  void event_values_at(const solvers::Point<double>& at, std::span<double> values) const override;

 private:
  const Flow<double>& flow_;
  std::vector<FlowEvent> events_;
  mutable Moment moment_;  // scratch
};

}  // namespace gradflow
