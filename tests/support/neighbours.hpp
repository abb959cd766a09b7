#pragma once
#include <Eigen/Core>
#include <cmath>
#include <solvers/system.hpp>
#include <string>
#include <utility>

/// Gradient flows of other models than gradflow's, each written as a user of <solvers/...> would write one of his own.
/// All have closed forms, from some starts at least.
namespace neighbours {

using solvers::Block, solvers::Event, solvers::Index;
template <class Real>
using Matrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
template <class Real>
using Vector = Eigen::Matrix<Real, Eigen::Dynamic, 1>;
template <class Real>
using In = std::span<const Real>;
template <class Real>
using Out = std::span<Real>;

/// y = W_2 W_1 x on whitened inputs whose covariance with the outputs is Sigma = U diag(s) V^T (Saxe, McClelland,
/// Ganguli 2014): the flow of |Sigma - W_2 W_1|^2 / 2. State: W_1 [hidden, in], W_2 [out, hidden]. A mode is learned
/// where u.W_2 W_1 v > s/2.
template <class Real>
class TwoLayerLinear final : public solvers::System<Real> {
 public:
  TwoLayerLinear(Matrix<Real> U, Vector<Real> s, Matrix<Real> V, Index hidden)
      : U_(std::move(U)),
        V_(std::move(V)),
        s_(std::move(s)),
        Sigma_(U_ * s_.asDiagonal() * V_.transpose()),
        hidden_(hidden) {}

  auto W_1(In<Real> x) const { return Eigen::Map<const Matrix<Real>>(x.data(), hidden_, V_.rows()); }
  auto W_2(In<Real> x) const { return Eigen::Map<const Matrix<Real>>(&x[size_1()], U_.rows(), hidden_); }

  std::vector<Block> blocks() const override {
    return {{.name = "W_1", .rows = hidden_, .columns = V_.rows()},
            {.name = "W_2", .rows = U_.rows(), .columns = hidden_}};
  }
  void derivative(Real, In<Real> x, Out<Real> dx) const override {
    const Matrix<Real> gap = Sigma_ - W_2(x) * W_1(x);
    Eigen::Map<Matrix<Real>>(dx.data(), hidden_, V_.rows()) = W_2(x).transpose() * gap;
    Eigen::Map<Matrix<Real>>(&dx[size_1()], U_.rows(), hidden_) = gap * W_1(x).transpose();
  }
  std::vector<Event> events() const override {
    return std::vector<Event>(static_cast<std::size_t>(s_.size()), {"learned"});
  }
  void event_values(Real, In<Real> x, Out<Real> values) const override {
    const Matrix<Real> modes = U_.transpose() * W_2(x) * W_1(x) * V_;
    Eigen::Map<Vector<Real>>(values.data(), s_.size()) = modes.diagonal() - s_ / 2;
  }

 private:
  std::size_t size_1() const { return static_cast<std::size_t>(hidden_ * V_.rows()); }
  Matrix<Real> U_, V_;
  Vector<Real> s_;
  Matrix<Real> Sigma_;
  Index hidden_;
};

/// y = w_1 w_2 ... w_D x: the flow of (s - w_1 ... w_D)^2 / 2. Learned where the product exceeds s/2, nearly where 9
/// s/10.
template <class Real>
class DeepScalar final : public solvers::System<Real> {
 public:
  DeepScalar(Index depth, Real s) : depth_(depth), s_(s) {}
  std::vector<Block> blocks() const override { return {{.name = "w", .rows = depth_}}; }
  void derivative(Real, In<Real> w, Out<Real> dw) const override {
    const Real product = this->product(w);
    for (std::size_t i = 0; i < w.size(); ++i) dw[i] = (s_ - product) * product / w[i];
  }
  std::vector<Event> events() const override { return {{"half"}, {"nearly"}}; }
  void event_values(Real, In<Real> w, Out<Real> values) const override {
    values[0] = product(w) - s_ / 2;
    values[1] = product(w) - 9 * s_ / 10;
  }

 private:
  static Real product(In<Real> w) {
    return Eigen::Map<const Vector<Real>>(w.data(), static_cast<Index>(w.size())).prod();
  }
  Index depth_;
  Real s_;
};

/// Linear regression by a diagonal network, w = u u - v v entry by entry (Woodworth et al. 2020): the flow of |X w -
/// y|^2 / 2. State: u, v. An event for each sample: its prediction is past half of y.
template <class Real>
class DiagonalNetwork final : public solvers::System<Real> {
 public:
  DiagonalNetwork(Matrix<Real> X, Vector<Real> y) : X_(std::move(X)), y_(std::move(y)) {}
  Vector<Real> w(In<Real> x) const { return u(x).cwiseAbs2() - v(x).cwiseAbs2(); }

  std::vector<Block> blocks() const override {
    return {{.name = "u", .rows = X_.cols()}, {.name = "v", .rows = X_.cols()}};
  }
  void derivative(Real, In<Real> x, Out<Real> dx) const override {
    const Vector<Real> slope = 2 * X_.transpose() * (X_ * w(x) - y_);
    Eigen::Map<Matrix<Real>> out(dx.data(), X_.cols(), 2);
    out.col(0) = -slope.cwiseProduct(u(x));
    out.col(1) = slope.cwiseProduct(v(x));
  }
  std::vector<Event> events() const override {
    return std::vector<Event>(static_cast<std::size_t>(y_.size()), {"half"});
  }
  void event_values(Real, In<Real> x, Out<Real> values) const override {
    Eigen::Map<Vector<Real>>(values.data(), y_.size()) = (X_ * w(x) - y_ / 2).cwiseProduct(y_);
  }

 private:
  auto u(In<Real> x) const { return Eigen::Map<const Vector<Real>>(x.data(), X_.cols()); }
  auto v(In<Real> x) const { return Eigen::Map<const Vector<Real>>(x.data() + X_.cols(), X_.cols()); }
  Matrix<Real> X_;
  Vector<Real> y_;
};

}  // namespace neighbours
