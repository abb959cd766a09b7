#pragma once
#include <gradflow/tasks/task.hpp>

#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace gradflow {

/// A number that an update rule takes beside its rate.
struct RuleParameter {
  std::string_view name;
  double initial;          ///< its value unless given
  std::string_view range;  ///< as a person reads it
  bool (*allows)(double);
};

/// What makes steps of gradients. In the formulas, which hold entry by entry of W, W_V, W_K, W_Q, g = -dL/dtheta; all
/// that a rule remembers (v, m, s) is 0 before the first step.
struct UpdateRule {
  enum class Kind { gd, heavy_ball, nesterov, adam, rmsprop, sign, sgd };

  Kind kind;
  std::string_view name;
  std::string_view description;
  std::string_view source;
  /// As eta -> 0 the descent follows the gradient flow: `Update::time` is a time of the flow.
  bool flow_time;
  /// The rule commutes with rotations of the parameters, so that a descent in a reduced flow's compressed coordinates
  /// is that of the weights. (The reduction to u itself is exact for every rule.)
  bool rotates;
  std::span<const RuleParameter> parameters;
};

/// Every rule that there is; the first is the default.
std::span<const UpdateRule> update_rules();

/// The rule of that name. Throws std::invalid_argument, listing the names there are, for an unknown one.
const UpdateRule& find_update_rule(std::string_view name);

/// A rule with its rate and its parameters.
class Update {
 public:
  /// Throws std::invalid_argument for an unknown rule or parameter (listing those there are), a parameter outside its
  /// range, and a rate that is not positive and finite.
  Update(std::string_view rule, double rate, std::span<const std::pair<std::string_view, double>> parameters = {});

  const UpdateRule& rule() const { return *rule_; }
  double rate() const { return rate_; }  ///< eta
  /// The value of one of the rule's parameters. Throws std::invalid_argument, listing those there are, for another.
  double parameter(std::string_view name) const;

  /// Where step k stands in time: at k eta; with momentum (heavy-ball, nesterov) at k eta / (1 - beta), from rest
  /// lagging by beta / (1 - beta) and beta^2 / (1 - beta) steps. A time of the flow where the rule has one; elsewhere
  /// no more than steps times rate.
  double time(Index step) const;
  /// The largest eta lambda at which steps on a quadratic of curvature lambda (per unit of flow time, as in
  /// gradflow/flows/curvature.hpp) do not grow: 2; with momentum 2 (1 + beta) and 2 (1 + beta) / (1 + 2 beta)
  /// (heavy-ball, nesterov). Absent where the rule is not linear in the gradient.
  std::optional<double> stability_limit() const;
  /// The last step that does not stand after t >= 0, but for rounding. Throws std::invalid_argument where that is not a
  /// whole number below 2^53.
  Index steps_until(double t) const;

 private:
  std::size_t place(std::string_view parameter) const;

  const UpdateRule* rule_;
  double rate_;
  std::vector<double> values_;  // of rule_->parameters
};

}  // namespace gradflow
