#pragma once
#include <memory>

#include "experiment/compare_curvature.hpp"
#include "experiment/compare_descent.hpp"
#include "experiment/compare_distance.hpp"
#include "experiment/compare_equal_loss.hpp"
#include "experiment/compare_plan.hpp"

namespace gradflow {

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
    CurvaturePath* curvature;  // or null
    trajectory::ComparisonWriter& write;
  };
  explicit Lockstep(const Parts& parts) : p_(parts), row_(parts.labels) {}

  /// All that it goes on from, beside the rows that are complete.
  void visit(Packing& packing);
  /// Goes on after so many times of the plan with the rows of an earlier part.
  void resume(std::size_t times, const std::vector<std::vector<double>>& rows);

  void output(std::size_t place, const solvers::Point<double>& at) override;
  bool interrupt() override;

  /// As many as the flow came by.
  std::vector<ComparisonRow>& rows() { return rows_; }

 private:
  void compare(std::size_t d, const Standing& flow);

  void compare_at_equal_loss(std::size_t d, const Standing& flow);

  Parts p_;
  std::size_t first_ = 0;  // time of the plan that is the first of the flow's schedule
  ComparisonRow row_;
  std::vector<ComparisonRow> rows_;
};

}  // namespace gradflow
