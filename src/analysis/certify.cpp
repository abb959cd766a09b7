#include <fmt/format.h>
#include <gradflow/analysis/certify.hpp>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/reader.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>

#include "experiment/solve.hpp"
#include "experiment/states.hpp"

namespace gradflow {
namespace {

using Crossings = std::vector<solvers::Crossing<double>>;
using Row = std::vector<double>;
using trajectory::RunReader;

constexpr double infinity = std::numeric_limits<double>::infinity();

double length(const Row& values) { return Eigen::Map<const Vector<double>>(values.data(), std::ssize(values)).norm(); }

double distance(const Row& a, const Row& b) {
  const auto n = std::ssize(a);
  return (Eigen::Map<const Vector<double>>(a.data(), n) - Eigen::Map<const Vector<double>>(b.data(), n)).norm();
}

/// The largest |a - b|; where both are undefined they agree.
double largest_difference(std::span<const double> a, std::span<const double> b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    const double difference = std::abs(a[i] - b[i]);
    largest = std::max(largest, std::isnan(difference) ? infinity : difference);
  }
  return largest;
}

double largest_magnitude(std::span<const double> values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));  // a NaN changes nothing
  return largest;
}

/// What a run's file and a solve are compared by: rows of observables at the record times, states at the snapshots',
/// crossings.
struct Trajectory {
  std::vector<Row> records, states;  ///< [t][values of all observables], [t][the flow's state]
  Crossings crossings;
  solvers::Report<double> report;
};

/// The times at which a solve is compared, merged into one schedule.
struct Plan {
  Plan(const std::vector<double>& records, const std::vector<double>& states) {
    std::set_union(records.begin(), records.end(), states.begin(), states.end(), std::back_inserter(times));
    for (const double t : times) {
      record.push_back(std::binary_search(records.begin(), records.end(), t));
      state.push_back(std::binary_search(states.begin(), states.end(), t));
    }
  }
  std::vector<double> times;
  std::vector<bool> record, state;
};

class Collector final : public solvers::Observer<double> {
 public:
  Collector(const Problem& problem, const Plan& plan, Trajectory& out)
      : problem_(problem), plan_(plan), out_(out), moment_(*problem.flow) {}

  void output(std::size_t index, const solvers::Point<double>& at) override {
    if (plan_.record[index]) {
      moment_.set(at);
      problem_.observables.evaluate(moment_, out_.records.emplace_back(problem_.observables.size()));
    }
    if (plan_.state[index]) out_.states.emplace_back(at.x().begin(), at.x().end());
  }
  void crossing(const solvers::Crossing<double>& crossing, std::span<const double>) override {
    out_.crossings.push_back(crossing);
  }

 private:
  const Problem& problem_;
  const Plan& plan_;
  Trajectory& out_;
  Moment moment_;
};

/// The problem that a run solved. What does not fit together in a file is the file's fault.
std::unique_ptr<Problem> reopen(const std::filesystem::path& file) {
  Inputs inputs = read_run_inputs(file, Undertaking::certificate);
  try {
    return std::make_unique<Problem>(read_run_settings(file), std::move(inputs));
  } catch (const settings::Error& error) {
    throw FileError(fmt::format("{}: what it holds does not fit together: {}", file.string(), error.what()));
  }
}

Trajectory follow(const Problem& problem, const solvers::SolveOptions<double>& options, double end, const Plan& plan,
                  const char* name, Listener& listener) {
  Trajectory result;
  Collector collector(problem, plan, result);
  result.report = solve(problem, options, {end, plan.times}, name, collector, listener);
  return result;
}

