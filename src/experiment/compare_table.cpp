#include "experiment/compare_table.hpp"

namespace gradflow {
namespace {

constexpr std::size_t matrices = 4, columns = 9;

}  // namespace

trajectory::Series comparison_series(const std::vector<std::string>& labels) {
  const std::string where =
      "over W, W_V, W_K, W_Q with all words' columns, theta_d of the descent, theta_f of the flow";
  const std::string modified =
      "the same from the modified flow of that order (backward error analysis); of heavy-ball "
      "beta/(1-beta) steps earlier, once its start is forgotten (beta^k < 1e-8)";
  return {{{"descent", labels}, {"matrix", std::vector<std::string>{"W", "W_V", "W_K", "W_Q"}}},
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
           {"distance_order3", {"descent"}, "1", "distance from the modified flow of order 3", modified}}};
}

ComparisonRow::ComparisonRow(std::size_t descents)
    : descents_(descents), values_(descents * (columns - 1 + matrices), trajectory::unknown) {}

double& ComparisonRow::at(Compared quantity, std::size_t descent, std::size_t matrix) {
  return values_[place(quantity, descent, matrix)];
}

double ComparisonRow::at(Compared quantity, std::size_t descent) const { return values_[place(quantity, descent, 0)]; }

std::size_t ComparisonRow::place(Compared quantity, std::size_t descent, std::size_t matrix) const {
  const auto column = static_cast<std::size_t>(quantity);
  if (quantity == Compared::distance_matrix) return column * descents_ + descent * matrices + matrix;
  const std::size_t before = quantity > Compared::distance_matrix ? column - 1 + matrices : column;
  return before * descents_ + descent;
}

}  // namespace gradflow
