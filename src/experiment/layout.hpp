#pragma once
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <solvers/integrate.hpp>
#include <solvers/solve.hpp>

namespace gradflow {

/// What the files of all solves say alike, whatever was solved.

/// Who made the file, with what and when.
std::vector<trajectory::Attribute> provenance();
/// Method, tolerances, error norm and clock.
std::vector<trajectory::Attribute> solver_attributes(const solvers::SolveOptions<double>& options);
/// A description that knows the names of verdicts, outcomes and counts, and else nothing.
trajectory::RunDescription solve_description();

/// One event: its signs at the two ends, and its own crossings in order of time.
trajectory::EventSummary summarize(bool applicable, int sign_at_start, int sign_at_end,
                                   std::span<const trajectory::Crossing> crossings);
/// The same for every event of a flow. Signs are of those that apply alone, in their order.
void write_summaries(trajectory::RunGroupWriter& writer, const std::vector<FlowEvent>& events,
                     std::span<const EventCrossing> crossings, std::span<const int> signs_at_start,
                     std::span<const int> signs_at_end);
/// The counts are those of solve_description().
trajectory::RunEnd run_end(const solvers::Report<double>& report,
                           const std::optional<solvers::Report<double>>& companion);

}  // namespace gradflow
