#pragma once
#include "analysis/claims_watch.hpp"

namespace gradflow {

/// What a claim needs of a run before it can be judged.
enum class Needs { start, phase1, phase2, end };

/// A claim, and how it is measured: `judge` fills in all but name, source, statement and unit.
struct ClaimSpec {
  std::string name, source, statement;
  Needs needs;
  std::function<void(const Evidence&, Claim&)> judge;
  std::string unit = "1";
};

using ClaimSpecs = std::vector<ClaimSpec>;

ClaimSpecs condition_specs();                             ///< Condition 1, Definition 2.1, Assumption 2.3
ClaimSpecs phase1_specs(const ClaimOptions& options);     ///< Theorem 3.1, Lemmas 4.1 to 4.3
ClaimSpecs theorem32_specs();                             ///< Theorem 3.2
ClaimSpecs balancing_specs(const ClaimOptions& options);  ///< Lemmas 4.3 to 4.7, Corollary 4.6, Theorem F.8
ClaimSpecs end_specs();                                   ///< Theorem 3.3

/// What prevents a claim of this need; "" where nothing does.
std::string obstacle(Needs needs, const Evidence& evidence);

/// The claim, judged or not applicable.
Claim judge(const ClaimSpec& spec, const Evidence& evidence);

/// Holds at one time, or not.
void decide(Claim& claim, bool holds);
/// Holds on [from, to] (flow times) where f > 0: verdict, intervals and `at`.
void decide(Claim& claim, const Evidence& evidence, const ClaimPath::Function& f, double from, double to);

/// Largest C with (1+C) max(G'(1), G'(2)) < -G'(3) < (1-C) (G'(1) + G'(2)); NaN where no C can be.
double bracket_constant(std::span<const double> row);
/// Positive where the bracket holds.
double bracket(std::span<const double> row, double C);

/// The scalars at a flow time.
inline ClaimPath::Row row_at(const Evidence& evidence, double t) {
  return evidence.path->at(evidence.problem.clock.tau(t));
}
/// Extremes of f on [from, to], flow times, and when; NaN where f is somewhere not defined.
struct ClaimExtreme {
  double t, value;
};
ClaimExtreme least(const Evidence& evidence, const ClaimPath::Function& f, double from, double to);
ClaimExtreme greatest(const Evidence& evidence, const ClaimPath::Function& f, double from, double to);

/// What Assumption 2.3 speaks of. Places that no named word takes, by itself or a first time, are fillers'.
struct TaskShape {
  std::array<Index, 4> samples{};  ///< of each class
  Index length = 0;                ///< L, of the longest sample
  Index filler_places = 0, filler_words = 0;
  bool exact_shares = false;  ///< 1/2, 1/6, 1/6, 1/6
  bool one_length = true;
  bool distinct_fillers() const { return filler_places == filler_words; }
};
TaskShape task_shape(const Evidence& evidence);

}  // namespace gradflow
