// Certificates against exact solutions, and against solutions that have been tampered with.
#include <gtest/gtest.h>

#include <cmath>
#include <solvers/certificate.hpp>

#include "support/neighbours.hpp"
#include "support/problems.hpp"

namespace solvers {
namespace {

/// Two equal layers, w_1 w_2 -> s, from w_1 = w_2 = w_0: the product is a sigmoid.
template <class Real>
struct TwoEqualLayers {
  Real s = 2, w_0 = Real(3) / 10;
  neighbours::DeepScalar<Real> system{2, s};
  std::vector<Real> start{w_0, w_0};
  Schedule<Real> schedule{.end = Real(3) / 2, .outputs = {Real(1) / 4, Real(1) / 2, 1, Real(3) / 2}};

  Real layer(Real t) const {
    using std::exp;
    using std::sqrt;
    const Real growth = exp(2 * s * t);
    return sqrt(s * growth / (growth - 1 + s / (w_0 * w_0)));
  }
  /// Of the product's half, and of 9/10.
  std::vector<Real> event_times() const {
    using std::log;
    const Real odds = s / (w_0 * w_0) - 1;
    return {log(odds) / (2 * s), log(9 * odds) / (2 * s)};
  }
};

/// Adds to `outside` the crossings that lie outside their bars.
template <class Real>
void expect_true_errors(std::string_view method, Real rtol, int& outside) {
  using std::abs;
  using std::sqrt;
  SCOPED_TRACE(std::string(method) + " at rtol " + std::to_string(static_cast<double>(rtol)));
  const TwoEqualLayers<Real> problem;
  const SolveOptions<Real> options{.method = std::string(method), .tolerances = {rtol, rtol / 100}, .error_bars = true};
  const auto solution = solve(problem.system, problem.start, problem.schedule, options);
  const auto certificate = certify(problem.system, problem.start, solution, problem.schedule, options);
  EXPECT_EQ(certificate.t, problem.schedule.outputs);
  // What rounding leaves of a state or a time of size 1 after some hundred steps.
  const Real rounding = 1000 * std::numeric_limits<Real>::epsilon();
  int compared = 0;
  const int outside_before = outside;
  const auto expect_same = [&](const Real& reported, const Real& exact, const Real& uncertainty) {
    // The reference's own error: as a rule a tenth of the uncertainty, now and then, where the check errs alike, all.
    EXPECT_LE(abs(reported - exact), 2 * uncertainty + rounding);
    if (exact < 3 * uncertainty) return;  // by chance as good as the reference itself
    EXPECT_LT(reported, 3 * exact);
    EXPECT_GT(reported, exact / 3);
    ++compared;
  };
  for (std::size_t i = 0; i < certificate.t.size(); ++i) {
    ASSERT_EQ(certificate.states[i].size(), 1u);
    const Real exact = problem.layer(certificate.t[i]), off_1 = solution.x[i][0] - exact,
               off_2 = solution.x[i][1] - exact;
    const StateError<Real>& state = certificate.states[i][0];
    expect_same(state.error, sqrt(off_1 * off_1 + off_2 * off_2), state.uncertainty);
    EXPECT_LT(abs(state.size / (sqrt(Real(2)) * exact) - 1), rtol);
  }
  ASSERT_EQ(certificate.crossings.found.size(), 2u);
  for (const auto& found : certificate.crossings.found) {
    const Real exact = problem.event_times()[static_cast<std::size_t>(found.crossing.event)];
    expect_same(found.error, abs(found.crossing.t - exact), found.uncertainty);
    outside += found.error > found.bar;
  }
  EXPECT_GE(compared, 4);  // of six
  EXPECT_EQ(certificate.holds(), outside == outside_before) << certificate.message();
}

TEST(CertificateTest, ReportsTheTrueErrors) {
  int outside = 0;
  for (const Method& method : methods())
    for (const double rtol : {1e-5, 1e-7, 1e-9}) expect_true_errors<double>(method.name, rtol, outside);
  EXPECT_LE(outside, 1);  // a bar is an estimate: a few in a hundred are too small, here one of two for each solve
}

TEST(CertificateTest, ReportsTheTrueErrorsInQuadruplePrecision) {
  int outside = 0;
  expect_true_errors<Quad>("dopri5", Quad("1e-24"), outside);
  expect_true_errors<Quad>("fehlberg78", Quad("1e-14"),
                           outside);  // dopri5, its reference, needs 10^(1/5) the steps per digit
  EXPECT_EQ(outside, 0);
}

TEST(CertificateTest, TheReferenceIsOfAnotherFamilyAndAThousandTimesBetter) {
  SolveOptions<double> options{.tolerances = {1e-8, 1e-11}, .clock = Clock<double>::log(3), .error_bars = true};
  options.limits.max_step = 1;
  const auto reference = reference_options(options);
  EXPECT_EQ(reference.method, "fehlberg78");
  EXPECT_DOUBLE_EQ(reference.tolerances.rtol, 1e-11);
  EXPECT_DOUBLE_EQ(reference.tolerances.atol, 1e-14);
  EXPECT_EQ(reference.clock.t0(), 3);
  EXPECT_DOUBLE_EQ(*reference.limits.max_step, std::pow(1e-3, 0.2));
  EXPECT_FALSE(reference.error_bars);
  options.method = "fehlberg78";
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.rtol, 1e-13);  // of dopri5, whose order is lower
  options.method = "dopri5";
  EXPECT_EQ(other_family("cash-karp54"), "fehlberg78");
  EXPECT_EQ(other_family("fehlberg78"), "dopri5");
  EXPECT_THROW(other_family("euler"), std::invalid_argument);

