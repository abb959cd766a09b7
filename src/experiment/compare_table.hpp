#pragma once
#include <gradflow/trajectory/schema.hpp>

#include <cstddef>
#include <vector>

namespace gradflow {

/// The columns of the group `comparison`, in their order.
enum class Compared {
  descent_t,
  distance,
  distance_matrix,
  distance_logits,
  difference_loss,
  distance_G,
  difference_attention,
  distance_order2,
  distance_order3
};

/// Their names and dimensions, for descents of these labels.
trajectory::Series comparison_series(const std::vector<std::string>& labels);

/// One row: every value of every descent, unknown until it is given.
class ComparisonRow {
 public:
  explicit ComparisonRow(std::size_t descents);
  /// `matrix`: 0 to 3, of distance_matrix.
  double& at(Compared quantity, std::size_t descent, std::size_t matrix = 0);
  double at(Compared quantity, std::size_t descent) const;
  const std::vector<double>& values() const { return values_; }

 private:
  std::size_t place(Compared quantity, std::size_t descent, std::size_t matrix) const;
  std::size_t descents_;
  std::vector<double> values_;
};

}  // namespace gradflow
