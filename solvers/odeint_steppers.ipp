// What methods.cpp knows of the Odeint steppers, one of each in a .cpp of its own (they are slow to compile).
#include <solvers/stepper.hpp>

namespace solvers {

extern const Method dopri5, cash_karp54, fehlberg78;

template <class Real>
std::unique_ptr<Stepper<Real>> make_dopri5(const System<Real>&, Clock<Real>, Tolerances<Real>);
template <class Real>
std::unique_ptr<Stepper<Real>> make_cash_karp54(const System<Real>&, Clock<Real>, Tolerances<Real>);
template <class Real>
std::unique_ptr<Stepper<Real>> make_fehlberg78(const System<Real>&, Clock<Real>, Tolerances<Real>);

}  // namespace solvers