/// The run's crossings up to `end` as a solver would tell them: `event` counts the events that apply.
Crossings run_crossings(const RunReader& run, const std::string& file, const Problem& problem, double end,
                        std::vector<solvers::ErrorBar<double>>& bars) {
  std::vector<solvers::Index> row_to_event;
  solvers::Index count = 0;
  for (const FlowEvent& event : problem.events) row_to_event.push_back(event.applicable ? count++ : -1);
  Crossings crossings;
  for (const trajectory::Crossing& c : run.crossings()) {
    if (c.t > end) continue;
    if (c.event < 0 || c.event >= std::ssize(row_to_event))
      throw FileError(
          fmt::format("{}: events/crossings/event: is damaged: its settings have no event {}", file, c.event));
    crossings.push_back({.event = row_to_event[static_cast<std::size_t>(c.event)],
                         .t = c.t,
                         .tau = problem.clock.tau(c.t),
                         .direction = static_cast<int>(c.direction),
                         .slope = c.slope,
                         .local_error = trajectory::unknown});
    bars.push_back({c.t_error, c.certain == 1});
  }
  return crossings;
}

/// Leaves out what a solve finds beyond the end of the run. Where an event stopped the run, the solve has gone on a
/// little, to find on its own side the crossings that the run has within their bars of its end.
void drop_beyond(Crossings& crossings, double end, const Crossings& own,
                 const std::vector<solvers::ErrorBar<double>>& bars, bool stopped) {
  const auto same = [](const auto& a, const auto& b) { return a.event == b.event && a.direction == b.direction; };
  Crossings kept;
  for (const auto& c : crossings) {
    const auto like_c = [&](const auto& other) { return same(other, c); };
    bool at_the_end = false;
    for (std::size_t i = 0; i < own.size(); ++i)
      at_the_end |= same(own[i], c) && (own[i].t == end || own[i].t + bars[i].error >= end);
    const bool lacking = std::ranges::count_if(kept, like_c) < std::ranges::count_if(own, like_c);
    if (c.t <= end || (stopped && at_the_end && lacking)) kept.push_back(c);
  }
  crossings = std::move(kept);
}

std::vector<QuantityError> observable_errors(const RunReader& run, const std::string& file, const Problem& problem,
                                             std::size_t records, const Trajectory& reference,
                                             const Trajectory& check) {
  std::vector<QuantityError> result;
  const std::vector<std::string> recorded = run.observables();  // those that the version had which wrote the file
  std::size_t place = 0;
  for (const Observable* row : problem.observables.rows()) {
    const std::size_t count = problem.observables.size(*row);
    if (std::ranges::find(recorded, row->name) == recorded.end()) {
      place += count;
      continue;
    }
    const trajectory::Values values = run.observable(row->name);
    if (values.values.size() < records * count)
      throw FileError(fmt::format("{}: {}: has {} values at {} records, but must have {} each", file, row->name,
                                  values.values.size(), records, count));
    QuantityError quantity{row->name, {}, {}, {}};
    for (std::size_t i = 0; i < records; ++i) {
      const auto own = std::span(values.values).subspan(i * count, count);
      const auto better = std::span(reference.records[i]).subspan(place, count);
      quantity.error.push_back(largest_difference(own, better));
      quantity.size.push_back(largest_magnitude(better));
      quantity.uncertainty.push_back(largest_difference(better, std::span(check.records[i]).subspan(place, count)));
    }
    place += count;
    result.push_back(std::move(quantity));
  }
  return result;
}

std::vector<QuantityError> state_errors(const RunReader& run, const std::string& file, const Problem& problem,
                                        std::size_t snapshots, const Trajectory& reference, const Trajectory& check) {
  std::vector<QuantityError> result;
  const trajectory::Series series = state_series(*problem.flow);
  for (std::size_t column = 0; column < state_columns(*problem.flow); ++column)
    result.push_back({series.columns[column].name, {}, {}, {}});
  for (std::size_t i = 0; i < snapshots; ++i) {
    const auto better = state_values(*problem.flow, reference.states[i]),
               other = state_values(*problem.flow, check.states[i]);
    for (std::size_t column = 0; column < result.size(); ++column) {
      const Row own = run.state(result[column].name, static_cast<std::int64_t>(i)).values;
      if (own.size() != better[column].size())
        throw FileError(fmt::format("{}: states/{}: has {} values a snapshot, but must have {}", file,
                                    result[column].name, own.size(), better[column].size()));
      result[column].error.push_back(distance(own, better[column]));
      result[column].size.push_back(length(better[column]));
      result[column].uncertainty.push_back(distance(better[column], other[column]));
    }
  }
  return result;
}

