// Going on with a run from its file.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "experiment/layout.hpp"
#include "experiment/record_flow.hpp"
#include "experiment/resume.hpp"
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

bool reached_target(const RunReader& run) {
  const std::string outcome = run.outcome(run.end().outcome);
  return outcome == solvers::name(solvers::Outcome::reached_end) ||
         outcome == solvers::name(solvers::Outcome::stopped_by_event);
}

}  // namespace

bool ended_by_budget(const RunReader& run) {
  const std::string outcome = run.outcome(run.end().outcome);
  return outcome == solvers::name(solvers::Outcome::step_limit) ||
         outcome == solvers::name(solvers::Outcome::rejection_limit);
}

std::vector<std::vector<double>> rows_of(const std::vector<trajectory::Values>& columns, std::int64_t rows) {
  std::vector<std::vector<double>> result(static_cast<std::size_t>(rows));
  for (const trajectory::Values& column : columns) {
    if (rows == 0) continue;
    const auto size = std::ssize(column.values) / column.shape.front();
    for (std::int64_t row = 0; row < rows; ++row)
      result[static_cast<std::size_t>(row)].insert(result[static_cast<std::size_t>(row)].end(),
                                                   column.values.begin() + row * size,
                                                   column.values.begin() + (row + 1) * size);
  }
  return result;
}

void check_rows(const RunReader& run, std::span<const std::int64_t> rows, const std::filesystem::path& file) {
  const std::array there{run.t().size(), run.state_t().size(), run.crossings().size(), run.steps().t.size()};
  if (!std::ranges::equal(rows, there, [](std::int64_t counted, std::size_t has) {
        return counted >= 0 && static_cast<std::size_t>(counted) <= has;
      }))
    throw FileError(fmt::format("{}: is damaged: its checkpoint counts rows that are not there", file.string()));
}

void copy_rows(const RunReader& run, std::span<const std::int64_t> rows, const trajectory::RunDescription& description,
               RunGroupWriter& writer) {
  std::vector<trajectory::Values> columns;
  for (const trajectory::Column& column : description.observables.columns)
    columns.push_back(run.observable(column.name));
  for (std::size_t row = 0; const std::vector<double>& values : rows_of(columns, rows[0]))
    writer.record(run.t().at(row++), values);

  const std::vector<double> state_t = run.state_t();
  for (std::int64_t k = 0; k < rows[1]; ++k) {
    std::vector<std::vector<double>> values;
    for (const trajectory::Column& column : description.states.columns)
      values.push_back(run.state(column.name, k).values);
    writer.snapshot(state_t.at(static_cast<std::size_t>(k)),
                    std::vector<std::span<const double>>(values.begin(), values.end()));
  }
  const bool solved = !description.counts.empty() && description.counts.front() == "accepted";
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  for (trajectory::Crossing crossing : std::span(crossings).first(static_cast<std::size_t>(rows[2]))) {
    if (solved) crossing.t_error = trajectory::unknown, crossing.certain = -1;
    writer.crossing(crossing);
  }
  const trajectory::Steps steps = run.steps();
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows[3]); ++i)
    writer.step(steps.t.at(i), steps.clock_step.at(i), steps.error_ratio.at(i));
}

std::vector<trajectory::Attribute> carried_over(std::vector<trajectory::Attribute> fresh,
                                                const std::vector<trajectory::Attribute>& before,
                                                const std::vector<std::string>& but) {
  for (auto& [name, value] : fresh)
    if (std::ranges::find(but, name) == but.end())
      if (const auto old = find(before, name)) value = *old;
  const auto times = find(before, "resumed");
  fresh.emplace_back("resumed", times ? std::get<std::int64_t>(*times) + 1 : std::int64_t{1});
  return fresh;
}

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
  const double until = p.experiment.solver.until;
  const RunReader run(file);
  trajectory::RunDescription description = describe(p, command_line);
  description.attributes = carried_over(description.attributes, run.attributes(), {"settings", "until", "T2"});
  if (parts_->spaced_until < until) description.attributes.emplace_back(spaced_until, parts_->spaced_until);

  const std::optional<trajectory::Checkpoint> checkpoint = run.checkpoint();
  std::optional<EarlierPart> earlier;
  if (checkpoint) {
    check_rows(run, checkpoint->rows, file);
    earlier.emplace(EarlierPart{run, checkpoint->rows, parts_->empty_state(), ended_by_budget(run)});
    Packing packing(*checkpoint);
    earlier->state.visit(packing);
    check_fits(packing, file);
  }
  SavePlan plan = save_plan(p, parts_->spaced_until);
  if (earlier) plan = after(plan, p.clock, earlier->state.stepper.tau);
  return parts_->solve_into(file, true, description, plan, listener, earlier ? &*earlier : nullptr,
                            [&](RunGroupWriter& fresh) {
                              if (!checkpoint) return;
                              copy_rows(run, checkpoint->rows, description, fresh);
                              fresh.checkpoint(*checkpoint);
                            });
}

bool is_complete(const std::filesystem::path& file) {
  if (trajectory::is_comparison(file)) {
    const trajectory::ComparisonReader comparison(file);
    if (!comparison.closed()) return false;
    const trajectory::Arrays fits = comparison.results("fits");
    const auto complete = std::ranges::find(fits.arrays, "complete", &trajectory::Array::name);
    return complete != fits.arrays.end() && std::get<std::vector<double>>(complete->values).front() == 1;
  }
  const RunReader run(file);
  if (!run.closed() || !reached_target(run)) return false;
  const std::vector<trajectory::Crossing> crossings = run.crossings();
  const bool checked = std::ranges::any_of(crossings, [](const auto& crossing) { return crossing.certain >= 0; });
  return crossings.empty() || checked || !read_run_settings(file).solver.error_bars;
}

std::string other_build(const std::filesystem::path& file) {
  const std::vector<trajectory::Attribute> before =
      trajectory::is_comparison(file) ? trajectory::ComparisonReader(file).attributes() : RunReader(file).attributes();
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
