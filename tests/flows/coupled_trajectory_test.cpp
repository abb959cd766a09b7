#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <cmath>

#include "flows/trajectory.hpp"

// Trajectories of the coupled flow on their laws, and at widths that no weights have.
namespace gradflow {
namespace {

using tests::all_words;
using tests::differences;
using tests::largest;
using tests::Trajectory;

constexpr double rtol = 1e-9;

std::vector<tests::Experiment> experiments() {
  std::vector<tests::Experiment> result;
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

/// [[U, G^T], [G, Gamma]] and [[S_K, B], [B^T, S_Q]]: matrices of inner products of vectors.
std::array<Matrix<double>, 2> joint(const GramStart<double>& g) {
  const Index d = g.G.size();
  Matrix<double> vw(d + 1, d + 1), kq(2 * d, 2 * d);
  vw << g.U, g.G.transpose(), g.G, g.Gamma;
  kq << g.S_K, g.B, g.B.transpose(), g.S_Q;
  return {vw, kq};
}

TEST(CoupledTrajectoryTest, StaysOnItsLaws) {
  for (const tests::Experiment& e : experiments()) {
    SCOPED_TRACE(e.name);
    const Task task(e.task);
    const auto flow = make_coupled_flow<double>(task, gram_start(e.start), e.rates);
    const Trajectory solution = tests::solve(*flow, {.rtol = rtol, .events = false});
    const auto moved = differences(solution.grams.front(), solution.grams.back());
    EXPECT_GT(*std::min_element(moved.begin(), moved.begin() + 3), 1e-3);
    for (std::size_t i = 0; i < solution.grams.size(); ++i) {
      EXPECT_NEAR(solution.losses[i] + solution.integrated_powers[i], solution.losses.front(), 10 * rtol);
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

/// Squares of order 1 at any width: scores then move like 1/m, and the rest as with attention at rest.
TEST(CoupledTrajectoryTest, RunsAtAnyWidth) {
  const Task task(tests::tasks()[0].data);
  const auto at_width = [&](Index m) {
    const double s = 1 / std::sqrt(static_cast<double>(m));
    return make_coupled_flow<double>(task, limit_start(all_words(task), task.words(), m, 8, {s, s, s, s}));
  };
  const auto wide = at_width(100'000'000), wider = at_width(1'000'000'000), narrow = at_width(10);
  EXPECT_EQ(wider->dimension(), narrow->dimension());
  const tests::How how{.rtol = rtol, .events = false};
  const Trajectory a = tests::solve(*wide, how), b = tests::solve(*wider, how);
  ASSERT_EQ(b.solution.report.outcome, solvers::Outcome::reached_end);
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
