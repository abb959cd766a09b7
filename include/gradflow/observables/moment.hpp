#pragma once
#include <gradflow/flows/field_derivatives.hpp>

namespace gradflow {

/// What observables compare with: the flow's values at t = 0.
struct Origin {
  std::vector<double> attention;  ///< P_iq(k), laid out as Model::Forward::attention
  double loss = 0, U = 0, trace_Gamma = 0, trace_S_K = 0, trace_S_Q = 0;
  /// |W|^2 - U / M, the part of W that never moves (W' is a multiple of a p^T): |W|^2 is that and U / M. NaN where the
  /// formulation has no weights.
  double still_W = 0;
};

/// The flow at one time. Each quantity is computed once, when it is first asked for, and shared by all observables and
/// events.
class Moment {
 public:
  /// The flow must outlive the moment.
  explicit Moment(const Flow<double>& flow) : flow_(flow) {}

  /// Moves to (t, x) and forgets what was computed. x must stay where it is until the next call.
  void set(double t, std::span<const double> x) { set({t, x}); }
  /// The same, with a state that is formed only where something is asked for that cannot be had without. `whole`:
  /// traces and power will be.
  void set(const solvers::Point<double>& at, bool whole = false);

  const Flow<double>& flow() const { return flow_; }
  const Task& task() const { return flow_.task(); }
  double t() const { return at_.t(); }
  std::span<const double> x() const { return at_.x(); }

  double G(Index word);  ///< of any word
  const Model<double>::Forward& forward();
  const std::vector<double>& gV();  ///< [d]
  const std::vector<double>& gA();  ///< [pairs]
  double U();
  /// Entries of the Gram matrices, and their traces over all words, as Flow has them.
  double Gamma(Index word, Index word2);
  double B(Index key, Index query);
  double S_K(Index word, Index word2);
  double S_Q(Index word, Index word2);
  double trace_Gamma();
  double trace_S_K();
  double trace_S_Q();
  double integrated_power();
  double margin_min();
  /// G'(k) = rho_V U gV(k) + rho_W M (Gamma gV)(k) of these words.
  std::vector<double> G_rates(std::span<const Index> words);
  /// Of the two targets and the common word (NaN where there is none).
  const std::array<double, 3>& G_rates();
  /// Values G of the same three words.
  std::array<double, 3> G_targets();
  /// Squared speeds of W, W_V, W_K, W_Q, rates included.
  const PerMatrix<double>& power();
  /// What the model says of other samples over the same vocabulary, words that the flow does not hold included; kept
  /// for one such model, which must stay what it is until the next set().
  const Model<double>::Forward& forward_of(const Model<double>& other);
  /// Derivatives of the flow's field, in the layout of x; made once, when first asked for. Throws std::logic_error
  /// where the formulation has inner products only.
  const FieldDerivatives& field();

  Origin origin();  ///< this moment as the one that later ones compare with

 private:
  enum class Look { not_yet, some, whole, impossible };
  using Columns = Matrix<double> Glance<double>::*;
  using OfState = double (Flow<double>::*)(std::span<const double> x, Index, Index) const;

  /// What the flow sees of the point without its state; null: the state is to be asked.
  const Glance<double>* glance(bool whole = false);
  /// Two columns' product, where both have been seen; else what the flow says of the state.
  double product(Columns first, Index word, Columns second, Index word2, OfState of_state);
  void take_coefficients();
  const std::vector<double>& all_values();

  const Flow<double>& flow_;
  solvers::Point<double> at_{0, {}};
  Look look_ = Look::impossible;
  bool expects_whole_ = false;
  Glance<double> seen_;
  bool has_forward_ = false, has_coefficients_ = false, has_G_rates_ = false;
  std::optional<double> U_;
  std::optional<PerMatrix<double>> power_;
  std::vector<double> gV_, gA_;
  std::vector<double> all_values_;  // asked for when a word that the flow does not hold is
  Model<double>::Forward forward_, other_forward_;
  const Model<double>* other_ = nullptr;  // whose forward that is
  std::array<double, 3> G_rates_{};
  std::optional<FieldDerivatives> field_;
};

}  // namespace gradflow
