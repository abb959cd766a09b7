#pragma once
#include <solvers/events.hpp>

namespace solvers {

/// For each of `crossings` the index into `companion` of the same crossing in that other solve of the same problem:
/// crossings of one event and direction, matched in order of time. Where one solve has more of them than the other, as
/// many as possible are matched, those that lie closest in the clock's time.
template <class Real>
std::vector<std::optional<std::size_t>> match(const std::vector<Crossing<Real>>& crossings,
                                              const std::vector<Crossing<Real>>& companion);

/// How far a crossing's t may be off, from a companion solve at ten times the tolerances.
template <class Real>
struct ErrorBar {
  Real error;    ///< in units of t; NaN where the companion does not find the crossing
  bool certain;  ///< the companion finds it, and nearer than half way to the next crossing of its event
};

/// One bar for each of `crossings`, which are in order of time, from the `companion` solve of the same problem. The
/// error is three times the distance to the same crossing there: errors fall with the tolerance, so the distance alone
/// is about nine errors long, but now and then both solves err alike; with the factor fewer than one in twenty
/// crossings of random runs lay outside. It is never less than Crossing::local_error, which two solves share while both
/// are in their first step, nor than the clock's resolution, 8 epsilon (t + t0). Of a function that trembles about
/// zero, both solves find crossings that have nothing to do with each other: hence `certain`.
template <class Real>
std::vector<ErrorBar<Real>> error_bars(const std::vector<Crossing<Real>>& crossings,
                                       const std::vector<Crossing<Real>>& companion, const Clock<Real>& clock);

}  // namespace solvers
