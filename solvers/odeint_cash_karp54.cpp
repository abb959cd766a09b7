#include <boost/numeric/odeint/stepper/runge_kutta_cash_karp54.hpp>

#include "methods.ipp"
#include "odeint_stepper.ipp"

namespace solvers {

const Method cash_karp54{.name = "cash-karp54",
                         .order = 5,
                         .error_order = 4,
                         .evaluations = 6,
                         .rejected = 5,
                         .dense_output = false,
                         .source = "Cash, Karp 1990; Boost.Odeint",
                         .use = "to hold another method against"};

namespace {

template <class Real>
struct Traits {
  static constexpr const Method& method = cash_karp54;
  using Scheme = boost::numeric::odeint::runge_kutta_cash_karp54<OdeintState<Real>, Real, OdeintState<Real>, Real,
                                                                 boost::numeric::odeint::vector_space_algebra>;
};

}  // namespace

template <class Real>
std::unique_ptr<Stepper<Real>> make_cash_karp54(const System<Real>& system, Clock<Real> clock,
                                                Tolerances<Real> tolerances) {
  return std::make_unique<OdeintStepper<Real, Traits<Real>>>(system, clock, tolerances);
}

template std::unique_ptr<Stepper<double>> make_cash_karp54(const System<double>&, Clock<double>, Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_cash_karp54(const System<Quad>&, Clock<Quad>, Tolerances<Quad>);

}  // namespace solvers
