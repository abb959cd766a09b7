#pragma once
#include <solvers/stepper.hpp>

#include <optional>

namespace solvers {

/// One zero of an event's function, located to the accuracy of the method.
template <class Real>
struct Crossing {
  Index event;    ///< into System::events()
  Real t, tau;    ///< of the system and of the clock
  int direction;  ///< +1: the condition becomes true; -1: it is lost
  Real slope;     ///< d(event function)/dt at t
  /// What the method's own estimate of the error of the step to the crossing makes of t. Of all errors this is the one
  /// that two solves can share: where both are still in their first step.
  Real local_error;
};

/// How an event went: read off its sign at the start, its crossings and its sign at the end.
enum class Verdict {
  not_applicable,
  never,
  from_start,       ///< held at the start and for good
  once,             ///< crossed once and for good
  crossings_holds,  ///< several crossings (or lost and regained), holds at the end
  crossings_lost    ///< crossed, does not hold at the end
};

Verdict verdict(bool true_at_start, bool true_at_end, std::size_t crossings);

/// What a locator remembers between steps; one entry per event in each. A sign is +1 where the condition holds, -1
/// where it does not, 0 where it is not known (zero or NaN so far).
template <class Real>
struct EventMemory {
  std::vector<int> sign_at_start;  ///< the first known
  std::vector<int> sign;           ///< the latest known
  std::vector<Real> zero_since;    ///< tau since which the function has been exactly zero; NaN where it is not
};

/// Finds every crossing, step by step.
///
/// The interpolant chooses where to look, the method says what is there. Inside a step the functions are sampled on the
/// interpolant at quarters. Where the tangents at the ends of an interval, drawn twice as steep, meet beyond zero, two
/// roots may hide: a sample goes there, a real step of the method from the step's start. A sign change is bracketed
/// (TOMS 748 on the interpolant) and polished by real steps (a bracketed secant method); where they find no root
/// between its samples, those become real steps as well, and the signs are read again.
///
/// An exact zero has no sign of its own: it takes the sign that follows, at the start of the integration without a
/// crossing, later with one exactly if the sign before was the opposite (so a touch is no crossing, a root on a step's
/// end is found once, and one on the very end of the integration not yet). A NaN means the function is not defined: no
/// crossing is reported across it.
///
/// Not found: three and more roots in one quarter of a step, pairs closer than 1/4096 of the step, and pairs in a
/// quarter where the slopes at its ends do not show them (a function of time alone, say, faster than the solution that
/// sets the steps). A largest step is the remedy.
template <class Real>
class EventLocator {
 public:
  explicit EventLocator(const System<Real>& system);

  /// Takes signs at the stepper's present state. Call once, before the first step.
  void start(const Stepper<Real>& stepper);
  /// Instead of start: goes on at the stepper's present state with what another locator knew there.
  /// Throws std::invalid_argument when that was of another number of events.
  void resume(const Stepper<Real>& stepper, EventMemory<Real> memory);

  /// The crossings in the step just accepted, sorted by time; equal times in the order of the events.
  std::vector<Crossing<Real>> locate(const Stepper<Real>& stepper);
  /// The stepper has been taken back into the step just located, to the last of these of its crossings.
  void cut(const Stepper<Real>& stepper, std::span<const Crossing<Real>> kept);

  const std::vector<Event>& events() const { return events_; }
  const EventMemory<Real>& memory() const { return memory_; }
  Index calls() const { return calls_; }  ///< of System::event_values

 private:
  struct Sample {
    Real tau;
    std::vector<Real> values;
    bool exact;  ///< on a real step of the method, not on the interpolant
  };
  using Samples = std::vector<Sample>;
  struct Root {
    enum { found, undefined, doubtful } kind;
    Real tau = 0;
  };

  std::vector<Real> values_at(const Point<Real>& at);
  std::vector<Real> values_here(const Stepper<Real>& stepper);
  Sample on_interpolant(const Stepper<Real>& stepper, Real tau);
  Sample on_method(const Stepper<Real>& stepper, Real tau);
  const std::vector<Real>& slopes_at(const Stepper<Real>& stepper, const Sample& end, Real inwards);
  Samples samples(const Stepper<Real>& stepper, std::vector<Real> values_at_start);
  void refine(const Stepper<Real>& stepper, Samples& samples);
  std::size_t scan(const Stepper<Real>& stepper, const Samples& samples, std::vector<Crossing<Real>>& crossings);
  std::optional<Real> hidden_roots(const Stepper<Real>& stepper, const Samples& samples, std::size_t i);
  Root root(const Stepper<Real>& stepper, std::size_t event, const Sample& a, const Sample& b);
  Root polish(const Stepper<Real>& stepper, std::size_t event, Real tau, Real slope, const Sample& a, const Sample& b);
  Crossing<Real> crossing(const Stepper<Real>& stepper, std::size_t event, Real tau, int direction);

  const System<Real>& system_;
  std::vector<Event> events_;
  EventMemory<Real> memory_, before_;                  // now, and before the step just located
  std::vector<Real> values_;                           // at the stepper's state
  std::vector<Real> slopes_at_start_, slopes_at_end_;  // of the latest step, where they have been asked for
  std::vector<Real> x_, beside_, error_;               // scratch
  Real h_ = 0;                                         // the latest step
  Index calls_ = 0;
};

}  // namespace solvers
