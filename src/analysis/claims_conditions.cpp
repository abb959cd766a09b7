// What the paper's theorems suppose, looked up in a run.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "analysis/claims_specs.hpp"

namespace gradflow {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// Standard deviation of the entries of a drawn matrix, where the settings give one.
double drawn_deviation(const settings::Start& start, double given, double fan_in) {
  switch (start.kind) {
    case settings::StartKind::kaiming_normal:
    case settings::StartKind::kaiming_uniform:
      return std::sqrt(2 / fan_in);
    case settings::StartKind::linear_default:
      return 1 / std::sqrt(3 * fan_in);
    case settings::StartKind::gaussian:
    case settings::StartKind::orthogonal:
    case settings::StartKind::limit:
      return given;
    case settings::StartKind::file:
      break;
  }
  return unknown;
}

void wide_enough(const Evidence& e, Claim& claim, double least_width) {
  claim.measured = static_cast<double>(e.problem.flow->width()) / least_width;
  claim.constant = 1;
  claim.constant_name = "least ratio, constants and logarithms left out";
  decide(claim, *claim.measured >= 1);
}

void small_start(const Evidence& e, Claim& claim, double measured) {
  claim.measured = measured;
  claim.at = {0};
  claim.constant = e.options.start;
  claim.constant_name = "largest small start";
  decide(claim, measured <= e.options.start);
}

void start_of_W(const Evidence& e, Claim& claim) {
  const Flow<double>& flow = *e.problem.flow;
  const auto m = static_cast<double>(flow.width());
  small_start(e, claim, std::sqrt(flow.U(e.problem.x0) / (m * static_cast<double>(flow.hidden()))));
  const settings::Start& start = e.problem.experiment.model.start;
  claim.values = {{"s1 of the settings", drawn_deviation(start, start.W, m)}};
}

void start_of_the_others(const Evidence& e, Claim& claim) {
  const Flow<double>& flow = *e.problem.flow;
  const auto x0 = std::span<const double>(e.problem.x0);
  const auto used = e.problem.task.used_words();
  std::array<double, 3> sums{};
  for (const Index k : used) {
    sums[0] += flow.Gamma(x0, k, k);
    sums[1] += flow.S_K(x0, k, k);
    sums[2] += flow.S_Q(x0, k, k);
  }
  const double entries = static_cast<double>(flow.width()) * static_cast<double>(used.size());
  for (double& sum : sums) sum = std::sqrt(sum / entries);
  small_start(e, claim, std::max({sums[0], sums[1], sums[2]}));
  const settings::Start& start = e.problem.experiment.model.start;
  const auto d = static_cast<double>(e.problem.task.words());
  claim.values = {{"W_V", sums[0]}, {"W_K", sums[1]}, {"W_Q", sums[2]}};
  claim.values.emplace_back("s0 of the settings, W_V", drawn_deviation(start, start.W_V, d));
}

void shares(const Evidence& e, Claim& claim) {
  const TaskShape shape = task_shape(e);
  constexpr std::array<double, 4> exact{1.0 / 2, 1.0 / 6, 1.0 / 6, 1.0 / 6};
  double largest = 0;
  for (std::size_t c = 0; c < 4; ++c) {
    const double share = static_cast<double>(shape.samples[c]) / static_cast<double>(e.problem.task.samples());
    claim.values.emplace_back(fmt::format("I{}", c + 1), share);
    largest = std::max(largest, std::abs(share - exact[c]));
  }
  claim.measured = largest;
  claim.constant = 0;
  claim.constant_name = "largest deviation";
  decide(claim, shape.exact_shares);
}

void unit_rates(const Evidence& e, Claim& claim) {
  const Rates<double>& rho = e.problem.flow->rates();
  claim.values = {{"W", rho.W}, {"W_V", rho.W_V}, {"W_K", rho.W_K}, {"W_Q", rho.W_Q}};
  claim.measured = 1;
  for (const auto& [matrix, rate] : claim.values)
    if (std::abs(rate - 1) > std::abs(*claim.measured - 1)) claim.measured = rate;
  decide(claim, *claim.measured == 1);
}

void fillers(const Evidence& e, Claim& claim) {
  const TaskShape shape = task_shape(e);
  claim.measured = static_cast<double>(shape.filler_places - shape.filler_words);
  claim.constant = 0;
  claim.constant_name = "places without a word of their own";
  claim.values = {{"filler places", static_cast<double>(shape.filler_places)},
                  {"filler words", static_cast<double>(shape.filler_words)}};
  decide(claim, shape.distinct_fillers());
}

}  // namespace

ClaimSpecs condition_specs() {
  return {
      {"unit-rates", "Section 2", "the gradient flow: every matrix moves at rate 1; measured: the rate furthest from 1",
       Needs::start, unit_rates},
      {"condition-1-hidden", "Condition 1", "the width is at least the hidden width, m >= m1; measured: m / m1",
       Needs::start,
       [](const Evidence& e, Claim& claim) { wide_enough(e, claim, static_cast<double>(e.problem.flow->hidden())); }},
      {"condition-1-length", "Condition 1", "the width is at least the squared length, m >= L^2; measured: m / L^2",
       Needs::start,
       [](const Evidence& e, Claim& claim) {
         const auto L = static_cast<double>(task_shape(e).length);
         wide_enough(e, claim, L * L);
       }},
      {"condition-1-s1", "Condition 1", "W starts small; measured: s1 = sqrt(U(0) / (m m1))", Needs::start, start_of_W},
      {"condition-1-s0", "Condition 1",
       "W_V, W_K and W_Q start small; measured: s0, the largest root mean square of their columns' entries",
       Needs::start, start_of_the_others},
      {"definition-2.1-embeddings", "Definition 2.1", "the embeddings are orthonormal", Needs::start,
       [](const Evidence&, Claim& claim) {
         claim.note = "by construction: they are one-hot";
         decide(claim, true);
       }},
      {"assumption-2.3-i", "Assumption 2.3 (i)",
       "the classes have exactly 1/2, 1/6, 1/6 and 1/6 of the samples; measured: the largest deviation", Needs::start,
       shares},
      {"assumption-2.3-ii", "Assumption 2.3 (ii)",
       "every filler has a word of its own; measured: filler places less filler words", Needs::start, fillers},
  };
}

}  // namespace gradflow
