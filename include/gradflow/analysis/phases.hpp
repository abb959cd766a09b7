#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace gradflow::trajectory {
class RunReader;
}

namespace gradflow {

struct CrossingReport {
  double t, error, slope;  ///< error: NaN where there is none
  int certain;             ///< 1, 0 (the companion solve does not find it), -1 (not checked)
  /// Of a descent: the steps between which it lies; -1 elsewhere.
  std::int64_t step_before = -1, step_after = -1;
};

/// One event's story, read from a run's file.
struct EventReport {
  std::string name, condition;
  bool applicable = true;
  /// Of a run that is still going, or was killed, as far as its crossings tell: true_at_end is how things stand.
  bool true_at_start = false, true_at_end = false;
  std::string
      verdict;  ///< "never", "at start and for good", "crossed once and for good", "3 crossings, holds at the end", ...
  std::vector<CrossingReport> up, down;
  std::optional<CrossingReport> for_good;  ///< the last crossing into the condition, where it holds at the end
};

/// The phases of training (Yang et al. 2024, Sections 3 and 4; T1: Theorem 3.1).
struct PhasesReport {
  std::vector<EventReport> events;
  /// Operational end of Phase 1: the later of `classified` and `aligned`, each for good; absent if one never is. 0
  /// where both held from the start. Of a run that has not ended, as things stand.
  std::optional<double> T1;
  double T1_error;                ///< NaN where unknown
  double T1_theory, T1_constant;  ///< C / (s1^2 m m1) [E.26], or C / U(0) where the start has no s1
  bool T1_theory_from_U;
  double T2;  ///< end of Phase 2: given, or the end of the run
  /// At T1, relative changes since t = 0 of U, Gamma, B, S_K, S_Q among the tracked words, and the share of the power
  /// spent on W_K and W_Q; empty where there is no T1, or it is 0.
  std::vector<std::pair<std::string, double>> at_T1;
  double t_end;
  bool finished;    ///< false: the run is still going, or ended before its target
  bool discrete;    ///< a descent's: its times lie between two steps, and their errors are half a step
  bool has_phases;  ///< false: the file of another flow (write_solution), of which nothing but the events is known
};

/// The event of this name, or else the first with a level, `name(level)`; nullptr where there is none.
const EventReport* find_event(const PhasesReport& report, const std::string& name);

/// Reads a run's file, or a run in a comparison's. Throws FileError.
PhasesReport phases(const std::filesystem::path& run);
PhasesReport phases(const trajectory::RunReader& run);

}  // namespace gradflow
