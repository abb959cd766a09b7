#pragma once
#include <gradflow/descent/descent.hpp>
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/observables/moment.hpp>

#include "experiment/packing.hpp"

namespace gradflow {

/// A descent's state, into a checkpoint or from it.
void visit_descent(Packing& packing, Descent& descent);

/// A descent that is set beside the flow not at equal times but at equal losses. All references must outlive it.
class EqualLoss {
 public:
  /// At step 0. `end`: the last step that it may take.
  EqualLoss(const Flow<double>& flow, const Update& update, Index end, std::uint64_t seed, Listener& listener);

  /// Goes on to its first step whose loss is no larger than that. False where it ended before, or is interrupted; so is
  /// every later call.
  bool advance(double loss);
  std::span<const double> state() const { return descent_.state(); }
  /// Where it had that loss: between the last two steps, by a line in the logarithm of the loss.
  double t(double loss) const;
  /// All that it goes on from.
  void visit(Packing& packing);
  bool interrupted() const { return interrupted_; }

 private:
  double loss_here();

  Descent descent_;
  Moment moment_;
  Index end_;
  Listener& listener_;
  double loss_, before_;  // now, and a step ago
  bool interrupted_ = false;
};

}  // namespace gradflow
