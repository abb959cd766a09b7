#pragma once
#include <gradflow/flows/flow.hpp>

namespace gradflow {

template <class Real, int N>
class Taylor;

/// Derivatives of a flow's vector field f along directions, exact but for rounding: the flow's own code run on the
/// truncated Taylor numbers x + e v, no second derivation. States and directions are laid out as the flow's states
/// are, compressed coordinates included; the last component, the integrated power, has a derivative like all others,
/// and nothing depends on it.
///
/// f is a gradient up to positive factors, f = -g dL/dx, g = rho for a matrix's entries and rho_W M for u (flow.hpp).
/// So f' is symmetric in the inner product <v, w> = sum v w / g over the components that move, which is that of all
/// parameters, W included, where the rates are 1: |W'|^2 = |u'|^2 / M.
///
/// Has scratch memory: one object serves one thread, and so do all that hold a reference to it.
class FieldDerivatives {
 public:
  using State = std::span<const double>;

  /// The arguments are make_full_flow's and make_reduced_flow's, and so are the exceptions. The task must outlive this.
  static FieldDerivatives of_full_flow(const Task& task, const Weights<double>& start, const Rates<double>& rates = {});
  static FieldDerivatives of_reduced_flow(const Task& task, const Weights<double>& start,
                                          const Rates<double>& rates = {},
                                          Coordinates coordinates = Coordinates::automatic);
  FieldDerivatives(FieldDerivatives&&) noexcept;
  FieldDerivatives& operator=(FieldDerivatives&&) noexcept;
  ~FieldDerivatives();

  /// The flow itself, whose derivative is f.
  const Flow<double>& flow() const { return *flow_; }
  Index dimension() const { return std::ssize(scales_); }
  /// g [dimension]; 0 for the components of a frozen matrix and for the integrated power.
  std::span<const double> scales() const { return scales_; }
  /// <v, w>; of f with itself it is the power |grad L|^2.
  double inner(State v, State w) const;

  /// f'(x) v. All spans have the dimension, here and below; results may stand where arguments do.
  void along(State x, State v, std::span<double> f_v) const;
  /// f'(x) v and f''(x)(v, v), in one pass.
  void along(State x, State v, std::span<double> f_v, std::span<double> f_vv) const;

 private:
  template <int N>
  struct Series;

  /// `make` makes the flow on a scalar; `head_scale` is g over rho_W for the state's first block.
  template <class Make>
  FieldDerivatives(const Make& make, double head_scale);

  std::unique_ptr<Flow<double>> flow_;
  std::unique_ptr<Series<1>> first_;
  std::unique_ptr<Series<2>> second_;
  std::vector<double> scales_;
};

}  // namespace gradflow
