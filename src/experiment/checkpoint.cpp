#include "experiment/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace gradflow {
namespace {

constexpr std::array counts_in_order{
    &solvers::Counts::accepted,   &solvers::Counts::rejected_error, &solvers::Counts::rejected_not_finite,
    &solvers::Counts::for_steps,  &solvers::Counts::for_start,      &solvers::Counts::for_outputs,
    &solvers::Counts::for_events, &solvers::Counts::event_calls};

}  // namespace

SolveState::SolveState(std::size_t dimension, std::size_t events, const std::string& method)
    : stepper{0, std::vector<double>(dimension), std::vector<double>(dimension),
              std::vector<double>(
                  static_cast<std::size_t>(solvers::memory_size(method, static_cast<solvers::Index>(dimension))))},
      continuation{.events = {std::vector<int>(events), std::vector<int>(events), std::vector<double>(events)}} {}

SolveState::SolveState(const solvers::Stepper<double>& of, const solvers::Report<double>& report, double seconds)
    : stepper(of.save()),
      continuation(report.continuation),
      counts(report.counts),
      smallest_step(report.smallest_step),
      largest_step(report.largest_step),
      wall_seconds(seconds) {}

void SolveState::visit(Packing& packing) {
  packing(stepper.tau);
  packing(continuation.next_step);
  packing(continuation.previous_ratio);
  packing(smallest_step);
  packing(largest_step);
  packing(wall_seconds);
  packing(continuation.events.zero_since);
  packing(stepper.x);
  packing(stepper.dx);
  packing(stepper.memory);
  for (const auto count : counts_in_order) packing(counts.*count);
  packing(continuation.events.sign_at_start);
  packing(continuation.events.sign);
}

solvers::Report<double> SolveState::joined(solvers::Report<double> report) const {
  const bool stepped = report.counts.accepted > 0, stepped_before = counts.accepted > 0;
  for (const auto count : counts_in_order) report.counts.*count += counts.*count;
  if (stepped_before && stepped) {
    report.smallest_step = std::min(report.smallest_step, smallest_step);
    report.largest_step = std::max(report.largest_step, largest_step);
  } else if (stepped_before) {
    report.smallest_step = smallest_step;
    report.largest_step = largest_step;
  }
  report.wall_seconds += wall_seconds;
  return report;
}

void check_fits(const Packing& packing, const std::filesystem::path& file) {
  if (!packing.fits())
    throw FileError(
        fmt::format("{}: its checkpoint is of another problem than its settings, task and start", file.string()));
}

}  // namespace gradflow
