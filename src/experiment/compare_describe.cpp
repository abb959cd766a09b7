#include "experiment/compare_describe.hpp"

#include <algorithm>
#include <array>
#include <gradflow/descent/descent.hpp>

#include "experiment/compare_curvature.hpp"
#include "experiment/compare_rates.hpp"
#include "experiment/compare_table.hpp"
#include "experiment/recorder.hpp"

namespace gradflow {
namespace {

using trajectory::Attribute;
using trajectory::RunDescription;

/// As the flow's, with what belongs to a solve replaced by what belongs to a descent.
RunDescription describe_descent(RunDescription description, const Update& update) {
  std::erase_if(description.attributes, [](const Attribute& attribute) {
    constexpr std::array solves{"method", "rtol", "atol", "error_norm", "clock", "t0"};
    return std::ranges::find(solves, attribute.first) != solves.end();
  });
  const UpdateRule& rule = update.rule();
  const auto parameter = [&](std::string_view name) {
    return std::ranges::find(rule.parameters, name, &RuleParameter::name) != rule.parameters.end()
               ? update.parameter(name)
               : trajectory::unknown;
  };
  const std::vector<Attribute> own{{"method", std::string(rule.name)},
                                   {"rate", update.rate()},
                                   {"beta", parameter("beta")},
                                   {"batch", parameter("batch")},
                                   {"rule", std::string(rule.description)},
                                   {"rule_source", std::string(rule.source)},
                                   {"t_is", rule.flow_time ? "flow time" : "steps x rate"},
                                   {"t_per_step", update.time(1)}};
  description.attributes.insert(description.attributes.end(), own.begin(), own.end());
  description.outcomes.clear();
  for (int outcome = 0; outcome <= static_cast<int>(DescentOutcome::interrupted); ++outcome)
    description.outcomes.emplace_back(name(static_cast<DescentOutcome>(outcome)));
  description.counts = {"steps", "gradients", "event_calls"};
  description.crossing_values.push_back({"step_before", {}, "1", "the last step before t", ""});
  description.crossing_values.push_back(
      {"step_after", {}, "1", "the first step from which the event is as it becomes", ""});
  return description;
}

trajectory::Arrays describe_fits(const std::vector<Update>& updates, const ComparisonLabels& labels) {
  std::vector<double> rates;
  for (const Update& update : updates) rates.push_back(update.rate());
  const std::vector<std::string> line{"method", "reference"}, point{"descent", "reference"};
  const std::vector<double> later;
  return {{{"model", "distance = c rate^order: least squares of log(largest_distance) against log(rate)"}},
          {{"method", labels.methods}, {"reference", fit_references()}, {"descent", labels.descents}},
          {{"order", line, later, "1", "order of the distance in the rate"},
           {"order_error", line, later, "1", "standard error of the order"},
           {"order_confidence", line, later, "1", "half the width of its 95 % interval, by Student's t"},
           {"rates_used", line, later, "1", "number of rates that the order rests on"},
           {"largest_distance", point, later, "1",
            "largest distance over the times at which all descents of the method have one"},
           {"order_at_rate", point, later, "1", "order between this rate and the method's next smaller one"},
           {"rate", {"descent"}, rates, "1", "rate of each descent"},
           {"complete", {}, later, "1", "1 once everything that was asked for is computed"}}};
}

}  // namespace

trajectory::ComparisonDescription describe_comparison(const Problem& problem, const std::vector<Update>& updates,
                                                      const ComparisonLabels& labels, std::size_t curvature_samples,
                                                      const std::string& command_line) {
  trajectory::ComparisonDescription description{.attributes = {},
                                                .flow = describe(problem, command_line),
                                                .descents = {},
                                                .comparison = comparison_series(labels),
                                                .results = {{"fits", describe_fits(updates, labels)}}};
  if (curvature_samples > 0)
    description.results.emplace_back("curvature", describe_curvature(curvature_samples, updates, labels));
  if (const std::vector<double>& eps = problem.experiment.descent->eps; !eps.empty())
    description.results.emplace_back("learning_rate", describe_rates(eps, labels));
  for (const Attribute& attribute : description.flow.attributes) {
    constexpr std::array whole{"title",   "program", "version",  "commit", "build",
                               "created", "command", "settings", "seed"};
    if (std::ranges::find(whole, attribute.first) != whole.end()) description.attributes.push_back(attribute);
  }
  for (const Update& update : updates) description.descents.push_back(describe_descent(description.flow, update));
  return description;
}

}  // namespace gradflow
