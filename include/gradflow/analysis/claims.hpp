#pragma once
#include <gradflow/analysis/phases.hpp>
#include <gradflow/experiment/simulate.hpp>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradflow {

/// What is taken for "small", "of the same order" and "some constant".
struct ClaimOptions {
  double small = 0.1;  ///< largest drift over Phase 1, imbalance |S2 - S3| / min(S2, S3) and loss that count as small
  double start = 0.2;  ///< largest standard deviation of the weights at t = 0 that counts as a small start
  double same_order = 10;  ///< numbers within this factor of each other, or of 1, are of one order
  double bracket = 0.1;    ///< C of Lemma 4.3's bracket, and of T_0.5(C)
  double aligned = 0;      ///< c of Theorem 3.1's alignment
  bool operator==(const ClaimOptions&) const = default;
};

enum class ClaimVerdict { holds, fails, holds_from, not_applicable };
/// "holds", "fails", "holds from t on", "not applicable".
std::string_view name(ClaimVerdict verdict);

/// One statement of the paper, held against one run.
struct Claim {
  std::string name;                     ///< short and stable: "theorem-3.1-1"
  std::string source;                   ///< "Theorem 3.1 (1)"
  std::string statement;                ///< one sentence
  std::optional<double> measured = {};  ///< what it is about; none where it is not defined
  std::string unit = "1";
  std::vector<double> at = {};          ///< when: a flow time, or from and to; empty where it is about no time
  std::optional<double> constant = {};  ///< used for the verdict; where the paper's is existential, and the verdict
                                        ///< needs none, the best that holds
  std::string constant_name = {};
  ClaimVerdict verdict = ClaimVerdict::not_applicable;
  std::optional<double> from = {};                          ///< of holds_from: since when
  std::vector<std::pair<double, double>> fails_on = {};     ///< flow times between which it does not hold
  std::string note = {};                                    ///< why it is not applicable, or what else is to be said
  std::vector<std::pair<std::string, double>> values = {};  ///< further numbers, NaN where not defined
};

/// The paper's claims (Yang et al. 2024, Sections 3 and 4, Theorem F.8) held against a run. Statements are in this
/// program's words, and the parts of Theorems 3.1 and 3.2 in its order. With words 1, 2 (targets), 3 (common word), B
/// indexed by key and query, S_c the sum of g_i over class c, slope = d(1/L)/dt, C*(t) = min(-G'(3) / max(G'(1), G'(2))
/// - 1, 1 + G'(3) / (G'(1) + G'(2))), the values measured are what each statement says after "measured:".
struct ClaimsReport {
  ClaimOptions options;
  std::vector<Claim> conditions;  ///< Condition 1, Definition 2.1, Assumption 2.3: what the claims suppose
  std::vector<Claim> claims;
  double T1, T2;  ///< Phase 2; T1 is NaN where there is none, T2 at most the run's last record
};

/// The solve did not reach the run's last record (interrupted, say), so nothing can be said.
class ClaimsUnfinished : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Solves a run again from what its file holds, with its own method, tolerances and clock (the same steps to the last
/// bit, up to its last record), and watches in every step the scalars that the claims are about: extremes and the times
/// at which a claim begins or ceases to hold are those of the solution, not of the records. `phases` is the run's.
///
/// The claims are about the paper's task: four classes, two targets, a common word in every sample. Of another task, of
/// the file of another flow each claim is not applicable, and says why; so is what rests on T1 where there is none.
/// Of a comparison's file they are about its flow. Throws FileError where the file cannot be read, and
/// ClaimsUnfinished.
ClaimsReport claims(const std::filesystem::path& run, const PhasesReport& phases, const ClaimOptions& options,
                    Listener& listener);

/// All claims, not applicable to what is no run of the flow (a descent, say).
ClaimsReport claims_not_applicable(const std::string& why, const ClaimOptions& options);

}  // namespace gradflow
