#include <gradflow/experiment/simulate.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "experiment/companion.hpp"
#include "experiment/recorder.hpp"

namespace gradflow {
namespace {

using solvers::Clock;
using Report = solvers::Report<double>;

std::unique_ptr<Flow<double>> make_flow(const settings::Experiment& experiment, const Task& task,
                                        const Weights<double>& start) {
  const auto& rho = experiment.flow.rates;
  const Rates<double> rates{rho[0], rho[1], rho[2], rho[3]};
  return experiment.flow.formulation == settings::Formulation::full ? make_full_flow(task, start, rates)
                                                                    : make_reduced_flow(task, start, rates);
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

/// 1 / (U + M max_k Gamma(k,k)) at t = 0, the flow's own first time scale; 1 if that is not finite.
double first_time_scale(const Flow<double>& flow, std::span<const double> x) {
  double largest = 0;
  for (Index k = 0; k < flow.task().words(); ++k) largest = std::max(largest, flow.Gamma(x, k, k));
  const double scale = 1 / (flow.U(x) + static_cast<double>(flow.hidden()) * largest);
  return std::isfinite(scale) ? scale : 1;
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

std::size_t snapshots(const settings::Experiment& experiment, const Flow<double>& flow) {
  if (experiment.save.states) return static_cast<std::size_t>(*experiment.save.states);
  const Index values = flow.width() * (flow.hidden() + 3 * flow.task().words());
  return static_cast<std::size_t>(std::clamp<Index>(256'000'000 / (8 * values), 2, 20));
}

/// The second solve sees events only.
class CompanionObserver final : public solvers::Observer<double> {
 public:
  CompanionObserver(Listener& listener, std::function<Progress(double)> progress)
      : listener_(listener), progress_(std::move(progress)) {}
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double>) override {
    located.push_back(crossing);
  }
  void step(const solvers::Step<double>& step, std::span<const double>) override {
    ++steps_;
    if (!listener_.wants_progress()) return;
    Progress progress = progress_(step.t);
    progress.steps = steps_;
    listener_.progress(progress);
  }
  bool interrupt() override { return listener_.interrupt(); }

  std::vector<solvers::Crossing<double>> located;

 private:
  Listener& listener_;
  std::function<Progress(double)> progress_;
  solvers::Index steps_ = 0;
};

trajectory::EventSummary summarize(bool applicable, int sign_at_start, int sign_at_end,
                                   std::span<const EventCrossing> crossings) {
  trajectory::EventSummary summary{.applicable = applicable,
                                   .true_at_start = sign_at_start > 0,
                                   .true_at_end = sign_at_end > 0,
                                   .ups = 0,
                                   .downs = 0};
  for (const EventCrossing& crossing : crossings) {
    ++(crossing.direction > 0 ? summary.ups : summary.downs);
    if (crossing.direction > 0 && sign_at_end > 0)
      summary.for_good = crossing.t, summary.for_good_error = crossing.t_error;
  }
  const auto verdict = applicable ? solvers::verdict(sign_at_start > 0, sign_at_end > 0, crossings.size())
                                  : solvers::Verdict::not_applicable;
  summary.verdict = static_cast<std::int64_t>(verdict);
  return summary;
}

/// Whether each event holds, how often it crossed, how the run ended: as far as it is known.
void write_summaries(trajectory::RunWriter& writer, const std::vector<FlowEvent>& events, const RunResult& result) {
  std::size_t integrated = 0;  // events that do not apply are not integrated
  for (std::size_t i = 0; i < events.size(); ++i) {
    int at_start = 0, at_end = 0;
    if (events[i].applicable) {
      at_start = result.report.sign_at_start[integrated];
      at_end = result.report.sign_at_end[integrated++];
    }
    std::vector<EventCrossing> own;
    std::copy_if(result.crossings.begin(), result.crossings.end(), std::back_inserter(own),
                 [i](const EventCrossing& c) { return c.event == i; });
    writer.set_summary(static_cast<std::int64_t>(i), summarize(events[i].applicable, at_start, at_end, own));
  }
  const solvers::Counts& c = result.report.counts;
  const Report companion = result.companion.value_or(Report{});
  writer.set_run({static_cast<std::int64_t>(result.report.outcome),
                  result.report.message(),
                  {c.accepted, c.rejected_error, c.rejected_not_finite, c.for_start, c.for_steps, c.for_outputs,
                   c.for_events, c.event_calls, companion.counts.accepted, companion.counts.evaluations()},
                  result.report.wall_seconds + companion.wall_seconds});
}

}  // namespace

struct Simulation::Parts {
  explicit Parts(settings::Experiment&& given)
      : experiment(std::move(given)),
        task(make_task(experiment, text_report)),
        flow(make_flow(experiment, task, make_start(experiment, task))),
        x0(flow->initial_state()),
        start(at_start()),
        observables(start, tracked_words(experiment, task, problems)),
        events(make_events(experiment, task, observables, problems)),
        clock(experiment.solver.clock == settings::ClockKind::linear
                  ? Clock<double>::linear()
                  : Clock<double>::log(experiment.solver.t0.value_or(first_time_scale(*flow, x0)))) {}