  const double least = 50 * std::numeric_limits<double>::epsilon();
  options.tolerances = {1e-12, 1e-12};  // both are tightened by as much as the precision allows
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.rtol, least);
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.atol, least);
  options.tolerances = {0, 1e-6};
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.rtol, least);
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.atol, 1e-9);
  options.tolerances = {1e-14, 1e-16};  // never looser, but for the least rtol
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.rtol, least);
  EXPECT_DOUBLE_EQ(reference_options(options).tolerances.atol, 1e-16);
}

TEST(CertificateTest, BlocksHaveErrorsOfTheirOwn) {
  const Problem<double> system({{.name = "growing"}, {.name = "pair", .rows = 2}}, [](double, auto x, auto dx) {
    dx[0] = x[0];
    dx[1] = 1, dx[2] = 0;  // exact in every step
  });
  const std::vector<double> start{1, 0, 3};
  const Schedule<double> schedule{.end = 4, .outputs = {4}};
  const SolveOptions<double> options{.method = "fehlberg78", .tolerances = {1e-6, 1e-6}};
  auto solution = solve(system, start, schedule, options);
  const auto certificate = certify(system, start, solution, schedule, options);
  const auto& states = certificate.states.at(0);
  ASSERT_EQ(states.size(), 2u);
  EXPECT_NEAR(states[0].size, std::exp(4), 1e-6);
  EXPECT_GT(states[0].error, 1e-8);
  EXPECT_NEAR(states[1].size, 5, 1e-14);
  EXPECT_LT(states[1].error, 1e-13);  // 4 and 3, after some tens of roundings
  EXPECT_NE(certificate.message().find(" of growing at t = 4"), std::string::npos) << certificate.message();
  solution.x[0][2] += 1;
  EXPECT_NEAR(certify(system, start, solution, schedule, options).states[0][1].error, 1, 1e-13);
}

