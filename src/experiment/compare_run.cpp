// One comparison from its first step, or from a checkpoint, to its end.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiment/compare_describe.hpp"
#include "experiment/compare_fits.hpp"
#include "experiment/compare_modified.hpp"
#include "experiment/compare_parts.hpp"
#include "experiment/compare_rates.hpp"
#include "experiment/record_flow.hpp"
#include "experiment/resume.hpp"

namespace gradflow {
namespace {

/// What modified flows have a part in, once more and in all rows.
void rewrite_rows(trajectory::ComparisonWriter& writer, const ComparisonLabels& labels,
                  const std::vector<ComparisonRow>& rows) {
  const trajectory::Series series = comparison_series(labels);
  for (const Compared quantity :
       {Compared::distance_order2, Compared::distance_order3, Compared::order, Compared::order_error}) {
    std::vector<double> values;
    for (const ComparisonRow& row : rows) {
      const std::span<const double> column = row.column(quantity);
      values.insert(values.end(), column.begin(), column.end());
    }
    writer.replace_column(series.columns[static_cast<std::size_t>(quantity)].name, values);
  }
}

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

/// Of a checkpoint, which counts the flow's rows, the comparison's, and those of each descent.
std::span<const std::int64_t> rows_of_descent(std::span<const std::int64_t> rows, std::size_t descent) {
  return rows.subspan(5 + 4 * descent, 4);
}

}  // namespace

/// What takes part in a comparison, and its file.
class Comparison::Parts::Session {
 public:
  Session(Parts& parts, const std::filesystem::path& file, bool overwrite, const std::string& command_line,
          Listener& listener, const Earlier* earlier)
      : parts_(parts),
        problem_(parts.problem),
        settings_(*parts.problem.experiment.descent),
        updates_(parts.updates),
        labels_(parts.labels),
        listener_(listener),
        earlier_(earlier),
        checkpoint_(earlier != nullptr && earlier->checkpoint ? &*earlier->checkpoint : nullptr),
        plan_(comparison_plan(save_plan(problem_), updates_)),
        samples_(CurvaturePath::count(plan_.save, static_cast<std::size_t>(settings_.curvature))),
        description_(describe(command_line)),
        drift_(problem_.start, problem_.observables.context().words),
        state_(problem_.x0.size(), WatchedFlow(*problem_.flow, problem_.events).events().size(),
               problem_.experiment.solver.method),
        writer_(file, description_, overwrite, std::chrono::seconds(1),
                [&](trajectory::ComparisonWriter& fresh) { begin(fresh, file); }) {}

  ComparisonResult run();

 private:
  trajectory::ComparisonDescription describe(const std::string& command_line) const;
  void begin(trajectory::ComparisonWriter& fresh, const std::filesystem::path& file);
  void make_sides(trajectory::ComparisonWriter& writer);
  void take_over(trajectory::ComparisonWriter& fresh, const std::filesystem::path& file);
  void visit(Packing& packing, SolveState& state) {
    state.visit(packing);
    lockstep_->visit(packing);
  }
  void run_lockstep();
  void run_modified_flows(std::vector<ComparisonRow>& rows);
  void search_rates(const std::vector<ComparisonRow>& rows);