  Moment at_start() {
    Moment moment(*flow);
    moment.set(0, x0);
    return moment;
  }

  /// For a solve that may make `loosen` times the errors. Bounds on the steps loosen with the tolerances: two solves
  /// that take the same steps make the same errors, whatever their tolerances, and their distance says nothing.
  solvers::Limits<double> limits(double loosen, int error_order, double seconds_spent) const {
    const settings::Solver& s = experiment.solver;
    const double longer = std::pow(loosen, 1.0 / (error_order + 1));
    const auto scaled = [&](std::optional<double> step) { return step ? std::optional(longer * *step) : step; };
    return {.steps = s.max_steps,
            .rejections = s.max_rejections,
            .wall_seconds = s.max_wall_seconds ? std::optional(*s.max_wall_seconds - seconds_spent) : std::nullopt,
            .initial_step = scaled(s.initial_step),
            .max_step = scaled(s.max_step)};
  }

  /// Integrates at `loosen` times the tolerances, when `seconds_spent` of the wall-clock budget are gone.
  template <class MakeObserver>
  Report integrate(double loosen, double seconds_spent, const std::vector<double>& outputs,
                   MakeObserver make_observer) {
    const settings::Solver& s = experiment.solver;
    const WatchedFlow system(*flow, events);
    const auto stepper = solvers::make_stepper<double>(s.method, system, clock, {loosen * s.rtol, loosen * s.atol});
    stepper->start(0, x0);
    const auto begin = std::chrono::steady_clock::now();
    const auto progress = [&, this](double t) {
      return Progress{.t = t,
                      .until = s.until,
                      .clock_fraction = clock.tau(t) / clock.tau(s.until),
                      .loss = trajectory::unknown,
                      .steps = 0,
                      .evaluations = stepper->evaluations(),
                      .wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
                      .companion = loosen != 1};
    };
    auto& observer = make_observer(progress);
    return solvers::integrate<double>(*stepper, {s.until, outputs},
                                      limits(loosen, stepper->method().error_order, seconds_spent), observer);
  }

  settings::Experiment experiment;
  std::optional<TextReport> text_report;
  Task task;
  std::unique_ptr<Flow<double>> flow;
  std::vector<double> x0;
  Moment start;
  std::vector<std::string> problems;  // that only show once the task is there; thrown all at once
  Observables observables;
  std::vector<FlowEvent> events;
  Clock<double> clock;
};

Simulation::Simulation(settings::Experiment experiment) : parts_(std::make_unique<Parts>(std::move(experiment))) {}
Simulation::~Simulation() = default;
Simulation::Simulation(Simulation&&) noexcept = default;

const settings::Experiment& Simulation::experiment() const { return parts_->experiment; }
const Task& Simulation::task() const { return parts_->task; }
const std::optional<TextReport>& Simulation::text_report() const { return parts_->text_report; }
const Flow<double>& Simulation::flow() const { return *parts_->flow; }
const std::vector<FlowEvent>& Simulation::events() const { return parts_->events; }
double Simulation::t0() const { return parts_->clock.t0(); }

RunResult Simulation::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                          Listener& listener) {
  Parts& p = *parts_;
  trajectory::RunWriter writer(
      file, describe(p.experiment, *p.flow, p.x0, p.observables, p.events, p.clock.t0(), command_line), overwrite);
  const CoupledDrift drift(p.start, p.observables.context().words);
  const SavePlan plan =
      save_plan(p.clock, p.experiment.solver.until, static_cast<std::size_t>(p.experiment.save.records),
                snapshots(p.experiment, *p.flow));
  std::vector<std::size_t> rows;  // of the events that are integrated, among all
  for (std::size_t i = 0; i < p.events.size(); ++i)
    if (p.events[i].applicable) rows.push_back(i);

  std::optional<Recorder> recorder;
  RunResult result;
  result.report = p.integrate(1, 0, plan.times, [&](auto progress) -> Recorder& {
    return recorder.emplace(writer, *p.flow, p.observables, drift, p.events, rows, plan, listener, progress);
  });
  result.crossings = recorder->crossings();
  write_summaries(writer, p.events, result);

  const double spent = result.report.wall_seconds;
  const bool time_left = spent < p.experiment.solver.max_wall_seconds.value_or(std::numeric_limits<double>::infinity());
  if (p.experiment.solver.error_bars && result.report.reached_target() && time_left) {
    std::optional<CompanionObserver> companion;
    result.companion = p.integrate(
        10, spent, {}, [&](auto progress) -> CompanionObserver& { return companion.emplace(listener, progress); });
    if (result.companion->reached_target()) {
      set_error_bars(result.crossings, recorder->located(), companion->located, p.clock);
      for (std::size_t i = 0; i < result.crossings.size(); ++i)
        writer.set_crossing_error(static_cast<std::int64_t>(i), result.crossings[i].t_error,
                                  result.crossings[i].certain);
    }
    write_summaries(writer, p.events, result);
  }
  writer.close();
  return result;
}

}  // namespace gradflow
