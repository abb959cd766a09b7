#pragma once
#include <cmath>
#include <gradflow/descent/update_rules.hpp>
#include <utility>

#include "descent/batches.hpp"
#include "support/equation1.hpp"
#include "support/flow_cases.hpp"

namespace gradflow::tests {

/// Descent once more, on the weight matrices themselves: equation 1's gradient, token by token, and the update rules as
/// PyTorch's optimizers write them, entry by entry.
class ReferenceDescent {
 public:
  using Real = long double;

  ReferenceDescent(const TaskData& task, const Weights<double>& start, const Rates<double>& rates, Update update,
                   std::uint64_t seed)
      : task_(task),
        weights_(start.cast<Real>()),
        m_(zero()),
        v_(zero()),
        rates_(rates),
        update_(std::move(update)),
        batches_(std::ssize(task.tokens), batch_size(), seed) {}

  void step() {
    const TaskData data = update_.rule().name == "sgd" ? of_samples(batches_.next()) : task_;
    const auto model = equation1<Real>(data, weights_);
    const Weights<Real>& w = weights_;
    const Vector<Real> u = w.W.transpose() * w.a;
    const Real root = std::sqrt(Real(w.width()));
    const RowMatrix<Real> W = -w.a * (w.W_V * model.gV).transpose();
    const Matrix<Real> W_V = -u * model.gV.transpose(), W_K = -w.W_Q * model.gA.transpose() / root,
                       W_Q = -w.W_K * model.gA / root;
    ++step_;
    move(weights_.W, W, m_.W, v_.W, rates_.W);
    move(weights_.W_V, W_V, m_.W_V, v_.W_V, rates_.W_V);
    move(weights_.W_K, W_K, m_.W_K, v_.W_K, rates_.W_K);
    move(weights_.W_Q, W_Q, m_.W_Q, v_.W_Q, rates_.W_Q);
  }

  const Weights<Real>& weights() const { return weights_; }
  Real fall() const { return fall_; }  ///< sum over steps and entries of -(dL/dtheta) (change of theta)

 private:
  Weights<Real> zero() const {
    Weights<Real> w = weights_;
    w.W.setZero();
    w.W_V.setZero();
    w.W_K.setZero();
    w.W_Q.setZero();
    return w;
  }
  Index batch_size() const { return update_.rule().name == "sgd" ? static_cast<Index>(update_.parameter("batch")) : 1; }
  TaskData of_samples(std::span<const Index> samples) const {
    TaskData data;
    data.words = task_.words;
    for (const Index i : samples) {
      data.tokens.push_back(task_.tokens[static_cast<std::size_t>(i)]);
      data.labels.push_back(task_.labels[static_cast<std::size_t>(i)]);
    }
    return data;
  }

  template <class Dense>
  void move(Dense& theta, const Dense& gradient, Dense& m, Dense& v, double rate) {
    for (Index i = 0; i < theta.size(); ++i) {
      const Real step = Real(update_.rate()) * Real(rate) * direction(gradient.data()[i], m.data()[i], v.data()[i]);
      theta.data()[i] -= step;
      fall_ += gradient.data()[i] * step;
    }
  }

  Real direction(Real grad, Real& m, Real& v) const {
    const std::string_view rule = update_.rule().name;
    const auto of = [&](const char* parameter) { return Real(update_.parameter(parameter)); };
    if (rule == "gd" || rule == "sgd") return grad;
    if (rule == "sign") return grad > 0 ? 1 : grad < 0 ? -1 : 0;
    if (rule == "rmsprop") {
      v = of("alpha") * v + (1 - of("alpha")) * grad * grad;
      return grad / (std::sqrt(v) + of("epsilon"));
    }
    if (rule == "adam") {
      m += (1 - of("beta1")) * (grad - m);
      v = of("beta2") * v + (1 - of("beta2")) * grad * grad;
      const Real correction1 = 1 - std::pow(of("beta1"), Real(step_)),
                 correction2 = 1 - std::pow(of("beta2"), Real(step_));
      return m / correction1 / (std::sqrt(v) / std::sqrt(correction2) + of("epsilon"));
    }
    m = step_ == 1 ? grad : of("beta") * m + grad;
    return rule == "nesterov" ? grad + of("beta") * m : m;
  }

  TaskData task_;
  Weights<Real> weights_, m_, v_;
  Rates<double> rates_;
  Update update_;
  Batches batches_;
  int step_ = 0;
  Real fall_ = 0;
};

}  // namespace gradflow::tests
