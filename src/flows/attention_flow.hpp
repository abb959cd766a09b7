#pragma once
#include <gradflow/flows/flow.hpp>

#include "flows/coordinates.hpp"
#include "flows/pair_products.hpp"
#include "flows/tiled_gradient.hpp"

namespace gradflow {

/// What the full and the reduced flow share: W_V, W_K, W_Q as weights, and all that needs of W only u = W^T a. The
/// state is [head | W_V | W_K | W_Q | integrated power], the head being W (rows) or u; matrices have the columns of the
/// words that stand in a sample and are stored by columns. (u, W_V) and (W_K, W_Q) may stand in coordinates of their
/// spans.
template <class Real>
class AttentionFlow : public Flow<Real> {
 public:
  using typename Flow<Real>::State;

  AttentionFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates, bool compress);

  Index width() const override { return start_.width(); }
  Index hidden() const override { return start_.hidden(); }
  std::span<const Index> words() const override { return this->task().used_words(); }
  const OtherWords<Real>& other_words() const override { return others_; }

  std::vector<solvers::Block> blocks() const override;
  void derivative(Real t, State x, std::span<Real> dx) const override;
  std::vector<Real> initial_state() const override;
  void use(std::shared_ptr<solvers::Workers> workers) override { gradient_.use(std::move(workers)); }
  solvers::Workers* workers() const override { return gradient_.workers(); }
  void stage(const solvers::StagePoint<Real>& at, std::span<Real> y, bool keep, std::span<Real> dx) const override;
  std::unique_ptr<solvers::FrozenStep<Real>> frozen_step(std::size_t stages) const override;
  void batch_derivative(State x, std::span<const Index> samples, std::span<Real> dx) const override;
  bool look(const solvers::Point<Real>& at, bool whole, Glance<Real>& out) const override;

  void values(State x, std::span<Real> G) const override;
  void held_values(State x, std::span<Real> G) const override;
  void scores(State x, std::span<Real> A) const override;
  Real U(State x) const override { return u(x).squaredNorm(); }
  Real Gamma(State x, Index k, Index l) const override { return product(x, V, k, V, l); }
  Real B(State x, Index k, Index q) const override { return product(x, K, k, Q, q); }
  Real S_K(State x, Index k, Index l) const override { return product(x, K, k, K, l); }
  Real S_Q(State x, Index k, Index l) const override { return product(x, Q, k, Q, l); }
  Real trace_Gamma(State x) const override { return matrix(x, V).squaredNorm() + others_.trace_Gamma; }
  Real trace_S_K(State x) const override { return matrix(x, K).squaredNorm() + others_.trace_S_K; }
  Real trace_S_Q(State x) const override { return matrix(x, Q).squaredNorm() + others_.trace_S_Q; }
  void Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words, std::span<Real> out) const override;
  PerMatrix<Real> power(State x, std::span<const Real> gV, std::span<const Real> gA) const override;
  Weights<Real> weights(State x) const override;
  std::array<Real, 3> law_drifts(State x) const override;

 protected:
  using ConstVector = Eigen::Map<const Vector<Real>>;
  using ConstMatrix = Eigen::Map<const Matrix<Real>>;

  virtual solvers::Block head() const = 0;
  virtual Index head_size() const = 0;
  virtual Vector<Real> u(State x) const = 0;  ///< in the coordinates of W_V
  virtual void set_head(std::span<Real> x) const = 0;
  /// The head's derivative from p = W_V gV.
  virtual void head_derivative(const Vector<Real>& p, std::span<Real> dx) const = 0;
  virtual RowMatrix<Real> W(State x) const = 0;
  /// |(W - a u^T / M) - the same at t = 0| over |W - W(0)|; no law where W is made from u.
  virtual Real W_drift(State) const { return 0; }

  const Weights<Real>& start() const { return start_; }
  Real M() const { return Real(start_.hidden()); }
  /// Coordinates of u and W_V, in this order, and of W_K and W_Q.
  const SpanCoordinates<Real>& uv() const { return uv_; }
  Vector<Real> full_u(State x) const { return uv_.lift(u(x), 0, u0_); }  ///< [m]
  const Vector<Real>& u0() const { return u0_; }                         ///< [m] at the start

 private:
  enum Which { V, K, Q };

  Index n() const { return std::ssize(words()); }
  const SpanCoordinates<Real>& coordinates(Which which) const { return which == V ? uv_ : kq_; }
  const Matrix<Real>& start(Which which) const {
    return which == V ? start_.W_V : which == K ? start_.W_K : start_.W_Q;
  }
  /// Where W_V, W_K, W_Q begin in the state.
  Index begin(Which which) const {
    return head_size() + (which == V ? 0 : n() * (uv_.rows() + (which == K ? 0 : kq_.rows())));
  }
  ConstMatrix matrix(State x, Which which) const { return {x.data() + begin(which), coordinates(which).rows(), n()}; }
  Vector<Real> column(State x, Which which, Index word) const;  ///< [m]
  Real product(State x, Which first, Index k, Which second, Index l) const;
  Vector<Real> held_part(std::span<const Real> values) const;

  template <class... Batch>
  void evaluate(const solvers::StagePoint<Real>& at, std::span<Real> y, bool keep, std::span<Real> dx,
                const Batch&... batch) const;
  /// W_K' and W_Q', in coordinates, rates included.
  void attention_derivative(State x, std::span<const Real> gA, Real* dW_K, Real* dW_Q) const;

  Weights<Real> start_;
  Vector<Real> u0_;
  std::vector<Index> place_;  // [d] where each word stands in the state, or -1
  PairProducts products_;
  SpanCoordinates<Real> uv_, kq_;
  OtherWords<Real> others_;
  TiledGradient<Real> gradient_;
};

}  // namespace gradflow
