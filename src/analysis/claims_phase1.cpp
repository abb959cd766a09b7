// Theorem 3.1 and Lemmas 4.1 to 4.3: from the start to T1.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/claims_specs.hpp"

namespace gradflow {
namespace {

using Row = std::span<const double>;
using namespace watched;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double aligned(Row row) { return std::min({row[G1], row[G2], -row[G3]}); }

/// When the last interval of failure ends; `from` where there is none, NaN where it reaches the end.
double holds_since(const Claim& claim, double from) {
  if (claim.verdict == ClaimVerdict::fails) return unknown;
  return claim.from.value_or(from);
}

double since(const Evidence& e, const char* event) {
  const EventReport* report = find_event(e.phases, event);
  if (report == nullptr) return unknown;
  return report->for_good ? report->for_good->t : report->true_at_end ? 0 : unknown;
}

void end_of_phase1(const Evidence& e, Claim& claim) {
  if (const std::string why = obstacle(Needs::phase1, e); !why.empty()) {
    claim.note = why;
    if (!e.phases.finished || e.phases.T1) return;
    claim.at = {0, e.phases.t_end};
    claim.fails_on = {{0, e.phases.t_end}};
    decide(claim, false);
    return;
  }
  const double rate = e.phases.T1_constant / e.phases.T1_theory;
  Moment moment(*e.problem.flow);
  moment.set(e.T1(), e.at_T1->x);
  claim.measured = claim.constant = e.T1() * rate;
  claim.constant_name = e.phases.T1_theory_from_U ? "C of C / U(0)" : "C of C / (s1^2 m m1)";
  claim.at = {e.T1()};
  claim.values = {{"T1", e.T1()},
                  {"classified since", since(e, "classified")},
                  {"aligned since", since(e, "aligned")},
                  {"margin_min at T1", moment.margin_min()},
                  {"accuracy at T1",
                   static_cast<double>(std::ranges::count_if(moment.forward().margin, [](double z) { return z > 0; })) /
                       static_cast<double>(e.problem.task.samples())}};
  claim.verdict = ClaimVerdict::holds;
}

void alignment(const Evidence& e, Claim& claim) {
  const double c = e.options.aligned;
  const ClaimPath::Row row = row_at(e, e.T1());
  decide(
      claim, e, [c](Row r) { return aligned(r) - c; }, e.T1(), std::max(e.T1(), e.T2()));
  claim.measured = aligned(row);
  claim.constant = c;
  claim.constant_name = "c";
  claim.values = {{"G(1) at T1", row[G1]}, {"G(2) at T1", row[G2]}, {"G(3) at T1", row[G3]}};
}

/// One kind of coupled variable: the scalars from `first` on, and what their change is measured against.
struct Kind {
  const char* name;
  std::size_t first, entries;
  std::vector<std::size_t> diagonal;  ///< whose largest entry at t = 0 is the scale
  std::vector<std::size_t> other;     ///< likewise; then the scale is the geometric mean of both
};

std::vector<Kind> kinds() {
  const auto diagonal = [](std::size_t first) { return std::vector<std::size_t>{first, first + 3, first + 5}; };
  return {{"U", U, 1, {U}, {U}},
          {"Gamma", Gamma, 6, diagonal(Gamma), diagonal(Gamma)},
          {"B", B, 9, diagonal(S_K), diagonal(S_Q)},
          {"S_K", S_K, 6, diagonal(S_K), diagonal(S_K)},
          {"S_Q", S_Q, 6, diagonal(S_Q), diagonal(S_Q)}};
}

void drift(const Evidence& e, Claim& claim, const Kind& kind) {
  const ClaimPath::Row start = row_at(e, 0);
  const auto largest = [&](const std::vector<std::size_t>& scalars) {
    double value = 0;
    for (const std::size_t i : scalars) value = std::max(value, start[i]);
    return value;
  };
  const double scale = std::sqrt(largest(kind.diagonal) * largest(kind.other));
  const auto change = [&](Row row) {
    double value = 0;
    for (std::size_t i = kind.first; i < kind.first + kind.entries; ++i)
      value = std::max(value, std::abs(row[i] - start[i]));
    return value;
  };
  const auto [t, largest_change] = greatest(e, change, 0, e.T1());
  claim.at = {0, e.T1()};
  claim.values = {{"largest change", largest_change}, {"scale", scale}};
  if (scale == 0) {
    claim.note = "it starts at zero, so that its change has no scale";
    return;
  }
  const double small = e.options.small;
  decide(
      claim, e, [&](Row row) { return small - change(row) / scale; }, 0, e.T1());
  claim.measured = largest_change / scale;
  claim.constant = small;
  claim.constant_name = "small";
  claim.values.emplace_back("measured at", t);
  claim.values.emplace_back("at T1", change(row_at(e, e.T1())) / scale);
  if (kind.first != Gamma) return;
  const double acting = static_cast<double>(e.problem.flow->hidden()) * largest_change / start[U];
  claim.values.emplace_back("m1 change / U(0)", acting);
  if (claim.verdict == ClaimVerdict::fails && acting <= small)
    claim.note = fmt::format("but G' feels m1 Gamma beside U(0), and of that the change is {:.3g}", acting);
}

void attention(const Evidence& e, Claim& claim) {
  Moment moment(*e.problem.flow);
  moment.set(e.T1(), e.at_T1->x);
  const PerMatrix<double> power = moment.flow().power(moment.x(), moment.gV(), moment.gA());
  const double small = e.options.small;
  claim.measured = e.attention_largest;
  claim.at = {0, e.T1()};
  claim.constant = small;
  claim.constant_name = "small";
  claim.values = {
      {"measured at", e.attention_at},
      {"power share of W_K and W_Q at T1", (power[2] + power[3]) / (power[0] + power[1] + power[2] + power[3])}};
  decide(claim, e.attention_largest <= small);
}

/// Largest |G'| at t = 0 of the words that occur beside targets and common word.
double fillers_rate(const Evidence& e) {
  Moment moment(*e.problem.flow);
  moment.set(0, e.problem.x0);
  const TaskData& data = e.problem.task.data();
  std::vector<Index> words;
  for (const Index k : e.problem.task.used_words())
    if (k != data.targets[0] && k != data.targets[1] && k != *data.common) words.push_back(k);
  double largest = 0;
  for (const double rate : moment.G_rates(words)) largest = std::max(largest, std::abs(rate));
  return largest;
}

void initial_targets(const Evidence& e, Claim& claim) {
  const ClaimPath::Row row = row_at(e, 0);
  claim.measured = std::min(row[dG1], row[dG2]);
  claim.at = {0};
  claim.constant = 0;
  claim.constant_name = "least rate";
  claim.values = {{"G'(1)", row[dG1]},   {"G'(2)", row[dG2]},
                  {"-G'(3)", -row[dG3]}, {"largest |G'| of a filler", fillers_rate(e)},
                  {"U(0)", row[U]},      {"measured / U(0)", *claim.measured / row[U]}};
  decide(claim, *claim.measured > 0);
}

void initial_others(const Evidence& e, Claim& claim) {
  const ClaimPath::Row row = row_at(e, 0);
  const double targets = std::min(row[dG1], row[dG2]), others = std::max(std::abs(row[dG3]), fillers_rate(e));
  claim.measured = targets > 0 ? others / targets : unknown;
  claim.at = {0};
  claim.constant = 1;
  claim.constant_name = "largest ratio";
  claim.values = {{"common word", std::abs(row[dG3]) / targets}, {"fillers", fillers_rate(e) / targets}};
  decide(claim, targets > 0 && others < targets);
}

void overtaking(const Evidence& e, Claim& claim) {
  decide(
      claim, e, [](Row row) { return -row[dG3] - std::max(row[dG1], row[dG2]); }, 0, e.T1());
  claim.measured = holds_since(claim, 0);
  const ClaimPath::Row row = row_at(e, e.T1());
  claim.values = {{"-G'(3) / max(G'(1), G'(2)) at T1", -row[dG3] / std::max(row[dG1], row[dG2])}};
}

void bracket_to_T1(const Evidence& e, Claim& claim) {
  const double C = e.options.bracket;
  decide(
      claim, e, [C](Row row) { return bracket(row, C); }, 0, e.T1());
  const double T_half = holds_since(claim, 0);
  claim.measured = T_half;
  claim.constant = C;
  claim.constant_name = "C";
  claim.values = {
      {"C that holds at T1", bracket_constant(row_at(e, e.T1()))},
      {"largest C over [T_0.5, T1]", std::isnan(T_half) ? unknown : least(e, bracket_constant, T_half, e.T1()).value}};
}

}  // namespace

double bracket_constant(Row row) {
  const double larger = std::max(row[dG1], row[dG2]), sum = row[dG1] + row[dG2];
  return larger > 0 && sum > 0 ? std::min(-row[dG3] / larger - 1, 1 + row[dG3] / sum) : unknown;
}

double bracket(Row row, double C) {
  return std::min(-row[dG3] - (1 + C) * std::max(row[dG1], row[dG2]), (1 - C) * (row[dG1] + row[dG2]) + row[dG3]);
}

ClaimSpecs phase1_specs(const ClaimOptions& options) {
  ClaimSpecs all{
      {"theorem-3.1-1", "Theorem 3.1 (1)",
       "Phase 1 ends, with every sample classified, at a T1 of order 1 / (s1^2 m m1); measured: T1 in this unit",
       Needs::start, end_of_phase1},
      {"theorem-3.1-2", "Theorem 3.1 (2)",
       fmt::format("from T1 on min(G(1), G(2), -G(3)) > {:g}; measured: at T1", options.aligned), Needs::phase1,
       alignment}};
  for (const Kind& kind : kinds())
    all.push_back({fmt::format("theorem-3.1-3-{}", kind.name), "Theorem 3.1 (3)",
                   fmt::format("{} hardly moves in Phase 1; measured: its largest change among words 1, 2, 3, over its "
                               "start's scale",
                               kind.name),
                   Needs::phase1, [kind](const Evidence& e, Claim& claim) { drift(e, claim, kind); }});
  all.push_back({"theorem-3.1-4", "Theorem 3.1 (4)",
                 "attention hardly moves in Phase 1; measured: the largest |P_iq(k; t) - P_iq(k; 0)|", Needs::phase1,
                 attention});
  all.push_back({"lemma-4.1", "Lemma 4.1", "at t = 0 the targets' values rise; measured: min(G'(1), G'(2))",
                 Needs::start, initial_targets, "1/t"});
  all.push_back({"lemma-4.2", "Lemma 4.2",
                 "at t = 0 all other values move more slowly; measured: the largest |G'| over min(G'(1), G'(2))",
                 Needs::start, initial_others});
  all.push_back({"lemma-4.3-overtaken", "Lemma 4.3 (proof)",
                 "within Phase 1 the common word overtakes the targets, -G'(3) > max(G'(1), G'(2)); measured: when",
                 Needs::phase1, overtaking, "t"});
  all.push_back({"lemma-4.3", "Lemma 4.3",
                 fmt::format("from T_0.5 to T1 (1+C) max(G'(1), G'(2)) < -G'(3) < (1-C) (G'(1) + G'(2)), C = {:g}; "
                             "measured: T_0.5(C)",
                             options.bracket),
                 Needs::phase1, bracket_to_T1, "t"});
  return all;
}

}  // namespace gradflow
