#include <gradflow/experiment/compare.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiment/compare_curvature.hpp"
#include "experiment/compare_descent.hpp"
#include "experiment/compare_describe.hpp"
#include "experiment/compare_distance.hpp"
#include "experiment/compare_equal_loss.hpp"
#include "experiment/compare_fits.hpp"
#include "experiment/compare_modified.hpp"
#include "experiment/compare_plan.hpp"
#include "experiment/compare_rates.hpp"
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

Update make_update(const settings::Descent& descent, const std::string& method, double rate) {
  const std::vector<std::pair<std::string_view, double>> given{{"beta", descent.momentum},
                                                               {"batch", static_cast<double>(descent.batch)}};
  std::vector<std::pair<std::string_view, double>> parameters;
  for (const RuleParameter& parameter : find_update_rule(method).parameters)
    for (const auto& [name, value] : given)
      if (name == parameter.name) parameters.emplace_back(name, value);
  return {method, rate, parameters};
}

std::vector<Update> make_updates(const settings::Experiment& experiment) {
  const settings::Descent& descent = *experiment.descent;
  const double until = experiment.solver.until;
  std::vector<Update> updates;
  std::vector<std::string> problems;
  for (const std::string& method : descent.methods)
    for (const double rate : descent.rates) {
      const Update& update = updates.emplace_back(make_update(descent, method, rate));
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

/// A descent beside the flow.
struct Side {
  const Flow<double>* flow;  // on whose states it runs
  std::unique_ptr<DescentRun> run;
  std::unique_ptr<EqualLoss> equal_loss;  // where its rule has no flow time
};

/// Takes the descents along with the flow, and compares them.
class Lockstep final : public solvers::Observer<double> {
 public:
  /// What takes part; all must outlive it.
  struct Parts {
    const Flow<double>& flow;
    const ComparisonPlan& plan;
    const std::vector<Update>& updates;
    const ComparisonLabels& labels;
    const std::vector<Side>& sides;
    CurvaturePath* curvature;             // or null
    trajectory::ComparisonWriter* write;  // told rows as soon as they are complete, or null
  };
  explicit Lockstep(const Parts& parts) : p_(parts), row_(parts.labels) {}

  void output(std::size_t index, double t, std::span<const double> x) override {
    if (p_.curvature != nullptr) p_.curvature->output(index, t, x);
    if (!p_.plan.meetings[index]) return;
    const ComparisonPlan::Meeting& meeting = *p_.plan.meetings[index];
    const Standing flow = standing(p_.flow, x);
    for (const std::size_t d : meeting.descents)
      if (p_.sides[d].run->advance(p_.plan.steps[meeting.row][d])) compare(d, flow);
    if (!meeting.ends_row) return;
    for (std::size_t d = 0; d < p_.sides.size(); ++d) compare_at_equal_loss(d, flow);
    fit_row(row_, p_.updates, p_.labels);
    if (p_.write != nullptr) p_.write->compare(p_.plan.t[meeting.row], row_.values());
    rows_.push_back(std::exchange(row_, ComparisonRow(p_.labels)));
  }
  bool interrupt() override {
    return std::ranges::any_of(p_.sides, [](const Side& side) { return side.run->interrupted(); });
  }

  /// As many as the flow came by.
  std::vector<ComparisonRow>& rows() { return rows_; }

 private:
  void compare(std::size_t d, const Standing& flow) {
    const Distances found = distances(standing(*p_.sides[d].flow, p_.sides[d].run->state()), flow);
    row_.at(Compared::descent_t, d) = p_.sides[d].run->t();
    row_.at(Compared::distance, d) = found.parameters;
    for (std::size_t matrix = 0; matrix < found.matrices.size(); ++matrix)
      row_.at(Compared::distance_matrix, d, matrix) = found.matrices[matrix];
    row_.at(Compared::distance_logits, d) = found.logits;
    row_.at(Compared::difference_loss, d) = found.loss;
    row_.at(Compared::distance_G, d) = found.G;
    row_.at(Compared::difference_attention, d) = found.attention;
  }

  void compare_at_equal_loss(std::size_t d, const Standing& flow) {
    EqualLoss* descent = p_.sides[d].equal_loss.get();
    if (descent == nullptr || !descent->advance(flow.loss)) return;
    const Distances found = distances(standing(*p_.sides[d].flow, descent->state()), flow);
    row_.at(Compared::equal_loss_t, d) = descent->t(flow.loss);
    row_.at(Compared::equal_loss_distance, d) = found.parameters;
    row_.at(Compared::equal_loss_distance_logits, d) = found.logits;
    row_.at(Compared::equal_loss_distance_G, d) = found.G;
    row_.at(Compared::equal_loss_difference_attention, d) = found.attention;
  }

  Parts p_;
  ComparisonRow row_;
  std::vector<ComparisonRow> rows_;
};

void write_fits(trajectory::ComparisonWriter& writer, const Fits& fits) {
  std::vector<double> order, error, confidence, rates;
  for (const OrderFit& fit : fits.orders) {
    order.push_back(fit.order);
    error.push_back(fit.order_error);
    confidence.push_back(fit.confidence);
    rates.push_back(static_cast<double>(fit.rates));
  }
  writer.set_result("fits", "order", order);
  writer.set_result("fits", "order_error", error);
  writer.set_result("fits", "order_confidence", confidence);
  writer.set_result("fits", "rates_used", rates);
  writer.set_result("fits", "largest_distance", fits.largest_distance);
  writer.set_result("fits", "order_at_rate", fits.order_at_rate);
}

}  // namespace

struct Comparison::Parts {
  explicit Parts(const settings::Experiment& experiment) : Parts(experiment, read_inputs(experiment)) {}
  Parts(const settings::Experiment& experiment, Inputs inputs)
      : weights(weights_of(experiment, inputs)),
        updates(make_updates(experiment)),
        labels(updates),
        problem(experiment, std::move(inputs)) {
    const bool all_rotate = std::ranges::all_of(updates, [](const Update& u) { return u.rule().rotates; });
    if (experiment.flow.formulation == settings::Formulation::reduced && !all_rotate)
      full_width = make_reduced_flow(problem.task, weights, problem.flow->rates(), Coordinates::full_width);
    if (takes_derivatives())
      field = experiment.flow.formulation == settings::Formulation::full
                  ? FieldDerivatives::of_full_flow(problem.task, weights, problem.flow->rates())
                  : FieldDerivatives::of_reduced_flow(problem.task, weights, problem.flow->rates());
  }

  /// On whose states a descent runs.
  const Flow<double>& flow_of(const Update& update) const {
    return full_width && !update.rule().rotates ? *full_width : *problem.flow;
  }
  bool takes_derivatives() const {
    const settings::Descent& descent = *problem.experiment.descent;
    return descent.curvature > 0 || !descent.modified.empty();
  }
  std::vector<Side> make_sides(const CoupledDrift& drift, trajectory::ComparisonWriter& writer,
                               Listener& listener) const;
  void run_modified_flows(const ComparisonPlan& plan, std::vector<ComparisonRow>& rows, ComparisonResult& result,
                          Listener& listener) const;
  void search_rates(const ComparisonPlan& plan, const std::vector<ComparisonRow>& rows, ComparisonResult& result,
                    Listener& listener) const;

  Weights<double> weights;  // at t = 0
  std::vector<Update> updates;
  ComparisonLabels labels;
  Problem problem;
  std::unique_ptr<Flow<double>> full_width;  // where a rule looks at single entries and the flow has none
  std::optional<FieldDerivatives> field;     // of the problem's flow, where they are asked for
};

std::vector<Side> Comparison::Parts::make_sides(const CoupledDrift& drift, trajectory::ComparisonWriter& writer,
                                                Listener& listener) const {
  std::vector<Side> sides;
  for (std::size_t d = 0; d < updates.size(); ++d) {
    const Update& update = updates[d];
    const Index end = update.steps_until(problem.experiment.solver.until);
    Side& side = sides.emplace_back(Side{&flow_of(update), nullptr, nullptr});
    side.run = std::make_unique<DescentRun>(problem, *side.flow, update, labels.descents[d], end, drift,
                                            writer.descent(static_cast<std::int64_t>(d)), listener);
    if (!update.rule().flow_time)
      side.equal_loss = std::make_unique<EqualLoss>(*side.flow, update, end, problem.experiment.seed, listener);
  }
  return sides;
}

void Comparison::Parts::run_modified_flows(const ComparisonPlan& plan, std::vector<ComparisonRow>& rows,
                                           ComparisonResult& result, Listener& listener) const {
  for (const std::int64_t asked : problem.experiment.descent->modified)
    for (std::size_t d = 0; d < updates.size(); ++d) {
      const int order = static_cast<int>(asked);
      if (result.interrupted || !has_modified_flow(updates[d].rule(), order)) continue;
      std::vector<Index> steps;
      for (std::size_t row = 0; row < rows.size() && plan.steps[row][d] <= result.descents[d].report.steps; ++row)
        steps.push_back(plan.steps[row][d]);
      const std::string name = fmt::format("{}, order {}", labels.descents[d], order);
      const ModifiedRun run = run_modified_flow(problem, *field, updates[d], order, steps, name.c_str(), listener);
      const Compared column = order == 2 ? Compared::distance_order2 : Compared::distance_order3;
      for (std::size_t row = 0; row < steps.size(); ++row) rows[row].at(column, d) = run.distance[row];
      result.modified.push_back({d, order, run.report});
      result.interrupted |= run.report.outcome == solvers::Outcome::interrupted;
    }
}

void Comparison::Parts::search_rates(const ComparisonPlan& plan, const std::vector<ComparisonRow>& rows,
                                     ComparisonResult& result, Listener& listener) const {
  const settings::Descent& descent = *problem.experiment.descent;
  std::vector<double> record_times;
  for (std::size_t i = 0; i < plan.save.times.size(); ++i)
    if (plan.save.record[i]) record_times.push_back(plan.save.times[i]);
  for (const double eps : descent.eps)
    for (std::size_t method = 0; method < labels.methods.size() && !result.interrupted; ++method) {
      if (!find_update_rule(labels.methods[method]).flow_time) continue;
      std::vector<std::pair<double, double>> nearby;
      for (std::size_t d = 0; d < updates.size(); ++d) {
        double largest = 0;
        for (const ComparisonRow& row : rows) largest = std::fmax(largest, row.at(Compared::distance, d));
        if (labels.method_of[d] == method && largest > 0 && std::isfinite(largest))
          nearby.emplace_back(updates[d].rate(), largest);
      }
      RateSearch wanted;
      wanted.method = labels.methods[method];
      wanted.eps = eps;
      const auto update = [&](double rate) { return make_update(descent, labels.methods[method], rate); };
      result.rates.push_back(search_rate(problem, wanted, record_times, nearby, update, listener));
      result.interrupted = listener.interrupt();
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
const std::vector<std::string>& Comparison::labels() const { return parts_->labels.descents; }

ComparisonResult Comparison::run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                                 Listener& listener) {
  Problem& p = parts_->problem;
  const settings::Descent& settings = *p.experiment.descent;
  const std::vector<Update>& updates = parts_->updates;
  const ComparisonLabels& labels = parts_->labels;
  const double until = p.experiment.solver.until;
  const ComparisonPlan plan =
      comparison_plan(save_plan(p.clock, until, static_cast<std::size_t>(p.experiment.save.records),
                                snapshot_count(p.experiment, *p.flow)),
                      updates);
  const std::size_t samples = CurvaturePath::count(plan.save, static_cast<std::size_t>(settings.curvature));
  trajectory::ComparisonWriter writer(file, describe_comparison(p, updates, labels, samples, command_line), overwrite);
  std::optional<CurvaturePath> curvature;
  if (samples > 0) curvature.emplace(*parts_->field, plan.save, samples, updates, writer);

  const CoupledDrift drift(p.start, p.observables.context().words);
  const std::vector<Side> sides = parts_->make_sides(drift, writer, listener);

  // A row is written once and whole: where modified flows have a part in it, it waits for them.
  const bool modified = !settings.modified.empty();
  Lockstep lockstep({.flow = *p.flow,
                     .plan = plan,
                     .updates = updates,
                     .labels = labels,
                     .sides = sides,
                     .curvature = curvature ? &*curvature : nullptr,
                     .write = modified ? nullptr : &writer});
  ComparisonResult result;
  result.flow = record_flow(p, writer.flow(), plan.save, lockstep, listener);
  result.interrupted = lockstep.interrupt() || result.flow.report.outcome == solvers::Outcome::interrupted ||
                       (result.flow.companion && result.flow.companion->outcome == solvers::Outcome::interrupted);
  for (const Side& side : sides) {
    const bool go_on = result.flow.report.reached_target() && !result.interrupted;
    result.descents.push_back(side.run->finish(go_on));
    result.interrupted |= go_on && side.run->interrupted();
  }
  std::vector<ComparisonRow>& rows = lockstep.rows();
  if (modified) {
    parts_->run_modified_flows(plan, rows, result, listener);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      fit_row(rows[row], updates, labels);
      writer.compare(plan.t[row], rows[row].values());
    }
  }
  const Fits fits = fit_orders(result.descents, rows, labels);
  result.fits = fits.orders;
  write_fits(writer, fits);
  if (!settings.eps.empty() && result.flow.report.reached_target() && !result.interrupted) {
    parts_->search_rates(plan, rows, result, listener);
    std::vector<std::optional<RateEstimate>> estimates;
    for (const double eps : settings.eps) estimates.push_back(curvature ? curvature->estimate(eps) : std::nullopt);
    write_rates(writer, result.rates, labels, estimates);
  }
  writer.close();
  return result;
}

}  // namespace gradflow
