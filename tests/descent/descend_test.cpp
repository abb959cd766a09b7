// The driver of a descent: what it reports, when it ends, and how it finds events.
#include <gradflow/descent/descent.hpp>
#include <gradflow/observables/events.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "support/flow_cases.hpp"
#include "support/problems.hpp"
#include "tasks/message_of.hpp"

namespace gradflow {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;
using tests::OwnedFlow;

constexpr double infinity = std::numeric_limits<double>::infinity();
const double nan = std::nan("");

OwnedFlow<double> small_flow() {
  const TaskData data = tests::tasks()[0].data;
  return {data, draw_start(StartLaw::gaussian, 4, 5, data.words, {0.3, 0.2, 0.25, 0.35}, 7), {}, false};
}

/// Watches a flow's state with events whose values are written down, step by step.
class Script final : public solvers::System<double> {
 public:
  /// `values` [event][step], the steps `length` apart in time.
  Script(const Flow<double>& flow, double length, std::vector<std::vector<double>> values)
      : flow_(flow), length_(length), values_(std::move(values)), events_(values_.size()) {}

  Script& stop_at(std::size_t event) {
    events_[event].stop = true;
    return *this;
  }
  std::vector<solvers::Block> blocks() const override { return flow_.blocks(); }
  void derivative(double t, std::span<const double> x, std::span<double> dx) const override {
    flow_.derivative(t, x, dx);
  }
  std::vector<solvers::Event> events() const override { return events_; }
  void event_values(double t, std::span<const double>, std::span<double> values) const override {
    const auto step = static_cast<std::size_t>(std::lround(t / length_));
    for (std::size_t j = 0; j < values_.size(); ++j) values[j] = values_[j].at(step);
  }

 private:
  const Flow<double>& flow_;
  double length_;
  std::vector<std::vector<double>> values_;
  std::vector<solvers::Event> events_;
};

/// Writes down all it is told, and the order in which.
struct Recorder : DescentObserver {
  std::string sequence;  // o, c, s, f
  std::vector<std::size_t> indices;
  std::vector<Index> steps, outputs;
  std::vector<double> times;
  std::vector<std::vector<double>> states, output_states;
  std::vector<StepCrossing> crossings;
  std::vector<double> crossing_state, final_state;
  Index interrupt_after = -1;

  void output(std::size_t index, Index step, double, std::span<const double> x) override {
    sequence += 'o';
    indices.push_back(index);
    outputs.push_back(step);
    output_states.emplace_back(x.begin(), x.end());
  }
  void crossing(const StepCrossing& crossing, std::span<const double> x) override {
    sequence += 'c';
    crossings.push_back(crossing);
    crossing_state.assign(x.begin(), x.end());
  }
  void step(Index step, double t, std::span<const double> x) override {
    sequence += 's';
    steps.push_back(step);
    times.push_back(t);
    states.emplace_back(x.begin(), x.end());
  }
  void finish(Index, double, std::span<const double> x) override {
    sequence += 'f';
    final_state.assign(x.begin(), x.end());
  }
  bool interrupt() override { return !steps.empty() && steps.back() == interrupt_after; }

