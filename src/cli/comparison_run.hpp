#pragma once
#include <gradflow/experiment/compare.hpp>

#include "cli/progress.hpp"

namespace gradflow::cli {

/// How far each descent will go.
void announce_descents(const Comparison& comparison, Talk& talk);
/// What a comparison's file says, on standard output.
void print_comparison(const std::string& file, bool json);
/// Why a comparison is not simply done, on standard error; the exit code.
int conclude(const ComparisonResult& result, const std::string& file);

}  // namespace gradflow::cli
