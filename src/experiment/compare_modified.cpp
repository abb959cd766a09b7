#include "experiment/compare_modified.hpp"

#include <algorithm>
#include <cmath>
#include <gradflow/descent/modified_flow.hpp>

#include "experiment/compare_beside.hpp"

namespace gradflow {
namespace {

using Kind = UpdateRule::Kind;

constexpr double forgotten = 1e-8;  // of what a start from rest leaves behind, beta^k

std::unique_ptr<Flow<double>> make_modified_flow(const FieldDerivatives& field, const Update& update, int order) {
  return update.rule().kind == Kind::gd ? make_gradient_descent_flow(field, update.rate(), order)
                                        : make_heavy_ball_flow(field, update.rate(), update.parameter("beta"));
}

}  // namespace

bool has_modified_flow(const UpdateRule& rule, int order) {
  return rule.kind == Kind::gd ? order == 2 || order == 3 : rule.kind == Kind::heavy_ball && order == 2;
}

ModifiedRun run_modified_flow(const Problem& problem, const FieldDerivatives& field, const Update& update, int order,
                              const std::vector<Index>& steps, const char* name, Listener& listener) {
  double lag = 0;  // in flow time
  Index first = 0;
  if (update.rule().kind == Kind::heavy_ball) {
    const double beta = update.parameter("beta");
    lag = beta / (1 - beta) * update.time(1);
    first = static_cast<Index>(std::ceil(std::log(forgotten) / std::log(beta)));
  }
  const auto meets = std::ranges::lower_bound(steps, first);
  ModifiedRun run{.report = {}, .distance = std::vector<double>(steps.size(), trajectory::unknown)};
  if (meets == steps.end()) return run;

  Meetings meetings{.steps = {meets, steps.end()}, .times = {}};
  for (const Index step : meetings.steps) meetings.times.push_back(update.time(step) - lag);
  const auto modified = make_modified_flow(field, update, order);
  const BesideRun beside = run_beside(problem, *modified, field.flow(), update, meetings, name, listener);
  run.report = beside.report;
  std::ranges::copy(beside.distance, run.distance.begin() + (meets - steps.begin()));
  return run;
}

}  // namespace gradflow
