#include <solvers/system.hpp>

#include "quad.ipp"

namespace solvers {

template <class Real>
void System<Real>::event_values(Real, std::span<const Real>, std::span<Real>) const {}

template <class Real>
void System<Real>::stage(Real t, std::span<const Real> x, std::span<const Real> c, std::span<const Real* const> k,
                         std::span<Real> x_out, std::span<Real> dx) const {
  for (std::size_t i = 0; i < x.size(); ++i) {
    Real sum = x[i];
    for (std::size_t j = 0; j < c.size(); ++j) sum += c[j] * k[j][i];
    x_out[i] = sum;
  }
  derivative(t, x_out, dx);
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
