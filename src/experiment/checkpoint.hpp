#pragma once
#include <gradflow/trajectory/schema.hpp>

#include <filesystem>
#include <solvers/integrate.hpp>

namespace gradflow {

/// A solve between two steps: all that it goes on from.
struct SolveState {
  solvers::StepperState<double> stepper;
  solvers::Continuation<double> continuation;
  /// Of the whole solve so far, and its seconds.
  solvers::Counts counts;
  double smallest_step = 0, largest_step = 0, wall_seconds = 0;
};

/// How many numbers a checkpoint of such a system has, in a run's file.
void describe_checkpoint(trajectory::RunDescription& description, std::size_t dimension, std::size_t events);

trajectory::Checkpoint pack(const SolveState& state);
/// Throws FileError, naming the file, where the sizes are not those of such a system.
SolveState unpack(const trajectory::Checkpoint& checkpoint, std::size_t dimension, std::size_t events,
                  const std::filesystem::path& file);

/// The report of a solve that went on from there, as if it had never been interrupted.
solvers::Report<double> joined(const SolveState& before, solvers::Report<double> report);

}  // namespace gradflow
