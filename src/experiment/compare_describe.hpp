#pragma once
#include <gradflow/descent/update_rules.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "experiment/problem.hpp"

namespace gradflow {

/// Everything about a comparison that its file says before the first step. One update and one label a descent.
trajectory::ComparisonDescription describe_comparison(const Problem& problem, const std::vector<Update>& updates,
                                                      const std::vector<std::string>& labels,
                                                      const std::string& command_line);

}  // namespace gradflow
