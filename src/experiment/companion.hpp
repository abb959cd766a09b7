#pragma once
#include <solvers/events.hpp>

#include <optional>
#include <vector>

namespace gradflow {

/// For each crossing of a solve, the same crossing in its companion (a solve of the same problem at other tolerances):
/// crossings of one event and direction, matched in order of time. Where one solve has more of them than the other, as
/// many as possible are matched, those that lie closest in the clock's time.
std::vector<std::optional<solvers::Crossing<double>>> match(const std::vector<solvers::Crossing<double>>& solve,
                                                            const std::vector<solvers::Crossing<double>>& companion);

}  // namespace gradflow
