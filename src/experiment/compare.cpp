#include <gradflow/experiment/compare.hpp>

#include <fmt/format.h>

#include <algorithm>

#include "experiment/compare_descent.hpp"
#include "experiment/compare_describe.hpp"
#include "experiment/compare_distance.hpp"
#include "experiment/compare_fits.hpp"
#include "experiment/compare_modified.hpp"
#include "experiment/compare_plan.hpp"
#include "experiment/record_flow.hpp"

namespace gradflow {
namespace {

[[noreturn]] void refuse(const settings::Experiment& experiment, const std::string& problem) {
  throw settings::Error({fmt::format("{}: {}", experiment.source.string(), problem)});
}

/// With the descents' defaults where the settings have none.
settings::Experiment completed(settings::Experiment experiment) {
  if (experiment.flow.formulation == settings::Formulation::coupled)
    refuse(experiment,
           "flow.formulation: descents move weights, and the \"coupled\" flow has inner products only. Choose "
           "\"reduced\" or \"full\".");
  if (!experiment.descent) experiment.descent.emplace();
  return experiment;
}

Weights<double> weights_of(const settings::Experiment& experiment, const Inputs& inputs) {
  if (const auto* weights = std::get_if<Weights<double>>(&inputs.start)) return *weights;
  refuse(experiment, "model.start: descents move weights, and this start has inner products only.");
}

std::vector<Update> make_updates(const settings::Experiment& experiment) {
  const settings::Descent& descent = *experiment.descent;
  const std::vector<std::pair<std::string_view, double>> given{{"beta", descent.momentum},
                                                               {"batch", static_cast<double>(descent.batch)}};
  const double until = experiment.solver.until;
  std::vector<Update> updates;
  std::vector<std::string> problems;
  for (const std::string& method : descent.methods)
    for (const double rate : descent.rates) {
      std::vector<std::pair<std::string_view, double>> parameters;
      for (const RuleParameter& parameter : find_update_rule(method).parameters)
        for (const auto& [name, value] : given)
          if (name == parameter.name) parameters.emplace_back(name, value);
      const Update& update = updates.emplace_back(method, rate, parameters);
      if (update.time(1) > until)
        problems.push_back(
            fmt::format("{}: descent.rates: the first step of {} at rate {} ends at t = {:g}, after "
                        "solver.until = {:g}. Lower the rate, or raise solver.until.",
                        experiment.source.string(), method, rate, update.time(1), until));
      else if (until / update.time(1) >= 0x1p53)
        problems.push_back(
            fmt::format("{}: descent.rates: {} at rate {} would take {:.3g} steps to solver.until = "
                        "{:g}. Raise the rate, or lower solver.until.",
                        experiment.source.string(), method, rate, until / update.time(1), until));
    }
  if (!problems.empty()) throw settings::Error(problems);
  return updates;
}

std::vector<std::string> make_labels(const std::vector<Update>& updates) {
  std::vector<std::string> labels;
  for (const Update& update : updates) labels.push_back(fmt::format("{} {}", update.rule().name, update.rate()));
  return labels;
}

/// Takes the descents along with the flow, and compares them.
class Lockstep final : public solvers::Observer<double> {
 public:
  /// Rows are told to `write`, if there is one, as soon as they are complete.
  Lockstep(const Flow<double>& flow, const ComparisonPlan& plan, std::vector<const Flow<double>*> flows,
           std::vector<std::unique_ptr<DescentRun>>& runs, trajectory::ComparisonWriter* write)
      : flow_(flow), plan_(plan), flows_(std::move(flows)), runs_(runs), write_(write), row_(runs.size()) {}

  void output(std::size_t index, double, std::span<const double> x) override {
    if (!plan_.meetings[index]) return;
    const ComparisonPlan::Meeting& meeting = *plan_.meetings[index];
    const Standing flow = standing(flow_, x);
    for (const std::size_t d : meeting.descents)
      if (runs_[d]->advance(plan_.steps[meeting.row][d])) compare(d, flow);
    if (!meeting.ends_row) return;
    if (write_ != nullptr) write_->compare(plan_.t[meeting.row], row_.values());
    rows_.push_back(std::exchange(row_, ComparisonRow(runs_.size())));
  }
  bool interrupt() override {
    return std::ranges::any_of(runs_, [](const auto& run) { return run->interrupted(); });
  }

