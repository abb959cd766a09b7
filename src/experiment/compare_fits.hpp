#pragma once
#include <gradflow/experiment/compare.hpp>

#include <span>

#include "experiment/compare_table.hpp"

namespace gradflow {

/// A straight line through points by least squares.
struct Line {
  double slope;       ///< NaN with fewer than two points
  double error;       ///< its standard error; NaN with fewer than three
  double confidence;  ///< half the width of its 95 % interval, by Student's t; NaN with fewer than three
};
Line fit_line(std::span<const double> x, std::span<const double> y);

/// The group `fits` of a comparison's file.
struct Fits {
  std::vector<OrderFit> orders;          ///< [method, reference]
  std::vector<double> largest_distance;  ///< [descent, reference] the points of the lines; NaN for those left out
  /// [descent, reference] of the line between each of these points and that of the method's next smaller rate.
  std::vector<double> order_at_rate;
};

/// The orders at the row's time, into the row; of the rules that follow the flow.
void fit_row(ComparisonRow& row, const std::vector<Update>& updates, const ComparisonLabels& labels);

Fits fit_orders(const std::vector<DescentResult>& descents, const std::vector<ComparisonRow>& rows,
                const ComparisonLabels& labels);

}  // namespace gradflow
