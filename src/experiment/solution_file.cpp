#include <gradflow/experiment/solution_file.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <stdexcept>

#include "experiment/layout.hpp"

namespace gradflow {
namespace {

using solvers::Block;
using trajectory::Attribute;
using Solution = solvers::Solution<double>;
using Options = solvers::SolveOptions<double>;

std::string settings_text(const Options& options) {
  std::string text =
      fmt::format("[solver]\nmethod = \"{}\"\nrtol = {}\natol = {}\nclock = \"{}\"\n", options.method,
                  options.tolerances.rtol, options.tolerances.atol, options.clock.is_log() ? "log" : "linear");
  if (options.clock.is_log()) text += fmt::format("t0 = {}\n", options.clock.t0());
  const auto add = [&](const char* key, const auto& value) {
    if (value) text += fmt::format("{} = {}\n", key, *value);
  };
  const solvers::Limits<double>& limits = options.limits;
  text += fmt::format("error_bars = {}\nmax_steps = {}\nmax_rejections = {}\n", options.error_bars, limits.steps,
                      limits.rejections);
  add("max_wall_seconds", limits.wall_seconds);
  add("initial_step", limits.initial_step);
  add("max_step", limits.max_step);
  return text;
}

std::vector<Attribute> attributes(const Options& options, const std::vector<Attribute>& given) {
  std::vector<Attribute> all{{"title", "Solution of an initial-value problem"}, {"settings", settings_text(options)}};
  for (const auto& more : {provenance(), solver_attributes(options)}) all.insert(all.end(), more.begin(), more.end());
  for (const Attribute& attribute : given) {
    const auto own = std::ranges::find(all, attribute.first, &Attribute::first);
    if (own == all.end())
      all.push_back(attribute);
    else
      own->second = attribute.second;
  }
  return all;
}

const std::string& checked_name(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos)
    throw std::invalid_argument(
        fmt::format("a solution's file: '{}' cannot be the name of a block or an observable: it must not be empty and "
                    "must not contain a slash",
                    name));
  return name;
}

trajectory::Series state_series(const std::vector<Block>& blocks) {
  trajectory::Series series;
  for (const Block& block : blocks) {
    trajectory::Column column{checked_name(block.name), {}, "1", "", ""};
    const auto add_dimension = [&](const char* what, solvers::Index size) {
      column.dimensions.push_back(block.name + "_" + what);
      series.dimensions.emplace_back(column.dimensions.back(), size);
    };
    if (block.rows > 1 && block.columns > 1) {
      add_dimension("row", block.rows);
      add_dimension("column", block.columns);
    } else if (block.size() > 1) {
      add_dimension("index", block.size());
    }
    series.columns.push_back(std::move(column));
  }
  return series;
}

trajectory::RunDescription describe(const solvers::System<double>& system, const Options& options,
                                    const SolutionNotes& notes) {
  trajectory::RunDescription description = solve_description();
  description.attributes = attributes(options, notes.attributes);
  description.states = state_series(system.blocks());
  for (const SolutionObservable& observable : notes.observables)
    description.observables.columns.push_back(
        {checked_name(observable.name), {}, observable.unit, observable.long_name, ""});
  for (const solvers::Event& event : system.events())
    description.events.push_back({event.name, "the event's function is positive"});
  return description;
}

/// Rows of observables and of the state, at the outputs and at the end.
void write_states(trajectory::RunWriter& writer, const std::vector<Block>& blocks, const Solution& solution,
                  const SolutionNotes& notes) {
  const auto write = [&](double t, const std::vector<double>& x) {
    std::vector<double> row, row_major = x;
    for (const SolutionObservable& observable : notes.observables) row.push_back(observable.value(t, x));
    writer.record(t, row);
    std::vector<std::span<const double>> parts;
    std::size_t first = 0;
    for (const Block& block : blocks) {
      const auto size = static_cast<std::size_t>(block.size());
      if (block.vectors == Block::Vectors::columns)
        Eigen::Map<Eigen::MatrixXd>(&row_major[first], block.columns, block.rows) =
            Eigen::Map<const Eigen::MatrixXd>(&x[first], block.rows, block.columns).transpose();
      parts.push_back(std::span<const double>(row_major).subspan(first, size));
      first += size;
    }
    writer.snapshot(t, parts);
  };
  for (std::size_t i = 0; i < solution.t.size(); ++i) write(solution.t[i], solution.x[i]);
  if (solution.t.empty() || solution.report.t > solution.t.back()) write(solution.report.t, solution.x_end);
}

/// The crossings, and what they come to for each event.
void write_events(trajectory::RunWriter& writer, std::size_t events, const Solution& solution) {
  std::vector<std::vector<trajectory::Crossing>> own(events);
  for (std::size_t i = 0; i < solution.crossings.size(); ++i) {
    const solvers::Crossing<double>& found = solution.crossings[i];
    trajectory::Crossing crossing{
        .event = found.event, .t = found.t, .slope = found.slope, .direction = found.direction, .values = {}};
    if (!solution.error_bars.empty()) {
      crossing.t_error = solution.error_bars[i].error;
      crossing.certain = solution.error_bars[i].certain;
    }
    writer.crossing(crossing);
    own[static_cast<std::size_t>(found.event)].push_back(crossing);
  }
  for (std::size_t i = 0; i < events; ++i)
    writer.set_summary(static_cast<std::int64_t>(i),
                       summarize(true, solution.report.sign_at_start[i], solution.report.sign_at_end[i], own[i]));
}

}  // namespace

void write_solution(const std::filesystem::path& path, const solvers::System<double>& system, const Solution& solution,
                    const Options& options, const SolutionNotes& notes) {
  if (static_cast<solvers::Index>(solution.x_end.size()) != system.dimension())
    throw std::invalid_argument(
        fmt::format("a solution's file: the solution has dimension {}, the system {}: it must be the system it was "
                    "solved for",
                    solution.x_end.size(), system.dimension()));
  trajectory::RunWriter writer(path, describe(system, options, notes), notes.overwrite);
  write_states(writer, system.blocks(), solution, notes);
  for (const solvers::AcceptedStep<double>& step : solution.steps) writer.step(step.t, step.clock_step, step.ratio);
  write_events(writer, system.events().size(), solution);
  writer.set_run(run_end(solution.report, solution.companion));
  writer.close();
}

}  // namespace gradflow
