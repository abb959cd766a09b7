#pragma once
#include <gradflow/experiment/compare.hpp>

#include <span>

#include "experiment/compare_table.hpp"

namespace gradflow {

/// A straight line through points by least squares.
struct Line {
  double slope;  ///< NaN with fewer than two points
  double error;  ///< its standard error; NaN with fewer than three
};
Line fit_line(std::span<const double> x, std::span<const double> y);

/// The group `fits` of a comparison's file.
struct Fits {
  std::vector<OrderFit> orders;          ///< [method, reference]
  std::vector<double> largest_distance;  ///< [descent, reference] the points of the lines; NaN for those left out
};

/// What a method is held against: the flow, and its modified flows of order 2 and 3.
std::vector<std::string> fit_references();

Fits fit_orders(const std::vector<DescentResult>& descents, const std::vector<ComparisonRow>& rows);

}  // namespace gradflow
