#include <gradflow/observables/moment.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradflow {

void Moment::set(const solvers::Point<double>& at, bool whole) {
  at_ = at;
  look_ = Look::not_yet;
  expects_whole_ = whole;
  has_forward_ = has_coefficients_ = has_G_rates_ = false;
  U_.reset();
  power_.reset();
  all_values_.clear();
  other_ = nullptr;
}

const Glance<double>* Moment::glance(bool whole) {
  whole = whole || expects_whole_;
  if (look_ == Look::not_yet || (look_ == Look::some && whole)) {
    look_ = whole ? Look::whole : Look::some;
    if (!flow_.look(at_, whole, seen_)) look_ = Look::impossible;
  }
  return look_ == Look::impossible ? nullptr : &seen_;
}

double Moment::product(Columns first, Index word, Columns second, Index word2, OfState of_state) {
  const Glance<double>* const seen = glance();
  const auto has = [&](Index w) { return std::ranges::binary_search(seen->words, w); };
  if (seen == nullptr || !has(word) || !has(word2)) return (flow_.*of_state)(x(), word, word2);
  const auto place = [&](Index w) { return std::ranges::lower_bound(seen->words, w) - seen->words.begin(); };
  return (seen->*first).col(place(word)).dot((seen->*second).col(place(word2)));
}

double Moment::Gamma(Index word, Index word2) {
  return product(&Glance<double>::V, word, &Glance<double>::V, word2, &Flow<double>::Gamma);
}
double Moment::B(Index key, Index query) {
  return product(&Glance<double>::K, key, &Glance<double>::Q, query, &Flow<double>::B);
}
double Moment::S_K(Index word, Index word2) {
  return product(&Glance<double>::K, word, &Glance<double>::K, word2, &Flow<double>::S_K);
}
double Moment::S_Q(Index word, Index word2) {
  return product(&Glance<double>::Q, word, &Glance<double>::Q, word2, &Flow<double>::S_Q);
}

double Moment::trace_Gamma() { return glance(true) != nullptr ? seen_.trace_Gamma : flow_.trace_Gamma(x()); }
double Moment::trace_S_K() { return glance(true) != nullptr ? seen_.trace_S_K : flow_.trace_S_K(x()); }
double Moment::trace_S_Q() { return glance(true) != nullptr ? seen_.trace_S_Q : flow_.trace_S_Q(x()); }
double Moment::integrated_power() { return glance() != nullptr ? seen_.integrated_power : flow_.integrated_power(x()); }

const Model<double>::Forward& Moment::forward() {
  if (!has_forward_) {
    if (glance() == nullptr) {
      seen_.G.resize(static_cast<std::size_t>(task().words()));
      seen_.A.resize(static_cast<std::size_t>(flow_.model().pairs().size()));
      flow_.held_values(x(), seen_.G);
      flow_.scores(x(), seen_.A);
    }
    flow_.model().forward(seen_.G, seen_.A, forward_);
    has_forward_ = true;
  }
  return forward_;
}

double Moment::G(Index word) {
  forward();
  const std::span<const Index> held = flow_.words();
  if (std::binary_search(held.begin(), held.end(), word)) return seen_.G[static_cast<std::size_t>(word)];
  return all_values()[static_cast<std::size_t>(word)];
}

const std::vector<double>& Moment::all_values() {
  if (all_values_.empty()) {
    all_values_.resize(static_cast<std::size_t>(task().words()));
    flow_.values(x(), all_values_);
  }
  return all_values_;
}

void Moment::take_coefficients() {
  if (has_coefficients_) return;
  forward();
  gV_.resize(seen_.G.size());
  gA_.resize(seen_.A.size());
  flow_.model().coefficients(seen_.G, forward_, gV_, gA_);
  has_coefficients_ = true;
}

const std::vector<double>& Moment::gV() {
  if (glance() != nullptr) return seen_.gV;
  take_coefficients();
  return gV_;
}

const std::vector<double>& Moment::gA() {
  take_coefficients();
  return gA_;
}

double Moment::U() {
  if (!U_) U_ = glance() != nullptr ? seen_.U : flow_.U(x());
  return *U_;
}

double Moment::margin_min() {
  const std::vector<double>& z = forward().margin;
  return *std::min_element(z.begin(), z.end());
}

std::vector<double> Moment::G_rates(std::span<const Index> words) {
  const double V = flow_.rates().W_V * U(), W = flow_.rates().W * static_cast<double>(flow_.hidden());
  std::vector<double> rates(words.size());
  const std::vector<double>& gV = this->gV();
  const Glance<double>* const seen = glance();
  if (seen != nullptr &&
      std::ranges::all_of(words, [&](Index w) { return std::ranges::binary_search(seen->words, w); })) {
    for (std::size_t i = 0; i < words.size(); ++i)
      rates[i] = seen->V.col(std::ranges::lower_bound(seen->words, words[i]) - seen->words.begin()).dot(seen->p);
  } else {
    flow_.Gamma_times(x(), gV, words, rates);
  }
  for (std::size_t i = 0; i < words.size(); ++i) rates[i] = V * gV[static_cast<std::size_t>(words[i])] + W * rates[i];
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
  if (!power_) power_ = glance(true) != nullptr ? seen_.power : flow_.power(x(), gV(), gA());
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
          scale * flow_.B(x(), pairs.key(pair), pairs.queries()[static_cast<std::size_t>(j)]);
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
                .trace_Gamma = trace_Gamma(),
                .trace_S_K = trace_S_K(),
                .trace_S_Q = trace_S_Q(),
                .still_W = std::numeric_limits<double>::quiet_NaN()};
  if (flow_.has_weights())
    origin.still_W = std::max(0.0, flow_.weights(x()).W.squaredNorm() - U() / static_cast<double>(flow_.hidden()));
  return origin;
}

}  // namespace gradflow
