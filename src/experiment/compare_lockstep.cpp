#include "experiment/compare_lockstep.hpp"

#include <algorithm>

#include "experiment/compare_fits.hpp"

namespace gradflow {

void Lockstep::visit(Packing& packing) {
  for (const Side& side : p_.sides) {
    side.run->visit(packing);
    if (side.equal_loss) side.equal_loss->visit(packing);
  }
  packing(row_.values());
}

void Lockstep::resume(std::size_t times, const std::vector<std::vector<double>>& rows) {
  first_ = times;
  for (const std::vector<double>& values : rows) rows_.emplace_back(p_.labels).values() = values;
}

void Lockstep::output(std::size_t place, const solvers::Point<double>& at) {
  const std::size_t index = first_ + place;
  if (p_.curvature != nullptr) p_.curvature->output(index, at.t(), at.x());
  if (!p_.plan.meetings[index]) return;
  const ComparisonPlan::Meeting& meeting = *p_.plan.meetings[index];
  const Standing flow = standing(p_.flow, at.x());
  for (const std::size_t d : meeting.descents)
    if (p_.sides[d].run->advance(p_.plan.steps[meeting.row][d])) compare(d, flow);
  if (!meeting.ends_row) return;
  for (std::size_t d = 0; d < p_.sides.size(); ++d) compare_at_equal_loss(d, flow);
  fit_row(row_, p_.updates, p_.labels);
  p_.write.compare(p_.plan.t[meeting.row], row_.values());
  rows_.push_back(std::exchange(row_, ComparisonRow(p_.labels)));
}

bool Lockstep::interrupt() {
  return std::ranges::any_of(p_.sides, [](const Side& side) {
    return side.run->interrupted() || (side.equal_loss && side.equal_loss->interrupted());
  });
}

void Lockstep::compare(std::size_t d, const Standing& flow) {
  const Distances found = distances(standing(*p_.sides[d].flow, p_.sides[d].run->state()), flow);
  row_.at(Compared::descent_t, d) = p_.sides[d].run->t();
  row_.at(Compared::distance, d) = found.parameters;
  for (std::size_t matrix = 0; matrix < found.matrices.size(); ++matrix)
    row_.at(Compared::distance_matrix, d, matrix) = found.matrices[matrix];
  row_.at(Compared::distance_logits, d) = found.logits;
  row_.at(Compared::difference_loss, d) = found.loss;
  row_.at(Compared::distance_G, d) = found.G;
  row_.at(Compared::difference_attention, d) = found.attention;
}

void Lockstep::compare_at_equal_loss(std::size_t d, const Standing& flow) {
  EqualLoss* descent = p_.sides[d].equal_loss.get();
  if (descent == nullptr || !descent->advance(flow.loss)) return;
  const Distances found = distances(standing(*p_.sides[d].flow, descent->state()), flow);
  row_.at(Compared::equal_loss_t, d) = descent->t(flow.loss);
  row_.at(Compared::equal_loss_distance, d) = found.parameters;
  row_.at(Compared::equal_loss_distance_logits, d) = found.logits;
  row_.at(Compared::equal_loss_distance_G, d) = found.G;
  row_.at(Compared::equal_loss_difference_attention, d) = found.attention;
}

}  // namespace gradflow