  Parts& parts_;
  Problem& problem_;
  const settings::Descent& settings_;
  const std::vector<Update>& updates_;
  const ComparisonLabels& labels_;
  Listener& listener_;
  const Earlier* earlier_;                    // or null
  const trajectory::Checkpoint* checkpoint_;  // its own, or null
  const ComparisonPlan plan_;
  const std::size_t samples_;  // of the curvature
  const trajectory::ComparisonDescription description_;
  const CoupledDrift drift_;
  std::optional<CurvaturePath> curvature_;
  std::vector<Side> sides_;
  std::optional<Lockstep> lockstep_;
  SolveState state_;  // of the flow, where it goes on from a checkpoint
  trajectory::ComparisonWriter writer_;
  ComparisonResult result_;
};

ComparisonResult Comparison::Parts::run(const std::filesystem::path& file, bool overwrite,
                                        const std::string& command_line, Listener& listener, const Earlier* earlier) {
  return Session(*this, file, overwrite, command_line, listener, earlier).run();
}

ComparisonResult Comparison::Parts::Session::run() {
  run_lockstep();
  std::vector<ComparisonRow>& rows = lockstep_->rows();
  if (!settings_.modified.empty()) {
    run_modified_flows(rows);
    for (ComparisonRow& row : rows) fit_row(row, updates_, labels_);
    rewrite_rows(writer_, labels_, rows);
  }
  const Fits fits = fit_orders(result_.descents, rows, labels_);
  result_.fits = fits.orders;
  write_fits(writer_, fits);
  if (!settings_.eps.empty() && result_.flow.report.reached_target() && !result_.interrupted) {
    search_rates(rows);
    std::vector<std::optional<RateEstimate>> estimates;
    for (const double eps : settings_.eps) estimates.push_back(curvature_ ? curvature_->estimate(eps) : std::nullopt);
    write_rates(writer_, result_.rates, labels_, estimates);
  }
  writer_.set_result("fits", "complete", std::vector<double>{result_.interrupted ? 0.0 : 1.0});
  writer_.close();
  return result_;
}

trajectory::ComparisonDescription Comparison::Parts::Session::describe(const std::string& command_line) const {
  trajectory::ComparisonDescription description =
      describe_comparison(problem_, updates_, labels_, samples_, command_line);
  if (earlier_ != nullptr)
    description.attributes = carried_over(description.attributes, earlier_->file.attributes(), {"settings"});
  return description;
}

/// Before the file has its name.
void Comparison::Parts::Session::begin(trajectory::ComparisonWriter& fresh, const std::filesystem::path& file) {
  if (samples_ > 0) curvature_.emplace(*parts_.field, plan_.save, samples_, updates_, fresh);
  make_sides(fresh);
  lockstep_.emplace(Lockstep::Parts{.flow = *problem_.flow,
                                    .plan = plan_,
                                    .updates = updates_,
                                    .labels = labels_,
                                    .sides = sides_,
                                    .curvature = curvature_ ? &*curvature_ : nullptr,
                                    .write = fresh});
  Packing sizes;
  visit(sizes, state_);
  fresh.prepare_checkpoints(sizes.packed());
  if (checkpoint_ != nullptr)
    take_over(fresh, file);
  else
    for (const Side& side : sides_) side.run->begin();
}

/// All that the checkpoint counts, and all that it holds.
void Comparison::Parts::Session::take_over(trajectory::ComparisonWriter& fresh, const std::filesystem::path& file) {
  const trajectory::ComparisonReader& before = earlier_->file;
  const std::span<const std::int64_t> rows = checkpoint_->rows;
  if (rows.size() != 5 + 4 * sides_.size() || rows[4] < 0 || rows[4] > std::ssize(before.t()))
    throw FileError(fmt::format("{}: is damaged: its checkpoint counts rows that are not there", file.string()));
  check_rows(before.flow(), rows.first(4), file);
  for (std::size_t d = 0; d < sides_.size(); ++d)
    check_rows(before.descent(static_cast<std::int64_t>(d)), rows_of_descent(rows, d), file);
  copy_rows(before.flow(), rows.first(4), description_.flow, fresh.flow());
  std::vector<trajectory::Values> columns;
  for (const trajectory::Column& column : description_.comparison.columns)
    columns.push_back(before.column(column.name));
  const std::vector<std::vector<double>> compared = rows_of(columns, rows[4]);
  for (std::size_t row = 0; row < compared.size(); ++row) fresh.compare(before.t().at(row), compared[row]);

  Packing packing(*checkpoint_);
  visit(packing, state_);
  check_fits(packing, file);
  const SavePlan rest = after(plan_.save, problem_.clock, state_.stepper.tau);
  lockstep_->resume(plan_.save.times.size() - rest.times.size(), compared);
  if (curvature_) curvature_->resume(before, problem_.clock.time(state_.stepper.tau) * (1 + 1e-12));
  for (std::size_t d = 0; d < sides_.size(); ++d) {
    const auto number = static_cast<std::int64_t>(d);
    copy_rows(before.descent(number), rows_of_descent(rows, d), description_.descents[d], fresh.descent(number));
    sides_[d].run->resume(before.descent(number), rows_of_descent(rows, d));
  }
  fresh.checkpoint(*checkpoint_);
}

void Comparison::Parts::Session::run_lockstep() {
  SavePlan schedule = plan_.save;
  std::optional<trajectory::RunReader> flow_before;
  std::optional<EarlierPart> part;
  if (checkpoint_ != nullptr) {
    schedule = after(plan_.save, problem_.clock, state_.stepper.tau);
    flow_before.emplace(earlier_->file.flow());
    const std::span<const std::int64_t> rows = checkpoint_->rows;
    part.emplace(EarlierPart{*flow_before, rows.first(4), state_, ended_by_budget(*flow_before)});
  }
  const KeepCheckpoint keep = [&](SolveState& state) {
    if (lockstep_->interrupt()) return;  // between two meetings; the checkpoint before stands
    Packing packing;
    visit(packing, state);
    writer_.checkpoint(packing.packed());
  };
  result_.flow = record_flow(problem_, writer_.flow(), schedule, *lockstep_, listener_, keep, part ? &*part : nullptr);
  const auto interrupted = [](const solvers::Report<double>& report) {
    return report.outcome == solvers::Outcome::interrupted;
  };
  result_.interrupted = lockstep_->interrupt() || interrupted(result_.flow.report) ||
                        (result_.flow.companion && interrupted(*result_.flow.companion));
  for (const Side& side : sides_) {
    const bool go_on = result_.flow.report.reached_target() && !result_.interrupted;
    result_.descents.push_back(side.run->conclude(go_on));
    result_.interrupted |= go_on && side.run->interrupted();
  }
}

void Comparison::Parts::Session::make_sides(trajectory::ComparisonWriter& writer) {
  for (std::size_t d = 0; d < updates_.size(); ++d) {
    const Update& update = updates_[d];
    const Index end = update.steps_until(problem_.experiment.solver.until);
    Side& side = sides_.emplace_back(Side{&parts_.flow_of(update), nullptr, nullptr});
    side.run = std::make_unique<DescentRun>(problem_, *side.flow, update, labels_.descents[d], end, drift_,
                                            writer.descent(static_cast<std::int64_t>(d)), listener_);
    if (!update.rule().flow_time)
      side.equal_loss = std::make_unique<EqualLoss>(*side.flow, update, end, problem_.experiment.seed, listener_);
  }
}

void Comparison::Parts::Session::run_modified_flows(std::vector<ComparisonRow>& rows) {
  for (const std::int64_t asked : settings_.modified)
    for (std::size_t d = 0; d < updates_.size(); ++d) {
      const int order = static_cast<int>(asked);
      if (result_.interrupted || !has_modified_flow(updates_[d].rule(), order)) continue;
      std::vector<Index> steps;
      for (std::size_t row = 0; row < rows.size() && plan_.steps[row][d] <= result_.descents[d].report.steps; ++row)
        steps.push_back(plan_.steps[row][d]);
      const std::string name = fmt::format("{}, order {}", labels_.descents[d], order);
      const ModifiedRun run =
          run_modified_flow(problem_, *parts_.field, updates_[d], order, steps, name.c_str(), listener_);
      const Compared column = order == 2 ? Compared::distance_order2 : Compared::distance_order3;
      for (std::size_t row = 0; row < steps.size(); ++row) rows[row].at(column, d) = run.distance[row];
      result_.modified.push_back({d, order, run.report});
      result_.interrupted |= run.report.outcome == solvers::Outcome::interrupted;
    }
}

void Comparison::Parts::Session::search_rates(const std::vector<ComparisonRow>& rows) {
  std::vector<double> record_times;
  for (std::size_t i = 0; i < plan_.save.times.size(); ++i)
    if (plan_.save.record[i]) record_times.push_back(plan_.save.times[i]);
  for (const double eps : settings_.eps)
    for (std::size_t method = 0; method < labels_.methods.size() && !result_.interrupted; ++method) {
      if (!find_update_rule(labels_.methods[method]).flow_time) continue;
      std::vector<std::pair<double, double>> nearby;
      for (std::size_t d = 0; d < updates_.size(); ++d) {
        double largest = 0;
        for (const ComparisonRow& row : rows) largest = std::fmax(largest, row.at(Compared::distance, d));
        if (labels_.method_of[d] == method && largest > 0 && std::isfinite(largest))
          nearby.emplace_back(updates_[d].rate(), largest);
      }
      RateSearch wanted;
      wanted.method = labels_.methods[method];
      wanted.eps = eps;
      const auto update = [&](double rate) { return make_update(settings_, labels_.methods[method], rate); };
      result_.rates.push_back(search_rate(problem_, wanted, record_times, nearby, update, listener_));
      result_.interrupted = listener_.interrupt();
    }
}

}  // namespace gradflow
