#include "experiment/compare_curvature.hpp"

#include <algorithm>
#include <cmath>
#include <gradflow/flows/curvature.hpp>

namespace gradflow {
namespace {

// lambda_min lies in a crowd: its last digits cost more products than all the rest.
constexpr LanczosOptions lanczos{.tolerance_largest = 1e-8, .tolerance_smallest = 1e-6};

double size(const Weights<double>& w) {
  return std::hypot(std::hypot(w.W.stableNorm(), w.W_V.stableNorm()),
                    std::hypot(w.W_K.stableNorm(), w.W_Q.stableNorm()));
}

}  // namespace

trajectory::Arrays describe_curvature(std::size_t samples, const std::vector<Update>& updates,
                                      const ComparisonLabels& labels) {
  std::vector<double> limits;
  for (const Update& update : updates) limits.push_back(update.stability_limit().value_or(trajectory::unknown));
  const std::vector<double> later;
  return {{{"model",
            "ends of the spectrum of the loss's Hessian along the flow, per unit of flow time, by the Lanczos method"}},
          {{"sample", static_cast<std::int64_t>(samples)}, {"descent", labels.descents}},
          {{"t", {"sample"}, later, "1/loss", "flow time of the sample"},
           {"sharpness", {"sample"}, later, "1", "largest eigenvalue of the Hessian"},
           {"curvature_min", {"sample"}, later, "1", "smallest eigenvalue of the Hessian"},
           {"sharpness_residual",
            {"sample"},
            later,
            "1",
            "Lanczos' estimate of |H v - lambda v| of the largest, v of length 1"},
           {"curvature_min_residual",
            {"sample"},
            later,
            "1",
            "the same of the smallest; another eigenvalue may lie below, in its crowd"},
           {"gradient", {"sample"}, later, "1", "|grad L|, the square root of the power"},
           {"size", {"sample"}, later, "1", "|theta|, of all parameters"},
           {"eta_sharpness_start", {"descent"}, later, "1", "rate times sharpness at t = 0"},
           {"eta_sharpness_largest", {"descent"}, later, "1", "rate times the largest sharpness of the samples"},
           {"eta_sharpness_largest_t", {"descent"}, later, "1/loss", "flow time of that sample"},
           {"stability_limit",
            {"descent"},
            limits,
            "1",
            "rate times sharpness above which steps on a quadratic grow; unknown where the rule is not linear"}}};
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
  for (auto* column : {&t_, &sharpness_, &smallest_, &gradient_, &size_, &sharpness_residual_, &smallest_residual_})
    column->assign(samples, trajectory::unknown);
}

void CurvaturePath::output(std::size_t index, double t, std::span<const double> x) {
  if (!wanted_[index]) return;
  const std::size_t i = samples_.size();
  const Curvature found = curvature(field_, x, lanczos);
  std::vector<double> f(x.size());
  field_.flow().derivative(t, x, f);
  t_[i] = t;
  sharpness_[i] = found.largest;
  smallest_[i] = found.smallest;
  sharpness_residual_[i] = found.residual_largest;
  smallest_residual_[i] = found.residual_smallest;
  gradient_[i] = std::sqrt(field_.inner(f, f));
  samples_.push_back({t, gradient_[i], found.largest, found.smallest});
  size_[i] = size(field_.flow().weights(x));

  write();
}

void CurvaturePath::write() {
  if (samples_.empty()) return;
  const auto largest =
      static_cast<std::size_t>(std::ranges::max_element(samples_, {}, &CurvatureSample::largest) - samples_.begin());
  std::vector<double> start, most, when;
  for (const Update& update : updates_) {
    const bool linear = update.stability_limit().has_value();
    start.push_back(linear ? update.rate() * sharpness_.front() : trajectory::unknown);
    most.push_back(linear ? update.rate() * sharpness_[largest] : trajectory::unknown);
    when.push_back(linear ? t_[largest] : trajectory::unknown);
  }
  const std::initializer_list<std::pair<const char*, const std::vector<double>*>> columns{
      {"t", &t_},
      {"sharpness", &sharpness_},
      {"curvature_min", &smallest_},
      {"sharpness_residual", &sharpness_residual_},
      {"curvature_min_residual", &smallest_residual_},
      {"gradient", &gradient_},
      {"size", &size_},
      {"eta_sharpness_start", &start},
      {"eta_sharpness_largest", &most},
      {"eta_sharpness_largest_t", &when}};
  for (const auto& [name, values] : columns) writer_.set_result("curvature", name, *values);
}

void CurvaturePath::resume(const trajectory::ComparisonReader& file, double t) {
  const trajectory::Arrays before = file.results("curvature");
  const auto take = [&](const char* name, std::vector<double>& column) {
    column = std::get<std::vector<double>>(std::ranges::find(before.arrays, name, &trajectory::Array::name)->values);
  };
  take("t", t_);
  take("sharpness", sharpness_);
  take("curvature_min", smallest_);
  take("gradient", gradient_);
  take("size", size_);
  take("sharpness_residual", sharpness_residual_);
  take("curvature_min_residual", smallest_residual_);
  for (std::size_t i = 0; i < t_.size(); ++i)
    if (t_[i] <= t)
      samples_.push_back({t_[i], gradient_[i], sharpness_[i], smallest_[i]});
    else  // not yet, or once more
      for (auto* column : {&t_, &sharpness_, &smallest_, &gradient_, &size_, &sharpness_residual_, &smallest_residual_})
        (*column)[i] = trajectory::unknown;
  write();
}

std::optional<RateEstimate> CurvaturePath::estimate(double eps) const {
  const Rates<double>& rho = field_.flow().rates();
  const auto plain = [](double rate) { return rate == 0 || rate == 1; };
  if (samples_.size() < 2 || samples_.size() < t_.size()) return {};
  const auto finite = [](const CurvatureSample& s) { return std::isfinite(s.gradient + s.largest + s.smallest); };
  if (!std::ranges::all_of(samples_, finite)) return {};
  if (!plain(rho.W) || !plain(rho.W_V) || !plain(rho.W_K) || !plain(rho.W_Q)) return {};
  return elkabetz_cohen_estimate(samples_, eps * *std::ranges::min_element(size_));
}

}  // namespace gradflow