TEST(CertificateTest, ErrorsAreDistancesToTheReferenceAndUncertaintiesFromThereToTheCheck) {
  Problem<double> system = slowing_down();
  system.watch([](double, auto x) { return 0.5 - x[0]; });
  const Schedule<double> schedule{.end = 3, .outputs = {2}};
  const SolveOptions<double> options{.tolerances = {1e-5, 1e-5}};
  const auto solution = solve(system, {1}, schedule, options);
  const auto certificate = certify(system, {1}, solution, schedule, options);
  const auto reference = solve(system, {1}, schedule, reference_options(options));
  const auto check = solve(system, {1}, schedule, loosened(reference_options(options), 10.0));
  EXPECT_EQ(certificate.states[0][0].error, std::abs(solution.x[0][0] - reference.x[0][0]));
  EXPECT_EQ(certificate.states[0][0].size, reference.x[0][0]);
  EXPECT_EQ(certificate.states[0][0].uncertainty, std::abs(reference.x[0][0] - check.x[0][0]));
  const auto& found = certificate.crossings.found.at(0);
  EXPECT_EQ(found.error, std::abs(solution.crossings[0].t - reference.crossings[0].t));
  EXPECT_EQ(found.uncertainty, std::abs(reference.crossings[0].t - check.crossings[0].t));
}

/// A solution that is as it should be, to tamper with.
struct TamperedSolution : testing::Test {
  TwoEqualLayers<double> problem;
  SolveOptions<double> options{.tolerances = {1e-7, 1e-9}, .error_bars = true};
  Solution<double> solution = solve(problem.system, problem.start, problem.schedule, options);

  Certificate<double> certificate() const {
    return certify(problem.system, problem.start, solution, problem.schedule, options);
  }
  void expect_fails(const std::string& why) const {
    const auto result = certificate();
    EXPECT_FALSE(result.holds());
    EXPECT_NE(result.message().find("does not hold"), std::string::npos) << result.message();
    EXPECT_NE(result.message().find(why), std::string::npos) << result.message();
  }
};

TEST_F(TamperedSolution, ABarThatIsTooShortFails) {
  const double error = certificate().crossings.found[1].error;
  solution.error_bars[1].error = 1.01 * error;
  EXPECT_TRUE(certificate().holds());
  solution.error_bars[1].error = 0.9 * error;  // three uncertainties are less than a tenth of the error
  expect_fails("nearly (event 1, becomes true) at t = ");
  solution.error_bars[1].error = std::nan("");  // claims nothing
  EXPECT_TRUE(certificate().holds());
  solution.error_bars.clear();
  EXPECT_TRUE(certificate().holds());
  EXPECT_TRUE(std::isnan(certificate().crossings.found[0].bar));
}

TEST_F(TamperedSolution, ABarShorterThanTheUncertaintyHoldsButIsNamed) {
  solution = solve(problem.system, problem.start, problem.schedule, reference_options(options));
  solution.error_bars = {{1, true}, {1e-15, true}};
  const auto result = certificate();
  EXPECT_TRUE(result.holds());
  EXPECT_EQ(result.crossings.found[1].error, 0);
  EXPECT_NE(result.message().find("its bar 1e-15, too short for this reference to judge"), std::string::npos)
      << result.message();
  EXPECT_EQ(result.message().find("half (event 0"), std::string::npos) << result.message();
}

TEST_F(TamperedSolution, TheMessageNamesTheLargestErrorOfTheBars) {
  const double error = certificate().crossings.found[1].error;
  solution.error_bars[1].error = 4 * error;
  EXPECT_EQ(certificate().message().find("holds against fehlberg78 at rtol 1e-10, atol 1e-12: 2 of 2 crossings "
                                         "confirmed, the largest error 0.25 of its bar; the largest error of 4 outputs "
                                         "is "),
            0u)
      << certificate().message();
}

TEST_F(TamperedSolution, ALostCrossingFails) {
  solution.crossings.erase(solution.crossings.begin());
  solution.error_bars.erase(solution.error_bars.begin());
  expect_fails("half (event 0, becomes true) at t = 0.76376221");
  ASSERT_EQ(certificate().crossings.missing.size(), 1u);
  EXPECT_NEAR(certificate().crossings.missing[0].t, problem.event_times()[0], 1e-9);
}

