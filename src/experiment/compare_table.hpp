#pragma once
#include <gradflow/descent/update_rules.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>
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
  distance_order3,
  equal_loss_t,
  equal_loss_distance,
  equal_loss_distance_logits,
  equal_loss_distance_G,
  equal_loss_difference_attention,
  order,
  order_error
};

/// What runs along the dimensions of `comparison` and of the groups beside it.
struct ComparisonLabels {
  /// "gd 0.1", and "gd" once for all its rates.
  explicit ComparisonLabels(const std::vector<Update>& updates);
  std::vector<std::string> descents, methods;
  std::vector<std::size_t> method_of;  ///< of each descent
};

/// What a method is held against: the flow, and its modified flows of order 2 and 3.
std::vector<std::string> fit_references();
/// The distance from each.
inline constexpr std::array distance_from{Compared::distance, Compared::distance_order2, Compared::distance_order3};

/// Names and dimensions of the columns.
trajectory::Series comparison_series(const ComparisonLabels& labels);

/// One row: every value of every descent, and of every method, unknown until it is given.
class ComparisonRow {
 public:
  explicit ComparisonRow(const ComparisonLabels& labels);
  /// `first` is the descent, of `order` and `order_error` the method; `second` the matrix of distance_matrix, 0 to 3,
  /// and the reference of `order` and `order_error`.
  double& at(Compared quantity, std::size_t first, std::size_t second = 0) {
    return values_[place(quantity, first, second)];
  }
  double at(Compared quantity, std::size_t first, std::size_t second = 0) const {
    return values_[place(quantity, first, second)];
  }
  const std::vector<double>& values() const { return values_; }
  std::vector<double>& values() { return values_; }
  /// Of one column.
  std::span<const double> column(Compared quantity) const;

 private:
  std::size_t place(Compared quantity, std::size_t first, std::size_t second) const;
  std::vector<std::size_t> begins_;  // of each column
  std::vector<double> values_;
};

}  // namespace gradflow
