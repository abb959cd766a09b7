#include <array>
#include <gradflow/flows/field_derivatives.hpp>
#include <type_traits>

#include "taylor.hpp"

namespace gradflow {
namespace {

template <class Real>
Rates<Real> cast(const Rates<double>& rho) {
  return {Real(rho.W), Real(rho.W_V), Real(rho.W_K), Real(rho.W_Q)};
}

}  // namespace

/// The flow on numbers x + e v.
template <int N>
struct FieldDerivatives::Series {
  using Number = Taylor<double, N>;

  explicit Series(std::unique_ptr<Flow<Number>> on_numbers)
      : flow(std::move(on_numbers)), numbers(flow->initial_state()), field(numbers.size()) {}

  void evaluate(State x, State v) {
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = Number(x[i], v[i]);
    flow->derivative(Number(0), numbers, field);
  }

  std::unique_ptr<Flow<Number>> flow;
  std::vector<Number> numbers, field;
};

template <class Make>
FieldDerivatives::FieldDerivatives(const Make& make, double head_scale)
    : flow_(make(std::type_identity<double>())),
      first_(std::make_unique<Series<1>>(make(std::type_identity<Taylor<double, 1>>()))),
      second_(std::make_unique<Series<2>>(make(std::type_identity<Taylor<double, 2>>()))) {
  const Rates<double>& rho = flow_->rates();
  const std::array<double, 5> of_block{rho.W * head_scale, rho.W_V, rho.W_K, rho.W_Q, 0};
  const std::vector<solvers::Block> blocks = flow_->blocks();
  for (std::size_t i = 0; i < of_block.size(); ++i)
    scales_.insert(scales_.end(), static_cast<std::size_t>(blocks[i].size()), of_block[i]);
}

FieldDerivatives FieldDerivatives::of_full_flow(const Task& task, const Weights<double>& start,
                                                const Rates<double>& rates) {
  const auto make = [&]<class Real>(std::type_identity<Real>) {
    return make_full_flow<Real>(task, start.cast<Real>(), cast<Real>(rates));
  };
  return {make, 1};
}

FieldDerivatives FieldDerivatives::of_reduced_flow(const Task& task, const Weights<double>& start,
                                                   const Rates<double>& rates, Coordinates coordinates) {
  const auto make = [&]<class Real>(std::type_identity<Real>) {
    return make_reduced_flow<Real>(task, start.cast<Real>(), cast<Real>(rates), coordinates);
  };
  return {make, static_cast<double>(start.hidden())};
}

FieldDerivatives::FieldDerivatives(FieldDerivatives&&) noexcept = default;
FieldDerivatives& FieldDerivatives::operator=(FieldDerivatives&&) noexcept = default;
FieldDerivatives::~FieldDerivatives() = default;

double FieldDerivatives::inner(State v, State w) const {
  double sum = 0;
  for (std::size_t i = 0; i < scales_.size(); ++i)
    if (scales_[i] > 0) sum += v[i] * w[i] / scales_[i];
  return sum;
}

void FieldDerivatives::along(State x, State v, std::span<double> f_v) const {
  first_->evaluate(x, v);
  for (std::size_t i = 0; i < f_v.size(); ++i) f_v[i] = first_->field[i][1];
}

void FieldDerivatives::along(State x, State v, std::span<double> f_v, std::span<double> f_vv) const {
  second_->evaluate(x, v);
  for (std::size_t i = 0; i < f_v.size(); ++i) {
    f_v[i] = second_->field[i][1];
    f_vv[i] = 2 * second_->field[i][2];
  }
}

}  // namespace gradflow
