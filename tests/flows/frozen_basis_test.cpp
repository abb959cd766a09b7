// A step in a frozen basis against its plain twin: the same method on vectors.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <gradflow/observables/events.hpp>
#include <limits>
#include <solvers/solve.hpp>

#include "support/flow_cases.hpp"

namespace gradflow {
namespace {

using tests::OwnedFlow;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

/// The same flow with derivatives as vectors, or in factors; `measured`: the one block that has a say in the error.
class Seen final : public solvers::System<double> {
 public:
  explicit Seen(const Flow<double>& flow, bool frozen = false, std::string measured = "")
      : flow_(flow), frozen_(frozen), measured_(std::move(measured)) {}
  std::vector<solvers::Block> blocks() const override {
    std::vector<solvers::Block> blocks = flow_.blocks();
    if (!measured_.empty())
      for (solvers::Block& block : blocks) block.measured = block.name == measured_;
    return blocks;
  }
  void derivative(double t, std::span<const double> x, std::span<double> dx) const override {
    flow_.derivative(t, x, dx);
  }
  std::unique_ptr<solvers::FrozenStep<double>> frozen_step(std::size_t stages) const override {
    return frozen_ ? flow_.frozen_step(stages) : nullptr;
  }
  std::vector<solvers::Event> events() const override { return {{"doubled"}}; }
  /// |u|^2 has reached twice what it was at the start.
  void event_values(double, std::span<const double> x, std::span<double> values) const override {
    values[0] = flow_.U(x) - 2 * flow_.U(flow_.initial_state());
  }

