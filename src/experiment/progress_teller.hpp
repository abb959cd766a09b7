#pragma once
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/observables/moment.hpp>

#include <chrono>

namespace gradflow {

/// Tells a listener where a solve, or a descent, stands; the clock of its wall seconds starts with it. All references
/// must outlive it.
class ProgressTeller {
 public:
  /// `until`: the flow time at which it ends. `name`: which of several solves.
  ProgressTeller(Listener& listener, const Flow<double>& flow, const solvers::Clock<double>& clock, double until,
                 const char* name)
      : listener_(listener), moment_(flow), clock_(clock), until_(until), name_(name) {}

  void tell(double t, std::span<const double> x, Index steps, Index evaluations) {
    if (!listener_.wants_progress()) return;
    moment_.set(t, x);
    listener_.progress(
        {.t = t,
         .until = until_,
         .clock_fraction = clock_.tau(t) / clock_.tau(until_),
         .loss = moment_.forward().loss,
         .steps = steps,
         .evaluations = evaluations,
         .wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(),
         .solve = name_});
  }

 private:
  Listener& listener_;
  Moment moment_;
  const solvers::Clock<double>& clock_;
  double until_;
  const char* name_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace gradflow
