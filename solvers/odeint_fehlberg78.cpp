#include <boost/numeric/odeint/stepper/runge_kutta_fehlberg78.hpp>

#include "methods.ipp"
#include "odeint_stepper.ipp"

namespace solvers {

const Method fehlberg78{.name = "fehlberg78",
                        .order = 8,
                        .error_order = 7,
                        .evaluations = 13,
                        .rejected = 12,
                        .dense_output = false,
                        .source = "Fehlberg 1968; Boost.Odeint",
                        .use = "to hold another method against, at any accuracy"};

namespace {

template <class Real>
struct Traits {
  static constexpr const Method& method = fehlberg78;
  using Scheme = boost::numeric::odeint::runge_kutta_fehlberg78<OdeintState<Real>, Real, OdeintState<Real>, Real,
                                                                boost::numeric::odeint::vector_space_algebra>;
};

}  // namespace

template <class Real>
std::unique_ptr<Stepper<Real>> make_fehlberg78(const System<Real>& system, Clock<Real> clock,
                                               Tolerances<Real> tolerances) {
  return std::make_unique<OdeintStepper<Real, Traits<Real>>>(system, clock, tolerances);
}

template std::unique_ptr<Stepper<double>> make_fehlberg78(const System<double>&, Clock<double>, Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_fehlberg78(const System<Quad>&, Clock<Quad>, Tolerances<Quad>);

}  // namespace solvers
