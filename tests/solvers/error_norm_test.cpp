#include <gtest/gtest.h>

#include <cmath>
#include <solvers/error_norm.hpp>

#include "support/problems.hpp"

// Blocks that stand for more than they hold: coordinates in a subspace, some columns of a larger matrix. (The norm's
// formula: stepper_test.cpp.)
namespace solvers {
namespace {

TEST(ErrorNormBlocks, CoordinatesCountAsTheSpaceThatTheyLieIn) {
  const Block matrix{.name = "V", .rows = 2, .columns = 3, .space = 8},
      rows{.name = "W", .rows = 2, .columns = 2, .vectors = Block::Vectors::rows, .space = 50};
  const ErrorNorm<double> norm({matrix, rows}, {.rtol = 0.5, .atol = 0.25});
  std::vector<double> error(10), old(10), now(10);
  error[2] = 3, error[3] = 4;  // column 1 of V
  now[2] = 6, now[3] = 8;      // length 10
  EXPECT_DOUBLE_EQ(norm(error, old, now), 5 / (0.25 * std::sqrt(8.0) + 0.5 * 10));
  EXPECT_DOUBLE_EQ(norm.worst(error, old, now, 1)[0].share, 4 / (0.25 * std::sqrt(8.0) + 0.5 * 10));
  error[8] = 12;  // row 1 of W, at zero
  EXPECT_DOUBLE_EQ(norm(error, old, now), 12 / (0.25 * std::sqrt(50.0)));
  // Only where it is given, and it lies in itself.
  const ErrorNorm<double> same({{.name = "V", .rows = 2, .space = 2}}, {.rtol = 0, .atol = 1}),
      without({{.name = "V", .rows = 2}}, {.rtol = 0, .atol = 1});
  const std::vector<double> one{1, 1}, zero{0, 0};
  EXPECT_EQ(same(one, zero, zero), without(one, zero, zero));
}

TEST(ErrorNormBlocks, ColumnsGoByTheirOwnNumbers) {
  const ErrorNorm<double> norm({{.name = "W_K", .rows = 2, .columns = 2, .column_numbers = {3, 40}},
                                {.name = "W_V", .rows = 2, .column_numbers = {7}},
                                {.name = "u", .rows = 2},
                                {.name = "q", .column_numbers = {5}}},
                               {.rtol = 0, .atol = 1});
  const std::vector<double> x(9);
  const std::vector<std::string> names{"W_K[0,3]", "W_K[1,3]", "W_K[0,40]", "W_K[1,40]", "W_V[0,7]",
                                       "W_V[1,7]", "u[0]",     "u[1]",      "q"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<double> error(9);
    error[i] = 1;
    EXPECT_EQ(norm.worst(error, x, x, 1)[0].name, names[i]);
  }
}

/// x'' = -x in the plane, and the same in R^5 along two directions of it: the steps are the same.
TEST(ErrorNormBlocks, ASubspaceTakesTheStepsOfTheWholeSpace) {
  const auto turn = [](auto x, auto dx, std::size_t i, std::size_t j) { dx[i] = x[j], dx[j] = -x[i]; };
  const Problem<double> plane({{.name = "x", .rows = 2, .space = 5}},
                              [&](double, auto x, auto dx) { turn(x, dx, 0, 1); }),
      space({{.name = "x", .rows = 5}},
            [&](double, auto x, auto dx) {
              std::ranges::fill(dx, 0);
              turn(x, dx, 1, 3);
            }),
      alone({{.name = "x", .rows = 2}}, [&](double, auto x, auto dx) { turn(x, dx, 0, 1); });
  for (const Method& method : methods()) {
    const Solve<double> how{.end = 10, .tolerances = {0, 1e-8}, .method = method.name};
    const auto a = solve(plane, {0, 1}, how), b = solve(space, {0, 0, 0, 1, 0}, how), c = solve(alone, {0, 1}, how);
    ASSERT_EQ(a.seen.step_lengths.size(), b.seen.step_lengths.size()) << method.name;
    // Sums over two and over five entries may round differently, and the error estimate of 1e-8 is what is left of
    // stages of size 1: its last digits, 1e-8 of it, may differ, and with them the steps.
    for (std::size_t i = 0; i < a.seen.step_lengths.size(); ++i)
      EXPECT_NEAR(a.seen.step_lengths[i] / b.seen.step_lengths[i], 1, 1e-6) << method.name << ", step " << i;
    EXPECT_NEAR(a.x[0], b.x[1], 1e-12);
    // Without `space` the tolerance is shorter by the factor sqrt(2/5), and so are the steps, by a tenth or so.
    EXPECT_GT(c.seen.step_lengths.size(), a.seen.step_lengths.size());
  }
}

}  // namespace
}  // namespace solvers
