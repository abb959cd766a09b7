#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/descent/rate_estimate.hpp>
#include <gradflow/flows/curvature.hpp>
#include <limits>
#include <numbers>
#include <solvers/solve.hpp>

#include "support/equation1.hpp"
#include "support/flow_cases.hpp"
#include "support/problems.hpp"

// The estimate of Elkabetz and Cohen against closed forms, and beside a descent.
namespace gradflow {
namespace {

using Numbers = std::vector<double>;

TEST(ElkabetzCohenTest, ConstantCurvatureIsAClosedForm) {
  // The integral of e^{m (t - t')} is (e^{m t} - 1) / m; beta = 3, gamma = 0.5.
  for (const double m : {0.0, 0.7, 1e6}) {
    const double T = 2, eps = 1e-3;
    std::vector<CurvatureSample> samples;
    for (const double t : {0.0, 0.1, 0.2, 1.5, T}) samples.push_back({t, 0.5, m > 3 ? m : 3, -m});
    const double log_integral = m == 0 ? std::log(T) : m * T + std::log(-std::expm1(-m * T)) - std::log(m);
    const RateEstimate estimate = elkabetz_cohen_estimate(samples, eps);
    EXPECT_NEAR(estimate.log_eta, std::log(eps) - std::log(std::max(m, 3.0) * 0.5) - log_integral,
                1e-15 * std::max(m * T, 10.0));  // at m = 1e6 eta is e^{-2e6}, which no double holds
    EXPECT_EQ(estimate.t, T);
  }
}

TEST(ElkabetzCohenTest, TakesWhatIsLargestUpToATime) {
  // No negative curvature: eta(eps) = eps / (largest beta so far * largest gamma so far * t).
  std::vector<CurvatureSample> samples{{0, 4, 1, 0.5}, {1, 2, 5, 1}, {2, 1, 2, 0}};
  EXPECT_NEAR(std::exp(elkabetz_cohen_estimate(samples, 1).log_eta), 1 / (5 * 4 * 2.0), 1e-15);
  samples.back().smallest = -7;  // counts for beta, and from t = 1 on for m at half of itself
  const double integral = std::exp(3.5) + std::expm1(3.5) / 3.5;
  EXPECT_NEAR(std::exp(elkabetz_cohen_estimate(samples, 1).log_eta), 1 / (7 * 4 * integral), 1e-15);
}

TEST(ElkabetzCohenTest, VaryingCurvatureConvergesAtOrderTwo) {
  // m = t: the integral of e^{(T^2 - t^2) / 2} is e^{T^2/2} sqrt(pi/2) erf(T / sqrt 2).
  const double T = 2,
               exact = -T * T / 2 - std::log(std::sqrt(std::numbers::pi / 2) * std::erf(T / std::numbers::sqrt2));
  Numbers steps, errors;
  for (int n = 8; n <= 64; n *= 2) {
    std::vector<CurvatureSample> samples;
    for (int i = 0; i <= n; ++i) {
      const double t = T * i / n;
      samples.push_back({t, 1, 2, -t});
    }
    steps.push_back(T / n);
    errors.push_back(std::abs(elkabetz_cohen_estimate(samples, 1).log_eta - (exact - std::log(2))));
  }
  EXPECT_NEAR(solvers::order_of(steps, errors), 2, 0.1);
}

TEST(ElkabetzCohenTest, DescentAtTheEstimateKeepsWithinEps) {
  const TaskData data = tests::tasks().front().data;
  const Task task(data);
  const Weights<double> start = draw_start(StartLaw::gaussian, 4, 5, data.words, {0.6, 0.5, 0.8, 0.9}, 7);
  const auto field = FieldDerivatives::of_reduced_flow(task, start);
  const Flow<double>& flow = field.flow();
  const double T = 1, eps = 0.3;
  const auto times = solvers::Clock<double>::linear().evenly_spaced(0.0, T, 41);
  const auto solved = solvers::solve<double>(flow, flow.initial_state(), {.end = T, .outputs = times},
                                             {.method = "dopri5", .tolerances = {1e-9, 1e-11}});
  std::vector<CurvatureSample> samples;
  for (std::size_t i = 0; i < solved.t.size(); ++i) {
    Numbers f(solved.x[i].size());
    flow.derivative(0, solved.x[i], f);
    const Curvature c = curvature(field, solved.x[i]);
    samples.push_back({solved.t[i], std::sqrt(f.back()), c.largest, c.smallest});
  }
  const double eta = std::exp(elkabetz_cohen_estimate(samples, eps).log_eta);
  const auto departure = [&](double rate) {
    const int steps = static_cast<int>(std::ceil(T / rate));
    Numbers x = flow.initial_state(), f(x.size());
    for (int k = 0; k < steps; ++k) {
      flow.derivative(0, x, f);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += T / steps * f[i];
    }
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= solved.x_end[i];
    return std::sqrt(field.inner(x, x));
  };
  EXPECT_LT(departure(eta), eps);
  EXPECT_GT(departure(eta), eps / 1000);  // loose, but of use
}

TEST(ElkabetzCohenTest, RefusesWhatIsNoTrajectory) {
  const CurvatureSample a{0, 1, 1, -1}, b{1, 1, 1, -1};
  const auto refuses = [](std::vector<CurvatureSample> samples, double eps = 1) {
    EXPECT_THROW(elkabetz_cohen_estimate(samples, eps), std::invalid_argument);
  };
  refuses({});
  refuses({a});
  refuses({b, a});
  refuses({a, b, b});
  refuses({a, {1, std::nan(""), 1, 1}});
  refuses({a, b}, 0);
  refuses({a, b}, std::nan(""));
}

}  // namespace
}  // namespace gradflow
