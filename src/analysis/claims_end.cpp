// Theorem 3.3: what training ends with, at T2.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/claims_specs.hpp"

namespace gradflow {
namespace {

/// C_ij: how far B(i, j) has come since t = 0. W_K^T W_Q = its start + sum of C_ij mu_i mu_j^T.
double coefficient(const Evidence& e, Index key, Index query) {
  const Flow<double>& flow = *e.problem.flow;
  return flow.B(e.at_T2->x, key, query) - flow.B(e.problem.x0, key, query);
}

/// C_12, C_21, -C_31, -C_32.
std::array<double, 4> leading_coefficients(const Evidence& e) {
  const TaskData& data = e.problem.task.data();
  const auto [first, second] = data.targets;
  return {coefficient(e, first, second), coefficient(e, second, first), -coefficient(e, *data.common, first),
          -coefficient(e, *data.common, second)};
}

void small_loss(const Evidence& e, Claim& claim, double loss) {
  claim.measured = loss;
  claim.at = {e.T2()};
  claim.constant = e.options.small;
  claim.constant_name = "small";
  decide(claim, loss <= e.options.small);
}

void train_loss(const Evidence& e, Claim& claim) {
  Moment moment(*e.problem.flow);
  moment.set(e.T2(), e.at_T2->x);
  small_loss(e, claim, moment.forward().loss);
}

/// A scalar observable at T2; NaN where the run does not have it.
double observable(const Evidence& e, const std::string& name) {
  const auto rows = observable_table();
  const auto row = std::ranges::find(rows, name, &Observable::name);
  if (row == rows.end() || e.problem.observables.size(*row) != 1) return std::numeric_limits<double>::quiet_NaN();
  Moment moment(*e.problem.flow);
  moment.set(e.T2(), e.at_T2->x);
  return e.problem.observables.scalar(name)(moment);
}

/// Of fresh samples, where the run has drawn some.
void test_loss(const Evidence& e, Claim& claim) {
  const double loss = observable(e, "loss_test");
  if (std::isnan(loss)) {
    claim.note = "not measured: the run has no test_samples";
    return;
  }
  small_loss(e, claim, loss);
  claim.values = {{"accuracy", observable(e, "accuracy_test")}};
}

void positive(const Evidence& e, Claim& claim, std::size_t which) {
  claim.measured = leading_coefficients(e)[which];
  claim.at = {e.T2()};
  claim.constant = 0;
  claim.constant_name = "least value";
  decide(claim, *claim.measured > 0);
}

void of_one_order(const Evidence& e, Claim& claim) {
  const auto all = leading_coefficients(e);
  const auto [least, largest] = std::ranges::minmax(all);
  claim.at = {e.T2()};
  claim.constant = e.options.same_order;
  claim.constant_name = "largest ratio";
  if (least > 0)
    claim.measured = largest / least;
  else
    claim.note = "they are not all positive, so that they have no common order";
  decide(claim, claim.measured && *claim.measured <= e.options.same_order);
}

/// B = W_K^T W_Q at a state, among the words that occur.
Matrix<double> score_matrix(const Evidence& e, std::span<const double> x) {
  const Flow<double>& flow = *e.problem.flow;
  const auto used = e.problem.task.used_words();
  if (flow.has_weights()) {
    const Weights<double> weights = flow.weights(x);
    const std::vector<Index> columns(used.begin(), used.end());
    const Matrix<double> W_K = weights.W_K(Eigen::all, columns), W_Q = weights.W_Q(Eigen::all, columns);
    return W_K.transpose() * W_Q;
  }
  const auto n = std::ssize(used);
  return Matrix<double>::NullaryExpr(n, n, [&](Eigen::Index key, Eigen::Index query) {
    return flow.B(x, used[static_cast<std::size_t>(key)], used[static_cast<std::size_t>(query)]);
  });
}

void random_words(const Evidence& e, Claim& claim) {
  const Task& task = e.problem.task;
  const TaskData& data = task.data();
  const auto used = task.used_words();
  const auto special = [&](Index k) { return k == data.targets[0] || k == data.targets[1] || k == *data.common; };
  const Matrix<double> C = score_matrix(e, e.at_T2->x) - score_matrix(e, e.problem.x0);
  double largest = 0;
  std::pair<Index, Index> where{};
  for (std::size_t key = 0; key < used.size(); ++key)
    for (std::size_t query = 0; query < used.size(); ++query) {
      const double size = std::abs(C(static_cast<Eigen::Index>(key), static_cast<Eigen::Index>(query)));
      if (size > largest && !(special(used[key]) && special(used[query])))
        largest = size, where = {used[key], used[query]};
    }
  const double least = std::ranges::min(leading_coefficients(e)), n = static_cast<double>(task.samples());
  const double bound =
      1 / n + static_cast<double>(task_shape(e).length) / std::sqrt(static_cast<double>(e.problem.flow->width()));
  claim.at = {e.T2()};
  claim.constant = bound;
  claim.constant_name = "1/n + L/sqrt(m)";
  claim.values = {{"largest |C_ij|", largest},
                  {"of key", static_cast<double>(where.first + 1)},
                  {"of query", static_cast<double>(where.second + 1)}};
  if (least > 0) {
    claim.measured = largest / least;
    claim.values.emplace_back("measured / constant", *claim.measured / bound);
  } else {
    claim.note = "C_12, C_21, -C_31, -C_32 are not all positive, so that there is nothing to compare with";
  }
  decide(claim, claim.measured && *claim.measured <= bound);
}

}  // namespace

ClaimSpecs end_specs() {
  ClaimSpecs all{
      {"theorem-3.3-train", "Theorem 3.3", "the training loss ends small; measured: at T2", Needs::end, train_loss},
      {"theorem-3.3-test", "Theorem 3.3", "the loss of fresh samples ends small; measured: at T2", Needs::end,
       test_loss}};
  constexpr std::array<std::array<const char*, 2>, 4> names{
      {{"C12", "C_12"}, {"C21", "C_21"}, {"-C31", "-C_31"}, {"-C32", "-C_32"}}};
  for (std::size_t i = 0; i < names.size(); ++i)
    all.push_back(
        {fmt::format("theorem-3.3-{}", names[i][0]), "Theorem 3.3",
         fmt::format("{} > 0, where W_K^T W_Q = its start + sum of C_ij mu_i mu_j^T; measured: at T2", names[i][1]),
         Needs::end, [i](const Evidence& e, Claim& claim) { positive(e, claim, i); }});
  all.push_back({"theorem-3.3-order", "Theorem 3.3",
                 "C_12, C_21, -C_31, -C_32 are of one order; measured: the largest over the least", Needs::end,
                 of_one_order});
  all.push_back({"theorem-3.3-random", "Theorem 3.3",
                 "random words' |C_ij| are smaller by 1/n + L/sqrt(m), logarithms left out; measured: the largest over "
                 "the least of those four",
                 Needs::end, random_words});
  return all;
}

}  // namespace gradflow
