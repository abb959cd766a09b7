#include <solvers/explicit_runge_kutta.hpp>

#include "methods.ipp"
#include "quad.ipp"

namespace solvers {

const Method dopri5{.name = "dopri5",
                    .order = 5,
                    .error_order = 4,
                    .evaluations = 6,
                    .rejected = 6,
                    .dense_output = true,
                    .source = "Dormand, Prince 1980; dense output: Hairer, Norsett, Wanner 1993",
                    .use = "rtol 1e-4 to 1e-9: the default, events and records included"};

namespace {

template <class Real>
const Tableau<Real>& tableau() {
  const auto over = [](long numerator, long denominator) { return Real(numerator) / Real(denominator); };
  static const Tableau<Real> coefficients{
      .end = 6,
      .nodes = {0, over(1, 5), over(3, 10), over(4, 5), over(8, 9), 1, 1},
      .stages =
          {{},
           {{0, over(1, 5)}},
           {{0, over(3, 40)}, {1, over(9, 40)}},
           {{0, over(44, 45)}, {1, over(-56, 15)}, {2, over(32, 9)}},
           {{0, over(19372, 6561)}, {1, over(-25360, 2187)}, {2, over(64448, 6561)}, {3, over(-212, 729)}},
           {{0, over(9017, 3168)},
            {1, over(-355, 33)},
            {2, over(46732, 5247)},
            {3, over(49, 176)},
            {4, over(-5103, 18656)}},
           {{0, over(35, 384)}, {2, over(500, 1113)}, {3, over(125, 192)}, {4, over(-2187, 6784)}, {5, over(11, 84)}}},
      .error = {{0, over(71, 57600)},
                {2, over(-71, 16695)},
                {3, over(71, 1920)},
                {4, over(-17253, 339200)},
                {5, over(22, 525)},
                {6, over(-1, 40)}},
      .lower_error = {},
      .dense = {{{0, over(-12715105075, 11282082432)},
                 {2, over(87487479700, 32700410799)},
                 {3, over(-10690763975, 1880347072)},
                 {4, over(701980252875, 199316789632)},
                 {5, over(-1453857185, 822651844)},
                 {6, over(69997945, 29380423)}}}};
  return coefficients;
}

}  // namespace

template <class Real>
std::unique_ptr<Stepper<Real>> make_dopri5(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances) {
  return make_explicit_runge_kutta(dopri5, tableau<Real>(), system, clock, tolerances);
}

template std::unique_ptr<Stepper<double>> make_dopri5(const System<double>&, Clock<double>, Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_dopri5(const System<Quad>&, Clock<Quad>, Tolerances<Quad>);

}  // namespace solvers