/// Largest magnitudes over the run of the drifts that it has recorded itself.
std::vector<std::pair<std::string, double>> monitors(const RunReader& run, std::size_t snapshots) {
  std::vector<std::pair<std::string, double>> result;
  for (const char* name : {"drift_vw", "drift_kq", "energy_defect"})
    result.emplace_back(name, largest_magnitude(run.observable(name).values));
  for (const char* name : {"law_drift_vw", "law_drift_kq", "law_drift_W"}) {
    double largest = 0;
    for (std::size_t i = 0; i < snapshots; ++i)
      largest = std::max(largest, largest_magnitude(run.state(name, static_cast<std::int64_t>(i)).values));
    result.emplace_back(name, largest);
  }
  return result;
}

std::vector<EventErrors> by_event(const Problem& problem, const solvers::CertifiedCrossings<double>& all) {
  std::vector<EventErrors> result;
  for (const FlowEvent& event : problem.events)
    if (event.applicable) result.push_back({event.name, {}, {}});
  for (const auto& found : all.found) result[static_cast<std::size_t>(found.crossing.event)].crossings.push_back(found);
  for (const auto& missing : all.missing) result[static_cast<std::size_t>(missing.event)].missing.push_back(missing);
  return result;
}

/// The largest over the state's measured blocks of |x - x_ref|_2 / |x_ref|_2.
double relative_distance(const Flow<double>& flow, const Row& x, const Row& reference) {
  double largest = 0;
  Index place = 0;
  for (const solvers::Block& block : flow.blocks()) {
    const auto part = [&](const Row& row) {
      return Eigen::Map<const Vector<double>>(row.data() + place, block.size());
    };
    const double size = part(reference).norm();
    if (block.measured && size > 0) largest = std::max(largest, (part(x) - part(reference)).norm() / size);
    place += block.size();
  }
  return largest;
}

Rung climb(const Problem& problem, const solvers::SolveOptions<double>& options, double end, const Plan& plan,
           const Trajectory& reference, const std::function<void(Crossings&)>& trim, Listener& listener) {
  Trajectory trial = follow(problem, options, end, plan, "ladder", listener);
  if (trial.report.outcome == solvers::Outcome::interrupted) throw NotCertified(trial.report.message());
  trim(trial.crossings);
  const solvers::Counts& counts = trial.report.counts;
  Rung rung{.method = options.method,
            .rtol = options.tolerances.rtol,
            .atol = options.tolerances.atol,
            .outcome = trial.report.outcome,
            .accepted = counts.accepted,
            .rejected = counts.rejected_error + counts.rejected_not_finite,
            .evaluations = counts.for_start + counts.for_steps,
            .event_evaluations = counts.for_events,
            .state_error = trial.report.reached_target() ? 0 : trajectory::unknown,
            .event_error = trajectory::unknown,
            .crossings = trial.crossings.size(),
            .matched = 0};
  for (std::size_t i = 0; i < trial.states.size(); ++i)
    rung.state_error =
        std::max(rung.state_error, relative_distance(*problem.flow, trial.states[i], reference.states[i]));
  const auto partners = solvers::match(trial.crossings, reference.crossings);
  for (std::size_t i = 0; i < partners.size(); ++i) {
    if (!partners[i]) continue;
    const double t = reference.crossings[*partners[i]].t;
    const double error = std::abs(trial.crossings[i].t - t) / (t + problem.clock.t0());
    rung.event_error = rung.matched++ == 0 ? error : std::max(rung.event_error, error);
  }
  return rung;
}

}  // namespace

