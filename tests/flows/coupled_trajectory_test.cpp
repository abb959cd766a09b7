#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <cmath>
#include <gradflow/observables/events.hpp>
#include <limits>
#include <solvers/integrate.hpp>

#include "support/flow_cases.hpp"
#include "support/gram_cases.hpp"

// Trajectories of the coupled flow: beside the reduced flow's, on their laws, and at widths that no weights have.
namespace gradflow {
namespace {

using tests::all_words;
using tests::differences;
using tests::largest;

constexpr double rtol = 1e-9;

/// What is kept of a solve to t = 1000.
struct Solution {
  std::vector<GramStart<double>> grams;  // at the outputs
  std::vector<double> losses, defects;
  std::vector<std::array<double, 3>> drifts;
  struct Located {
    Index event;
    int direction;
    double t, slope;
  };
  std::vector<Located> crossings;
  solvers::Outcome outcome = solvers::Outcome::not_finite;
};

class Recorder final : public solvers::Observer<double> {
 public:
  Recorder(const Flow<double>& flow, Solution& run) : flow_(flow), moment_(flow), run_(run) {}
  void output(std::size_t, double t, std::span<const double> x) override {
    moment_.set(t, x);
    run_.grams.push_back(gram_at(flow_, x));
    run_.losses.push_back(moment_.forward().loss);
    run_.defects.push_back(run_.losses.back() + flow_.integrated_power(x) - run_.losses.front());
    run_.drifts.push_back(flow_.law_drifts(x));
  }
  void crossing(const solvers::Crossing<double>& c, std::span<const double>) override {
    run_.crossings.push_back({c.event, c.direction, c.t, c.slope});
  }

