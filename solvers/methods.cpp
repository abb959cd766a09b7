#include <array>
#include <stdexcept>

#include "methods.ipp"
#include "quad.ipp"

namespace solvers {

std::span<const Method> methods() {
  static const std::array all{dopri5, dop853, cash_karp54, fehlberg78, rkc2, rock4};
  return all;
}

namespace {

std::invalid_argument unknown_method(std::string_view name) {
  std::string names;
  for (const Method& known : methods()) names += (names.empty() ? "" : ", ") + std::string(known.name);
  return std::invalid_argument("unknown method '" + std::string(name) + "'; there are: " + names);
}

}  // namespace

const Method& find_method(std::string_view name) {
  for (const Method& known : methods())
    if (known.name == name) return known;
  throw unknown_method(name);
}

Index memory_size(std::string_view method, Index dimension) {
  const std::string_view name = find_method(method).name;
  return name == rkc2.name || name == rock4.name ? stabilised_memory_size(dimension) : 0;
}

std::string_view other_family(std::string_view method) {
  return find_method(method).name == fehlberg78.name ? dopri5.name : fehlberg78.name;
}

template <class Real>
std::unique_ptr<Stepper<Real>> make_stepper(std::string_view method, const System<Real>& system, Clock<Real> clock,
                                            Tolerances<Real> tolerances) {
  if (method == dopri5.name) return make_dopri5(system, clock, tolerances);
  if (method == dop853.name) return make_dop853(system, clock, tolerances);
  if (method == cash_karp54.name) return make_cash_karp54(system, clock, tolerances);
  if (method == fehlberg78.name) return make_fehlberg78(system, clock, tolerances);
  if (method == rkc2.name) return make_rkc2(system, clock, tolerances);
  if (method == rock4.name) return make_rock4(system, clock, tolerances);
  throw unknown_method(method);
}

template std::unique_ptr<Stepper<double>> make_stepper(std::string_view, const System<double>&, Clock<double>,
                                                       Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_stepper(std::string_view, const System<Quad>&, Clock<Quad>,
                                                     Tolerances<Quad>);

}  // namespace solvers
