#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <gradflow/descent/update_rules.hpp>
#include <limits>
#include <stdexcept>

namespace gradflow {
namespace {

using Kind = UpdateRule::Kind;

constexpr RuleParameter decay(std::string_view name, double initial) {
  return {name, initial, "in [0, 1)", [](double value) { return value >= 0 && value < 1; }};
}
// Positive, because an entry whose gradient has always been 0 would be moved by 0/0 without it.
constexpr RuleParameter epsilon{"epsilon", 1e-8, "positive and finite",
                                [](double value) { return value > 0 && std::isfinite(value); }};

constexpr std::array momentum{decay("beta", 0.9)};
constexpr std::array adam{decay("beta1", 0.9), decay("beta2", 0.999), epsilon};
constexpr std::array rmsprop{decay("alpha", 0.99), epsilon};
constexpr std::array minibatch{RuleParameter{"batch", 16, "a whole number from 1 to 2^53", [](double value) {
                                               return value >= 1 && value <= 0x1p53 && value == std::floor(value);
                                             }}};

constexpr std::array rules{
    UpdateRule{Kind::gd,
               "gd",
               "gradient descent: theta <- theta + eta g",
               "Cauchy, Comptes rendus de l'Academie des sciences 25 (1847), 536",
               true,
               true,
               {}},
    UpdateRule{Kind::heavy_ball, "heavy-ball", "momentum: v <- beta v + g, theta <- theta + eta v",
               "Polyak, USSR Computational Mathematics and Mathematical Physics 4 (1964), 1", true, true, momentum},
    UpdateRule{
        Kind::nesterov, "nesterov",
        "Nesterov's momentum: v <- beta v + g, theta <- theta + eta (g + beta v), theta being the point ahead at "
        "which gradients are taken, as in PyTorch",
        "Nesterov, Soviet Mathematics Doklady 27 (1983), 372; in the form of Sutskever, Martens, Dahl, Hinton, "
        "ICML 2013",
        true, true, momentum},
    UpdateRule{Kind::adam, "adam",
               "m <- beta1 m + (1 - beta1) g, s <- beta2 s + (1 - beta2) g^2, theta <- theta + eta m^ / (sqrt(s^) + "
               "epsilon), with m^ = m / (1 - beta1^k) and s^ = s / (1 - beta2^k) at step k = 1, 2, ...",
               "Kingma and Ba, ICLR 2015 (arXiv:1412.6980)", false, false, adam},
    UpdateRule{Kind::rmsprop, "rmsprop",
               "s <- alpha s + (1 - alpha) g^2, theta <- theta + eta g / (sqrt(s) + epsilon), as in PyTorch",
               "Tieleman and Hinton, Neural Networks for Machine Learning (2012), lecture 6.5", false, false, rmsprop},
    UpdateRule{Kind::sign,
               "sign",
               "sign descent: theta <- theta + eta sign(g), with sign(0) = 0",
               "Bernstein, Wang, Azizzadenesheli, Anandkumar, ICML 2018 (arXiv:1802.04434)",
               false,
               false,
               {}},
    UpdateRule{Kind::sgd, "sgd",
               "gradient descent on minibatches: g is that of the mean loss of the next `batch` samples, in an order "
               "drawn anew for every epoch, whose last batch takes what is left",
               "Robbins and Monro, Annals of Mathematical Statistics 22 (1951), 400", true, true, minibatch}};

template <class Named>
std::string names(const Named& all) {
  std::string result;
  for (const auto& one : all) result += (result.empty() ? "" : ", ") + std::string(one.name);
  return result.empty() ? "none" : result;
}

}  // namespace

std::span<const UpdateRule> update_rules() { return rules; }

const UpdateRule& find_update_rule(std::string_view name) {
  const auto* const found = std::ranges::find(rules, name, &UpdateRule::name);
  if (found == rules.end())
    throw std::invalid_argument(fmt::format("unknown update rule '{}'; there are: {}", name, names(rules)));
  return *found;
}

Update::Update(std::string_view rule, double rate, std::span<const std::pair<std::string_view, double>> parameters)
    : rule_(&find_update_rule(rule)), rate_(rate) {
  if (!(rate > 0 && std::isfinite(rate)))
    throw std::invalid_argument(fmt::format("{}: the rate must be positive and finite, but is {}", rule, rate));
  for (const RuleParameter& parameter : rule_->parameters) values_.push_back(parameter.initial);
  for (const auto& [name, value] : parameters) {
    const std::size_t i = place(name);
    const RuleParameter& parameter = rule_->parameters[i];
    if (!parameter.allows(value))
      throw std::invalid_argument(fmt::format("{}: {} must be {}, but is {}", rule, name, parameter.range, value));
    values_[i] = value;
  }
}

std::size_t Update::place(std::string_view parameter) const {
  const auto found = std::ranges::find(rule_->parameters, parameter, &RuleParameter::name);
  if (found == rule_->parameters.end())
    throw std::invalid_argument(
        fmt::format("{}: unknown parameter '{}'; there are: {}", rule_->name, parameter, names(rule_->parameters)));
  return static_cast<std::size_t>(found - rule_->parameters.begin());
}

double Update::parameter(std::string_view name) const { return values_[place(name)]; }

double Update::time(Index step) const {
  const bool with_momentum = rule_->kind == Kind::heavy_ball || rule_->kind == Kind::nesterov;
  return static_cast<double>(step) * rate_ / (with_momentum ? 1 - parameter("beta") : 1);
}

std::optional<double> Update::stability_limit() const {
  switch (rule_->kind) {
    case Kind::gd:
    case Kind::sgd:
      return 2;
    case Kind::heavy_ball:
      return 2 * (1 + parameter("beta"));
    case Kind::nesterov:
      return 2 * (1 + parameter("beta")) / (1 + 2 * parameter("beta"));
    case Kind::adam:
    case Kind::rmsprop:
    case Kind::sign:
      break;
  }
  return {};
}

Index Update::steps_until(double t) const {
  // The quotient of a whole step's time may come out a few units in the last place below the whole number.
  const double steps = std::floor(t / time(1) * (1 + 4 * std::numeric_limits<double>::epsilon()));
  if (!(steps >= 0 && steps < 0x1p53))
    throw std::invalid_argument(
        fmt::format("{}: steps of rate {} until t = {} are {}, but must be a whole number below 2^53", rule_->name,
                    rate_, t, steps));
  return static_cast<Index>(steps);
}

}  // namespace gradflow
