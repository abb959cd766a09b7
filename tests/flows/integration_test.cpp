#include <gtest/gtest.h>

#include <cmath>
#include <solvers/integrate.hpp>

#include "support/flow_cases.hpp"

// Whole solves, out to t = 1e8.
namespace gradflow {
namespace {

using tests::OwnedFlow;

struct Solved {
  std::vector<double> x;
  solvers::Report<double> report;
};

Solved solve(const Flow<double>& flow, double until, double rtol, const char* method = "dopri5") {
  const auto stepper =
      solvers::make_stepper<double>(method, flow, solvers::Clock<double>::log(1), {.rtol = rtol, .atol = rtol / 100});
  stepper->start(0, flow.initial_state());
  solvers::Observer<double> nobody;
  const solvers::Schedule<double> schedule{.end = until, .outputs = {}};
  Solved solved;
  solved.report = solvers::integrate<double>(*stepper, schedule, {}, nobody);
  solved.x.assign(stepper->state().begin(), stepper->state().end());
  return solved;
}

double loss(const Flow<double>& flow, const std::vector<double>& x) {
  std::vector<double> G(static_cast<std::size_t>(flow.task().words())),
      A(static_cast<std::size_t>(flow.model().pairs().size()));
  Model<double>::Forward forward;
  flow.values(x, G);
  flow.scores(x, A);
  flow.model().forward(G, A, forward);
  return forward.loss;
}

/// Distinct fillers and a small Gaussian start, as in the paper's theory.
tests::FlowCase theory(bool full, Rates<double> rates = {}) {
  const TaskData task = tests::tasks()[1].data;
  return {"theory", task, draw_start(StartLaw::gaussian, 24, 16, task.words, {0.1, 0.05, 0.05, 0.05}, 3), rates, full};
}

TEST(IntegrationTest, LawsHoldOutToTenToTheEight) {
  for (const bool full : {true, false})
    for (const Rates<double>& rates : {Rates<double>{}, Rates<double>{0.5, 2, 3, 1}, Rates<double>{1, 1, 0, 1}}) {
      const OwnedFlow<double> flow(theory(full, rates));
      const Solved solved = solve(*flow, 1e8, 1e-10);
      ASSERT_EQ(solved.report.outcome, solvers::Outcome::reached_end);
      // Some hundred steps, each off by at most rtol = 1e-10 in every column.
      for (const double drift : flow->law_drifts(solved.x)) EXPECT_LE(drift, 1e-8) << full;
      const double start = loss(*flow, flow->initial_state()), end = loss(*flow, solved.x);
      EXPECT_NEAR(end + flow->integrated_power(solved.x), start, 1e-8 * start);
      // The loss falls like c / (U t), c of order 1 to 17 (17 in the limit of many samples and uniform attention).
      const double LUt = end * flow->U(solved.x) * 1e8;
      EXPECT_GT(LUt, 0.5);
      EXPECT_LT(LUt, 20);
    }
}

TEST(IntegrationTest, FullReducedAndCompressedEndAtTheSameWeights) {
  for (const double rtol : {1e-6, 1e-9}) {
    const tests::FlowCase c = theory(false);
    const OwnedFlow<double> full(theory(true)), reduced(c),
        compressed(c.task, c.start, {}, false, Coordinates::automatic);
    ASSERT_LT(compressed->dimension(), reduced->dimension());
    const Weights<double> b = reduced->weights(solve(*reduced, 1e4, rtol).x);
    for (const OwnedFlow<double>* flow : {&full, &compressed}) {
      const Weights<double> a = (*flow)->weights(solve(**flow, 1e4, rtol).x);
      // The full flow's steps differ (one measures W by neurons, the other u), so each has its own error, about a
      // hundred steps of rtol.
      EXPECT_LE((a.W - b.W).norm(), 100 * rtol * b.W.norm());
      EXPECT_LE((a.W_V - b.W_V).norm(), 100 * rtol * b.W_V.norm());
      EXPECT_LE((a.W_K - b.W_K).norm(), 100 * rtol * b.W_K.norm());
      EXPECT_LE((a.W_Q - b.W_Q).norm(), 100 * rtol * b.W_Q.norm());
    }
  }
}

TEST(IntegrationTest, UnusedWordsAndFrozenMatricesKeepTheirBits) {
  const TaskData ragged = tests::tasks()[2].data;  // words 3 and 6 stand nowhere
  const Weights<double> start = draw_start(StartLaw::gaussian, 6, 5, ragged.words, {0.3, 0.3, 0.3, 0.3}, 1);
  const OwnedFlow<double> flow(ragged, start, {1, 1, 0, 1}, false);
  const Weights<double> end = flow->weights(solve(*flow, 100, 1e-6).x);
  EXPECT_EQ(end.W_K, start.W_K);
  for (const Index word : {3, 6}) {
    EXPECT_EQ(end.W_V.col(word), start.W_V.col(word));
    EXPECT_EQ(end.W_Q.col(word), start.W_Q.col(word));
  }
  EXPECT_GT((end.W_V.col(0) - start.W_V.col(0)).norm(), 0.01);
  EXPECT_GT((end.W_Q - start.W_Q).norm(), 1e-3);
}

/// The limit system: uniform attention, W_V alone moves, from zero, U = 1, all fillers distinct; the margins then obey
/// a few ordinary equations, and by an independent solution of those all samples are correct from 6.90159 on (n = 60, L
/// = 5).
TEST(IntegrationTest, LimitSystemClassifiesWhenItShould) {
  CoOccurrenceOptions options;
  options.fillers = Fillers::distinct;
  options.words = 3 + 30 * 2 + 20 * 3 + 10 * 4;
  const TaskData task = co_occurrence(options, 1);
  const Weights<double> start{RowMatrix<double>::Ones(1, 1), Matrix<double>::Zero(1, task.words),
                              Matrix<double>::Zero(1, task.words), Matrix<double>::Zero(1, task.words),
                              Vector<double>::Ones(1)};
  const OwnedFlow<double> flow(task, start, {0, 1, 0, 0}, false);
  const auto smallest_margin = [&](double t) {
    std::vector<double> G(static_cast<std::size_t>(task.words)),
        A(static_cast<std::size_t>(flow->model().pairs().size()));
    Model<double>::Forward forward;
    flow->values(solve(*flow, t, 1e-10).x, G);
    flow->model().forward(G, A, forward);
    return *std::min_element(forward.margin.begin(), forward.margin.end());
  };
  // Half a unit of the last figure either side.
  EXPECT_LT(smallest_margin(6.901585), 0);
  EXPECT_GT(smallest_margin(6.901595), 0);
}

}  // namespace
}  // namespace gradflow
