#include "experiment/compare_table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gradflow {
namespace {

/// Values of one descent, or of one method, in a column.
std::size_t values_each(Compared quantity) {
  switch (quantity) {
    case Compared::distance_matrix:
      return 4;
    case Compared::order:
    case Compared::order_error:
      return distance_from.size();
    default:
      return 1;
  }
}

bool is_of_methods(Compared quantity) { return quantity == Compared::order || quantity == Compared::order_error; }

}  // namespace

ComparisonLabels::ComparisonLabels(const std::vector<Update>& updates) {
  for (const Update& update : updates) {
    descents.push_back(fmt::format("{} {}", update.rule().name, update.rate()));
    const auto known = std::ranges::find(methods, update.rule().name);
    method_of.push_back(static_cast<std::size_t>(known - methods.begin()));
    if (known == methods.end()) methods.emplace_back(update.rule().name);
  }
}

std::vector<std::string> fit_references() { return {"flow", "order 2", "order 3"}; }

trajectory::Series comparison_series(const ComparisonLabels& labels) {
  const std::string where =
      "over W, W_V, W_K, W_Q with all words' columns, theta_d of the descent, theta_f of the flow";
  const std::string modified =
      "the same from the modified flow of that order (backward error analysis); of heavy-ball "
      "beta/(1-beta) steps earlier, once its start is forgotten (beta^k < 1e-8)";
  const std::string equal =
      "of rules without a flow time, at the first step whose loss is no larger than the flow's at t";
  const std::string order = "least squares of log(distance) at t against log(rate), over the rates of a method";
  return {{{"descent", labels.descents},
           {"matrix", std::vector<std::string>{"W", "W_V", "W_K", "W_Q"}},
           {"method", labels.methods},
           {"reference", fit_references()}},
          {{"descent_t",
            {"descent"},
            "1/loss",
            "where the descent stands that is compared: its own last step",
            "its flow time, or steps x rate where the rule has none"},
           {"distance", {"descent"}, "1", "|theta_d - theta_f| / |theta_f|", where},
           {"distance_matrix", {"descent", "matrix"}, "1", "|theta_d - theta_f| / |theta_f| of each matrix", ""},
           {"distance_logits", {"descent"}, "1", "root mean square of F_d - F_f over that of F_f", "over the samples"},
           {"difference_loss", {"descent"}, "1", "loss of the descent less that of the flow", ""},
           {"distance_G", {"descent"}, "1", "|G_d - G_f| / |G_f|", "over all words of the vocabulary"},
           {"difference_attention", {"descent"}, "1", "largest |P_d - P_f|", "over i, q, k"},
           {"distance_order2", {"descent"}, "1", "distance from the modified flow of order 2", modified},
           {"distance_order3", {"descent"}, "1", "distance from the modified flow of order 3", modified},
           {"equal_loss_t", {"descent"}, "1/loss", "steps x rate at which the descent has the flow's loss", equal},
           {"equal_loss_distance", {"descent"}, "1", "|theta_d - theta_f| / |theta_f| at equal loss", equal},
           {"equal_loss_distance_logits", {"descent"}, "1", "distance of the logits at equal loss", equal},
           {"equal_loss_distance_G", {"descent"}, "1", "distance of G at equal loss", equal},
           {"equal_loss_difference_attention", {"descent"}, "1", "largest |P_d - P_f| at equal loss", equal},
           {"order", {"method", "reference"}, "1", "order of the distance in the rate, at t", order},
           {"order_error", {"method", "reference"}, "1", "standard error of the order", order}}};
}

ComparisonRow::ComparisonRow(const ComparisonLabels& labels) {
  std::size_t size = 0;
  for (int column = 0; column <= static_cast<int>(Compared::order_error); ++column) {
    const auto quantity = static_cast<Compared>(column);
    begins_.push_back(size);
    size += values_each(quantity) * (is_of_methods(quantity) ? labels.methods : labels.descents).size();
  }
  values_.assign(size, trajectory::unknown);
}

std::span<const double> ComparisonRow::column(Compared quantity) const {
  const auto i = static_cast<std::size_t>(quantity);
  const std::size_t end = i + 1 < begins_.size() ? begins_[i + 1] : values_.size();
  return std::span(values_).subspan(begins_[i], end - begins_[i]);
}

std::size_t ComparisonRow::place(Compared quantity, std::size_t first, std::size_t second) const {
  return begins_[static_cast<std::size_t>(quantity)] + first * values_each(quantity) + second;
}

}  // namespace gradflow
