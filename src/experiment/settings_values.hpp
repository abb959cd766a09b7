#pragma once
#include <toml++/toml.h>

#include <string>
#include <vector>

#include "experiment/settings_keys.hpp"

namespace gradflow::settings {

/// What was found wrong with a value: nothing, or "must be ..., but is ..." and what to do about it.
struct Fault {
  std::string what, advice;
  explicit operator bool() const { return !what.empty(); }
};

/// Takes a TOML value into the target if it has the target's type and keeps the rule; else the target stays as it was.
Fault take(const toml::node& node, Value target, const Rule& rule);

/// "a number > 0": what a value of the target's type must be.
std::string expectation(Value target, const Rule& rule);

/// `"a", "b" or "c"`: names to choose from.
std::string quoted_list(const std::vector<std::string>& names);

/// `the string "fast"`, `an array`, ...: a value with its type, for a message about a wrong type.
std::string typed(const toml::node& node);

/// The rational number with the smallest denominator within 1e-9 of x, by continued fractions; 0/1 if its denominator
/// would exceed 10,000. Below that bound two fractions lie at least 1e-8 apart, so the answer is the only one.
Fraction nearest_fraction(double x);

}  // namespace gradflow::settings
