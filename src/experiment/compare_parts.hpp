#pragma once
#include <gradflow/experiment/compare.hpp>
#include <gradflow/flows/field_derivatives.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "experiment/compare_lockstep.hpp"

namespace gradflow {

/// A method of the settings at some rate.
Update make_update(const settings::Descent& descent, const std::string& method, double rate);

struct Comparison::Parts {
  /// Throws as Comparison's constructor does. The descents' settings must be there.
  Parts(const settings::Experiment& experiment, Inputs inputs);

  /// On whose states a descent runs.
  const Flow<double>& flow_of(const Update& update) const {
    return full_width && !update.rule().rotates ? *full_width : *problem.flow;
  }
  /// What there is to go on with.
  struct Earlier {
    trajectory::ComparisonReader file;
    std::optional<trajectory::Checkpoint> checkpoint;
  };
  ComparisonResult run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                       Listener& listener, const Earlier* earlier);

  class Session;
  Weights<double> weights;  // at t = 0
  std::vector<Update> updates;
  ComparisonLabels labels;
  Problem problem;
  std::unique_ptr<Flow<double>> full_width;  // where a rule looks at single entries and the flow has none
  std::optional<FieldDerivatives> field;     // of the problem's flow, where they are asked for
  std::filesystem::path earlier_file;        // of a comparison to go on with
};

}  // namespace gradflow
