// The right-hand side formed tile by tile, against equation 4 of the flow written down plainly, and against itself: at
// stages of a Runge-Kutta method, by several threads.
#include <gtest/gtest.h>

#include <limits>
#include <solvers/error_norm.hpp>

#include "support/flow_cases.hpp"

namespace gradflow {
namespace {

using tests::OwnedFlow;

constexpr double epsilon = std::numeric_limits<double>::epsilon();

// Sums of up to some hundred terms, each rounded a few times; relative to the largest component.
constexpr double rounding = 300 * epsilon;

/// Tasks large enough for several runs of samples, with words of one sample, of some and of all.
std::vector<tests::NamedTask> large_tasks() {
  CoOccurrenceOptions uniform, distinct;
  uniform.samples = 60;
  distinct.samples = 48;
  distinct.length = 7;
  distinct.words = 400;
  distinct.fillers = Fillers::distinct;
  CoOccurrenceOptions some = uniform;
  some.words = 300;
  return {{"uniform", Task(co_occurrence(uniform, 1)).data()},
          {"distinct", Task(co_occurrence(distinct, 2)).data()},
          {"some words shared", Task(co_occurrence(some, 3)).data()}};
}

/// Every small task and every large one, at widths on both sides of a tile's strides.
template <class Check>
void for_each_flow(Check check) {
  auto tasks = tests::tasks();
  for (auto& task : large_tasks()) tasks.push_back(std::move(task));
  for (const tests::NamedTask& task : tasks)
    for (const Index width : {1, 7, 16, 37})
      for (const auto& [name, rates] : tests::all_rates)
        for (const bool full : {false, true}) {
          if (full && name != "mixed") continue;
          SCOPED_TRACE(task.name + ", width " + std::to_string(width) + ", " + name + (full ? ", full" : ""));
          const auto start = draw_start(StartLaw::gaussian, width, 5, task.data.words, {0.3, 0.4, 0.5, 0.6}, 4);
          check(OwnedFlow<double>(task.data, start, rates, full));
        }
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(b[i]));
    difference = std::max(difference, std::abs(a[i] - b[i]));
  }
  EXPECT_LE(difference, tolerance * largest);
}

TEST(StageTest, DerivativeIsEquation4WrittenPlainly) {
  for_each_flow([](const OwnedFlow<double>& flow) {
    const std::vector<double> x = tests::away_from_start(*flow), dx = flow.derivative(x);
    const auto at = tests::parts(*flow, x), found = tests::parts(*flow, dx);
    const auto [gV, gA] = flow.coefficients(x);
    const Index d = flow.task->words();
    Matrix<double> g = Matrix<double>::Zero(d, d);  // [key, query]
    const WordPairs& pairs = flow->model().pairs();
    for (Index j = 0; j < std::ssize(pairs.queries()); ++j)
      for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair)
        g(pairs.key(pair), pairs.queries()[static_cast<std::size_t>(j)]) = gA[static_cast<std::size_t>(pair)];
    const auto a = flow->weights(x).a;
    const bool full = flow->blocks()[0].name == "W";
    const Vector<double> u = full ? Vector<double>(at.head.transpose() * a) : at.head.col(0);
    const Eigen::Map<const Vector<double>> v(gV.data(), d);
    const Rates<double>& rho = flow->rates();
    const double root = 1 / std::sqrt(static_cast<double>(flow->width()));
    const auto expect = [](const Matrix<double>& is, const Matrix<double>& should) {
      ASSERT_EQ(is.rows(), should.rows());
      EXPECT_LE((is - should).cwiseAbs().maxCoeff(), rounding * should.cwiseAbs().maxCoeff());
    };
    expect(found.W_V, rho.W_V * u * v.transpose());
    expect(found.W_K, rho.W_K * root * at.W_Q * g.transpose());
    expect(found.W_Q, rho.W_Q * root * at.W_K * g);
    if (full)
      expect(found.head, rho.W * a * (at.W_V * v).transpose());
    else
      expect(found.head, rho.W * static_cast<double>(flow->hidden()) * at.W_V * v);
    const PerMatrix<double> power = flow->power(x, gV, gA);
    double sum = 0;
    const std::array rates{rho.W, rho.W_V, rho.W_K, rho.W_Q};
    for (std::size_t i = 0; i < 4; ++i) sum += rates[i] > 0 ? power[i] / rates[i] : 0;
    EXPECT_NEAR(found.last, sum, rounding * sum);
  });
}

