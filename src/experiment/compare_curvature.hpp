#pragma once
#include <gradflow/descent/rate_estimate.hpp>
#include <gradflow/flows/field_derivatives.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "experiment/compare_table.hpp"
#include "experiment/recorder.hpp"

namespace gradflow {

/// The group `curvature` of a comparison's file before the first sample.
trajectory::Arrays describe_curvature(std::size_t samples, const std::vector<Update>& updates,
                                      const ComparisonLabels& labels);

/// The ends of the Hessian's spectrum along the flow, and what they mean for the descents.
class CurvaturePath {
 public:
  /// At the given number of the plan's records, spread over them, the first and the last included. All references must
  /// outlive it.
  CurvaturePath(const FieldDerivatives& field, const SavePlan& plan, std::size_t samples,
                const std::vector<Update>& updates, trajectory::ComparisonWriter& writer);

  /// How many samples a plan has room for.
  static std::size_t count(const SavePlan& plan, std::size_t asked);

  /// What the flow shows at the plan's times; those that are no sample's are passed over.
  void output(std::size_t index, double time, std::span<const double> x);

  /// Takes over the samples of an earlier part: those of its file up to that time.
  void resume(const trajectory::ComparisonReader& file, double until);

  /// Of the relative distance eps, at which the descent would be eps |theta| away where the flow's |theta| is smallest.
  /// Absent before the flow came to its end, and where a rate of the matrices is neither 0 nor 1: the estimate's metric
  /// is then not the distance's.
  std::optional<RateEstimate> estimate(double eps) const;

 private:
  enum Quantity { t, sharpness, curvature_min, sharpness_residual, curvature_min_residual, gradient, size };

  void write();

  const FieldDerivatives& field_;
  const std::vector<Update>& updates_;
  trajectory::ComparisonWriter& writer_;
  std::vector<bool> wanted_;                   // of each time of the plan
  std::array<std::vector<double>, 7> values_;  // [quantity][sample], unknown until it is taken
  std::size_t taken_ = 0;
};

}  // namespace gradflow