  /// As many as the flow came by.
  std::vector<ComparisonRow>& rows() { return rows_; }

 private:
  void compare(std::size_t d, const Standing& flow) {
    const Distances found = distances(standing(*flows_[d], runs_[d]->state()), flow);
    row_.at(Compared::descent_t, d) = runs_[d]->t();
    row_.at(Compared::distance, d) = found.parameters;
    for (std::size_t matrix = 0; matrix < found.matrices.size(); ++matrix)
      row_.at(Compared::distance_matrix, d, matrix) = found.matrices[matrix];
    row_.at(Compared::distance_logits, d) = found.logits;
    row_.at(Compared::difference_loss, d) = found.loss;
    row_.at(Compared::distance_G, d) = found.G;
    row_.at(Compared::difference_attention, d) = found.attention;
  }

  const Flow<double>& flow_;
  const ComparisonPlan& plan_;
  std::vector<const Flow<double>*> flows_;  // of each descent
  std::vector<std::unique_ptr<DescentRun>>& runs_;
  trajectory::ComparisonWriter* write_;
  ComparisonRow row_;
  std::vector<ComparisonRow> rows_;
};

void write_fits(trajectory::ComparisonWriter& writer, const Fits& fits) {
  std::vector<double> order, error, rates;
  for (const OrderFit& fit : fits.orders) {
    order.push_back(fit.order);
    error.push_back(fit.order_error);
    rates.push_back(static_cast<double>(fit.rates));
  }
  writer.set_result("order", order);
  writer.set_result("order_error", error);
  writer.set_result("rates_used", rates);
  writer.set_result("largest_distance", fits.largest_distance);
}

}  // namespace

struct Comparison::Parts {
  explicit Parts(const settings::Experiment& experiment) : Parts(experiment, read_inputs(experiment)) {}
  Parts(const settings::Experiment& experiment, Inputs inputs)
      : weights(weights_of(experiment, inputs)),
        updates(make_updates(experiment)),
        labels(make_labels(updates)),
        problem(experiment, std::move(inputs)) {
    const bool all_rotate = std::ranges::all_of(updates, [](const Update& u) { return u.rule().rotates; });
    if (experiment.flow.formulation == settings::Formulation::reduced && !all_rotate)
      full_width = make_reduced_flow(problem.task, weights, problem.flow->rates(), Coordinates::full_width);
  }

  /// On whose states a descent runs.
  const Flow<double>& flow_of(const Update& update) const {
    return full_width && !update.rule().rotates ? *full_width : *problem.flow;
  }
  void run_modified_flows(const ComparisonPlan& plan, std::vector<ComparisonRow>& rows, ComparisonResult& result,
                          Listener& listener) const;

