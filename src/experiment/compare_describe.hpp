#pragma once
#include <gradflow/descent/update_rules.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "experiment/compare_table.hpp"
#include "experiment/problem.hpp"

namespace gradflow {

/// Everything about a comparison that its file says before the first step. One update a descent; as many samples of the
/// curvature as will be given.
trajectory::ComparisonDescription describe_comparison(const Problem& problem, const std::vector<Update>& updates,
                                                      const ComparisonLabels& labels, std::size_t curvature_samples,
                                                      const std::string& command_line);

}  // namespace gradflow
