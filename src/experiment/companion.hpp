#pragma once
#include <gradflow/experiment/simulate.hpp>

#include <solvers/events.hpp>

#include <optional>
#include <vector>

namespace gradflow {

/// For each crossing of a solve, the same crossing in its companion (a solve of the same problem at other tolerances):
/// crossings of one event and direction, matched in order of time. Where one solve has more of them than the other, as
/// many as possible are matched, those that lie closest in the clock's time.
std::vector<std::optional<solvers::Crossing<double>>> match(const std::vector<solvers::Crossing<double>>& solve,
                                                            const std::vector<solvers::Crossing<double>>& companion);

/// Sets t_error and certain of `crossings` (of which `located` is what the solver said) from a companion solve at ten
/// times the tolerances. The error is three times the distance to the same crossing there: errors fall with the
/// tolerance, so the distance alone is about nine errors long, but now and then both solves err alike; with the factor
/// fewer than one in twenty crossings of random runs lay outside. It is never less than what the method estimates of
/// the step to the crossing, which two solves share while both are in their first step, nor than the clock's
/// resolution. A crossing is certain if the companion finds it, and nearer than half way to the next crossing of its
/// event: of a function that trembles about zero, both solves find crossings that have nothing to do with each other.
void set_error_bars(std::vector<EventCrossing>& crossings, const std::vector<solvers::Crossing<double>>& located,
                    const std::vector<solvers::Crossing<double>>& companion, const solvers::Clock<double>& clock);

}  // namespace gradflow
