#include <solvers/combine.hpp>
#include <solvers/stabilised.hpp>

#include <array>

#include "methods.ipp"
#include "quad.ipp"

namespace solvers {

const Method rkc2{.name = "rkc2",
                  .order = 2,
                  .error_order = 2,
                  .evaluations = 0,
                  .rejected = 0,
                  .dense_output = true,
                  .source = "Sommeijer, Shampine, Verwer 1997",
                  .use = "steps that stability limits elsewhere, errors of 1e-4 and more"};

namespace {

/// The Runge-Kutta-Chebyshev method of order 2, damping 2/13. The stability
/// polynomial of its stage j is 1 - b_j T_j(w0) + b_j T_j(w0 + w1 z), T_j
/// Chebyshev's, and that of its last stage the method's.
template <class Real>
struct RkcCoefficients {
  explicit RkcCoefficients(int stages);

  Real w0, w1;
  std::vector<Real> T, b, time;  // by stage; T at w0, time in steps
};

template <class Real>
RkcCoefficients<Real>::RkcCoefficients(int stages)
    : w0(1 + Real(2) / (13 * stages * stages)), T{1, w0}, b{0, 0}, time{0, 0} {
  std::vector<Real> first{0, 1}, second{0, 0};  // derivatives at w0
  for (std::size_t j = 2; j <= static_cast<std::size_t>(stages); ++j) {
    T.push_back(2 * w0 * T[j - 1] - T[j - 2]);
    first.push_back(2 * T[j - 1] + 2 * w0 * first[j - 1] - first[j - 2]);
    second.push_back(4 * first[j - 1] + 2 * w0 * second[j - 1] - second[j - 2]);
    b.push_back(second[j] / (first[j] * first[j]));
  }
  w1 = first.back() / second.back();
  b[0] = b[1] = b[2];
  for (std::size_t j = 2; j <= static_cast<std::size_t>(stages); ++j) time.push_back(w1 * second[j] / first[j]);
  time[1] = b[1] * w1;
}

template <class Real>
class Rkc2 final : public StabilisedStepper<Real> {
  using typename StabilisedStepper<Real>::State;

 public:
  using StabilisedStepper<Real>::StabilisedStepper;
  const Method& method() const override { return rkc2; }

 protected:
  int fewest_stages() const override { return 2; }
  double reach(int stages) const override { return 0.65 * (stages * stages - 1); }
  bool error_needs_end() const override { return true; }

  void advance(int stages, Real tau, Real h, const State& x, const State& dx, State& x_new) const override {
    const RkcCoefficients<Real> of(stages);
    const auto last = static_cast<std::size_t>(stages);
    for (State* s : {&y_[0], &y_[1], &y_[2], &k_[0], &k_[1]}) s->resize(x.size());
    this->stage(tau + h * of.time[1], x, std::array{Real(h * of.time[1])}, std::array{dx.data()}, y_[1], true, k_[1]);
    const Real* before = x.data();  // the stage before the one at hand
    for (std::size_t j = 2; j <= last; ++j) {
      const State& now = y_[(j - 1) % 3];
      const Real mu = 2 * of.w0 * of.b[j] / of.b[j - 1], nu = -of.b[j] / of.b[j - 2],
                 mu_h = 2 * of.w1 * h * of.b[j] / of.b[j - 1], gamma_h = (of.b[j - 1] * of.T[j - 1] - 1) * mu_h;
      const std::array c{Real(-mu - nu), mu, nu, mu_h, gamma_h};
      const std::array<const Real*, 5> k{x.data(), now.data(), before, k_[(j - 1) % 2].data(), dx.data()};
      if (j == last)
        combine<Real>(this->view(x), c, k, this->view(x_new));
      else
        this->stage(tau + h * of.time[j], x, c, k, y_[j % 3], true, k_[j % 2]);
      before = now.data();
    }
  }

  void error(Real h, const State& x, const State& dx, const State& x_new, const State& dx_new,
             State& out) const override {
    this->form(std::array{Real(0.8), Real(-0.8), Real(Real(0.4) * h), Real(Real(0.4) * h)},
               std::array{x.data(), x_new.data(), dx.data(), dx_new.data()}, out);
  }

 private:
  mutable std::array<State, 3> y_;  // the latest stages
  mutable std::array<State, 2> k_;  // and their derivatives
};

}  // namespace

template <class Real>
std::unique_ptr<Stepper<Real>> make_rkc2(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances) {
  return std::make_unique<Rkc2<Real>>(system, clock, tolerances);
}

template std::unique_ptr<Stepper<double>> make_rkc2(const System<double>&, Clock<double>, Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_rkc2(const System<Quad>&, Clock<Quad>, Tolerances<Quad>);

}  // namespace solvers
