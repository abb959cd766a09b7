#pragma once
#include <gradflow/descent/update_rules.hpp>

#include "experiment/recorder.hpp"

namespace gradflow {

/// When the flow is recorded, and when which descents are compared with it.
struct ComparisonPlan {
  /// The flow stands where these descents have a step that belongs to a row of the comparison.
  struct Meeting {
    std::size_t row;
    std::vector<std::size_t> descents;
    bool ends_row;  ///< it is the row's own time, after which nobody belongs to it any more
  };

  SavePlan save;                                 ///< the flow's schedule, with all meetings
  std::vector<std::optional<Meeting>> meetings;  ///< of each of its times
  std::vector<double> t;                         ///< of the rows
  std::vector<std::vector<Index>> steps;         ///< [row][descent] where each descent is compared
};

/// The rows' times are the records', each moved down to the last whole step of the descent whose steps are longest;
/// that of a descent is its own last step before, and the row's time itself where the two differ by rounding.
ComparisonPlan comparison_plan(const SavePlan& save, const std::vector<Update>& updates);

}  // namespace gradflow
