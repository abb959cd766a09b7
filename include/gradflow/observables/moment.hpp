#pragma once
#include <gradflow/flows/flow.hpp>

namespace gradflow {

/// What observables compare with: the flow's values at t = 0.
struct Origin {
  std::vector<double> attention;  ///< P_iq(k), laid out as Model::Forward::attention
  double loss = 0, U = 0, trace_Gamma = 0, trace_S_K = 0, trace_S_Q = 0;
};

/// The flow at one time. Each quantity is computed once, when it is first asked for, and shared by all observables and
/// events.
class Moment {
 public:
  /// The flow must outlive the moment.
  explicit Moment(const Flow<double>& flow) : flow_(flow) {}

  /// Moves to (t, x) and forgets what was computed. x must stay where it is until the next call.
  void set(double t, std::span<const double> x);

  const Flow<double>& flow() const { return flow_; }
  const Task& task() const { return flow_.task(); }
  double t() const { return t_; }
  std::span<const double> x() const { return x_; }

  double G(Index word);  ///< of any word
  const Model<double>::Forward& forward();
  const std::vector<double>& gV();  ///< [d]
  const std::vector<double>& gA();  ///< [pairs]
  double U();
  double margin_min();
  /// G'(k) = rho_V U gV(k) + rho_W M (Gamma gV)(k), of the two targets and the common word (NaN where there is none).
  const std::array<double, 3>& G_rates();
  /// Values G of the same three words.
  std::array<double, 3> G_targets();

  Origin origin();  ///< this moment as the one that later ones compare with

 private:
  const Flow<double>& flow_;
  double t_ = 0;
  std::span<const double> x_;
  bool has_forward_ = false, has_coefficients_ = false, has_G_rates_ = false;
  std::optional<double> U_;
  std::vector<double> G_, A_, gV_, gA_;
  std::vector<double> all_values_;  // asked for when a word that the flow does not hold is
  Model<double>::Forward forward_;
  std::array<double, 3> G_rates_{};
};

}  // namespace gradflow
