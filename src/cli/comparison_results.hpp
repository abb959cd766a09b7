#pragma once
#include <gradflow/trajectory/comparison.hpp>
#include <nlohmann/json.hpp>
#include <string>

/// What a comparison's file says, in words and in JSON: `compare` ends with what `show` would show.
namespace gradflow::cli {

/// Tables of the descents beside the flow, of all events side by side, and of the orders. Throws FileError.
std::string comparison_text(const trajectory::ComparisonReader& comparison);
nlohmann::ordered_json comparison_json(const trajectory::ComparisonReader& comparison);

}  // namespace gradflow::cli
