#pragma once
#include "support/neighbours.hpp"

namespace neighbours {

/// Logistic regression, the flow of mean_i log(1 + e^{-z_i}), z = X theta (X has the labels in it): on separable data
/// the margins grow like log t (Soudry et al. 2018). An event for each margin and level, margin by margin.
template <class Real>
class LogisticRegression final : public solvers::System<Real> {
 public:
  LogisticRegression(Matrix<Real> X, std::vector<Real> levels) : X_(std::move(X)), levels_(std::move(levels)) {}
  std::vector<Block> blocks() const override { return {{.name = "theta", .rows = X_.cols()}}; }
  void derivative(Real, In<Real> x, Out<Real> dx) const override {
    const Vector<Real> residuals = (1 + margins(x).array().exp()).inverse();
    Eigen::Map<Vector<Real>>(dx.data(), X_.cols()) = X_.transpose() * residuals / Real(X_.rows());
  }
  std::vector<Event> events() const override {
    return std::vector<Event>(static_cast<std::size_t>(X_.rows()) * levels_.size(), {"margin"});
  }
  void event_values(Real, In<Real> x, Out<Real> values) const override {
    auto value = values.begin();
    for (const Real& z : margins(x))
      for (const Real& level : levels_) *value++ = z - level;
  }

 private:
  Vector<Real> margins(In<Real> x) const { return X_ * Eigen::Map<const Vector<Real>>(x.data(), X_.cols()); }
  Matrix<Real> X_;
  std::vector<Real> levels_;
};

/// One query's attention, f = sum_k p_k v_k with p = softmax(s), both v and s trained by the logistic loss log(1 +
/// e^{-f}). State: v, s. Events: f > 1; p_1 > 3/4.
template <class Real>
class ValueSoftmax final : public solvers::System<Real> {
 public:
  explicit ValueSoftmax(Index words) : words_(words) {}
  std::vector<Block> blocks() const override { return {{.name = "v", .rows = words_}, {.name = "s", .rows = words_}}; }
  void derivative(Real, In<Real> x, Out<Real> dx) const override {
    using std::exp;
    const Vector<Real> p = softmax(x);
    const Real f = p.dot(v(x)), residual = 1 / (1 + exp(f));
    Eigen::Map<Matrix<Real>> out(dx.data(), words_, 2);
    out.col(0) = residual * p;
    out.col(1) = residual * p.cwiseProduct((v(x).array() - f).matrix());
  }
  std::vector<Event> events() const override { return {{"f > 1"}, {"p_1 > 3/4"}}; }
  void event_values(Real, In<Real> x, Out<Real> values) const override {
    const Vector<Real> p = softmax(x);
    values[0] = p.dot(v(x)) - 1;
    values[1] = p[0] - Real(3) / 4;
  }

 private:
  auto v(In<Real> x) const { return Eigen::Map<const Vector<Real>>(x.data(), words_); }
  Vector<Real> softmax(In<Real> x) const {
    const Eigen::Map<const Vector<Real>> s(x.data() + words_, words_);
    const Vector<Real> e = (s.array() - s.maxCoeff()).exp();
    return e / e.sum();
  }
  Index words_;
};

}  // namespace neighbours
