#include <solvers/integrate.hpp>
#include <solvers/step_control.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "quad.ipp"

namespace solvers {
namespace {

using Timer = std::chrono::steady_clock;

double seconds_since(Timer::time_point begin) { return std::chrono::duration<double>(Timer::now() - begin).count(); }

template <class Real>
void check(const Stepper<Real>& stepper, const Schedule<Real>& schedule, const Limits<Real>& limits) {
  const auto require = [](bool holds, const char* rule) {
    if (!holds) throw std::invalid_argument(std::string("integrate: ") + rule);
  };
  using std::isfinite;
  const Clock<Real>& clock = stepper.clock();
  require(isfinite(schedule.end), "the end must be finite");
  // Compared on the clock: there the start is known exactly, in the system's time only to rounding.
  require(clock.tau(schedule.end) >= stepper.tau(), "the end must not come before the start");
  require(std::is_sorted(schedule.outputs.begin(), schedule.outputs.end()), "outputs must ascend");
  require(std::all_of(schedule.outputs.begin(), schedule.outputs.end(),
                      [&](const Real& t) { return clock.tau(t) >= stepper.tau() && t <= schedule.end; }),
          "outputs must lie between start and end");
  require(limits.steps > 0, "the limit of steps must be positive");
  require(limits.rejections > 0, "the limit of rejections must be positive");
  require(!limits.wall_seconds || *limits.wall_seconds > 0, "the limit of wall seconds must be positive");
  require(!limits.initial_step || *limits.initial_step > 0, "the initial step must be positive");
  require(!limits.max_step || *limits.max_step > 0, "the largest step must be positive");
}

/// One integration in progress: trying a step, locating events, emitting output and accounting, each by itself.
template <class Real>
class Integration {
 public:
  Integration(Stepper<Real>& stepper, const Schedule<Real>& schedule, const Limits<Real>& limits,
              Observer<Real>& observer, const Continuation<Real>* from)
      : stepper_(stepper),
        schedule_(schedule),
        limits_(limits),
        observer_(observer),
        control_(stepper.method().error_order, from ? from->previous_ratio : Real(1)),
        locator_(stepper.system()),
        end_(stepper.clock().tau(schedule.end)),
        start_(stepper.tau()),
        x_(stepper.state().begin(), stepper.state().end()) {
    if (from) {
      next_step_ = from->next_step;
      locator_.resume(stepper_, from->events);
    } else {
      counted(counts().for_start, [&] { next_step_ = first_step(); });
      locator_.start(stepper_);
    }
    remember();
  }

  Report<Real> run() {
    report_outputs(stepper_.tau(), true);
    std::optional<Outcome> outcome;
    if (stepper_.tau() >= end_) outcome = Outcome::reached_end;
    while (!outcome) outcome = take_step();
    report_.outcome = *outcome;
    finish();
    return report_;
  }

 private:
  Counts& counts() { return report_.counts; }
  void remember() {
    report_.continuation = {next_step_, control_.previous_ratio(), locator_.memory()};
    counts().event_calls = locator_.calls();
  }

  template <class Work>
  void counted(Index& purpose, Work work) {
    const Index before = stepper_.evaluations();
    work();
    purpose += stepper_.evaluations() - before;
  }

  /// Below this the clock hardly moves, or the first step of all has become absurd.
  Real shortest_step() const {
    using std::abs;
    const Real epsilon = std::numeric_limits<Real>::epsilon();
    return std::max(Real(16 * epsilon * abs(stepper_.tau())), Real(epsilon * epsilon * (end_ - start_)));
  }

  Real first_step() const {
    const Real longest = std::min(limits_.max_step.value_or(end_ - start_), Real(end_ - start_));
    if (!(longest > 0)) return 0;
    return limits_.initial_step ? std::min(*limits_.initial_step, longest) : stepper_.initial_step(longest);
  }

  /// The system's time; the end's is known exactly.
  Real time(Real tau) const { return tau == end_ ? schedule_.end : stepper_.clock().time(tau); }

  /// Tries until a step is good, then reports all that lies in it. An outcome ends the integration.
  std::optional<Outcome> take_step() {
    const Real from = stepper_.tau(), shortest = shortest_step();
    next_step_ = std::max(next_step_, shortest);
    Real ratio = 0;
    for (;;) {
      // Nothing shorter than the shortest step is left for the last one.
      const Real to = next_step_ >= end_ - from - shortest ? end_ : Real(from + next_step_);
      counted(counts().for_steps, [&] { ratio = stepper_.attempt(to); });
      if (ratio <= 1) break;
      if (auto outcome = reject(to - from, ratio)) return outcome;
    }
    stepper_.accept();
    next_step_ = control_.accepted(stepper_.tau() - from, ratio);
    if (limits_.max_step) next_step_ = std::min(next_step_, *limits_.max_step);
    const bool stopped = report_events();
    report_step(from, ratio);
    if (stopped) return Outcome::stopped_by_event;
    if (stepper_.tau() >= end_) return Outcome::reached_end;
    if (observer_.interrupt()) return Outcome::interrupted;
    if (out_of_time()) return Outcome::wall_clock;
    if (counts().accepted >= limits_.steps) return Outcome::step_limit;
    return {};
  }

