// Going on with a run from its file.
#include <fmt/format.h>

#include <algorithm>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "experiment/layout.hpp"
#include "experiment/record_flow.hpp"
#include "experiment/simulation_parts.hpp"

namespace gradflow {
namespace {

using trajectory::RunGroupWriter;
using trajectory::RunReader;

/// Present in the file of a run that was extended: the end to which its records are evenly spaced.
constexpr const char* spaced_until = "spaced_until";

std::optional<trajectory::Attribute::second_type> find(const std::vector<trajectory::Attribute>& attributes,
                                                       const std::string& name) {
  const auto found = std::ranges::find(attributes, name, &trajectory::Attribute::first);
  return found == attributes.end() ? std::nullopt : std::optional(found->second);
}

bool ended_by_budget(const RunReader& run) {
  const std::string outcome = run.outcome(run.end().outcome);
  return outcome == solvers::name(solvers::Outcome::step_limit) ||
         outcome == solvers::name(solvers::Outcome::rejection_limit);
}

bool reached_target(const RunReader& run) {
  const std::string outcome = run.outcome(run.end().outcome);
  return outcome == solvers::name(solvers::Outcome::reached_end) ||
         outcome == solvers::name(solvers::Outcome::stopped_by_event);
}

/// Rows of several columns, one after the other, as a writer takes them.
std::vector<std::vector<double>> rows_of(const std::vector<trajectory::Values>& columns, std::size_t rows) {
  std::vector<std::vector<double>> result(rows);
  for (const trajectory::Values& column : columns) {
    const std::size_t size =
        column.shape.front() > 0 ? column.values.size() / static_cast<std::size_t>(column.shape[0]) : 0;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto begin = column.values.begin() + static_cast<std::ptrdiff_t>(row * size);
      result[row].insert(result[row].end(), begin, begin + static_cast<std::ptrdiff_t>(size));
    }
  }
  return result;
}

/// What the checkpoint counts, and the checkpoint.
void copy(const RunReader& run, const trajectory::Checkpoint& checkpoint, const trajectory::RunDescription& description,
          RunGroupWriter& writer) {
  std::vector<trajectory::Values> columns;
  for (const trajectory::Column& column : description.observables.columns)
    columns.push_back(run.observable(column.name));
  const auto rows = rows_of(columns, static_cast<std::size_t>(checkpoint.records));
  for (std::size_t row = 0; row < rows.size(); ++row) writer.record(run.t().at(row), rows[row]);

  const std::vector<double> state_t = run.state_t();
  for (std::int64_t k = 0; k < checkpoint.snapshots; ++k) {
    std::vector<std::vector<double>> values;
    for (const trajectory::Column& column : description.states.columns)
      values.push_back(run.state(column.name, k).values);
    writer.snapshot(state_t.at(static_cast<std::size_t>(k)),
                    std::vector<std::span<const double>>(values.begin(), values.end()));
  }
  // Without what a companion solve has said of them; it says it again.
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  for (trajectory::Crossing crossing : std::span(crossings).first(static_cast<std::size_t>(checkpoint.crossings))) {
    crossing.t_error = trajectory::unknown;
    crossing.certain = -1;
    writer.crossing(crossing);
  }
  const trajectory::Steps steps = run.steps();
  for (std::size_t i = 0; i < static_cast<std::size_t>(checkpoint.steps); ++i)
    writer.step(steps.t.at(i), steps.clock_step.at(i), steps.error_ratio.at(i));
  writer.checkpoint(checkpoint.reals, checkpoint.integers);
}

/// The run's own, but for what an extension changes, and how often it was gone on with.
std::vector<trajectory::Attribute> attributes(std::vector<trajectory::Attribute> fresh, const RunReader& run,
                                              const Simulation& simulation, double spaced) {
  const std::vector<trajectory::Attribute> before = run.attributes();
  for (auto& [name, value] : fresh)
    if (name != "settings" && name != "until" && name != "T2")
      if (const auto old = find(before, name)) value = *old;
  const auto times = find(before, "resumed");
  fresh.emplace_back("resumed", times ? std::get<std::int64_t>(*times) + 1 : std::int64_t{1});
  if (spaced < simulation.experiment().solver.until) fresh.emplace_back(spaced_until, spaced);
  return fresh;
}

}  // namespace

Simulation Simulation::of_run(const std::filesystem::path& run, std::optional<double> until) {
  settings::Experiment experiment = read_run_settings(run);
  double spaced = experiment.solver.until;
  if (const auto attribute = find(RunReader(run).attributes(), spaced_until)) spaced = std::get<double>(*attribute);
  if (until) {
    if (!(*until > experiment.solver.until))
      throw std::invalid_argument(
          fmt::format("the run goes to t = {:g} already; the new end must lie after that, but is {:g}",
                      experiment.solver.until, *until));
    experiment.solver.until = *until;
  }
  auto parts = std::make_unique<Parts>(std::move(experiment), read_run_inputs(run));
  parts->run = run;
  parts->spaced_until = spaced;
  return Simulation(std::move(parts));
}

RunResult Simulation::resume(const std::string& command_line, Listener& listener) {
  Problem& p = parts_->problem;
  const std::filesystem::path& file = parts_->run;
  settings::Solver& solver = p.experiment.solver;
  const SavePlan plan =
      extended_plan(p.clock, parts_->spaced_until, static_cast<std::size_t>(p.experiment.save.records),
                    snapshot_count(p.experiment, *p.flow), solver.until);
  const RunReader run(file);
  trajectory::RunDescription description = describe(p, command_line);
  description.attributes = attributes(description.attributes, run, *this, parts_->spaced_until);

  const std::optional<trajectory::Checkpoint> checkpoint = run.checkpoint();
  std::optional<EarlierPart> earlier;
  if (checkpoint)
    earlier.emplace(EarlierPart{
        run, *checkpoint, unpack(*checkpoint, p.x0.size(), WatchedFlow(*p.flow, p.events).events().size(), file)});
  if (earlier && !ended_by_budget(run)) {
    const solvers::Counts& counts = earlier->state.counts;
    solver.max_steps = std::max<std::int64_t>(1, solver.max_steps - counts.accepted);
    solver.max_rejections =
        std::max<std::int64_t>(1, solver.max_rejections - counts.rejected_error - counts.rejected_not_finite);
  }
  trajectory::RunWriter writer(file, description, true, std::chrono::seconds(1), [&](RunGroupWriter& fresh) {
    if (checkpoint) copy(run, *checkpoint, description, fresh);
  });
  solvers::Observer<double> nobody;
  const RunResult result = record_flow(p, writer, plan, nobody, listener, earlier ? &*earlier : nullptr);
  writer.close();
  return result;
}

bool is_complete(const std::filesystem::path& file) {
  const RunReader run(file);
  if (!run.closed() || !reached_target(run)) return false;
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  const bool checked = std::ranges::any_of(crossings, [](const auto& crossing) { return crossing.certain >= 0; });
  return crossings.empty() || checked || !read_run_settings(file).solver.error_bars;
}

std::string other_build(const std::filesystem::path& file) {
  const RunReader run(file);
  const std::vector<trajectory::Attribute> before = run.attributes();
  std::string mine, its;
  for (const auto& [name, value] : provenance())
    for (const char* part : {"version", "commit", "build"})
      if (const auto old = find(before, part); name == part && old && *old != value) {
        mine += " " + std::get<std::string>(value);
        its += " " + std::get<std::string>(*old);
      }
  return mine.empty() ? "" : fmt::format("it was made by{}, and this is{}", its, mine);
}

}  // namespace gradflow
