#pragma once
#include <gradflow/experiment/simulate.hpp>

#include "experiment/problem.hpp"

namespace gradflow {

struct Simulation::Parts {
  Parts(settings::Experiment experiment, Inputs inputs) : problem(std::move(experiment), std::move(inputs)) {}
  Problem problem;

  /// Of a run to go on with: its file, and the end to which its records were spaced.
  std::filesystem::path run;
  double spaced_until = 0;
};

}  // namespace gradflow
