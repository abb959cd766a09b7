#pragma once
#include <gradflow/trajectory/schema.hpp>

#include <filesystem>
#include <functional>
#include <solvers/integrate.hpp>

#include "experiment/packing.hpp"

namespace gradflow {

/// A solve between two steps: all that it goes on from.
struct SolveState {
  /// Of a system of that size, solved by that method, to be unpacked into.
  SolveState(std::size_t dimension, std::size_t events, const std::string& method);
  /// Where a solve stands after a step; `seconds`: since its beginning.
  SolveState(const solvers::Stepper<double>& stepper, const solvers::Report<double>& report, double seconds);

  void visit(Packing& packing);
  /// The report of a solve that went on from here, as if it had never been interrupted.
  solvers::Report<double> joined(solvers::Report<double> report) const;

  solvers::StepperState<double> stepper;
  solvers::Continuation<double> continuation;
  /// Of the whole solve so far, and its seconds.
  solvers::Counts counts;
  double smallest_step = 0, largest_step = 0, wall_seconds = 0;
};

/// Keeps a state, with all that goes with it, as the newest one to go on from.
using KeepCheckpoint = std::function<void(SolveState&)>;

/// Throws FileError, naming the file, unless unpacking took just what the checkpoint holds.
void check_fits(const Packing& packing, const std::filesystem::path& file);

}  // namespace gradflow
