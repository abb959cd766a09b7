#pragma once
#include <gradflow/experiment/simulate.hpp>

namespace gradflow::cli {

/// Statistics, events and end values of a run's file, on standard output.
void print_results(const std::filesystem::path& file);
/// Why a run is not simply done, on standard error; the exit code.
int conclude(const RunResult& result, const std::filesystem::path& file);

}  // namespace gradflow::cli
