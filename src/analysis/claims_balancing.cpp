// Automatic balancing of gradients (Lemmas 4.3 to 4.7, Corollary 4.6) and the rate of the loss (Theorem F.8), over
// Phase 2.
#include <fmt/format.h>
#include <gradflow/flows/limit.hpp>

#include <cmath>
#include <limits>

#include "analysis/claims_specs.hpp"

namespace gradflow {
namespace {

using Row = std::span<const double>;
using namespace watched;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double all_classes(Row row) { return row[S1] + row[S2] + row[S3] + row[S4]; }
double against_the_common_word(Row row) { return row[S2] + row[S3] + row[S4] - row[S1]; }
double for_target_1(Row row) { return row[S1] - row[S2]; }
double for_target_2(Row row) { return row[S1] - row[S3]; }
double R(Row row) { return for_target_1(row) > 0 ? against_the_common_word(row) / for_target_1(row) : unknown; }

/// Where R and L U t go in the limit of small starts, for the task of Assumption 2.3 with samples of one length.
std::optional<LimitAtInfiniteTime<double>> limit(const Evidence& e) {
  const TaskShape shape = task_shape(e);
  if (!shape.exact_shares || !shape.distinct_fillers() || !shape.one_length || shape.length < 3) return {};
  return limit_at_infinite_time<double>({.samples = e.problem.task.samples(), .length = shape.length});
}

void phase2_bracket(const Evidence& e, Claim& claim) {
  const double C = e.options.bracket;
  decide(
      claim, e, [C](Row row) { return bracket(row, C); }, e.T1(), e.T2());
  const auto [t, value] = least(e, bracket_constant, e.T1(), e.T2());
  claim.measured = value;
  claim.constant = C;
  claim.constant_name = "C";
  claim.values = {{"measured at", t},
                  {"C that holds at T1", bracket_constant(row_at(e, e.T1()))},
                  {"C that holds at T2", bracket_constant(row_at(e, e.T2()))}};
}

void imbalance(const Evidence& e, Claim& claim) {
  const auto value = [](Row row) { return std::abs(row[S2] - row[S3]) / std::min(row[S2], row[S3]); };
  const double small = e.options.small;
  decide(
      claim, e, [&](Row row) { return small - value(row); }, e.T1(), e.T2());
  const ClaimExtreme largest = greatest(e, value, e.T1(), e.T2());
  claim.measured = largest.value;
  claim.constant = small;
  claim.constant_name = "small";
  claim.values = {{"measured at", largest.t}, {"at T1", value(row_at(e, e.T1()))}, {"at T2", value(row_at(e, e.T2()))}};
}

/// S_all / D stays of order 1, with D > 0: told by D / S_all, which is always defined.
void ratio(const Evidence& e, Claim& claim, double (*D)(Row)) {
  const auto inverse = [&](Row row) { return D(row) / all_classes(row); };
  const double factor = e.options.same_order;
  const auto [t, smallest] = least(e, inverse, e.T1(), e.T2());
  decide(
      claim, e, [&](Row row) { return inverse(row) - 1 / factor; }, e.T1(), e.T2());
  claim.measured = smallest > 0 ? 1 / smallest : unknown;
  claim.constant = factor;
  claim.constant_name = "largest of order 1";
  claim.values = {{"measured at", t}, {"at T2", 1 / inverse(row_at(e, e.T2()))}, {"least inverse", smallest}};
  if (smallest <= 0) claim.note = "its denominator is not positive throughout, so that there is no largest value";
}

void R_within(const Evidence& e, Claim& claim) {
  const auto within = [](Row row) {
    const double D = for_target_1(row), N = against_the_common_word(row);
    return std::min({D, N - D, 3 * D - N}) / all_classes(row);
  };
  decide(claim, e, within, e.T1(), e.T2());
  claim.measured = R(row_at(e, e.T2()));
  claim.constant = 3;
  claim.constant_name = "largest R";
  const auto goes_to = limit(e);
  claim.values = {{"least", least(e, R, e.T1(), e.T2()).value},
                  {"largest", greatest(e, R, e.T1(), e.T2()).value},
                  {"at T1", R(row_at(e, e.T1()))},
                  {"limit system, t to infinity", goes_to ? goes_to->R : unknown}};
}

void R_root(const Evidence& e, Claim& claim) {
  const auto within = [](Row row) {
    const double D = for_target_1(row), N = against_the_common_word(row);
    return std::min({D, N - D, 2 * D - N}) / all_classes(row);
  };
  decide(claim, e, within, e.T1(), e.T2());
  const double end = R(row_at(e, e.T2()));
  claim.measured = end;
  claim.constant = 2;
  claim.constant_name = "largest root";
  if (const auto goes_to = limit(e)) claim.values = {{"distance to the limit system's", std::abs(end - goes_to->R)}};
}

/// A positive scalar that keeps its order: within a factor of its value at T2.
void keeps_its_order(const Evidence& e, Claim& claim, const ClaimPath::Function& value) {
  const double factor = e.options.same_order, end = value(row_at(e, e.T2()));
  const auto within = [&](Row row) { return std::min(value(row) / end - 1 / factor, factor - value(row) / end); };
  decide(claim, e, within, e.T1(), e.T2());
  claim.constant = factor;
  claim.constant_name = "factor from the value at T2";
  claim.values = {{"least", least(e, value, e.T1(), e.T2()).value},
                  {"largest", greatest(e, value, e.T1(), e.T2()).value},
                  {"at T1", value(row_at(e, e.T1()))},
                  {"at T2", end}};
}

void balanced_classes(const Evidence& e, Claim& claim) {
  const auto spread = [](Row row) {
    return std::max({row[S1], row[S2], row[S3]}) / std::min({row[S1], row[S2], row[S3]});
  };
  const auto of_all = [](Row row) {
    return std::max({row[S1], row[S2], row[S3], row[S4]}) / std::min({row[S1], row[S2], row[S3], row[S4]});
  };
  const double factor = e.options.same_order;
  decide(
      claim, e, [&](Row row) { return factor - spread(row); }, e.T1(), e.T2());
  const auto [t, largest] = greatest(e, spread, e.T1(), e.T2());
  claim.measured = largest;
  claim.constant = factor;
  claim.constant_name = "largest factor";
  claim.values = {{"measured at", t},
                  {"at T2", spread(row_at(e, e.T2()))},
                  {"with I4", greatest(e, of_all, e.T1(), e.T2()).value},
                  {"with I4, at T2", of_all(row_at(e, e.T2()))}};
  claim.note = "as the paper's abstract says it: the losses of different samples fall almost at the same rate";
}

void rate_of_the_loss(const Evidence& e, Claim& claim) {
  const auto rate = [](Row row) { return row[slope] / row[U]; };
  keeps_its_order(e, claim, rate);
  const ClaimPath::Row end = row_at(e, e.T2());
  const auto goes_to = limit(e);
  claim.measured = rate(end);
  claim.values.emplace_back("limit system, t to infinity", goes_to ? 1 / goes_to->loss : unknown);
  claim.values.emplace_back("L U t at T2", end[loss] * end[U] * e.T2());
  claim.values.emplace_back("L U t of the limit system", goes_to ? goes_to->loss : unknown);
}

void slope_of_the_inverse_loss(const Evidence& e, Claim& claim) {
  const double unit = row_at(e, 0)[U];
  keeps_its_order(e, claim, [&](Row row) { return row[slope] / unit; });
  claim.measured = claim.values.front().second;
  const double theory = e.phases.T1_constant / e.phases.T1_theory;
  claim.values.emplace_back("U(0)", unit);
  claim.values.emplace_back("s1^2 m m1", e.phases.T1_theory_from_U ? unknown : theory);
}

}  // namespace

ClaimSpecs balancing_specs(const ClaimOptions& options) {
  const char* const both = "Lemmas 4.4, 4.5";
  const auto of_ratio = [&](const char* id, const char* text, double (*D)(Row)) -> ClaimSpec {
    return {std::string("lemma-4.4-") + id, both,
            fmt::format("S_all / ({}) stays of order 1 over Phase 2; measured: its largest value", text), Needs::phase2,
            [D](const Evidence& e, Claim& claim) { ratio(e, claim, D); }};
  };
  return {
      {"lemma-4.3-phase-2", "Lemma 4.3",
       fmt::format("the bracket of T_0.5 holds over Phase 2, C = {:g}; measured: the largest C with which it does",
                   options.bracket),
       Needs::phase2, phase2_bracket},
      {"lemma-4.4-S2-S3", both, "|S2 - S3| / min(S2, S3) stays small over Phase 2; measured: its largest value",
       Needs::phase2, imbalance},
      of_ratio("S234-S1", "S2 + S3 + S4 - S1", against_the_common_word),
      of_ratio("S1-S2", "S1 - S2", for_target_1),
      of_ratio("S1-S3", "S1 - S3", for_target_2),
      {"lemma-4.5-R", both, "R = (S2 + S3 + S4 - S1) / (S1 - S2) stays in [1, 3] over Phase 2; measured: R at T2",
       Needs::phase2, R_within},
      {"lemma-4.5-root", both, "R goes to a root in (1, 2); measured: R at T2", Needs::phase2, R_root},
      {"corollary-4.6", "Corollary 4.6",
       "the classes' gradients, and so their losses, fall together; measured: the largest of S1, S2, S3 over the least",
       Needs::phase2, balanced_classes},
      {"lemma-4.7", "Lemma 4.7", "the loss falls at a rate of order U L^2; measured: -L' / (U L^2) at T2",
       Needs::phase2, rate_of_the_loss},
      {"theorem-F.8", "Theorem F.8",
       "the slope of 1/L keeps the order of s1^2 m m1 over Phase 2; measured: its least value in units of U(0)",
       Needs::phase2, slope_of_the_inverse_loss},
  };
}

}  // namespace gradflow
