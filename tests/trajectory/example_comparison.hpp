#pragma once
#include <gradflow/trajectory/comparison.hpp>

#include <string>
#include <vector>

#include "trajectory/example_run.hpp"

/// A comparison of the runs of example_run.hpp, in which every run has times of its own, so that rows which land in the
/// wrong group show.
namespace gradflow::trajectory::example {

constexpr std::int64_t descents = 3, comparison_values = 3 + 3 * 4;

/// Row r of the flow is at time_of(r), of descent i at (i + 2) time_of(r).
inline double descent_time_of(std::int64_t descent, std::int64_t row) {
  return static_cast<double>(descent + 2) * time_of(row);
}

/// Value i of the row of `comparison` at time t is 10 t + i.
inline std::vector<double> comparison_at(double t) { return iota(comparison_values, 10 * t); }

inline ComparisonDescription comparison() {
  ComparisonDescription result;
  result.attributes = {{"program", std::string("gradflow 0.1")}, {"seed", std::int64_t{1}}, {"t0", 0.5}};
  result.flow = description();
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < descents; ++i) {
    RunDescription descent = description();
    descent.attributes = {{"method", std::string("gd")}, {"rate", 0.1 * static_cast<double>(i + 1)}, {"beta", 0.0}};
    result.descents.push_back(descent);
    names.push_back("gd η=" + std::to_string(i + 1) + "e-1");
  }
  result.comparison.dimensions = {{"descent", names}, {"matrix", std::vector<std::string>{"W", "W_V", "W_K", "W_Q"}}};
  result.comparison.columns = {{"distance", {"descent"}, "1", "relative distance from the flow", "at equal flow times"},
                               {"distance_matrix", {"descent", "matrix"}, "1", "the same of each matrix", ""}};
  Arrays& fits = result.results.emplace_back("fits", Arrays()).second;
  fits.attributes = {{"model", std::string("c rate^p")}};
  fits.dimensions = {{"rule", std::vector<std::string>{"gd"}}, {"t_fit", 2}};
  fits.arrays = {{"order", {"rule", "t_fit"}, {}, "1", "exponent of the rate"},
                 {"constant", {}, {}, "1", "factor"},
                 {"smallest_rate", {"rule"}, std::vector<double>{0.1}, "1", "known from the start"},
                 {"rates", {"rule"}, std::vector<std::int64_t>{descents}, "1", "how many rates"}};
  return result;
}

/// One row, step and crossing of one run at time t.
inline void write_row(RunGroupWriter& run, double t) {
  run.record(t, row_at(t));
  run.step(t, t, t / 2);
  run.crossing({0, t, t, -t, 1, -1, {3 * t}});
}

/// That row of every run, and of the comparison.
inline void write_row(ComparisonWriter& writer, std::int64_t row) {
  write_row(writer.flow(), time_of(row));
  for (std::int64_t i = 0; i < descents; ++i) write_row(writer.descent(i), descent_time_of(i, row));
  writer.compare(time_of(row), comparison_at(time_of(row)));
}

}  // namespace gradflow::trajectory::example
