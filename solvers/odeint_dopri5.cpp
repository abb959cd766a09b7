#include <boost/numeric/odeint/stepper/runge_kutta_dopri5.hpp>

#include "odeint_stepper.ipp"
#include "odeint_steppers.ipp"

namespace solvers {

const Method dopri5{.name = "dopri5",
                    .order = 5,
                    .error_order = 4,
                    .evaluations = 6,
                    .rejected = 6,
                    .dense_output = true,
                    .source = "Dormand, Prince 1980; Boost.Odeint"};

namespace {

template <class Real>
struct Traits {
  static constexpr const Method& method = dopri5;
  static constexpr bool fsal = true;
  using Scheme = boost::numeric::odeint::runge_kutta_dopri5<OdeintState<Real>, Real, OdeintState<Real>, Real,
                                                            boost::numeric::odeint::vector_space_algebra>;
  template <class Out, class State>
  static void interpolate(const Scheme& scheme, Real tau, Out& out, const State& x0, const State& dx0, Real tau0,
                          const State& x1, const State& dx1, Real tau1) {
    scheme.calc_state(tau, out, x0, dx0, tau0, x1, dx1, tau1);
  }
};

}  // namespace

template <class Real>
std::unique_ptr<Stepper<Real>> make_dopri5(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances) {
  return std::make_unique<OdeintStepper<Real, Traits<Real>>>(system, clock, tolerances);
}

template std::unique_ptr<Stepper<double>> make_dopri5(const System<double>&, Clock<double>, Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_dopri5(const System<Quad>&, Clock<Quad>, Tolerances<Quad>);

}  // namespace solvers
