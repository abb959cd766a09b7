#pragma once
#include <gradflow/flows/flow.hpp>

namespace gradflow {

/// What the full and the reduced flow share: W_V, W_K, W_Q as weights, and all that needs of W only u = W^T a. The
/// state is [head | W_V | W_K | W_Q | integrated power], the head being W (rows) or u; matrices are stored by columns.
template <class Real>
class AttentionFlow : public Flow<Real> {
 public:
  using typename Flow<Real>::State;

  AttentionFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates, solvers::Block head);

  Index width() const override { return start_.width(); }
  Index hidden() const override { return start_.hidden(); }

  std::vector<solvers::Block> blocks() const override;
  void derivative(Real t, State x, std::span<Real> dx) const override;
  std::vector<Real> initial_state() const override;

  void values(State x, std::span<Real> G) const override;
  void scores(State x, std::span<Real> A) const override;
  Real U(State x) const override { return u(x).squaredNorm(); }
  Real Gamma(State x, Index k, Index l) const override { return W_V(x).col(k).dot(W_V(x).col(l)); }
  Real B(State x, Index k, Index q) const override { return W_K(x).col(k).dot(W_Q(x).col(q)); }
  Real S_K(State x, Index k, Index l) const override { return W_K(x).col(k).dot(W_K(x).col(l)); }
  Real S_Q(State x, Index k, Index l) const override { return W_Q(x).col(k).dot(W_Q(x).col(l)); }
  Real trace_Gamma(State x) const override { return W_V(x).squaredNorm(); }
  Real trace_S_K(State x) const override { return W_K(x).squaredNorm(); }
  Real trace_S_Q(State x) const override { return W_Q(x).squaredNorm(); }
  void Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words, std::span<Real> out) const override;
  PerMatrix<Real> power(State x, std::span<const Real> gV, std::span<const Real> gA) const override;
  Weights<Real> weights(State x) const override;
  std::array<Real, 3> law_drifts(State x) const override;

 protected:
  using ConstVector = Eigen::Map<const Vector<Real>>;
  using ConstMatrix = Eigen::Map<const Matrix<Real>>;

  virtual Vector<Real> u(State x) const = 0;
  virtual void set_head(const Weights<Real>& start, std::span<Real> x) const = 0;
  /// The head's derivative from p = W_V gV.
  virtual void head_derivative(const Vector<Real>& p, std::span<Real> dx) const = 0;
  virtual RowMatrix<Real> W(State x) const = 0;
  /// |(W - a u^T / M) - the same at t = 0| over |W - W(0)|; no law where W is made from u.
  virtual Real W_drift(State) const { return 0; }

  const Weights<Real>& start() const { return start_; }
  Real M() const { return Real(start_.hidden()); }

 private:
  ConstMatrix matrix(State x, Index which) const {
    const Index m = start_.width(), d = start_.words();
    return {x.data() + head_.size() + which * m * d, m, d};
  }
  ConstMatrix W_V(State x) const { return matrix(x, 0); }
  ConstMatrix W_K(State x) const { return matrix(x, 1); }
  ConstMatrix W_Q(State x) const { return matrix(x, 2); }

  /// W_K' and W_Q', both [m, d], rates included.
  void attention_derivative(State x, std::span<const Real> gA, Real* dW_K, Real* dW_Q) const;

  Weights<Real> start_;
  solvers::Block head_;
  // Scratch of one evaluation; the result depends on the arguments alone.
  mutable std::vector<Real> G_, A_, gV_, gA_;
  mutable typename Model<Real>::Forward forward_;
};

}  // namespace gradflow
