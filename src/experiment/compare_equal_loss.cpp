#include "experiment/compare_equal_loss.hpp"

#include <cmath>

namespace gradflow {

void visit_descent(Packing& packing, Descent& descent) {
  DescentState state = descent.save();
  packing(state.x);
  packing(state.first);
  packing(state.second);
  packing(state.steps);
  packing(state.gradients);
  if (!packing.packs()) descent.restore(state);
}

EqualLoss::EqualLoss(const Flow<double>& flow, const Update& update, Index end, std::uint64_t seed, Listener& listener)
    : descent_(flow, update, seed), moment_(flow), end_(end), listener_(listener), loss_(loss_here()), before_(loss_) {}

double EqualLoss::loss_here() {
  moment_.set(0, descent_.state());
  return moment_.forward().loss;
}

bool EqualLoss::advance(double loss) {
  while (!(loss_ <= loss)) {
    interrupted_ |= listener_.interrupt();
    if (descent_.steps() >= end_ || interrupted_ || !descent_.step()) {
      end_ = descent_.steps();
      return false;
    }
    before_ = std::exchange(loss_, loss_here());
  }
  return true;
}

void EqualLoss::visit(Packing& packing) {
  visit_descent(packing, descent_);
  packing(end_);
  packing(loss_);
  packing(before_);
}

double EqualLoss::t(double loss) const {
  const double after = descent_.time();
  if (!(before_ > loss_ && loss_ > 0)) return after;  // at its start, or where the loss has no logarithm
  const double step = descent_.update().time(1);
  return after - step * std::log(loss / loss_) / std::log(before_ / loss_);
}

}  // namespace gradflow
