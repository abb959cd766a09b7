#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/descent/modified_flow.hpp>
#include <solvers/solve.hpp>

#include "support/flow_cases.hpp"
#include "support/problems.hpp"

// How fast descents fall away from the flows that they are said to follow.
namespace gradflow {
namespace {

using Numbers = std::vector<double>;

constexpr double until = 2;  // flow time; eta lambda_max < 1 in all descents here

const TaskData& task_data() {
  static const TaskData data = tests::tasks().front().data;
  return data;
}

/// Columns of about the same length at every width.
Weights<double> start(Index width = 4) {
  const double s = 2 / std::sqrt(static_cast<double>(width));
  return draw_start(StartLaw::gaussian, width, 5, task_data().words, {0.6 * s, 0.5 * s, 0.8 * s, 0.9 * s}, 7);
}

Numbers derivative(const Flow<double>& flow, const Numbers& x) {
  Numbers dx(x.size());
  flow.derivative(0, x, dx);
  return dx;
}

/// `steps` steps of gradient descent (beta = 0) or heavy ball from rest.
Numbers descend(const Flow<double>& flow, double eta, double beta, int steps) {
  Numbers x = flow.initial_state(), v(x.size());
  for (int k = 0; k < steps; ++k) {
    const Numbers f = derivative(flow, x);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += eta * (v[i] = beta * v[i] + f[i]);
  }
  return x;
}

Numbers follow(const Flow<double>& flow, double t) {
  // Three digits below the smallest departure of this file.
  return solvers::solve<double>(flow, flow.initial_state(), {.end = t, .outputs = {}},
                                {.method = "fehlberg78", .tolerances = {1e-11, 1e-12}})
      .x_end;
}

/// Of the parameters, in the metric.
double distance(const FieldDerivatives& field, const Numbers& x, const Numbers& y) {
  Numbers difference = x;
  for (std::size_t i = 0; i < x.size(); ++i) difference[i] -= y[i];
  return std::sqrt(field.inner(difference, difference));
}

double loss(const Flow<double>& flow, const Numbers& x) {
  Numbers G(static_cast<std::size_t>(flow.task().words())), A(static_cast<std::size_t>(flow.model().pairs().size()));
  flow.values(x, G);
  flow.scores(x, A);
  Model<double>::Forward forward;
  flow.model().forward(G, A, forward);
  return forward.loss;
}

TEST(ModifiedFlowTest, GradientDescentDepartsWithTheOrderOfTheFlow) {
  const Task task(task_data());
  const Rates<double> mixed{0.5, 2, 1.5, 0.25}, frozen{1, 1, 0, 2};
  std::vector<FieldDerivatives> fields;
  fields.push_back(FieldDerivatives::of_full_flow(task, start()));
  fields.push_back(FieldDerivatives::of_reduced_flow(task, start(), {}, Coordinates::full_width));
  fields.push_back(FieldDerivatives::of_reduced_flow(task, start(20)));  // compressed
  fields.push_back(FieldDerivatives::of_reduced_flow(task, start(), mixed));
  fields.push_back(FieldDerivatives::of_full_flow(task, start(), frozen));
  for (std::size_t form = 0; form < fields.size(); ++form) {
    const FieldDerivatives& field = fields[form];
    const Numbers along_flow = follow(field.flow(), until);
    Numbers rates;
    std::array<Numbers, 3> departures;
    for (int steps = 32; steps <= 256; steps *= 2) {
      const double eta = until / steps;
      const Numbers end = descend(field.flow(), eta, 0, steps);
      rates.push_back(eta);
      departures[0].push_back(distance(field, end, along_flow));
      for (const int order : {2, 3})
        departures[static_cast<std::size_t>(order) - 1].push_back(
            distance(field, end, follow(*make_gradient_descent_flow(field, eta, order), until)));
    }
    for (std::size_t i = 0; i < 3; ++i)  // the next order contributes eta lambda_max, at most a tenth to the slope
      EXPECT_NEAR(solvers::order_of(rates, departures[i]), static_cast<double>(i) + 1, 0.15) << "form " << form;
    EXPECT_GT(departures[2].back(), 1e-8);  // above the error of the solve
  }
}

TEST(ModifiedFlowTest, HeavyBallFollowsItsFlowWithALagFromRest) {
  const Task task(task_data());
  const auto field = FieldDerivatives::of_reduced_flow(task, start());
  for (const double beta : {0.5, 0.8}) {
    const double lag = beta / (1 - beta);  // steps
    Numbers rates, departures, without_lag, of_plain_flow, lags_off;
    for (int steps = 200; steps <= 1600; steps *= 2) {
      const double step = until / steps, eta = step * (1 - beta);  // a step in its own time, and its rate
      const Numbers end = descend(field.flow(), eta, beta, steps);
      const auto flow = make_heavy_ball_flow(field, eta, beta);
      const Numbers there = follow(*flow, until);
      rates.push_back(eta);
      departures.push_back(distance(field, end, follow(*flow, until - lag * step)));
      without_lag.push_back(distance(field, end, there));
      of_plain_flow.push_back(distance(field, end, follow(field.flow(), until - lag * step)));
      // How many steps behind it is: the displacement over that of a step.
      const Numbers f = derivative(*flow, there);
      Numbers behind = there;
      for (std::size_t i = 0; i < behind.size(); ++i) behind[i] -= end[i];
      lags_off.push_back(std::abs(field.inner(behind, f) / (field.inner(f, f) * step) - lag));
    }
    EXPECT_NEAR(solvers::order_of(rates, departures), 2, 0.15) << beta;
    EXPECT_NEAR(solvers::order_of(rates, without_lag), 1, 0.15) << beta;
    EXPECT_NEAR(solvers::order_of(rates, of_plain_flow), 1, 0.15) << beta;
    EXPECT_NEAR(solvers::order_of(rates, lags_off), 1, 0.15) << beta;
  }
}

TEST(ModifiedFlowTest, TheIntegratedPowerIsWhatTheLossHasFallenBy) {
  const Task task(task_data());
  for (const Rates<double>& rates : {Rates<double>{}, Rates<double>{0.5, 2, 0, 0.25}})
    for (const bool full : {true, false}) {
      const auto field = full ? FieldDerivatives::of_full_flow(task, start(), rates)
                              : FieldDerivatives::of_reduced_flow(task, start(), rates);
      const double eta = 0.1, loss_0 = loss(field.flow(), field.flow().initial_state());
      for (const auto& flow : {make_gradient_descent_flow(field, eta, 2), make_gradient_descent_flow(field, eta, 3),
                               make_heavy_ball_flow(field, eta, 0.3)}) {
        const Numbers end = follow(*flow, until);
        EXPECT_GT(flow->integrated_power(end), 0.01);
        EXPECT_NEAR(loss(*flow, end) + flow->integrated_power(end), loss_0, 1e-9);  // the error of the solve
      }
    }
}

TEST(ModifiedFlowTest, OrderTwoDescendsTheModifiedLoss) {
  // L + (eta/4) |grad L|^2 falls at the rate |theta'|^2 along its own flow, and |grad L|^2 is the plain flow's power.
  const Task task(task_data());
  const auto field = FieldDerivatives::of_reduced_flow(task, start());
  const double eta = 0.2, h = 1e-5;
  const auto flow = make_gradient_descent_flow(field, eta, 2);
  const Numbers x = tests::away_from_start(*flow), dx = derivative(*flow, x);
  const auto modified_loss = [&](double step) {
    Numbers y = x;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += step * dx[i];
    return loss(*flow, y) + eta / 4 * derivative(field.flow(), y).back();
  };
  EXPECT_NEAR((modified_loss(h) - modified_loss(-h)) / (2 * h), -field.inner(dx, dx), 1e-7);  // 200 h^2 and 1e-15 / h
}

TEST(ModifiedFlowTest, IsTheFlowOtherwise) {
  const Task task(task_data());
  const auto field = FieldDerivatives::of_reduced_flow(task, start());
  const Numbers x = tests::away_from_start(field.flow());
  const auto flow = make_gradient_descent_flow(field, 0.1, 3);
  EXPECT_EQ(flow->initial_state(), field.flow().initial_state());
  EXPECT_EQ(flow->dimension(), field.dimension());
  EXPECT_EQ(flow->U(x), field.flow().U(x));
  EXPECT_EQ(flow->weights(x).W, field.flow().weights(x).W);
  Numbers limit = derivative(*make_gradient_descent_flow(field, 0, 3), x), plain = derivative(field.flow(), x);
  EXPECT_NEAR(limit.back(), plain.back(), 1e-13 * plain.back());  // another sum of the same terms
  limit.back() = plain.back();
  EXPECT_EQ(limit, plain);
  EXPECT_EQ(derivative(*make_heavy_ball_flow(field, 0.1, 0), x),
            derivative(*make_gradient_descent_flow(field, 0.1, 2), x));
}

TEST(ModifiedFlowTest, RefusesWhatHasNoMeaning) {
  const Task task(task_data());
  const auto field = FieldDerivatives::of_reduced_flow(task, start());
  EXPECT_THROW(make_gradient_descent_flow(field, 0.1, 1), std::invalid_argument);
  EXPECT_THROW(make_gradient_descent_flow(field, 0.1, 4), std::invalid_argument);
  EXPECT_THROW(make_gradient_descent_flow(field, -0.1, 2), std::invalid_argument);
  EXPECT_THROW(make_gradient_descent_flow(field, std::nan(""), 2), std::invalid_argument);
  EXPECT_THROW(make_heavy_ball_flow(field, 0.1, 1), std::invalid_argument);
  EXPECT_THROW(make_heavy_ball_flow(field, 0.1, -0.1), std::invalid_argument);
  EXPECT_THROW(make_heavy_ball_flow(field, INFINITY, 0.9), std::invalid_argument);
  Numbers x = field.flow().initial_state(), dx = x;
  const Index sample = 0;
  EXPECT_THROW(make_gradient_descent_flow(field, 0.1, 2)->batch_derivative(x, {&sample, 1}, dx), std::logic_error);
}

}  // namespace
}  // namespace gradflow