  void report_step(Real from, Real ratio) {
    remember();
    const Real h = stepper_.tau() - from;
    if (h == 0) return;  // stopped by a root on the end of the step before: nothing is left of this one
    report_.smallest_step = counts().accepted == 0 ? h : std::min(report_.smallest_step, h);
    report_.largest_step = std::max(report_.largest_step, h);
    ++counts().accepted;
    observer_.step({time(stepper_.tau()), h, ratio, stepper_, report_}, stepper_.state());
  }

  std::optional<Outcome> reject(Real h, Real ratio) {
    const bool finite = ratio > 1;
    ++(finite ? counts().rejected_error : counts().rejected_not_finite);
    next_step_ = control_.rejected(h, ratio);
    std::optional<Outcome> outcome;
    if (next_step_ < shortest_step())
      outcome = finite ? Outcome::step_underflow : Outcome::not_finite;
    else if (counts().rejected_error + counts().rejected_not_finite >= limits_.rejections)
      outcome = Outcome::rejection_limit;
    else if (out_of_time())
      outcome = Outcome::wall_clock;
    if (outcome) {
      report_.failed_step = h;
      report_.failed_ratio = ratio;
      report_.worst = stepper_.norm().worst(stepper_.trial_error(), stepper_.state(), stepper_.trial_state(), 10);
    }
    return outcome;
  }

  /// Outputs and crossings of the step just accepted, merged in order of time. True: a crossing stops the run, and the
  /// stepper has been taken back to it.
  bool report_events() {
    std::vector<Crossing<Real>> crossings;
    counted(counts().for_events, [&] { crossings = locator_.locate(stepper_); });
    std::size_t kept = 0;
    while (kept < crossings.size() && !(report_.stopped_by && crossings[kept].tau > crossings[kept - 1].tau)) {
      const Crossing<Real>& crossing = crossings[kept++];
      report_outputs(crossing.tau, false);
      counted(counts().for_events, [&] { stepper_.restep(crossing.tau, x_); });
      observer_.crossing(crossing, x_);
      const bool stops = crossing.direction > 0 && locator_.events()[static_cast<std::size_t>(crossing.event)].stop;
      if (stops && !report_.stopped_by) report_.stopped_by = crossing.event;
    }
    const Real until = report_.stopped_by ? crossings[kept - 1].tau : stepper_.tau();
    report_outputs(until, true);
    if (!report_.stopped_by) return false;
    counted(counts().for_events, [&] {
      stepper_.restep(until, x_);
      stepper_.start(until, x_);
    });
    locator_.cut(stepper_, std::span(crossings).first(kept));
    return true;
  }

  void report_outputs(Real until, bool inclusive) {
    for (; next_output_ < schedule_.outputs.size(); ++next_output_) {
      const Real tau = stepper_.clock().tau(schedule_.outputs[next_output_]);
      if (tau > until || (tau == until && !inclusive)) return;
      counted(counts().for_outputs, [&] {
        const Point<Real> at =
            stepper_.method().dense_output ? stepper_.interpolated(tau, x_) : stepper_.restepped(tau, x_);
        observer_.output(next_output_, at.at_time(schedule_.outputs[next_output_]));
      });
    }
  }

  bool out_of_time() const { return limits_.wall_seconds && seconds_since(begin_) >= *limits_.wall_seconds; }

  void finish() {
    report_.sign_at_start = locator_.memory().sign_at_start;
    report_.sign_at_end = locator_.memory().sign;
    counts().event_calls = locator_.calls();
    report_.tau = stepper_.tau();
    report_.t = time(stepper_.tau());
    observer_.finish(report_.t, stepper_.state());
    report_.wall_seconds = seconds_since(begin_);
  }

  Stepper<Real>& stepper_;
  const Schedule<Real>& schedule_;
  const Limits<Real>& limits_;
  Observer<Real>& observer_;
  StepControl<Real> control_;
  EventLocator<Real> locator_;
  Real end_, start_, next_step_ = 0;
  std::size_t next_output_ = 0;
  std::vector<Real> x_;  // the state at an output or a crossing inside a step
  Report<Real> report_;
  Timer::time_point begin_ = Timer::now();
};

}  // namespace

template <class Real>
Report<Real> integrate(Stepper<Real>& stepper, const Schedule<Real>& schedule, const Limits<Real>& limits,
                       Observer<Real>& observer, const Continuation<Real>* from) {
  check(stepper, schedule, limits);
  return Integration<Real>(stepper, schedule, limits, observer, from).run();
}

template Report<double> integrate(Stepper<double>&, const Schedule<double>&, const Limits<double>&, Observer<double>&,
                                  const Continuation<double>*);
template Report<Quad> integrate(Stepper<Quad>&, const Schedule<Quad>&, const Limits<Quad>&, Observer<Quad>&,
                                const Continuation<Quad>*);

}  // namespace solvers