 private:
  const Flow<double>& flow_;
  Moment moment_;
  Solution& run_;
};

Solution solve(const Flow<double>& flow, bool with_events = true) {
  constexpr double until = 1e3;
  const std::vector<double> x = flow.initial_state();
  Moment start(flow);
  start.set(0, x);
  const Observables observables(start, {0, 1});
  const WatchedFlow watched(
      flow, with_events ? standard_events(flow.task(), observables, EventLevels()) : std::vector<FlowEvent>());
  const auto clock = solvers::Clock<double>::log(1);
  const auto stepper = solvers::make_stepper<double>("dopri5", watched, clock, {rtol, rtol * 1e-3});
  stepper->start(0, x);
  Solution result;
  Recorder recorder(flow, result);
  result.outcome =
      solvers::integrate<double>(*stepper, {until, clock.evenly_spaced(0, until, 6)}, {}, recorder).outcome;
  return result;
}

struct Trajectory {
  std::string name;
  TaskData task;
  Weights<double> start;
  Rates<double> rates;
};

std::vector<Trajectory> trajectories() {
  std::vector<Trajectory> result;
  for (const tests::NamedTask& task : tests::tasks())
    for (const bool kaiming : {false, true}) {
      const Index d = task.data.words;
      const Weights<double> start = kaiming ? draw_start(StartLaw::kaiming_normal, 16, 24, d, {}, 8)
                                            : draw_start(StartLaw::gaussian, 16, 24, d, {0.1, 0.1, 0.1, 0.1}, 7);
      result.push_back({task.name + (kaiming ? " kaiming" : " gaussian"), task.data, start, {}});
    }
  result.push_back({"mixed rates", result[0].task, result[0].start, {0.5, 2, 1.5, 0.25}});
  result.push_back({"frozen W_K", result[1].task, result[1].start, {1, 1, 0, 3}});
  return result;
}

/// Sizes that differences() are measured against: B's is that of its two factors, since it starts near 0.
std::array<double, 6> sizes(const GramStart<double>& g) {
  const double K = largest(g.S_K), Q = largest(g.S_Q);
  return {std::sqrt(g.U * largest(g.Gamma)), g.U, largest(g.Gamma), std::sqrt(K * Q), K, Q};
}

void expect_same_crossings(const Solution& a, const Solution& b) {
  ASSERT_EQ(a.crossings.size(), b.crossings.size());
  for (std::size_t i = 0; i < a.crossings.size(); ++i) {
    const auto &x = a.crossings[i], &y = b.crossings[i];
    EXPECT_EQ(x.event, y.event);
    EXPECT_EQ(x.direction, y.direction);
    // overtaken (1) and bracket (2) rest on a difference of derivatives, of order 1 after division by their size: its
    // error, some rtol, over its slope.
    const bool difference = x.event == 1 || x.event == 2;
    EXPECT_NEAR(x.t, y.t, 10 * rtol * (x.t + (difference ? 1 / std::abs(x.slope) : 0))) << "event " << x.event;
  }
}

// Tolerances of 10 rtol: steps are accepted with an error of at most rtol, these flows forget most of it (about 1 rtol
// is left, and 3 in the loss).
TEST(CoupledTrajectoryTest, IsTheReducedFlows) {
  std::size_t crossings = 0;
  for (const Trajectory& c : trajectories()) {
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    const auto reduced = make_reduced_flow<double>(task, c.start, c.rates);
    const auto coupled = make_coupled_flow<double>(task, gram_start(c.start), c.rates, all_words(task));
    const Solution a = solve(*reduced), b = solve(*coupled);
    ASSERT_EQ(a.outcome, solvers::Outcome::reached_end);
    ASSERT_EQ(b.outcome, solvers::Outcome::reached_end);
    ASSERT_EQ(b.grams.size(), a.grams.size());
    for (std::size_t i = 0; i < a.grams.size(); ++i) {
      const std::array<double, 6> difference = differences(a.grams[i], b.grams[i]), size = sizes(a.grams[i]);
      for (std::size_t k = 0; k < 6; ++k) EXPECT_LT(difference[k], 10 * rtol * size[k]) << k << " at output " << i;
      EXPECT_NEAR(b.losses[i], a.losses[i], 10 * rtol * a.losses[i]);
    }
    expect_same_crossings(a, b);
    crossings += b.crossings.size();
  }
  EXPECT_GT(crossings, 50U);
}

/// [[U, G^T], [G, Gamma]] and [[S_K, B], [B^T, S_Q]]: matrices of inner products of vectors.
std::array<Matrix<double>, 2> joint(const GramStart<double>& g) {
  const Index d = g.words();
  Matrix<double> vw(d + 1, d + 1), kq(2 * d, 2 * d);
  vw << g.U, g.G.transpose(), g.G, g.Gamma;
  kq << g.S_K, g.B, g.B.transpose(), g.S_Q;
  return {vw, kq};
}

TEST(CoupledTrajectoryTest, StaysOnItsLaws) {
  for (const Trajectory& c : trajectories()) {
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    const auto flow = make_coupled_flow<double>(task, gram_start(c.start), c.rates, all_words(task));
    const Solution solution = solve(*flow, false);
    const auto moved = differences(solution.grams.front(), solution.grams.back());
    EXPECT_GT(*std::min_element(moved.begin(), moved.begin() + 3), 1e-3);
    for (std::size_t i = 0; i < solution.grams.size(); ++i) {
      EXPECT_NEAR(solution.defects[i], 0, 10 * rtol);
      // tr C is linear in this state, so every Runge-Kutta method keeps it to rounding; tr C^2 has the solve's error.
      EXPECT_LT(solution.drifts[i][0], 10 * rtol);
      EXPECT_LT(solution.drifts[i][1], 10 * rtol);
      for (const Matrix<double>& matrix : joint(solution.grams[i])) {
        const auto eigenvalues = Eigen::SelfAdjointEigenSolver<Matrix<double>>(matrix).eigenvalues();
        EXPECT_GT(eigenvalues.minCoeff(), -10 * rtol * eigenvalues.maxCoeff());  // 16 wide: many are 0
      }
    }
  }
}

TEST(CoupledTrajectoryTest, LimitStartIsTheOrthogonalOne) {
  const StandardDeviations s{0.2, 0.1, 0.3, 0.2};
  for (const tests::NamedTask& named : tests::tasks()) {
    SCOPED_TRACE(named.name);
    const Task task(named.data);
    const Index d = task.words(), m = 2 * d + 1;
    const auto reduced = make_reduced_flow<double>(task, draw_start(StartLaw::orthogonal, m, 8, d, s, 6));
    const auto limit = make_coupled_flow<double>(task, limit_start(d, m, 8, s), {}, all_words(task));
    const Solution a = solve(*reduced), b = solve(*limit);
    const std::array<double, 6> difference = differences(a.grams.back(), b.grams.back()), size = sizes(a.grams.back());
    for (std::size_t k = 0; k < 6; ++k) EXPECT_LT(difference[k], 10 * rtol * size[k]) << k;
  }
}

/// Squares of order 1 at any width: scores then move like 1/m, and the rest as with attention at rest.
TEST(CoupledTrajectoryTest, RunsAtAnyWidth) {
  const Task task(tests::tasks()[0].data);
  const auto at_width = [&](Index m) {
    const double s = 1 / std::sqrt(static_cast<double>(m));
    return make_coupled_flow<double>(task, limit_start(task.words(), m, 8, {s, s, s, s}));
  };
  const auto wide = at_width(100'000'000), wider = at_width(1'000'000'000), narrow = at_width(10);
  EXPECT_EQ(wider->dimension(), narrow->dimension());
  const Solution a = solve(*wide, false), b = solve(*wider, false);
  ASSERT_EQ(b.outcome, solvers::Outcome::reached_end);
  const GramStart<double>&x = a.grams.back(), &y = b.grams.back();
  EXPECT_LT(b.losses.back(), 0.1 * b.losses.front());
  // B / sqrt(m) is proportional to 1 / m, up to 1 / m itself and what atol lets B's small columns err.
  const Matrix<double> score_x = x.B * std::sqrt(1e8), score_y = y.B * std::sqrt(1e9);
  EXPECT_GT(largest(score_y), 0.1);
  EXPECT_LT(largest<double>(score_y - score_x), 1e-6 * largest(score_y));
  EXPECT_LT(largest<double>(y.G - x.G), 100 * rtol * largest<double>(y.G));
}

}  // namespace
}  // namespace gradflow
