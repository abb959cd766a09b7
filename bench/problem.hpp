#pragma once
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/flows/flow.hpp>

#include <filesystem>
#include <optional>
#include <solvers/stepper.hpp>

namespace bench {

inline std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const solvers::Method& method : solvers::methods()) names.emplace_back(method.name);
  return names;
}

/// Task and start of an experiment, as the command makes them.
struct Problem {
  gradflow::Task task;
  gradflow::Weights<double> start;
};

inline Problem read_problem(const std::filesystem::path& experiment) {
  const auto settings = gradflow::settings::read(experiment, {}, method_names());
  std::optional<gradflow::TextReport> unused;
  gradflow::Task task(gradflow::make_task(settings, unused));
  gradflow::Weights<double> start = gradflow::make_start(settings, task);
  return {std::move(task), std::move(start)};
}

}  // namespace bench
