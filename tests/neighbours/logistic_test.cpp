// Models that end in a logistic loss: their margins follow z + e^z = t, out to t = 1e12.
#include <gtest/gtest.h>

#include <boost/math/special_functions/lambert_w.hpp>
#include <numeric>

#include "support/closed_form.hpp"
#include "support/logistic_neighbours.hpp"

namespace neighbours {
namespace {

/// Orthogonal samples x_i: each margin has z_i' = (|x_i|^2 / n) / (1 + e^{z_i}), so that z_i + e^{z_i} grows linearly.
struct OrthogonalSamples {
  template <class Real>
  ClosedForm<Real> operator()(Real) const {
    using std::exp;
    Matrix<Real> X(3, 3);
    X << 1, 2, 2, 4, 2, -4, -Real(2) / 3, Real(2) / 3, -Real(1) / 3;
    const Vector<Real> rates = X.rowwise().squaredNorm() / 3;
    const std::vector<Real> levels{1, 10, 23};
    std::vector<Real> event_times;
    for (const Real& rate : rates)
      for (const Real& level : levels) event_times.push_back((level + exp(level) - 1) / rate);  // from z = 0
    const auto error = [X, rates](Real t, In<Real> x) -> Real {
      Vector<Real> exact = Vector<Real>::Zero(3);
      for (Index i = 0; i < 3; ++i)
        exact += log_lambert<Real>(1 + rates[i] * t) / (3 * rates[i]) * X.row(i).transpose();
      return (Eigen::Map<const Vector<Real>>(x.data(), 3) - exact).cwiseAbs().maxCoeff();
    };
    return {.system = std::make_shared<LogisticRegression<Real>>(X, levels),
            .start = {0, 0, 0},
            .end = Real(1e12),
            .clock = solvers::Clock<Real>::log(Real(1)),
            .error = error,
            .invariants = [](auto) { return std::vector<Real>{}; },
            .event_times = event_times};
  }
};

TEST(LogisticRegressionFlow, MarginsOfOrthogonalSamplesFollowLambert) { expect_closed_form(OrthogonalSamples{}); }

TEST(LogisticRegressionFlow, LogLambertIsLambert) {
  for (const double k : {-30.0, -1.0, 0.0, 1.0, 5.0, 40.0, 600.0})
    EXPECT_NEAR(log_lambert(k), k - boost::math::lambert_w0(std::exp(k)), 4e-16 * std::abs(k) + 1e-16);
}

/// Two words: with D = v_1 - v_2 and d = s_1 - s_2, D^2 / 2 - cosh d is constant (and s_1 + s_2). On the orbit D = 2
/// cosh(d/2) all is elementary in f: 2 sinh(d/2) and v_1 + v_2 grow as f does, and f' = 1/(1 + e^f).
struct TwoWords {
  template <class Real>
  ClosedForm<Real> operator()(Real) const {
    using std::exp;
    using std::sqrt;
    const Real f_0 = -1, sinh_0 = Real(-1) / 2;  // of d/2
    const auto exact = [=](Real f) -> std::vector<Real> {
      using std::asinh;
      const Real sinh = sinh_0 + (f - f_0) / 2, cosh = sqrt(1 + sinh * sinh);
      const Real mean = f_0 - sinh_0 + (f - f_0) / 2, d = 2 * asinh(sinh);  // of v; f = mean + D/2 tanh(d/2)
      return {mean + cosh, mean - cosh, (1 + d) / 2, (1 - d) / 2};
    };
    const auto time = [=](Real f) -> Real { return f + exp(f) - f_0 - exp(f_0); };
    const auto error = [=](Real t, In<Real> x) -> Real {
      using std::abs;
      const std::vector<Real> at = exact(log_lambert<Real>(t + f_0 + exp(f_0)));
      Real largest = 0;
      for (std::size_t i = 0; i < 4; ++i) largest = std::max(largest, Real(abs(x[i] - at[i])));
      return largest;
    };
    const auto invariants = [](In<Real> x) -> std::vector<Real> {
      using std::cosh;
      const Real D = x[0] - x[1], d = x[2] - x[3];
      return {(D * D / 2 - 1) / cosh(d),
              x[2] + x[3]};  // over cosh d, because the law is a difference of numbers as large
    };
    const Real f_at_3_4 = f_0 + 2 * (1 / sqrt(Real(3)) - sinh_0);  // p_1 = 3/4 where d = log 3
    return {.system = std::make_shared<ValueSoftmax<Real>>(2),
            .start = exact(f_0),
            .end = Real(1e12),
            .clock = solvers::Clock<Real>::log(Real(1)),
            .error = error,
            .invariants = invariants,
            .event_times = {time(1), time(f_at_3_4)}};
  }
};

TEST(ValueSoftmaxFlow, OnTheHyperbolicOrbitAllIsElementary) { expect_closed_form(TwoWords{}); }

TEST(ValueSoftmaxFlow, KeepsItsLawsOnOtherOrbits) {
  const ValueSoftmax<double> two(2), five(5);
  const std::vector<double> x_2{0.3, -0.2, 0.4, -0.6}, x_5{0.1, -0.4, 0.3, 0.2, -1, 0.5, 0, -0.3, 1, 0.2};
  const auto how = [](double rtol) {
    return solvers::Solve<double>{
        .end = 1e8, .tolerances = {rtol, rtol / 100}, .clock = solvers::Clock<double>::log(1)};
  };
  const double rtol = 1e-10;
  const auto a = solvers::solve<double>(two, x_2, how(rtol)), b = solvers::solve<double>(five, x_5, how(rtol));
  const auto law = [](const std::vector<double>& x) {
    return (x[0] - x[1]) * (x[0] - x[1]) / 2 - std::cosh(x[2] - x[3]);
  };
  const auto sum_of_scores = [](const std::vector<double>& x) { return std::accumulate(x.begin() + 5, x.end(), 0.0); };
  // The sum of the local errors of two numbers near cosh, or of five scores.
  const double difference = a.x[2] - a.x[3];
  EXPECT_GT(difference, 3);  // far from its start
  EXPECT_NEAR(law(a.x), law(x_2), 2 * rtol * static_cast<double>(a.report.counts.accepted) * std::cosh(difference));
  EXPECT_NEAR(sum_of_scores(b.x), sum_of_scores(x_5), 5 * rtol * static_cast<double>(b.report.counts.accepted));
}

}  // namespace
}  // namespace neighbours
