#include <solvers/combine.hpp>
#include <solvers/stabilised.hpp>

#include <array>
#include <map>

#include "methods.ipp"
#include "quad.ipp"
#include "rock4_coefficients.ipp"

namespace solvers {

const Method rock4{.name = "rock4",
                   .order = 4,
                   .error_order = 3,
                   .evaluations = 0,
                   .rejected = 0,
                   .dense_output = true,
                   .source = "after Abdulle 2002",
                   .use = "steps that stability limits elsewhere, errors of 1e-4 to 1e-7"};

namespace {

/// The estimate's coefficients are those of the cubic Hermite interpolant's error, so that for slow components what
/// keeps the one within the tolerance keeps the other; a fast one's error counts h rho 4/27 times in between.
template <class Real>
class Rock4 final : public StabilisedStepper<Real> {
  using typename StabilisedStepper<Real>::State;

 public:
  using StabilisedStepper<Real>::StabilisedStepper;
  const Method& method() const override { return rock4; }

 protected:
  int fewest_stages() const override { return 5; }
  double reach(int stages) const override { return Rock4Coefficients<Real>::reach(stages); }
  bool error_needs_end() const override { return false; }

  void advance(int stages, Real tau, Real h, const State& x, const State& dx, State& x_new) const override {
    of_ = &coefficients_.try_emplace(stages, stages).first->second;
    const std::size_t n = of_->mu.size();
    for (State& s : y_) s.resize(x.size());
    for (State& s : k_) s.resize(x.size());
    // Stage j stands in y_[j % 3], its derivative in k_[3 or 4], so that the last one's is in k_[4].
    const auto slot = [n](std::size_t j) { return 4 - (n - j) % 2; };
    const Real *before = nullptr, *slope = dx.data();
    const State* now = &x;
    for (std::size_t j = 1; j <= n; ++j) {
      const Real mu_h = h * of_->mu[j - 1], kappa = of_->kappa[j - 1];
      const std::array c{mu_h, kappa, Real(-kappa)};
      const std::array<const Real*, 3> k{slope, now->data(), before};
      const std::size_t terms = j == 1 ? 1 : 3;
      this->stage(tau + h * of_->time[j], *now, std::span(c).first(terms), std::span(k).first(terms), y_[j % 3], true,
                  k_[slot(j)]);
      before = now->data();
      before_last_ = std::exchange(slope, k_[slot(j)].data());
      now = &y_[j % 3];
    }
    finish(tau, h, *now, x_new);
  }

  void error(Real h, const State&, const State&, const State&, const State&, State& out) const override {
    std::array<Real, 5> c;
    for (std::size_t i = 0; i < 5; ++i) c[i] = h * of_->e[i];
    this->form(c, std::array{before_last_, slopes()[0], slopes()[1], slopes()[2], slopes()[3]}, out);
  }

 private:
  /// Of the finishing method, in its order.
  std::array<const Real*, 4> slopes() const { return {k_[4].data(), k_[0].data(), k_[1].data(), k_[2].data()}; }

  void finish(Real tau, Real h, const State& from, State& x_new) const {
    std::array<Real, 4> c;
    const auto times_h = [&](const std::array<Real, 4>& coefficients) {
      for (std::size_t i = 0; i < 4; ++i) c[i] = h * coefficients[i];
      return std::span<const Real>(c);
    };
    const auto k = slopes();
    for (std::size_t i = 1; i < 4; ++i)
      this->stage(tau + h * of_->finish_time[i], from, times_h(of_->a[i]).first(i), std::span(k).first(i), x_new, false,
                  k_[i - 1]);
    combine<Real>(this->view(from), times_h(of_->b), k, this->view(x_new));
  }

  mutable std::map<int, Rock4Coefficients<Real>> coefficients_;  // by stages
  mutable const Rock4Coefficients<Real>* of_ = nullptr;          // of the latest step
  mutable const Real* before_last_ = nullptr;  // the derivative at the recurrence's last stage but one
  mutable std::array<State, 3> y_;
  mutable std::array<State, 5> k_;
};

}  // namespace

template <class Real>
std::unique_ptr<Stepper<Real>> make_rock4(const System<Real>& system, Clock<Real> clock, Tolerances<Real> tolerances) {
  return std::make_unique<Rock4<Real>>(system, clock, tolerances);
}

template std::unique_ptr<Stepper<double>> make_rock4(const System<double>&, Clock<double>, Tolerances<double>);
template std::unique_ptr<Stepper<Quad>> make_rock4(const System<Quad>&, Clock<Quad>, Tolerances<Quad>);

}  // namespace solvers
