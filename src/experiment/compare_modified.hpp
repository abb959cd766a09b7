#pragma once
#include <gradflow/descent/descent.hpp>
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/flows/field_derivatives.hpp>
#include <gradflow/trajectory/schema.hpp>

#include "experiment/problem.hpp"

namespace gradflow {

/// Whether there is a modified flow of that order for the rule: 2 and 3 for gd, 2 for heavy-ball.
bool has_modified_flow(const UpdateRule& rule, int order);

/// A modified flow and how far its descent is from it.
struct ModifiedRun {
  solvers::Report<double> report;
  std::vector<double> distance;  ///< relative, in parameters, at each of the steps asked for; NaN where there is none
};

/// Solves the modified flow as the settings say, with a fresh descent in lockstep. `steps`: where to compare,
/// ascending. Heavy ball is compared with its flow as it was beta / (1 - beta) steps earlier, from the step on at which
/// its start is forgotten (beta^k < 1e-8). `name`: of this solve, for the listener.
ModifiedRun run_modified_flow(const Problem& problem, const FieldDerivatives& field, const Update& update, int order,
                              const std::vector<Index>& steps, const char* name, Listener& listener);

}  // namespace gradflow
