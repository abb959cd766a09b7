#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <gradflow/descent/descent.hpp>
#include <stdexcept>

namespace gradflow {
namespace {

struct OutcomeText {
  std::string_view name, sentence;
};

constexpr std::array<OutcomeText, 4> outcomes{{
    {"reached_end", "the descent reached its last step"},
    {"stopped_by_event", "a requested event stopped the descent"},
    {"diverged", "the descent diverged: its next state is not finite"},
    {"interrupted", "the descent was interrupted"},
}};

const OutcomeText& text(DescentOutcome outcome) { return outcomes.at(static_cast<std::size_t>(outcome)); }

int sign_of(double value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

void check(const Descent& descent, const solvers::System<double>& watched, const DescentSchedule& schedule) {
  const auto require = [](bool holds, std::string_view rule, Index given) {
    if (!holds) throw std::invalid_argument(fmt::format("descend: {}, but it is {}", rule, given));
  };
  const Index from = descent.steps(), dimension = std::ssize(descent.state());
  require(watched.dimension() == dimension,
          fmt::format("the dimension of the watched system must be that of the descent, {}", dimension),
          watched.dimension());
  require(schedule.end >= from, fmt::format("the end must not come before the present step {}", from), schedule.end);
  Index previous = from;
  for (const Index output : schedule.outputs) {
    require(output >= previous && output <= schedule.end,
            fmt::format("outputs must ascend from the present step {} to the end {}; the next one lies in [{}, {}]",
                        from, schedule.end, previous, schedule.end),
            output);
    previous = output;
  }
}

/// One call of `descend`: stepping, events and output each by itself.
class Run {
 public:
  Run(Descent& descent, const solvers::System<double>& watched, const DescentSchedule& schedule,
      DescentObserver& observer)
      : descent_(descent),
        watched_(watched),
        schedule_(schedule),
        observer_(observer),
        events_(watched.events()),
        values_(events_.size()) {}

  DescentReport run() {
    const auto begin = std::chrono::steady_clock::now();
    const Index gradients = descent_.gradients();
    watch();
    for (const double value : values_) report_.sign_at_end.push_back(sign_of(value));
    report_.sign_at_start = report_.sign_at_end;
    report_outputs();
    report_.outcome = take_steps();
    report_.steps = descent_.steps();
    report_.t = descent_.time();
    report_.gradients = descent_.gradients() - gradients;
    observer_.finish(report_.steps, report_.t, descent_.state());
    report_.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report_;
  }

 private:
  DescentOutcome take_steps() {
    while (descent_.steps() < schedule_.end) {
      if (!descent_.step()) return DescentOutcome::diverged;
      report_crossings();
      report_outputs();
      observer_.step(descent_.steps(), descent_.time(), descent_.state());
      if (report_.stopped_by) return DescentOutcome::stopped_by_event;
      if (descent_.steps() < schedule_.end && observer_.interrupt()) return DescentOutcome::interrupted;
    }
    return DescentOutcome::reached_end;
  }

  void watch() {
    if (events_.empty()) return;
    watched_.event_values(descent_.time(), descent_.state(), values_);
    ++report_.event_calls;
  }

  void report_crossings() {
    const std::vector<double> before = values_;
    watch();
    std::vector<StepCrossing> crossings;
    for (std::size_t j = 0; j < events_.size(); ++j) {
      int &sign = report_.sign_at_end[j], &at_start = report_.sign_at_start[j];
      const int now = sign_of(values_[j]);
      if (now != 0 && sign == -now) crossings.push_back(crossing(j, before[j]));
      if (at_start == 0) at_start = now;
      // An exact zero keeps the sign before it; after a NaN, what comes has nothing to do with what was.
      if (values_[j] != 0) sign = now;
    }
    std::ranges::stable_sort(crossings, {}, &StepCrossing::t);
    for (const StepCrossing& found : crossings) {
      observer_.crossing(found, descent_.state());
      const bool stops = found.direction > 0 && events_[static_cast<std::size_t>(found.event)].stop;
      if (stops && !report_.stopped_by) report_.stopped_by = found.event;
    }
  }

  /// Between the step before, where the value was `from` (0, if it has stayed at zero), and the present one.
  StepCrossing crossing(std::size_t event, double from) const {
    const Index after = descent_.steps(), before = after - 1;
    const double to = values_[event], begin = descent_.update().time(before), length = descent_.time() - begin;
    const double share = from / (from - to);
    return {.event = static_cast<Index>(event),
            .before = before,
            .after = after,
            .t = begin + length * (std::isfinite(share) ? share : 0.5),  // of two infinite values
            .slope = (to - from) / length,
            .direction = sign_of(to)};
  }

  void report_outputs() {
    const std::vector<Index>& outputs = schedule_.outputs;
    for (; next_output_ < outputs.size() && outputs[next_output_] == descent_.steps(); ++next_output_)
      observer_.output(next_output_, descent_.steps(), descent_.time(), descent_.state());
  }

  Descent& descent_;
  const solvers::System<double>& watched_;
  const DescentSchedule& schedule_;
  DescentObserver& observer_;
  std::vector<solvers::Event> events_;
  std::vector<double> values_;  // of the events, at the present step
  std::size_t next_output_ = 0;
  DescentReport report_;
};

}  // namespace

std::string_view sentence(DescentOutcome outcome) { return text(outcome).sentence; }
std::string_view name(DescentOutcome outcome) { return text(outcome).name; }

std::string DescentReport::message() const {
  return fmt::format("{} (step {}, t = {:g})", sentence(outcome), steps, t);
}

DescentReport descend(Descent& descent, const solvers::System<double>& watched, const DescentSchedule& schedule,
                      DescentObserver& observer) {
  check(descent, watched, schedule);
  return Run(descent, watched, schedule, observer).run();
}

}  // namespace gradflow
