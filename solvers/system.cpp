#include <solvers/combine.hpp>
#include <solvers/system.hpp>

#include "quad.ipp"

namespace solvers {

template <class Real>
void System<Real>::event_values(Real, std::span<const Real>, std::span<Real>) const {}

template <class Real>
void System<Real>::stage(const StagePoint<Real>& at, std::span<Real> y, bool /*keep*/, std::span<Real> dx) const {
  combine<Real>(at.x, at.c, at.k, y);
  derivative(at.t, y, dx);
  if (at.scale == 1) return;
  for (Real& component : dx) component *= at.scale;
}

template <class Real>
Index System<Real>::dimension() const {
  Index sum = 0;
  for (const Block& block : blocks()) sum += block.size();
  return sum;
}

template class System<double>;
template class System<Quad>;

}  // namespace solvers
