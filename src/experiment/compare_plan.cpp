#include "experiment/compare_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace gradflow {
namespace {

/// `t`, or `other` where they are the same time but for rounding: 0.3 and three steps of 0.1.
double same_time(double t, double other) { return std::abs(t - other) <= 1e-12 * other ? other : t; }

std::vector<double> row_times(const SavePlan& save, const Update& longest) {
  std::vector<double> times;
  for (std::size_t i = 0; i < save.times.size(); ++i) {
    if (!save.record[i]) continue;
    const double t = same_time(longest.time(longest.steps_until(save.times[i])), save.times[i]);
    if (times.empty() || t > times.back()) times.push_back(t);
  }
  return times;
}

}  // namespace

ComparisonPlan comparison_plan(const SavePlan& save, const std::vector<Update>& updates) {
  const auto longest = std::ranges::max_element(updates, {}, [](const Update& update) { return update.time(1); });
  ComparisonPlan plan{.save = {}, .meetings = {}, .t = row_times(save, *longest), .steps = {}};

  std::map<double, ComparisonPlan::Meeting> meetings;
  for (std::size_t row = 0; row < plan.t.size(); ++row) {
    std::vector<Index>& steps = plan.steps.emplace_back();
    for (std::size_t d = 0; d < updates.size(); ++d) {
      steps.push_back(updates[d].steps_until(plan.t[row]));
      const double t = same_time(updates[d].time(steps.back()), plan.t[row]);
      meetings.try_emplace(t, ComparisonPlan::Meeting{row, {}, false}).first->second.descents.push_back(d);
    }
    meetings.try_emplace(plan.t[row], ComparisonPlan::Meeting{row, {}, true}).first->second.ends_row = true;
  }

  std::vector<double> meeting_times;
  for (const auto& [t, meeting] : meetings) meeting_times.push_back(t);
  std::ranges::set_union(save.times, meeting_times, std::back_inserter(plan.save.times));
  std::size_t saved = 0;
  for (const double t : plan.save.times) {
    const bool is_saved = saved < save.times.size() && save.times[saved] == t;
    plan.save.record.push_back(is_saved && save.record[saved]);
    plan.save.snapshot.push_back(is_saved && save.snapshot[saved]);
    saved += is_saved ? 1 : 0;
    const auto meeting = meetings.find(t);
    plan.meetings.push_back(meeting == meetings.end() ? std::nullopt : std::optional(meeting->second));
  }
  return plan;
}

}  // namespace gradflow
