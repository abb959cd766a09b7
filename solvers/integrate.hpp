#pragma once
#include <solvers/events.hpp>
#include <solvers/stepper.hpp>

#include <optional>
#include <string>

namespace solvers {

/// Why an integration ended.
enum class Outcome {
  reached_end,
  stopped_by_event,
  step_limit,
  rejection_limit,
  step_underflow,
  not_finite,
  wall_clock,
  interrupted
};

/// One sentence on what the outcome means.
std::string_view sentence(Outcome outcome);
/// The enumerator's own name, for files.
std::string_view name(Outcome outcome);

/// Budgets, which change no step that is taken, and bounds on the steps. All positive.
template <class Real>
struct Limits {
  Index steps = 1'000'000;    ///< accepted
  Index rejections = 10'000;  ///< in all
  std::optional<double> wall_seconds = {};
  std::optional<Real> initial_step = {}, max_step = {};  ///< in the clock's time
};

struct Counts {
  Index accepted = 0, rejected_error = 0, rejected_not_finite = 0;
  /// Evaluations of the right-hand side, by purpose.
  Index for_steps = 0, for_start = 0, for_outputs = 0, for_events = 0;
  Index event_calls = 0;  ///< of System::event_values
  Index evaluations() const { return for_steps + for_start + for_outputs + for_events; }
};

/// All that an integration carries from one accepted step to the next, beside the stepper's own state. Continued from
/// both (save, restore), it takes the same steps and finds the same crossings as without the interruption, to the last
/// bit.
template <class Real>
struct Continuation {
  Real next_step = 0, previous_ratio = 1;
  EventMemory<Real> events;
};

/// How an integration went.
template <class Real>
struct Report {
  Outcome outcome = Outcome::reached_end;
  Real t = 0, tau = 0;  ///< the last accepted (finite) state's
  Counts counts;
  Real smallest_step = 0, largest_step = 0;  ///< accepted ones, in the clock's time
  double wall_seconds = 0;
  std::optional<Index> stopped_by;              ///< the event that asked for it
  std::vector<int> sign_at_start, sign_at_end;  ///< of each event: +1 holds, -1 does not, 0 never known
  /// The last trial, where it failed: its length in the clock's time, its error ratio, its ten worst components.
  Real failed_step = 0, failed_ratio = 0;
  std::vector<Component<Real>> worst;
  Continuation<Real> continuation;  ///< from the final state

  bool reached_target() const { return outcome == Outcome::reached_end || outcome == Outcome::stopped_by_event; }
  std::string message() const;  ///< the outcome's sentence with the figures that belong to it
};

template <class Real>
struct Step {
  Real t, clock_step, ratio;     ///< where it ended; its length in the clock's time; its error ratio (<= 1)
  const Stepper<Real>& stepper;  ///< stands at its end
  const Report<Real>& report;    ///< so far; counts and continuation are those of its end. Both live until `finish`
};

/// What looks on. Sees accepted steps only and cannot change them; the default looks away.
template <class Real>
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void output(std::size_t /*index into the schedule*/, const Point<Real>&) {}
  virtual void crossing(const Crossing<Real>&, std::span<const Real> /*x at the crossing*/) {}
  virtual void step(const Step<Real>&, std::span<const Real> /*x at its end*/) {}
  /// Always called once, last, with the last finite state, whatever the outcome.
  virtual void finish(Real /*t*/, std::span<const Real> /*x*/) {}
  virtual bool interrupt() { return false; }  ///< asked after every step
};

/// When to stop and where to look: times of the system (not of the clock), ascending, within [start, end].
template <class Real>
struct Schedule {
  Real end;
  std::vector<Real> outputs;
};

/// Integrates from the stepper's present state to schedule.end.
///
/// The contract. Steps are accepted when their error ratio is <= 1 (so a NaN never is), and the last one ends on the
/// end exactly. A trial that is not finite is repeated with a tenth of its length; if that goes on until the step
/// underflows, the outcome is not_finite. Within an accepted step (t0, t1] the observer hears of outputs and crossings
/// in order of time (at equal times crossings first), then of the step. A stopping event ends the run at its own time:
/// nothing after it is reported, the step is cut there, and there the stepper stands. Outputs come from the method's
/// dense output, or from a real step of the method where it has none. No step is shorter than 16 epsilon tau, so the
/// clock always moves; an end at the start takes no step. Outcomes have this priority: stopped_by_event, reached_end,
/// interrupted, wall_clock, step_limit; the others arise within a step. Numerical fate is an outcome; misuse (an end
/// before the start, outputs out of order or range, limits that are not positive) throws std::invalid_argument.
///
/// `from`: the continuation of an earlier integration, whose saved state the stepper has restored.
template <class Real>
Report<Real> integrate(Stepper<Real>& stepper, const Schedule<Real>& schedule, const Limits<Real>& limits,
                       Observer<Real>& observer, const Continuation<Real>* from = nullptr);

}  // namespace solvers
