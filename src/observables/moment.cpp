#include <gradflow/observables/moment.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradflow {

void Moment::set(double t, std::span<const double> x) {
  t_ = t;
  x_ = x;
  has_forward_ = has_coefficients_ = has_G_rates_ = false;
  U_.reset();
  power_.reset();
  all_values_.clear();
  other_ = nullptr;
}

const Model<double>::Forward& Moment::forward() {
  if (!has_forward_) {
    G_.resize(static_cast<std::size_t>(task().words()));
    A_.resize(static_cast<std::size_t>(flow_.model().pairs().size()));
    flow_.held_values(x_, G_);
    flow_.scores(x_, A_);
    flow_.model().forward(G_, A_, forward_);
    has_forward_ = true;
  }
  return forward_;
}

double Moment::G(Index word) {
  forward();
  const std::span<const Index> held = flow_.words();
  if (std::binary_search(held.begin(), held.end(), word)) return G_[static_cast<std::size_t>(word)];
  return all_values()[static_cast<std::size_t>(word)];
}

const std::vector<double>& Moment::all_values() {
  if (all_values_.empty()) {
    all_values_.resize(static_cast<std::size_t>(task().words()));
    flow_.values(x_, all_values_);
  }
  return all_values_;
}

const std::vector<double>& Moment::gV() {
  if (!has_coefficients_) {
    forward();
    gV_.resize(G_.size());
    gA_.resize(A_.size());
    flow_.model().coefficients(G_, forward_, gV_, gA_);
    has_coefficients_ = true;
  }
  return gV_;
}

const std::vector<double>& Moment::gA() {
  gV();
  return gA_;
}

double Moment::U() {
  if (!U_) U_ = flow_.U(x_);
  return *U_;
}

double Moment::margin_min() {
  const std::vector<double>& z = forward().margin;
  return *std::min_element(z.begin(), z.end());
}

std::vector<double> Moment::G_rates(std::span<const Index> words) {
  const double V = flow_.rates().W_V * U(), W = flow_.rates().W * static_cast<double>(flow_.hidden());
  std::vector<double> rates(words.size());
  flow_.Gamma_times(x_, gV(), words, rates);
  for (std::size_t i = 0; i < words.size(); ++i) rates[i] = V * gV_[static_cast<std::size_t>(words[i])] + W * rates[i];
  return rates;
}

const std::array<double, 3>& Moment::G_rates() {
  if (!has_G_rates_) {
    const TaskData& data = task().data();
    const std::array<Index, 3> words{data.targets[0], data.targets[1], data.common.value_or(data.targets[0])};
    std::ranges::copy(G_rates(words), G_rates_.begin());
    if (!data.common) G_rates_[2] = std::numeric_limits<double>::quiet_NaN();
    has_G_rates_ = true;
  }
  return G_rates_;
}

std::array<double, 3> Moment::G_targets() {
  const TaskData& data = task().data();
  const auto value = [&](Index word) { return G(word); };
  return {value(data.targets[0]), value(data.targets[1]),
          data.common ? value(*data.common) : std::numeric_limits<double>::quiet_NaN()};
}

const PerMatrix<double>& Moment::power() {
  if (!power_) power_ = flow_.power(x_, gV(), gA());
  return *power_;
}

const Model<double>::Forward& Moment::forward_of(const Model<double>& other) {
  if (other_ == &other) return other_forward_;
  const WordPairs& pairs = other.pairs();
  const double scale = 1 / std::sqrt(static_cast<double>(flow_.width()));
  std::vector<double> A(static_cast<std::size_t>(pairs.size()));
  for (Index j = 0; j < std::ssize(pairs.queries()); ++j)
    for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair)
      A[static_cast<std::size_t>(pair)] =
          scale * flow_.B(x_, pairs.key(pair), pairs.queries()[static_cast<std::size_t>(j)]);
  other.forward(all_values(), A, other_forward_);
  other_ = &other;
  return other_forward_;
}

const FieldDerivatives& Moment::field() {
  if (!field_) {
    const std::vector<double> x0 = flow_.initial_state();
    const Weights<double> start = flow_.weights(x0);  // to the last bit what the flow was made from
    const auto is_laid_out_as = [&](const FieldDerivatives& field) { return field.dimension() == std::ssize(x0); };
    if (flow_.blocks().front().name == "W") {
      field_ = FieldDerivatives::of_full_flow(task(), start, flow_.rates());
    } else {
      field_ = FieldDerivatives::of_reduced_flow(task(), start, flow_.rates());
      if (!is_laid_out_as(*field_))  // a flow that was told to run at full width
        field_ = FieldDerivatives::of_reduced_flow(task(), start, flow_.rates(), Coordinates::full_width);
    }
  }
  return *field_;
}

Origin Moment::origin() {
  Origin origin{.attention = forward().attention,
                .loss = forward_.loss,
                .U = U(),
                .trace_Gamma = flow_.trace_Gamma(x_),
                .trace_S_K = flow_.trace_S_K(x_),
                .trace_S_Q = flow_.trace_S_Q(x_),
                .still_W = std::numeric_limits<double>::quiet_NaN()};
  if (flow_.has_weights())
    origin.still_W = std::max(0.0, flow_.weights(x_).W.squaredNorm() - U() / static_cast<double>(flow_.hidden()));
  return origin;
}

}  // namespace gradflow
