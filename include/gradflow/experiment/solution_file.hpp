#pragma once
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <filesystem>
#include <functional>
#include <solvers/solve.hpp>

namespace gradflow {

/// A scalar quantity of the state, kept at every output.
struct SolutionObservable {
  std::string name;
  std::string unit = "1";
  std::string long_name;
  std::function<double(double t, std::span<const double> x)> value;
};

/// What a solution's file holds beside the solution.
struct SolutionNotes {
  std::vector<SolutionObservable> observables = {};
  std::vector<trajectory::Attribute> attributes = {};  ///< of the file; one named as its own (title, ...) replaces it
  bool overwrite = false;
};

/// Puts the solution of any system into an HDF5 file that is laid out as a run's: RunReader, `gradflow show` and xarray
/// open it.
///   - root: `t` and the observables, a row for each output, and one for the end where it is none
///   - states: the blocks by name at the same times. A matrix has the dimensions NAME_row and NAME_column, row-major
///     whatever its layout in memory; a block of one row or one column has NAME_index; a single number none
///   - events: a summary of each, and the crossings with their error bars (`options.error_bars`)
///   - steps: the accepted ones; run: the outcome, and counts that include the companion solve
///
/// `system` and `options` are those that `solution` was made with. Throws FileError when the file cannot be written, or
/// exists and not `overwrite`; std::invalid_argument for a solution of another dimension than the system's, and for
/// names that stand twice, are empty or contain a slash.
void write_solution(const std::filesystem::path& path, const solvers::System<double>& system,
                    const solvers::Solution<double>& solution, const solvers::SolveOptions<double>& options,
                    const SolutionNotes& notes = {});

}  // namespace gradflow