 private:
  const Flow<double>& flow_;
  bool frozen_;
  std::string measured_;
};

TaskData distinct_task(Index samples, Index length) {
  CoOccurrenceOptions options;
  options.samples = samples;
  options.length = length;
  options.words = 3 + samples * length;
  options.fillers = Fillers::distinct;
  return co_occurrence(options, 5);
}

/// Words that occur twice in a sample, samples of their own lengths, one of shared words alone, a filler that two
/// samples share.
TaskData irregular_task() {
  TaskData data = distinct_task(96, 6);
  for (std::size_t i = 0; i < data.tokens.size(); i += 3) data.tokens[i].push_back(data.tokens[i].back());
  for (std::size_t i = 1; i < data.tokens.size(); i += 5) data.tokens[i].pop_back();
  data.tokens[7] = {0, 2, 1, 1};
  data.tokens[8].back() = data.tokens[9].back();
  return data;
}

/// visit(method, flow): both methods, columns that begin at whole lanes and columns that do not, and coordinates.
template <class Visit>
void for_each_flow(Visit visit) {
  struct Case {
    std::string method;
    TaskData task;
    Index width;
    bool full;
    Rates<double> rates;
  };
  const Rates<double> mixed{0.5, 1.5, 0.7, 1.2};
  for (const Case& c :
       {Case{"dopri5", distinct_task(60, 5), 128, false, {}}, Case{"dopri5", distinct_task(60, 5), 101, false, mixed},
        Case{"dopri5", distinct_task(60, 5), 112, true, mixed},
        Case{"dopri5", distinct_task(60, 5), 250, false, mixed},  // u and W_V in coordinates
        Case{"dopri5", irregular_task(), 160, false, mixed}, Case{"dopri5", irregular_task(), 150, false, {1, 0, 1, 0}},
        Case{"dop853", distinct_task(96, 6), 224, false, mixed}, Case{"dop853", distinct_task(96, 6), 217, true, {}}}) {
    SCOPED_TRACE(c.method + ", " + std::to_string(c.task.tokens.size()) + " samples, width " + std::to_string(c.width) +
                 (c.full ? ", full" : ""));
    const auto start = draw_start(StartLaw::gaussian, c.width, 9, c.task.words, {0.1, 0.1, 0.2, 0.3}, 4);
    const OwnedFlow<double> flow(c.task, start, c.rates, c.full);
    const std::size_t stages = c.method == "dopri5" ? 7 : 16;
    ASSERT_NE(flow->frozen_step(stages), nullptr);
    visit(c.method, flow);
  }
}

std::unique_ptr<solvers::Stepper<double>> stepper(const std::string& method, const solvers::System<double>& system,
                                                  double rtol = 1e-6) {
  return solvers::make_stepper<double>(method, system, solvers::Clock<double>::log(0.05), {rtol, rtol / 1000});
}

double largest(std::span<const double> a) {
  double result = 0;
  for (const double x : a) result = std::max(result, std::abs(x));
  return result;
}

void expect_near(std::span<const double> a, std::span<const double> b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference = std::max(difference, std::abs(a[i] - b[i]));
  EXPECT_LE(difference, tolerance);
}

TEST(FrozenBasis, TakesTheStepsOfTheMethodOnVectors) {
  for_each_flow([](const std::string& method, const OwnedFlow<double>& flow) {
    const Seen vectors(*flow);
    const auto frozen = stepper(method, *flow), plain = stepper(method, vectors);
    const std::vector<double> x0 = flow->initial_state();
    frozen->start(0.3, x0);
    plain->start(0.3, x0);
    std::vector<double> x(x0.size()), y(x0.size()), error(x0.size()), plain_error(x0.size());
    for (const double h : {0.2, 0.5, 0.3}) {
      const double tau = frozen->tau() + h, size = largest(plain->state());
      // Every sum of a step has some hundred terms, no larger than the state and h times its derivative.
      const double rounding = 200 * epsilon * (size + h * largest(plain->derivative()));
      expect_near(frozen->derivative(), plain->derivative(), 10 * rounding);  // through the softmax
      (void)frozen->attempt(tau + 1);                                         // a rejected one leaves nothing behind
      const double ratio = frozen->attempt(tau), plain_ratio = plain->attempt(tau);
      EXPECT_NEAR(ratio, plain_ratio, 1e-6 * plain_ratio);  // the error is a small difference of stages
      expect_near(frozen->trial_state(), plain->trial_state(), rounding);
      expect_near(frozen->trial_error(), plain->trial_error(), rounding);
      frozen->accept();
      plain->accept();
      EXPECT_EQ(frozen->previous_tau(), plain->previous_tau());
      for (const double s : {0.25, 0.9}) {
        frozen->interpolate(tau - s * h, x);
        plain->interpolate(tau - s * h, y);
        expect_near(x, y, 10 * rounding);  // the interpolant's coefficients reach some tens
        frozen->restep(tau - s * h, x, error);
        plain->restep(tau - s * h, y, plain_error);
        expect_near(x, y, rounding);
        expect_near(error, plain_error, rounding);
      }
      frozen->restep(tau, x, error);
      plain->restep(tau, y, plain_error);
      expect_near(error, plain_error, rounding);
    }
  });
}

TEST(FrozenBasis, MeasuresErrorsFarBelowTheRoundingOfSquares) {
  // A step so short that its error is 1e-13 of the stages it is made of: squares of that are lost beside theirs.
  for_each_flow([](const std::string& method, const OwnedFlow<double>& flow) {
    const Seen vectors(*flow);
    const auto frozen = stepper(method, *flow), plain = stepper(method, vectors);
    const std::vector<double> x0 = flow->initial_state();
    frozen->start(0.3, x0);
    plain->start(0.3, x0);
    const double h = method == "dopri5" ? 0.004 : 0.06;
    const double plain_ratio = plain->attempt(0.3 + h), ratio = frozen->attempt(0.3 + h);
    const double of_stages = largest(plain->derivative()) * h, of_error = largest(plain->trial_error());
    EXPECT_LT(of_error, 1e-9 * of_stages);
    EXPECT_NEAR(ratio, plain_ratio, (100 * epsilon * of_stages / of_error + 1e-6) * plain_ratio);
  });
}

TEST(FrozenBasis, MeasuresTheErrorsOfWordsOfOneSample) {
  // Which those of shared words, sums over all samples, hide elsewhere: here theirs count for little, since their
  // columns are long and nothing else is.
  const TaskData task = distinct_task(60, 5);
  for (const std::string measured : {"W_V", "W_K", "W_Q"}) {
    SCOPED_TRACE(measured);
    auto start = draw_start(StartLaw::gaussian, 128, 9, task.words, {0.1, 0.1, 0.1, 0.1}, 4);
    if (measured == "W_V") start.W *= 1e-2;
    if (measured == "W_K") start.W_Q *= 1e-2;
    if (measured == "W_Q") start.W_K *= 1e-2;
    (measured == "W_V" ? start.W_V : measured == "W_K" ? start.W_K : start.W_Q).leftCols(3) *= 1e3;
    const OwnedFlow<double> flow(task, start, {}, false);
    const Seen in_factors(*flow, true, measured), on_vectors(*flow, false, measured);
    const auto at = [&](const solvers::System<double>& system) {
      auto result = solvers::make_stepper<double>("dopri5", system, solvers::Clock<double>::linear(), {1e-6, 0.0});
      result->start(0, flow->initial_state());
      return result;
    };
    const auto frozen = at(in_factors), plain = at(on_vectors);
    const double ratio = frozen->attempt(0.01), plain_ratio = plain->attempt(0.01);
    const auto worst = plain->norm().worst(plain->trial_error(), plain->state(), plain->trial_state(), 1).front();
    const int column = std::stoi(worst.name.substr(worst.name.find(',') + 1));
    ASSERT_GT(column, 2) << worst.name;
    EXPECT_NEAR(ratio, plain_ratio, 1e-6 * plain_ratio);
  }
}

TEST(FrozenBasis, GoesOnFromASavedStateToTheLastBit) {
  for_each_flow([](const std::string& method, const OwnedFlow<double>& flow) {
    const auto first = stepper(method, *flow);
    first->start(0.3, flow->initial_state());
    (void)first->attempt(0.5);
    first->accept();
    const auto second = stepper(method, *flow);
    second->restore(first->save());
    for (const double tau : {0.9, 1.1}) {
      EXPECT_EQ(first->attempt(tau), second->attempt(tau));
      first->accept();
      second->accept();
      EXPECT_EQ(first->save().x, second->save().x);
      EXPECT_EQ(first->save().dx, second->save().dx);
    }
  });
}

TEST(FrozenBasis, APointSaysWithoutItsStateWhatTheStateSays) {
  for_each_flow([](const std::string& method, const OwnedFlow<double>& flow) {
    const std::vector<double> x0 = flow->initial_state();
    Moment start(*flow), seen(*flow), formed(*flow);
    start.set(0, x0);
    const Observables observables(start, {0, 1, 2});
    const std::vector<FlowEvent> events = standard_events(*flow.task, observables, {});
    const auto values = [&](Moment& moment) {
      std::vector<double> all(observables.size());
      observables.evaluate(moment, all);
      for (const FlowEvent& event : events) all.push_back(event.value(moment));
      all.push_back(moment.S_K(0, 2));
      all.push_back(moment.S_Q(1, 2));
      return all;
    };
    const auto looked_at = stepper(method, *flow), alone = stepper(method, *flow);
    std::vector<double> room(x0.size());
    const auto expect_the_same = [&](const solvers::Point<double>& at, bool whole) {
      seen.set(at, whole);
      const std::vector<double> found = values(seen);
      EXPECT_TRUE(std::isnan(room.front()));  // nobody has formed the state
      formed.set(at.t(), at.x());
      const std::vector<double> expected = values(formed);
      // Sums of some hundred terms of the size of squared columns, and relative changes of such sums.
      for (std::size_t i = 0; i < found.size(); ++i)
        EXPECT_NEAR(found[i], expected[i], 1e-11 * std::max(1.0, std::abs(expected[i]))) << i;
    };
    looked_at->start(0.3, x0);
    alone->start(0.3, x0);
    for (const double tau : {0.7, 1.4}) {
      EXPECT_EQ(looked_at->attempt(tau), alone->attempt(tau));  // to have been looked at changes nothing
      looked_at->accept();
      alone->accept();
      const double from = looked_at->previous_tau(), h = tau - from;
      for (const auto& point : {std::function([&] { return looked_at->interpolated(from + 0.3 * h, room); }),
                                std::function([&] { return looked_at->interpolated(from, room); }),
                                std::function([&] { return looked_at->interpolated(tau, room); }),
                                std::function([&] { return looked_at->restepped(from + 0.6 * h, room); }),
                                std::function([&] { return looked_at->restepped(from + 0.2 * h, room); }),
                                std::function([&] { return looked_at->restepped(from + 0.2 * h, room); })})
        for (const bool whole : {true, false}) {
          std::fill(room.begin(), room.end(), std::numeric_limits<double>::quiet_NaN());
          expect_the_same(point(), whole);
        }
      for (const double at : {from, from + 0.6 * h, tau}) {  // what they are shown at, from the method on vectors
        std::vector<double> x(x0.size()), dx(x0.size());
        looked_at->restep(at, x);
        looked_at->derivative_at(at, x, dx);
        std::fill(room.begin(), room.end(), std::numeric_limits<double>::quiet_NaN());
        std::vector<double> distances{0.01 * h, -0.02 * h};
        looked_at->along_tangent(at, x, std::vector(distances), room, [&](const solvers::Point<double>& point) {
          std::fill(room.begin(), room.end(), std::numeric_limits<double>::quiet_NaN());
          expect_the_same(point, false);
          std::vector<double> expected = x;
          for (std::size_t i = 0; i < x.size(); ++i) expected[i] += distances.front() * dx[i];
          EXPECT_EQ(point.t(), looked_at->clock().time(at + distances.front()));
          expect_near(point.x(), expected, 100 * epsilon * largest(x));
          distances.erase(distances.begin());
        });
        EXPECT_TRUE(distances.empty());
      }
    }
    EXPECT_EQ(looked_at->save().x, alone->save().x);
  });
}

TEST(FrozenBasis, APointFormsItsStateForWhatItDoesNotSee) {
  const TaskData task = distinct_task(60, 5);
  const auto start = draw_start(StartLaw::gaussian, 128, 9, task.words, {0.3, 0.2, 0.3, 0.4}, 4);
  const OwnedFlow<double> flow(task, start, {}, false);
  const auto frozen = stepper("dopri5", *flow);
  frozen->start(0.3, flow->initial_state());
  (void)frozen->attempt(0.7);
  frozen->accept();
  std::vector<double> room(flow->initial_state().size());
  Moment seen(*flow), formed(*flow);
  const solvers::Point<double> at = frozen->interpolated(0.5, room);
  seen.set(at);
  formed.set(at.t(), at.x());
  const std::vector<Index> words{0, 17};  // 17 stands in one sample
  expect_near(seen.G_rates(words), formed.G_rates(words), 1e-13);
  EXPECT_NEAR(seen.Gamma(0, 17), formed.Gamma(0, 17), 1e-13);
  EXPECT_NEAR(seen.B(17, 2), formed.B(17, 2), 1e-13);
  EXPECT_NEAR(seen.G(17), formed.G(17), 1e-13);
}

TEST(FrozenBasis, IsTakenForLargeTasksOfDistinctWordsOnly) {
  const auto has = [](const TaskData& task, Index width, std::size_t stages) {
    const auto start = draw_start(StartLaw::gaussian, width, 9, task.words, {0.3, 0.2, 0.3, 0.4}, 4);
    return OwnedFlow<double>(task, start, {}, false)->frozen_step(stages) != nullptr;
  };
  EXPECT_TRUE(has(distinct_task(60, 5), 128, 7));
  EXPECT_FALSE(has(distinct_task(60, 5), 64, 7));    // as many directions as numbers in a column
  EXPECT_FALSE(has(distinct_task(60, 5), 128, 16));  // likewise, of a method with more stages
  EXPECT_FALSE(has(distinct_task(12, 5), 256, 7));
  CoOccurrenceOptions uniform;  // the paper's experiment: every word stands in several samples
  EXPECT_FALSE(has(co_occurrence(uniform, 1), 256, 7));
}

TEST(FrozenBasis, FindsTheEventsOfTheMethodOnVectors) {
  const TaskData task = distinct_task(60, 5);
  const auto start = draw_start(StartLaw::gaussian, 128, 32, task.words, {0.1, 0.05, 0.05, 0.05}, 4);
  const OwnedFlow<double> flow(task, start, {}, false);
  const std::vector<double> x0 = flow->initial_state();
  solvers::SolveOptions<double> options;
  options.tolerances = {1e-8, 1e-11};
  options.clock = solvers::Clock<double>::log(1);
  std::vector<double> times;
  for (const bool frozen : {true, false}) {
    const Seen system(*flow, frozen);
    const auto solution = solvers::solve<double>(system, x0, {.end = 1e4, .outputs = {10.0, 100.0}}, options);
    ASSERT_EQ(solution.crossings.size(), 1u);
    times.push_back(solution.crossings.front().t);
    times.push_back(static_cast<double>(solution.report.counts.accepted));
  }
  // Rounding of the state, over how fast |u|^2 grows; the steps are the same.
  EXPECT_NEAR(times[0], times[2], 1e-11 * times[0]);
  EXPECT_EQ(times[1], times[3]);
}

TEST(FrozenBasis, AStateBeyondAllNumbersIsATrialThatFails) {
  const TaskData task = distinct_task(60, 5);
  const auto start = draw_start(StartLaw::gaussian, 128, 9, task.words, {0.3, 0.2, 0.3, 0.4}, 4);
  const OwnedFlow<double> flow(task, start, {}, false);
  const auto frozen = stepper("dopri5", *flow);
  frozen->start(0, flow->initial_state());
  EXPECT_TRUE(std::isnan(frozen->attempt(600)));  // e^600 times the derivative, squared
  EXPECT_LT(frozen->attempt(1e-3), 1e6);
}

TEST(FrozenBasisThreads, GiveTheBitsOfOne) {
  for_each_flow([](const std::string& method, const OwnedFlow<double>& flow) {
    std::vector<double> of_one;
    double ratio_of_one = 0;
    for (const int threads : {1, 2, 3}) {
      flow.flow->use(std::make_shared<solvers::Workers>(threads));
      const auto frozen = stepper(method, *flow);
      frozen->start(0.3, flow->initial_state());
      (void)frozen->attempt(0.5);
      frozen->accept();
      const double ratio = frozen->attempt(0.7);
      if (threads == 1) {
        of_one = frozen->save().x;
        ratio_of_one = ratio;
      }
      EXPECT_EQ(frozen->save().x, of_one) << threads << " threads";
      EXPECT_EQ(ratio, ratio_of_one) << threads << " threads";
    }
    flow.flow->use(std::make_shared<solvers::Workers>(1));
  });
}

}  // namespace
}  // namespace gradflow