std::size_t QuantityError::worst() const {
  return static_cast<std::size_t>(std::max_element(error.begin(), error.end()) - error.begin()) %
         std::max<std::size_t>(1, error.size());
}
double QuantityError::largest() const { return error.empty() ? 0 : error[worst()]; }
double QuantityError::relative() const {
  const double scale = largest_magnitude(size);
  return scale > 0 ? largest() / scale : largest() > 0 ? infinity : 0;
}

bool EventErrors::hold() const {
  return missing.empty() && std::all_of(crossings.begin(), crossings.end(), [](const auto& c) { return c.holds(); });
}

bool CertifyReport::holds() const {
  return std::all_of(events.begin(), events.end(), [](const EventErrors& event) { return event.hold(); });
}

CertifyReport certify(const std::filesystem::path& file, bool ladder, Listener& listener) {
  const RunReader run(file);
  const auto reopened = reopen(file);
  Problem& problem = *reopened;
  for (FlowEvent& event : problem.events) event.stop = false;
  if (const double t0 = run.number_attribute("t0"); t0 > 0) problem.clock = solvers::Clock<double>::log(t0);
  if (run.t().empty()) throw FileError(fmt::format("{}: holds no record yet", file.string()));

  CertifyReport report;
  report.run = solve_options(problem);
  report.run.limits = {.initial_step = report.run.limits.initial_step, .max_step = report.run.limits.max_step};
  report.reference = solvers::reference_options(report.run);
  report.check = solvers::loosened(report.reference, 10.0);
  report.record_t = run.t();
  report.t_end = report.record_t.back();
  report.until = run.number_attribute("until");
  report.outcome = run.outcome(run.end().outcome);
  for (const double t : run.state_t())
    if (t <= report.t_end) report.state_t.push_back(t);

  const bool stopped = report.outcome == solvers::name(solvers::Outcome::stopped_by_event);
  const std::vector<double> steps = run.steps().clock_step;
  // The last step is cut where the run was stopped; the one before tells how long steps are there.
  double beyond = 0;
  if (stopped)
    for (std::size_t i = steps.size() > 2 ? steps.size() - 2 : 0; i < steps.size(); ++i)
      beyond = std::max(beyond, steps[i]);
  const double end = stopped ? problem.clock.time(problem.clock.tau(report.t_end) + beyond) : report.t_end;
  const Plan plan(report.record_t, report.state_t);
  std::vector<solvers::ErrorBar<double>> bars;
  const Crossings own = run_crossings(run, file.string(), problem, report.t_end, bars);
  const auto solve_to_end = [&](const solvers::SolveOptions<double>& options, const char* name) {
    Trajectory result = follow(problem, options, end, plan, name, listener);
    if (!result.report.reached_target())
      throw NotCertified(fmt::format("the {} did not reach the end of the run, so nothing is certified: {}", name,
                                     result.report.message()));
    drop_beyond(result.crossings, report.t_end, own, bars, stopped);
    return result;
  };
  const Trajectory reference = solve_to_end(report.reference, "reference"), check = solve_to_end(report.check, "check");
  report.reference_report = reference.report;
  report.check_report = check.report;
  report.observables = observable_errors(run, file.string(), problem, report.record_t.size(), reference, check);
  report.states = state_errors(run, file.string(), problem, report.state_t.size(), reference, check);
  report.monitors = monitors(run, report.state_t.size());
  report.events = by_event(problem, solvers::certify_crossings(own, bars, reference.crossings, check.crossings));
  if (!ladder) return report;
  const Plan states_only({}, report.state_t);
  for (const solvers::Method& method : solvers::methods())
    for (const double factor : {1e3, 1e2, 1e1, 1e0, 1e-1}) {
      solvers::SolveOptions<double> options = report.run;
      options.method = method.name;
      options = solvers::loosened(options, factor);
      if (options.tolerances.rtol <= 0.1 && options.tolerances.rtol >= 10 * report.reference.tolerances.rtol)
        report.ladder.push_back(climb(
            problem, options, end, states_only, reference,
            [&](Crossings& found) { drop_beyond(found, report.t_end, own, bars, stopped); }, listener));
    }
  return report;
}

}  // namespace gradflow
