#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <gradflow/descent/descent.hpp>
#include <stdexcept>

#include "descent/batches.hpp"

namespace gradflow {
namespace {

using Kind = UpdateRule::Kind;

constexpr Index longest_stretch = 1024;

bool in_coordinates_of_weights(const solvers::Block& block) { return block.space <= block.vector_length(); }

void check(const Flow<double>& flow, const UpdateRule& rule) {
  if (!flow.has_weights())
    throw std::invalid_argument(
        fmt::format("{}: a descent steps through weights, but this flow has inner products only; take the full or the "
                    "reduced formulation",
                    rule.name));
  if (rule.rotates) return;
  for (const solvers::Block& block : flow.blocks())
    if (!in_coordinates_of_weights(block))
      throw std::invalid_argument(
          fmt::format("{}: the rule acts on single entries of the weights, but {} is not in their coordinates; make "
                      "the reduced flow with Coordinates::full_width",
                      rule.name, block.name));
}

}  // namespace

Descent::Descent(const Flow<double>& flow, Update update, std::uint64_t seed)
    : flow_(flow), update_(std::move(update)), seed_(seed) {
  check(flow, update_.rule());
  const std::vector<solvers::Block> blocks = flow.blocks();
  const bool reduced = blocks[0].vectors == solvers::Block::Vectors::columns;  // u; W stands by rows
  const double M = reduced ? static_cast<double>(flow.hidden()) : 1;
  const Rates<double>& rho = flow.rates();
  Index begin = 0;
  for (std::size_t i = 0; const double scale : {rho.W * M, rho.W_V, rho.W_K, rho.W_Q}) {
    const Index end = begin + blocks[i++].size();
    for (; begin < end; begin = std::min(end, begin + longest_stretch))
      stretches_.push_back({begin, std::min(longest_stretch, end - begin), scale});
  }
  start(flow.initial_state());
}

Descent::~Descent() = default;
Descent::Descent(Descent&&) noexcept = default;

void Descent::start(std::span<const double> x) {
  const auto dimension = static_cast<std::size_t>(flow_.dimension());
  if (x.size() != dimension)
    throw std::invalid_argument(
        fmt::format("descent: the state must have {} components, but has {}", dimension, x.size()));
  if (!std::ranges::all_of(x, [](double value) { return std::isfinite(value); }))
    throw std::invalid_argument("descent: the state has components that are not finite");
  const auto size = static_cast<Index>(dimension);
  x_ = Eigen::Map<const Eigen::ArrayXd>(x.data(), size);
  next_.setZero(size);
  const Kind kind = update_.rule().kind;
  const bool momentum = kind == Kind::heavy_ball || kind == Kind::nesterov;
  first_.setZero(momentum || kind == Kind::adam ? size : 0);
  second_.setZero(kind == Kind::rmsprop || kind == Kind::adam ? size : 0);
  if (kind == Kind::sgd) {
    const Index samples = flow_.task().samples();
    const double batch = std::min(update_.parameter("batch"), static_cast<double>(samples));
    batches_ = std::make_unique<Batches>(samples, static_cast<Index>(batch), seed_);
  }
  steps_ = gradients_ = 0;
}

DescentState Descent::save() const {
  return {{x_.begin(), x_.end()}, {first_.begin(), first_.end()}, {second_.begin(), second_.end()}, steps_, gradients_};
}

void Descent::restore(const DescentState& state) {
  start(state.x);
  if (std::ssize(state.first) != first_.size() || std::ssize(state.second) != second_.size())
    throw std::invalid_argument(fmt::format("descent: the state to restore has {} and {} moments, but {} has {} and {}",
                                            state.first.size(), state.second.size(), update_.rule().name, first_.size(),
                                            second_.size()));
  std::ranges::copy(state.first, first_.begin());
  std::ranges::copy(state.second, second_.begin());
  steps_ = state.steps;
  gradients_ = state.gradients;
  for (Index drawn = 0; batches_ && drawn < gradients_; ++drawn) batches_->next();
}

bool Descent::step() {
  const std::span<double> derivative(next_.data(), static_cast<std::size_t>(next_.size()));
  if (batches_)
    flow_.batch_derivative(state(), batches_->next(), derivative);
  else
    flow_.derivative(0, state(), derivative);
  ++gradients_;
  const Index last = x_.size() - 1;
  double fall = 0, zero = 0;
  for (const Stretch& stretch : stretches_) {
    fall += move(stretch);
    zero += (next_.segment(stretch.begin, stretch.size) * 0.0).sum();  // NaN of anything not finite
  }
  next_[last] = x_[last] + fall;
  if (!(zero == 0 && std::isfinite(next_[last]))) return false;
  x_.swap(next_);
  ++steps_;
  return true;
}

/// Makes a stretch of the derivative one of the next state; returns by how much it lets the loss fall, to first order.
double Descent::move(const Stretch& stretch) {
  const auto at = [&](Eigen::ArrayXd& values) { return values.segment(stretch.begin, stretch.size); };
  const auto number = [&](std::string_view name) { return update_.parameter(name); };
  auto g = at(next_);
  if (stretch.scale == 0) {  // frozen
    g = at(x_);
    return 0;
  }
  if (stretch.scale != 1) g /= stretch.scale;
  const double eta = update_.rate() * stretch.scale;
  const auto go = [&](const auto& direction) {
    const double fall = eta * (g * direction).sum();
    g = at(x_) + eta * direction;  // entry by entry, each read before it is written
    return fall;
  };
  const auto average = [&](Eigen::ArrayXd& memory, double decay, const auto& value) {
    auto mean = at(memory);
    mean = decay * mean + (1 - decay) * value;
    return mean;
  };
  const auto velocity = [&](double beta) {
    auto v = at(first_);
    v = beta * v + g;
    return v;
  };
  Eigen::Array<double, Eigen::Dynamic, 1, 0, longest_stretch, 1> direction;
  switch (update_.rule().kind) {
    case Kind::gd:
    case Kind::sgd:
      break;
    case Kind::heavy_ball:
      return go(velocity(number("beta")));
    case Kind::nesterov: {
      const double beta = number("beta");
      return go(g + beta * velocity(beta));
    }
    case Kind::adam: {
      const double beta1 = number("beta1"), beta2 = number("beta2"), k = static_cast<double>(steps_ + 1);
      const double correction1 = 1 / (1 - std::pow(beta1, k)), correction2 = 1 / (1 - std::pow(beta2, k));
      const auto m = average(first_, beta1, g), s = average(second_, beta2, g.square());
      direction = correction1 * m / ((correction2 * s).sqrt() + number("epsilon"));
      return go(direction);
    }
    case Kind::rmsprop: {
      const auto s = average(second_, number("alpha"), g.square());
      direction = g / (s.sqrt() + number("epsilon"));
      return go(direction);
    }
    case Kind::sign:
      direction = g.unaryExpr([](double value) { return value > 0 ? 1.0 : value < 0 ? -1.0 : 0.0; });
      return go(direction);
  }
  return go(g);
}

}  // namespace gradflow
