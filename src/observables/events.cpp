#include <gradflow/observables/events.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradflow {
namespace {

/// As the paper's table writes thresholds: 1e-4, not 0.0001.
std::string threshold(double e) {
  for (int k = 1; k <= 15; ++k)
    if (e == std::stod(fmt::format("1e-{}", k))) return fmt::format("1e-{}", k);
  return fmt::format("{}", e);
}

double overtaken(Moment& moment) {
  const auto& [G1, G2, G3] = moment.G_rates();
  return (-G3 - std::max(G1, G2)) / (std::abs(G3) + std::max(std::abs(G1), std::abs(G2)));
}

double bracket(Moment& moment, double C) {
  const auto& [G1, G2, G3] = moment.G_rates();
  return std::min(-G3 - (1 + C) * std::max(G1, G2), (1 - C) * (G1 + G2) + G3) /
         (std::abs(G3) + std::max(std::abs(G1), std::abs(G2)));
}

double aligned(Moment& moment, double c) {
  const auto [G1, G2, G3] = moment.G_targets();
  return std::min({G1, G2, -G3}) - c;
}

}  // namespace

std::vector<FlowEvent> standard_events(const Task& task, const Observables& observables, const EventLevels& levels) {
  const bool common = task.data().common.has_value();
  std::vector<FlowEvent> events{{"classified", "min_i z_i > 0", true, false, [](Moment& m) { return m.margin_min(); }},
                                {"overtaken", "-G'(3) > max(G'(1), G'(2))", common, false, overtaken}};
  for (const double C : levels.bracket)
    events.push_back({fmt::format("bracket({})", C),
                      fmt::format("(1+{0}) max(G'(1), G'(2)) < -G'(3) < (1-{0}) (G'(1) + G'(2))", C), common, false,
                      [C](Moment& m) { return bracket(m, C); }});
  for (const double c : levels.aligned)
    events.push_back({c == 0 ? "aligned" : fmt::format("aligned({})", c), fmt::format("min(G(1), G(2), -G(3)) > {}", c),
                      common, false, [c](Moment& m) { return aligned(m, c); }});
  for (const double e : levels.attention_moves) {
    FlowEvent event =
        level_event(observables, fmt::format("attention_moves({})", threshold(e)), "attention_shift", e, +1, false);
    event.condition = fmt::format("max |P_iq(k; t) - P_iq(k; 0)| > {}", threshold(e));
    event.rounding = 8 * std::numeric_limits<double>::epsilon();  // of probabilities
    events.push_back(std::move(event));
  }
  for (const double e : levels.loss_below)
    events.push_back(level_event(observables, fmt::format("loss_below({})", threshold(e)), "loss", e, -1, false));
  return events;
}

FlowEvent level_event(const Observables& observables, std::string name, const std::string& quantity, double level,
                      int direction, bool stop) {
  return {
      std::move(name), fmt::format("{} {} {}", quantity, direction > 0 ? '>' : '<', threshold(level)), true, stop,
      [value = observables.scalar(quantity), level, direction](Moment& m) { return direction * (value(m) - level); }};
}

WatchedFlow::WatchedFlow(const Flow<double>& flow, const std::vector<FlowEvent>& events) : flow_(flow), moment_(flow) {
  std::copy_if(events.begin(), events.end(), std::back_inserter(events_),
               [](const FlowEvent& e) { return e.applicable; });
}

std::vector<solvers::Event> WatchedFlow::events() const {
  std::vector<solvers::Event> result;
  for (const FlowEvent& event : events_) result.push_back({event.name, event.stop});
  return result;
}

void WatchedFlow::event_values_at(const solvers::Point<double>& at, std::span<double> values) const {
  moment_.set(at);
  for (std::size_t i = 0; i < events_.size(); ++i) values[i] = events_[i].value(moment_);
}

}  // namespace gradflow