  std::vector<StepCrossing> of(Index event) const {
    std::vector<StepCrossing> found;
    std::ranges::copy_if(crossings, std::back_inserter(found), [&](const auto& c) { return c.event == event; });
    return found;
  }
};

/// Five steps of 0.5 with these event values; the observer sees the descent's crossings only.
Recorder crossings_of(std::vector<std::vector<double>> values, DescentReport* report = nullptr) {
  const OwnedFlow<double> flow = small_flow();
  Descent descent(*flow, Update("gd", 0.5));
  Recorder seen;
  const DescentReport found = descend(descent, Script(*flow, 0.5, std::move(values)), {.end = 5, .outputs = {}}, seen);
  EXPECT_EQ(found.outcome, DescentOutcome::reached_end);
  EXPECT_EQ(found.event_calls, 6);
  if (report != nullptr) *report = found;
  return seen;
}

TEST(DescendTest, ShowsStepsAndOutputsInOrder) {
  const OwnedFlow<double> flow = small_flow();
  Descent descent(*flow, Update("heavy-ball", 0.05));
  Recorder seen;
  const DescentReport report = descend(descent, *flow, {.end = 4, .outputs = {0, 2, 2, 4}}, seen);
  EXPECT_EQ(seen.sequence, "osoossosf");
  EXPECT_EQ(report.outcome, DescentOutcome::reached_end);
  EXPECT_EQ(report.steps, 4);
  EXPECT_DOUBLE_EQ(report.t, 2);  // 4 * 0.05 / (1 - 0.9)
  EXPECT_EQ(report.gradients, 4);
  EXPECT_EQ(report.event_calls, 0);
  EXPECT_THAT(report.message(), AllOf(HasSubstr("reached its last step"), HasSubstr("step 4, t = 2")));
  EXPECT_THAT(seen.steps, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(seen.outputs, ElementsAre(0, 2, 2, 4));
  EXPECT_THAT(seen.indices, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(seen.times, ElementsAre(DoubleEq(0.5), DoubleEq(1), DoubleEq(1.5), DoubleEq(2)));
  EXPECT_EQ(seen.output_states[0], flow->initial_state());
  EXPECT_EQ(seen.output_states[1], seen.states[1]);
  EXPECT_EQ(seen.output_states[3], seen.final_state);
  EXPECT_TRUE(std::ranges::equal(descent.state(), seen.final_state));
}

TEST(DescendTest, GoesOnWhereItStands) {
  const OwnedFlow<double> flow = small_flow();
  const auto run = [&](const std::vector<Index>& ends) {
    Descent descent(*flow, Update("adam", 0.01));
    Recorder seen;
    for (const Index end : ends) {
      const Index from = descent.steps();
      const DescentReport report = descend(descent, *flow, {.end = end, .outputs = {from, end}}, seen);
      EXPECT_EQ(report.gradients, end - from);
      EXPECT_EQ(report.steps, end);
    }
    return seen;
  };
  const Recorder whole = run({9}), parts = run({4, 4, 9});
  EXPECT_EQ(whole.states, parts.states);
  EXPECT_THAT(parts.outputs, ElementsAre(0, 4, 4, 4, 4, 9));
}

TEST(DescendTest, AnObserverInterrupts) {
  const OwnedFlow<double> flow = small_flow();
  Descent descent(*flow, Update("gd", 0.5));
  Recorder seen;
  seen.interrupt_after = 2;
  EXPECT_EQ(descend(descent, *flow, {.end = 4, .outputs = {}}, seen).outcome, DescentOutcome::interrupted);
  EXPECT_EQ(seen.sequence, "ssf");
  seen.interrupt_after = 4;
  EXPECT_EQ(descend(descent, *flow, {.end = 4, .outputs = {}}, seen).outcome, DescentOutcome::reached_end);
}

TEST(DescendTest, DivergenceIsAnOutcome) {
  // Two equal samples of opposite labels: there is always a gradient, and the second or third of such steps overflows.
  const TaskData data = tests::task_of(4, {{0, 1, 3}, {0, 1, 3}}, {1, -1}, std::nullopt);
  const OwnedFlow<double> flow(data, draw_start(StartLaw::kaiming_normal, 4, 5, 4, {}, 7), {}, false);
  Descent descent(*flow, Update("gd", 1e80));
  Recorder seen;
  const DescentReport report = descend(descent, *flow, {.end = 10, .outputs = {0, 10}}, seen);
  EXPECT_EQ(report.outcome, DescentOutcome::diverged);
  EXPECT_GT(report.steps, 0);
  EXPECT_LT(report.steps, 10);
  EXPECT_EQ(report.gradients, report.steps + 1);
  EXPECT_EQ(seen.steps.back(), report.steps);
  EXPECT_EQ(seen.states.back(), seen.final_state);
  EXPECT_EQ(std::ranges::count(seen.sequence, 'f'), 1);
  EXPECT_THAT(seen.outputs, ElementsAre(0));
  EXPECT_TRUE(std::ranges::all_of(seen.final_state, [](double value) { return std::isfinite(value); }));
  EXPECT_THAT(report.message(), HasSubstr("diverged"));
}

TEST(DescendTest, CrossingsLieOnALineBetweenTwoSteps) {
  DescentReport report;
  const Recorder seen = crossings_of({{-1, -1, 3, 3, 3, 3}, {2, 2, 2, 2, -2, 4}}, &report);
  ASSERT_EQ(seen.crossings.size(), 3U);
  const StepCrossing& up = seen.crossings[0];
  EXPECT_EQ(up.event, 0);
  EXPECT_EQ(up.before, 1);
  EXPECT_EQ(up.after, 2);
  EXPECT_EQ(up.t, 0.625);  // a quarter of the way from 0.5 to 1
  EXPECT_EQ(up.slope, 8);
  EXPECT_EQ(up.direction, 1);
  EXPECT_EQ(seen.crossings[1].t, 1.75);
  EXPECT_EQ(seen.crossings[1].direction, -1);
  EXPECT_EQ(seen.crossings[2].after, 5);
  EXPECT_DOUBLE_EQ(seen.crossings[2].t, 2 + 0.5 / 3);
  EXPECT_EQ(seen.crossing_state, seen.final_state);  // the step after
  EXPECT_EQ(seen.sequence, "scsscscsf");
  EXPECT_THAT(report.sign_at_start, ElementsAre(-1, 1));
  EXPECT_THAT(report.sign_at_end, ElementsAre(1, 1));
}

TEST(DescendTest, CrossingsOfOneStepComeInOrderOfTime) {
  const Recorder seen =
      crossings_of({{1, -1, -1, -1, -1, -1}, {-1, 3, 3, 3, 3, 3}, {-3, 1, 1, 1, 1, 1}, {1, -1, -1, -1, -1, -1}});
  std::vector<Index> order;
  for (const StepCrossing& crossing : seen.crossings) order.push_back(crossing.event);
  EXPECT_THAT(order, ElementsAre(1, 0, 3, 2));
}

TEST(DescendTest, AnExactZeroTakesTheSignThatFollows) {
  DescentReport report;
  const Recorder seen = crossings_of({{-1, 0, -1, -1, -1, -1},  // a touch
                                      {-1, 0, 1, 1, 1, 1},      // through a zero that is a step
                                      {0, 0, 1, 1, 1, 1},       // at the start
                                      {1, 0, 0, 0, -1, -1},     // resting at zero
                                      {-1, -1, -1, -1, -1, 0},  // on the very end: not yet
                                      {0, 0, 0, 0, 0, 0}},
                                     &report);
  EXPECT_TRUE(seen.of(0).empty());
  ASSERT_EQ(seen.of(1).size(), 1U);
  EXPECT_EQ(seen.of(1)[0].t, 0.5);
  EXPECT_EQ(seen.of(1)[0].after, 2);
  EXPECT_TRUE(seen.of(2).empty());
  ASSERT_EQ(seen.of(3).size(), 1U);
  EXPECT_EQ(seen.of(3)[0].t, 1.5);  // where it left
  EXPECT_EQ(seen.of(3)[0].direction, -1);
  EXPECT_TRUE(seen.of(4).empty());
  EXPECT_TRUE(seen.of(5).empty());
  EXPECT_THAT(report.sign_at_start, ElementsAre(-1, -1, 1, 1, -1, 0));
  EXPECT_THAT(report.sign_at_end, ElementsAre(-1, 1, 1, -1, -1, 0));
}

TEST(DescendTest, NothingCrossesWhereItIsNotDefined) {
  DescentReport report;
  const Recorder seen = crossings_of({{-1, nan, 1, 1, -1, -1},   // only after it
                                      {nan, nan, -1, -1, 1, 1},  // unknown at the start
                                      {1, 1, 0, nan, 0, -1},     // zeros beside it
                                      {-1, -1, 1, 1, 1, nan},    // at the end
                                      {-infinity, infinity, 1, 1, 1, -infinity}},
                                     &report);
  ASSERT_EQ(seen.of(0).size(), 1U);
  EXPECT_EQ(seen.of(0)[0].after, 4);
  ASSERT_EQ(seen.of(1).size(), 1U);
  EXPECT_EQ(seen.of(1)[0].after, 4);
  EXPECT_TRUE(seen.of(2).empty());
  EXPECT_EQ(seen.of(3).size(), 1U);
  ASSERT_EQ(seen.of(4).size(), 2U);
  EXPECT_EQ(seen.of(4)[0].t, 0.25);
  EXPECT_EQ(seen.of(4)[1].t, 2);
  EXPECT_THAT(report.sign_at_start, ElementsAre(-1, -1, 1, -1, -1));
  EXPECT_THAT(report.sign_at_end, ElementsAre(-1, 1, -1, 0, -1));
}

TEST(DescendTest, AStoppingEventEndsTheDescentWithItsStep) {
  const OwnedFlow<double> flow = small_flow();
  // Losing the condition does not stop; of two that become true in one step the earlier has stopped it.
  Script script(*flow, 0.5, {{1, -1, -1, 1, 1, 1}, {-1, -1, -1, 3, 3, 3}, {-1, -1, -1, -1, 1, 1}});
  script.stop_at(0).stop_at(1).stop_at(2);
  for (const Index end : {3, 5}) {  // also on the last step
    Descent descent(*flow, Update("gd", 0.5));
    Recorder seen;
    const DescentReport report = descend(descent, script, {.end = end, .outputs = {3}}, seen);
    EXPECT_EQ(report.outcome, DescentOutcome::stopped_by_event);
    EXPECT_EQ(report.stopped_by, 1);
    EXPECT_EQ(report.steps, 3);
    EXPECT_EQ(seen.sequence, "cssccosf");
    EXPECT_THAT(report.sign_at_end, ElementsAre(1, 1, -1));
  }
}

TEST(DescendTest, EventsApproachTheFlowsWithOrderOne) {
  const OwnedFlow<double> flow = small_flow();
  Moment moment(*flow);
  const std::vector<double> x0 = flow->initial_state();
  moment.set(0, x0);
  const Observables observables(moment, {0, 1});
  const std::vector<FlowEvent> events{level_event(observables, "half", "loss", 0.5, -1, true)};
  const WatchedFlow watched(*flow, events);
  const auto solved = solvers::solve<double>(watched, x0, {.end = 100});
  ASSERT_EQ(solved.seen.crossings.size(), 1U);
  std::vector<double> rates{0.08, 0.04, 0.02, 0.01}, errors;
  for (const double rate : rates) {
    Descent descent(*flow, Update("gd", rate));
    Recorder seen;
    EXPECT_EQ(descend(descent, watched, {.end = 10'000, .outputs = {}}, seen).outcome,
              DescentOutcome::stopped_by_event);
    ASSERT_EQ(seen.crossings.size(), 1U);
    errors.push_back(std::abs(seen.crossings[0].t - solved.seen.crossings[0].t));
    EXPECT_NEAR(seen.crossings[0].slope, solved.seen.crossings[0].slope, rate);  // a secant's, half a step off
  }
  EXPECT_NEAR(solvers::order_of(rates, errors), 1, 0.15);
}

TEST(DescendTest, RefusesWhatMakesNoSense) {
  const OwnedFlow<double> flow = small_flow();
  Descent descent(*flow, Update("gd", 0.5));
  Recorder seen;
  const auto refused = [&](DescentSchedule schedule) {
    return message_of([&] { descend(descent, *flow, schedule, seen); });
  };
  descent.step();
  EXPECT_THAT(refused({.end = 0, .outputs = {}}), HasSubstr("must not come before the present step 1, but it is 0"));
  EXPECT_THAT(refused({.end = 4, .outputs = {0}}), HasSubstr("the next one lies in [1, 4], but it is 0"));
  EXPECT_THAT(refused({.end = 4, .outputs = {3, 2}}), HasSubstr("the next one lies in [3, 4], but it is 2"));
  EXPECT_THAT(refused({.end = 4, .outputs = {5}}), HasSubstr("but it is 5"));
  EXPECT_THAT(message_of([&] { descend(descent, solvers::oscillator(), {.end = 4, .outputs = {}}, seen); }),
              HasSubstr("the dimension of the watched system"));
  EXPECT_EQ(seen.sequence, "");
}

TEST(DescendTest, OutcomesHaveNamesAndSentences) {
  EXPECT_EQ(name(DescentOutcome::reached_end), "reached_end");
  EXPECT_EQ(name(DescentOutcome::stopped_by_event), "stopped_by_event");
  EXPECT_EQ(name(DescentOutcome::diverged), "diverged");
  EXPECT_EQ(name(DescentOutcome::interrupted), "interrupted");
  EXPECT_THAT(sentence(DescentOutcome::diverged), HasSubstr("not finite"));
}

}  // namespace
}  // namespace gradflow