TEST_F(TamperedSolution, AnInventedCrossingFails) {
  Crossing<double> invented = solution.crossings[0];
  invented.direction = -1;
  solution.crossings.push_back(invented);
  solution.error_bars.push_back({1e9, true});
  expect_fails("half (event 0, is lost) at t = 0.76376221");
  EXPECT_TRUE(std::isnan(certificate().crossings.found[2].error));

  solution.crossings.back() = solution.crossings[1];  // the same twice: one of them is one too many
  expect_fails("the reference has no such crossing");
  EXPECT_TRUE(certificate().crossings.missing.empty());
}

TEST_F(TamperedSolution, AReferenceThatDoesNotComeToItsEndFails) {
  options.limits.steps = solution.report.counts.accepted;  // enough for the solution itself
  options.limits.max_step = solution.report.largest_step;
  expect_fails("the reference: the budget of accepted steps is used up");
  EXPECT_LT(certificate().t.size(), solution.t.size());
}

TEST_F(TamperedSolution, ASolutionThatWasCutShortIsCertifiedAsFarAsItGoes) {
  options.limits.steps = solution.report.counts.accepted / 2;
  solution = solve(problem.system, problem.start, problem.schedule, options);
  options.limits = {};
  ASSERT_LT(solution.t.size(), problem.schedule.outputs.size());
  EXPECT_TRUE(certificate().holds()) << certificate().message();
  EXPECT_EQ(certificate().t, solution.t);
  EXPECT_EQ(certificate().reference_report.t, solution.report.t);
}

TEST(CertificateTest, AStoppedSolutionIsHeldAgainstStoppedOnes) {
  Problem<double> system = oscillator();
  system.watch([](double, auto x) { return -0.5 - x[1]; }, true);
  system.watch([](double, auto x) { return 0.9 - x[0]; });
  const Schedule<double> schedule{.end = 9, .outputs = {0.25, 0.5, 9}};
  const SolveOptions<double> options{.error_bars = true};
  const auto solution = solve(system, {1, 0}, schedule, options);
  const auto certificate = certify(system, {1, 0}, solution, schedule, options);
  EXPECT_TRUE(certificate.holds()) << certificate.message();
  EXPECT_EQ(certificate.reference_report.outcome, Outcome::stopped_by_event);
  EXPECT_EQ(certificate.crossings.found.size(), 2u);
  EXPECT_EQ(certificate.t, (std::vector<double>{0.25, 0.5}));
}

/// Crossings of event 0 into its condition, on the linear clock.
std::vector<Crossing<double>> at(const std::vector<double>& times) {
  std::vector<Crossing<double>> result;
  for (const double t : times) result.push_back({0, t, t, 1, 1, 0});
  return result;
}

TEST(CertifyCrossingsTest, ErrorsUncertaintiesAndWhatIsMissing) {
  const auto result =
      certify_crossings<double>(at({1, 3}), {{0.25, true}, {0.25, true}}, at({2, 3, 7}), at({1.75, 3, 7}));
  ASSERT_EQ(result.found.size(), 2u);
  EXPECT_EQ(result.found[0].error, 1);
  EXPECT_EQ(result.found[0].uncertainty, 0.25);
  EXPECT_TRUE(result.found[0].holds());  // 0.25 is just not less than 1 - 3 * 0.25
  CertifiedCrossing<double> shorter = result.found[0];
  shorter.bar = 0.24;
  EXPECT_FALSE(shorter.holds());
  EXPECT_EQ(result.found[1].error, 0);
  ASSERT_EQ(result.missing.size(), 1u);
  EXPECT_EQ(result.missing[0].t, 7);
  EXPECT_FALSE(result.hold());
}

TEST(CertifyCrossingsTest, WhatTheCheckDoesNotFindIsNotCertified) {
  const auto result = certify_crossings<double>(at({1}), {{0.25, true}}, at({1}), {});
  EXPECT_EQ(result.found[0].error, 0);
  EXPECT_TRUE(std::isnan(result.found[0].uncertainty));
  EXPECT_FALSE(result.hold());
  EXPECT_TRUE(certify_crossings<double>({}, {}, {}, {}).hold());
  EXPECT_THROW(certify_crossings<double>(at({1, 2}), {{1, true}}, {}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace solvers