/// x and four derivatives, at it and beyond, for the terms of a stage. One `at_rest` has no factors to be found.
struct Terms {
  explicit Terms(const OwnedFlow<double>& flow, bool at_rest = false) : x(tests::away_from_start(*flow)) {
    for (unsigned seed = 6; seed < 10; ++seed)
      derivatives.push_back(flow.derivative(tests::away_from_start(*flow, 0.2, seed)));
    if (at_rest) derivatives.back().assign(x.size(), 0.0);
    for (const auto& dx : derivatives) k.push_back(dx.data());
  }
  solvers::StagePoint<double> at(bool unmixed) const {
    return {.t = 0, .x = x, .c = c, .k = k, .scale = 2.5, .unmixed = unmixed};
  }
  std::vector<double> x;
  std::vector<std::vector<double>> derivatives;
  std::vector<const double*> k;
  std::vector<double> c{0.25, -0.75, 1.5, 0.5};
};

TEST(StageTest, IsTheDerivativeAtTheSumTimesItsScale) {
  for_each_flow([](const OwnedFlow<double>& flow) {
    for (const bool at_rest : {false, true}) {
      const Terms terms(flow, at_rest);
      std::vector<double> sum = terms.x;
      for (std::size_t j = 0; j < terms.k.size(); ++j)
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += terms.c[j] * terms.k[j][i];
      std::vector<double> expected = flow.derivative(sum);
      for (double& component : expected) component *= 2.5;
      for (const bool unmixed : {false, true})
        for (const bool keep : {false, true}) {
          std::vector<double> y(sum.size(), -1), dx(sum.size(), -1);
          flow->stage(terms.at(unmixed), y, keep, dx);
          if (keep) expect_near(y, sum, 8 * epsilon);
          expect_near(dx, expected, 10 * rounding);  // points that differ by rounding, through the softmax
        }
    }
  });
}

TEST(StageTest, TermsThatAreNoDerivativesAreNotTakenForSuch) {
  const tests::NamedTask task = large_tasks()[1];
  const OwnedFlow<double> flow(
      task.data, draw_start(StartLaw::gaussian, 16, 5, task.data.words, {0.3, 0.4, 0.5, 0.6}, 4), {}, false);
  Terms terms(flow);
  terms.derivatives[0] = tests::away_from_start(*flow, 0.2, 11);  // a state: its W_V is no outer product
  terms.k[0] = terms.derivatives[0].data();
  std::vector<double> y(terms.x.size()), dx(terms.x.size()), expected = terms.x;
  for (std::size_t j = 0; j < terms.k.size(); ++j)
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += terms.c[j] * terms.k[j][i];
  flow->stage(terms.at(false), y, true, dx);
  expect_near(y, expected, 8 * epsilon);
}

TEST(StageThreads, GiveTheBitsOfOne) {
  for (const tests::NamedTask& task : large_tasks())
    for (const bool full : {false, true}) {
      SCOPED_TRACE(task.name);
      const OwnedFlow<double> flow(
          task.data, draw_start(StartLaw::gaussian, 37, 5, task.data.words, {0.3, 0.4, 0.5, 0.6}, 4), {}, full);
      const Terms terms(flow);
      std::vector<double> y(terms.x.size()), dx = y, scratch = y, dx_apart = y, y_of_one, dx_of_one, dx_apart_of_one;
      for (const int threads : {1, 2, 3, 5}) {
        flow.flow->use(std::make_shared<solvers::Workers>(threads));
        for (int round = 0; round < 5; ++round) {
          flow->stage(terms.at(true), y, true, dx);
          flow->stage(terms.at(true), scratch, false, dx_apart);
          if (threads == 1) {
            y_of_one = y;
            dx_of_one = dx;
            dx_apart_of_one = dx_apart;
          }
          ASSERT_EQ(y, y_of_one) << threads << " threads";
          ASSERT_EQ(dx, dx_of_one) << threads << " threads";
          ASSERT_EQ(dx_apart, dx_apart_of_one) << threads << " threads";
        }
      }
    }
}

TEST(StageThreads, MeasureErrorsAsOneDoes) {
  const solvers::Block block{.name = "X", .rows = 13, .columns = 101};
  std::vector<double> x(13 * 101), error(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = std::sin(static_cast<double>(i));
    error[i] = 1e-6 * std::cos(3.0 * static_cast<double>(i));
  }
  const double c = 0.5;
  const double* const k = error.data();
  solvers::ErrorNorm<double> norm({block}, {1e-6, 1e-8});
  const double whole = norm({{&c, 1}, {&k, 1}, {}}, x, x);
  solvers::Workers workers(3);
  norm.use(&workers);
  EXPECT_EQ(norm({{&c, 1}, {&k, 1}, {}}, x, x), whole);
  x[700] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(norm({{&c, 1}, {&k, 1}, {}}, x, x)));
}

}  // namespace
}  // namespace gradflow