  Weights<double> weights;  // at t = 0
  std::vector<Update> updates;
  std::vector<std::string> labels;
  Problem problem;
  std::unique_ptr<Flow<double>> full_width;  // where a rule looks at single entries and the flow has none
};

void Comparison::Parts::run_modified_flows(const ComparisonPlan& plan, std::vector<ComparisonRow>& rows,
                                           ComparisonResult& result, Listener& listener) const {
  const settings::Experiment& experiment = problem.experiment;
  const FieldDerivatives field = experiment.flow.formulation == settings::Formulation::full
                                     ? FieldDerivatives::of_full_flow(problem.task, weights, problem.flow->rates())
                                     : FieldDerivatives::of_reduced_flow(problem.task, weights, problem.flow->rates());
  for (const std::int64_t asked : experiment.descent->modified)
    for (std::size_t d = 0; d < updates.size(); ++d) {
      const int order = static_cast<int>(asked);
      if (result.interrupted || !has_modified_flow(updates[d].rule(), order)) continue;
      std::vector<Index> steps;
      for (std::size_t row = 0; row < rows.size() && plan.steps[row][d] <= result.descents[d].report.steps; ++row)
        steps.push_back(plan.steps[row][d]);
      const std::string name = fmt::format("{}, order {}", labels[d], order);
      const ModifiedRun run = run_modified_flow(problem, field, updates[d], order, steps, name.c_str(), listener);
      const Compared column = order == 2 ? Compared::distance_order2 : Compared::distance_order3;
      for (std::size_t row = 0; row < steps.size(); ++row) rows[row].at(column, d) = run.distance[row];
      result.modified.push_back({d, order, run.report});
      result.interrupted |= run.report.outcome == solvers::Outcome::interrupted;
    }
}

Comparison::Comparison(settings::Experiment experiment)
    : parts_(std::make_unique<Parts>(completed(std::move(experiment)))) {}
Comparison::~Comparison() = default;
Comparison::Comparison(Comparison&&) noexcept = default;

const settings::Experiment& Comparison::experiment() const { return parts_->problem.experiment; }
const Task& Comparison::task() const { return parts_->problem.task; }
const std::optional<TextReport>& Comparison::text_report() const { return parts_->problem.text_report; }
const Flow<double>& Comparison::flow() const { return *parts_->problem.flow; }
const std::vector<FlowEvent>& Comparison::events() const { return parts_->problem.events; }
double Comparison::t0() const { return parts_->problem.clock.t0(); }
const std::vector<Update>& Comparison::updates() const { return parts_->updates; }
const std::vector<std::string>& Comparison::labels() const { return parts_->labels; }

ComparisonResult Comparison::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                                 Listener& listener) {
  Problem& p = parts_->problem;
  const double until = p.experiment.solver.until;
  trajectory::ComparisonWriter writer(file, describe_comparison(p, parts_->updates, parts_->labels, command_line),
                                      overwrite);
  const ComparisonPlan plan =
      comparison_plan(save_plan(p.clock, until, static_cast<std::size_t>(p.experiment.save.records),
                                snapshot_count(p.experiment, *p.flow)),
                      parts_->updates);
  const CoupledDrift drift(p.start, p.observables.context().words);
  std::vector<const Flow<double>*> flows;
  std::vector<std::unique_ptr<DescentRun>> runs;
  for (std::size_t d = 0; d < parts_->updates.size(); ++d) {
    const Update& update = parts_->updates[d];
    flows.push_back(&parts_->flow_of(update));
    runs.push_back(std::make_unique<DescentRun>(p, *flows.back(), update, parts_->labels[d], update.steps_until(until),
                                                drift, writer.descent(static_cast<std::int64_t>(d)), listener));
  }

  // A row is written once and whole: where modified flows have a part in it, it waits for them.
  const bool modified = !p.experiment.descent->modified.empty();
  Lockstep lockstep(*p.flow, plan, flows, runs, modified ? nullptr : &writer);
  ComparisonResult result;
  result.flow = record_flow(p, writer.flow(), plan.save, lockstep, listener);
  result.interrupted = lockstep.interrupt() || result.flow.report.outcome == solvers::Outcome::interrupted ||
                       (result.flow.companion && result.flow.companion->outcome == solvers::Outcome::interrupted);
  for (const auto& run : runs) {
    const bool go_on = result.flow.report.reached_target() && !result.interrupted;
    result.descents.push_back(run->finish(go_on));
    result.interrupted |= go_on && run->interrupted();
  }
  if (modified) {
    parts_->run_modified_flows(plan, lockstep.rows(), result, listener);
    for (std::size_t row = 0; row < lockstep.rows().size(); ++row)
      writer.compare(plan.t[row], lockstep.rows()[row].values());
  }
  const Fits fits = fit_orders(result.descents, lockstep.rows());
  result.fits = fits.orders;
  write_fits(writer, fits);
  writer.close();
  return result;
}

}  // namespace gradflow
