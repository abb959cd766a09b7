#pragma once
#include <gradflow/trajectory/comparison.hpp>
#include <nlohmann/json.hpp>

#include <string>

namespace gradflow::cli {

/// Three digits, or "-" for what is not known.
std::string figure(double value);

/// What a comparison says of the descents' rates: the order of the distance in them, eta times sharpness, and how small
/// they must be.
std::string rates_text(const trajectory::ComparisonReader& comparison);
/// The same: fits, curvature, learning_rates (null where there is none).
nlohmann::ordered_json rates_json(const trajectory::ComparisonReader& comparison);

}  // namespace gradflow::cli
