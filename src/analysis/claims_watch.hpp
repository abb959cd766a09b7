#pragma once
#include <gradflow/analysis/claims.hpp>

#include "analysis/claims_path.hpp"
#include "experiment/problem.hpp"

namespace gradflow {

/// The scalars watched along the solve. Words 1, 2: the targets, 3: the common word. B[key, query].
namespace watched {
enum Scalar : std::size_t {
  dG1,
  dG2,
  dG3,  // G'
  G1,
  G2,
  G3,  //
  S1,
  S2,
  S3,
  S4,  // sums of g_i over the classes
  loss,
  slope,  // slope = d(1/loss)/dt
  U,      //
  dB21,
  dB12,
  dB31,
  dB32,  // B'
  dGamma12,
  dGamma11,
  dGamma22,
  dGamma13,
  dGamma23,
  Gamma,            // [6] 11, 12, 13, 22, 23, 33, and so the next two
  S_K = Gamma + 6,  //
  S_Q = S_K + 6,    //
  B = S_Q + 6,      // [9] 11, 12, 13, 21, ...
  count = B + 9
};
}  // namespace watched

/// The scalars at a moment; derivatives by the coupled equations (Yang et al. 2024, Appendix C), never by differences.
class WatchedScalars {
 public:
  /// The moment stands at t = 0. The task has two targets and a common word, and one of the four classes for each
  /// sample.
  WatchedScalars(Moment& start, std::vector<int> class_of_sample);
  ClaimPath::Row evaluate(Moment& moment) const;
  double attention_shift(Moment& moment) const;

 private:
  void attention_rates(Moment& moment, ClaimPath::Row& row) const;

  std::array<Index, 3> words_;
  std::vector<int> class_;         // [n] 0..3
  std::vector<double> attention_;  // P_iq(k) at t = 0
  struct Partner {
    std::size_t pair;
    Index word;
  };
  std::array<std::vector<Partner>, 3> of_key_;    // the pairs of a key, and their queries
  std::array<std::vector<Partner>, 2> of_query_;  // the pairs of a query, and their keys
};

/// A moment that a claim looks at more closely.
struct Snapshot {
  double t = 0;
  std::vector<double> x;
};

/// What a run has shown.
struct Evidence {
  const Problem& problem;
  const PhasesReport& phases;
  const ClaimOptions& options;
  std::vector<int> class_of_sample;  ///< [n] 0..3: I1..I4, by what the samples contain; empty where the task is another
  std::string no_claims;             ///< why none applies; "" where they do
  std::optional<ClaimPath> path = {};
  std::optional<Snapshot> at_T1 = {}, at_T2 = {};
  double attention_largest = 0, attention_at = 0;  ///< over Phase 1; the time

  double T1() const { return *phases.T1; }
  double T2() const { return std::min(phases.T2, phases.t_end); }
  bool has_phase2() const { return phases.T1 && T1() < T2(); }
};

/// Solves the run again up to its last record and fills in path, snapshots and attention. Throws ClaimsUnfinished.
void watch(Evidence& evidence, Listener& listener);

}  // namespace gradflow
