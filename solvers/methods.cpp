#include <array>
#include <stdexcept>

#include "odeint_steppers.ipp"
#include "quad.ipp"

namespace solvers {

std::span<const Method> methods() {
  static const std::array all{dopri5, cash_karp54, fehlberg78};
  return all;
}

template <class Real>
std::unique_ptr<Stepper<Real>> make_stepper(std::string_view method, const System<Real>& system, Clock<Real> clock,
                                            Tolerances<Real> tolerances) {
  if (method == dopri5.name) return make_dopri5(system, clock, tolerances);
  if (method == cash_karp54.name) return make_cash_karp54(system, clock, tolerances);
  if (method == fehlberg78.name) return make_fehlberg78(system, clock, tolerances);
  std::string names;
  for (const Method& known : methods()) names += (names.empty() ? "" : ", ") + std::string(known.name);
  throw std::invalid_argument("unknown method '" + std::string(method) + "'; there are: " + names);
}

template std::unique_ptr<Stepper<double>> make_stepper(std::string_view, const System<double>&, Clock<double>,
                                                       Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_stepper(std::string_view, const System<Quad>&, Clock<Quad>,
                                                     Tolerances<Quad>);

}  // namespace solvers
