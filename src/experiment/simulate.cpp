#include <gradflow/experiment/simulate.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiment/layout.hpp"
#include "experiment/recorder.hpp"
#include "experiment/solve.hpp"

namespace gradflow {
namespace {

std::size_t snapshots(const settings::Experiment& experiment, const Flow<double>& flow) {
  if (experiment.save.states) return static_cast<std::size_t>(*experiment.save.states);
  const Index values = flow.has_weights() ? flow.width() * (flow.hidden() + 3 * flow.task().words())
                                          : 4 * std::ssize(flow.words()) * std::ssize(flow.words());
  return static_cast<std::size_t>(std::clamp<Index>(256'000'000 / (8 * values), 2, 20));
}

/// The companion solve sees events only.
class CompanionObserver final : public solvers::Observer<double> {
 public:
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double>) override {
    located.push_back(crossing);
  }
  std::vector<solvers::Crossing<double>> located;
};

/// Whether each event holds, how often it crossed, how the run ended: as far as it is known.
void write_summaries(trajectory::RunGroupWriter& writer, const std::vector<FlowEvent>& events,
                     const RunResult& result) {
  std::size_t integrated = 0;  // events that do not apply are not integrated
  for (std::size_t i = 0; i < events.size(); ++i) {
    int at_start = 0, at_end = 0;
    if (events[i].applicable) {
      at_start = result.report.sign_at_start[integrated];
      at_end = result.report.sign_at_end[integrated++];
    }
    std::vector<trajectory::Crossing> own;
    for (const EventCrossing& c : result.crossings)
      if (c.event == i) own.push_back({.t = c.t, .t_error = c.t_error, .direction = c.direction, .values = {}});
    writer.set_summary(static_cast<std::int64_t>(i), summarize(events[i].applicable, at_start, at_end, own));
  }
  writer.set_run(run_end(result.report, result.companion));
}

}  // namespace

struct Simulation::Parts {
  explicit Parts(settings::Experiment experiment) : problem(experiment, read_inputs(experiment)) {}
  Problem problem;
};

Simulation::Simulation(settings::Experiment experiment) : parts_(std::make_unique<Parts>(std::move(experiment))) {}
Simulation::~Simulation() = default;
Simulation::Simulation(Simulation&&) noexcept = default;

const settings::Experiment& Simulation::experiment() const { return parts_->problem.experiment; }
const Task& Simulation::task() const { return parts_->problem.task; }
const std::optional<TextReport>& Simulation::text_report() const { return parts_->problem.text_report; }
const Flow<double>& Simulation::flow() const { return *parts_->problem.flow; }
const std::vector<FlowEvent>& Simulation::events() const { return parts_->problem.events; }
double Simulation::t0() const { return parts_->problem.clock.t0(); }

RunResult Simulation::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                          Listener& listener) {
  Problem& p = parts_->problem;
  trajectory::RunWriter writer(file, describe(p, command_line), overwrite);
  const CoupledDrift drift(p.start, p.observables.context().words);
  const SavePlan plan =
      save_plan(p.clock, p.experiment.solver.until, static_cast<std::size_t>(p.experiment.save.records),
                snapshots(p.experiment, *p.flow));
  std::vector<std::size_t> rows;  // of the events that are integrated, among all
  for (std::size_t i = 0; i < p.events.size(); ++i)
    if (p.events[i].applicable) rows.push_back(i);

  Recorder recorder(writer, *p.flow, p.observables, drift, p.events, rows, plan, listener);
  const solvers::SolveOptions<double> options = solve_options(p);
  const double until = p.experiment.solver.until;
  RunResult result;
  result.report = solve(p, options, {until, plan.times}, "", recorder, listener);
  result.crossings = recorder.crossings();
  write_summaries(writer, p.events, result);

  solvers::SolveOptions<double> looser = solvers::loosened(options, 10.0);
  if (looser.limits.wall_seconds) *looser.limits.wall_seconds -= result.report.wall_seconds;
  const bool time_left = !looser.limits.wall_seconds || *looser.limits.wall_seconds > 0;
  if (p.experiment.solver.error_bars && result.report.reached_target() && time_left) {
    CompanionObserver companion;
    result.companion = solve(p, looser, {until, {}}, "error bars", companion, listener);
    if (result.companion->reached_target()) {
      const auto bars = solvers::error_bars(recorder.located(), companion.located, p.clock);
      for (std::size_t i = 0; i < bars.size(); ++i) {
        EventCrossing& crossing = result.crossings[i];
        const double rounding = p.events[crossing.event].rounding / std::abs(crossing.slope);
        crossing.t_error = bars[i].error < rounding ? rounding : bars[i].error;
        crossing.certain = bars[i].certain ? 1 : 0;
        writer.set_crossing_error(static_cast<std::int64_t>(i), crossing.t_error, crossing.certain);
      }
    }
    write_summaries(writer, p.events, result);
  }
  writer.close();
  return result;
}

}  // namespace gradflow
