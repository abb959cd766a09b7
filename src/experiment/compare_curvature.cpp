#include "experiment/compare_curvature.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <gradflow/flows/curvature.hpp>

namespace gradflow {
namespace {

// lambda_min lies in a crowd: its last digits cost more products than all the rest.
constexpr LanczosOptions lanczos{.tolerance_largest = 1e-8, .tolerance_smallest = 1e-6};

double norm(const Weights<double>& w) {
  return std::hypot(std::hypot(w.W.stableNorm(), w.W_V.stableNorm()),
                    std::hypot(w.W_K.stableNorm(), w.W_Q.stableNorm()));
}

struct Column {
  const char *name, *unit, *meaning;
};
/// In the order of CurvaturePath::Quantity.
constexpr std::array<Column, 7> columns{
    {{"t", "1/loss", "flow time of the sample"},
     {"sharpness", "1", "largest eigenvalue of the Hessian"},
     {"curvature_min", "1", "smallest eigenvalue of the Hessian"},
     {"sharpness_residual", "1", "Lanczos' estimate of |H v - lambda v| of the largest, v of length 1"},
     {"curvature_min_residual", "1", "the same of the smallest; another eigenvalue may lie below, in its crowd"},
     {"gradient", "1", "|grad L|, the square root of the power"},
     {"size", "1", "|theta|, of all parameters"}}};

}  // namespace

trajectory::Arrays describe_curvature(std::size_t samples, const std::vector<Update>& updates,
                                      const ComparisonLabels& labels) {
  std::vector<double> limits;
  for (const Update& update : updates) limits.push_back(update.stability_limit().value_or(trajectory::unknown));
  const std::vector<double> later;
  trajectory::Arrays arrays{
      {{"model",
        "ends of the spectrum of the loss's Hessian along the flow, per unit of flow time, by the Lanczos method"}},
      {{"sample", static_cast<std::int64_t>(samples)}, {"descent", labels.descents}},
      {}};
  for (const auto& [name, unit, meaning] : columns) arrays.arrays.push_back({name, {"sample"}, later, unit, meaning});
  const std::vector<std::string> each{"descent"};
  arrays.arrays.insert(
      arrays.arrays.end(),
      {{"eta_sharpness_start", each, later, "1", "rate times sharpness at t = 0"},
       {"eta_sharpness_largest", each, later, "1", "rate times the largest sharpness of the samples"},
       {"eta_sharpness_largest_t", each, later, "1/loss", "flow time of that sample"},
       {"stability_limit", each, limits, "1",
        "rate times sharpness above which steps on a quadratic grow; unknown where the rule is not linear"}});
  return arrays;
}

std::size_t CurvaturePath::count(const SavePlan& plan, std::size_t asked) {
  return std::min(asked, static_cast<std::size_t>(std::ranges::count(plan.record, true)));
}

CurvaturePath::CurvaturePath(const FieldDerivatives& field, const SavePlan& plan, std::size_t samples,
                             const std::vector<Update>& updates, trajectory::ComparisonWriter& writer)
    : field_(field), updates_(updates), writer_(writer), wanted_(plan.times.size()) {
  const auto records = static_cast<std::size_t>(std::ranges::count(plan.record, true));
  std::size_t record = 0, sample = 0;
  for (std::size_t i = 0; i < plan.times.size(); ++i) {
    if (!plan.record[i]) continue;
    // The sample's place among the records, rounded to the nearest.
    wanted_[i] = sample < samples && record == (2 * sample * (records - 1) + samples - 1) / (2 * (samples - 1));
    sample += wanted_[i] ? 1 : 0;
    ++record;
  }
  values_.fill(std::vector<double>(samples, trajectory::unknown));
}

void CurvaturePath::output(std::size_t index, double time, std::span<const double> x) {
  if (!wanted_[index]) return;
  const Curvature found = curvature(field_, x, lanczos);
  std::vector<double> f(x.size());
  field_.flow().derivative(time, x, f);
  const std::array<double, columns.size()> sample{time,
                                                  found.largest,
                                                  found.smallest,
                                                  found.residual_largest,
                                                  found.residual_smallest,
                                                  std::sqrt(field_.inner(f, f)),
                                                  norm(field_.flow().weights(x))};
  for (std::size_t c = 0; c < sample.size(); ++c) values_[c][taken_] = sample[c];
  ++taken_;
  write();
}

void CurvaturePath::resume(const trajectory::ComparisonReader& file, double until) {
  const trajectory::Arrays before = file.results("curvature");
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const auto array = std::ranges::find(before.arrays, columns[c].name, &trajectory::Array::name);
    values_[c] = std::get<std::vector<double>>(array->values);
  }
  taken_ = static_cast<std::size_t>(std::ranges::count_if(values_[t], [&](double time) { return time <= until; }));
  for (std::vector<double>& column : values_)  // the others come once more
    std::fill(column.begin() + static_cast<std::ptrdiff_t>(taken_), column.end(), trajectory::unknown);
  write();
}

void CurvaturePath::write() {
  if (taken_ == 0) return;
  const auto taken = std::span(values_[sharpness]).first(taken_);
  const auto largest = static_cast<std::size_t>(std::ranges::max_element(taken) - taken.begin());
  std::vector<double> start, most, when;
  for (const Update& update : updates_) {
    const bool linear = update.stability_limit().has_value();
    start.push_back(linear ? update.rate() * taken.front() : trajectory::unknown);
    most.push_back(linear ? update.rate() * taken[largest] : trajectory::unknown);
    when.push_back(linear ? values_[t][largest] : trajectory::unknown);
  }
  for (std::size_t c = 0; c < columns.size(); ++c) writer_.set_result("curvature", columns[c].name, values_[c]);
  writer_.set_result("curvature", "eta_sharpness_start", start);
  writer_.set_result("curvature", "eta_sharpness_largest", most);
  writer_.set_result("curvature", "eta_sharpness_largest_t", when);
}

std::optional<RateEstimate> CurvaturePath::estimate(double eps) const {
  const Rates<double>& rho = field_.flow().rates();
  const auto plain = [](double rate) { return rate == 0 || rate == 1; };
  if (taken_ < 2 || taken_ < values_[t].size()) return {};
  if (!plain(rho.W) || !plain(rho.W_V) || !plain(rho.W_K) || !plain(rho.W_Q)) return {};
  std::vector<CurvatureSample> samples;
  for (std::size_t i = 0; i < taken_; ++i) {
    samples.push_back({values_[t][i], values_[gradient][i], values_[sharpness][i], values_[curvature_min][i]});
    if (!std::isfinite(samples.back().gradient + samples.back().largest + samples.back().smallest)) return {};
  }
  return elkabetz_cohen_estimate(samples, eps * *std::ranges::min_element(values_[size]));
}

}  // namespace gradflow
