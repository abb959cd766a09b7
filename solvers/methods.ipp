// What methods.cpp knows of the steppers, each in a .cpp of its own.
#include <solvers/stepper.hpp>

namespace solvers {

extern const Method dopri5, dop853, cash_karp54, fehlberg78, rkc2, rock4;

template <class Real>
std::unique_ptr<Stepper<Real>> make_dopri5(const System<Real>&, Clock<Real>, Tolerances<Real>);
template <class Real>
std::unique_ptr<Stepper<Real>> make_dop853(const System<Real>&, Clock<Real>, Tolerances<Real>);
template <class Real>
std::unique_ptr<Stepper<Real>> make_cash_karp54(const System<Real>&, Clock<Real>, Tolerances<Real>);
template <class Real>
std::unique_ptr<Stepper<Real>> make_fehlberg78(const System<Real>&, Clock<Real>, Tolerances<Real>);
/// Of rkc2 and rock4.
Index stabilised_memory_size(Index dimension);

template <class Real>
std::unique_ptr<Stepper<Real>> make_rkc2(const System<Real>&, Clock<Real>, Tolerances<Real>);
template <class Real>
std::unique_ptr<Stepper<Real>> make_rock4(const System<Real>&, Clock<Real>, Tolerances<Real>);

}  // namespace solvers
