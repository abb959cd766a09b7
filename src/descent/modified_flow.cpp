#include <fmt/format.h>

#include <cmath>
#include <gradflow/descent/modified_flow.hpp>
#include <stdexcept>

namespace gradflow {
namespace {

/// Factors of f'f, f'f'f and f''(f,f).
struct Terms {
  double f_f, f_f_f = 0, ff_f = 0;
};

/// f + terms, everything else being the flow's own.
class ModifiedFlow final : public Flow<double> {
 public:
  ModifiedFlow(const FieldDerivatives& field, Terms terms)
      : Flow(field.flow().task(), field.flow().rates()), field_(field), flow_(field.flow()), terms_(terms) {
    for (auto* scratch : {&f_, &f_f_, &f_f_f_, &ff_f_}) scratch->resize(static_cast<std::size_t>(field.dimension()));
  }

  void derivative(double t, State x, std::span<double> dx) const override {
    flow_.derivative(t, x, f_);
    if (terms_.ff_f == 0) {
      field_.along(x, f_, f_f_);
      for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = f_[i] + terms_.f_f * f_f_[i];
    } else {
      field_.along(x, f_, f_f_, ff_f_);
      field_.along(x, f_f_, f_f_f_);
      for (std::size_t i = 0; i < dx.size(); ++i)
        dx[i] = f_[i] + terms_.f_f * f_f_[i] + terms_.f_f_f * f_f_f_[i] + terms_.ff_f * ff_f_[i];
    }
    dx.back() = field_.inner(f_, dx);  // -dL/dt = <-grad L, theta'>
  }

  void batch_derivative(State /*x*/, std::span<const Index> /*samples*/, std::span<double> /*dx*/) const override {
    throw std::logic_error("batch_derivative: a modified flow is that of a descent on the whole task");
  }

  Index width() const override { return flow_.width(); }
  Index hidden() const override { return flow_.hidden(); }
  std::span<const Index> words() const override { return flow_.words(); }
  const OtherWords<double>& other_words() const override { return flow_.other_words(); }
  std::vector<solvers::Block> blocks() const override { return flow_.blocks(); }
  std::vector<double> initial_state() const override { return flow_.initial_state(); }
  void values(State x, std::span<double> G) const override { flow_.values(x, G); }
  void held_values(State x, std::span<double> G) const override { flow_.held_values(x, G); }
  void scores(State x, std::span<double> A) const override { flow_.scores(x, A); }
  double U(State x) const override { return flow_.U(x); }
  double Gamma(State x, Index word, Index word2) const override { return flow_.Gamma(x, word, word2); }
  double B(State x, Index key, Index query) const override { return flow_.B(x, key, query); }
  double S_K(State x, Index word, Index word2) const override { return flow_.S_K(x, word, word2); }
  double S_Q(State x, Index word, Index word2) const override { return flow_.S_Q(x, word, word2); }
  double trace_Gamma(State x) const override { return flow_.trace_Gamma(x); }
  double trace_S_K(State x) const override { return flow_.trace_S_K(x); }
  double trace_S_Q(State x) const override { return flow_.trace_S_Q(x); }
  void Gamma_times(State x, std::span<const double> gV, std::span<const Index> words,
                   std::span<double> out) const override {
    flow_.Gamma_times(x, gV, words, out);
  }
  PerMatrix<double> power(State x, std::span<const double> gV, std::span<const double> gA) const override {
    return flow_.power(x, gV, gA);
  }
  Weights<double> weights(State x) const override { return flow_.weights(x); }
  std::array<double, 3> law_drifts(State x) const override { return flow_.law_drifts(x); }

 private:
  const FieldDerivatives& field_;
  const Flow<double>& flow_;
  Terms terms_;
  mutable std::vector<double> f_, f_f_, f_f_f_, ff_f_;  // scratch of one evaluation
};

void check_rate(double eta) {
  if (!(eta >= 0) || !std::isfinite(eta))
    throw std::invalid_argument(
        fmt::format("modified flow: the descent's rate must be finite and >= 0, but is {}", eta));
}

}  // namespace

std::unique_ptr<Flow<double>> make_gradient_descent_flow(const FieldDerivatives& field, double eta, int order) {
  check_rate(eta);
  if (order != 2 && order != 3)
    throw std::invalid_argument(fmt::format(
        "modified flow: of gradient descent there are orders 2 and 3 (order 1 is the flow itself), but not {}", order));
  const double third = order == 3 ? eta * eta / 3 : 0;
  return std::make_unique<ModifiedFlow>(field, Terms{-eta / 2, third, third / 4});
}

std::unique_ptr<Flow<double>> make_heavy_ball_flow(const FieldDerivatives& field, double eta, double beta) {
  check_rate(eta);
  if (!(beta >= 0 && beta < 1))
    throw std::invalid_argument(fmt::format("modified flow: heavy ball's beta must be >= 0 and < 1, but is {}", beta));
  return std::make_unique<ModifiedFlow>(field, Terms{-eta * (1 + beta) / (2 * (1 - beta) * (1 - beta))});
}

}  // namespace gradflow
