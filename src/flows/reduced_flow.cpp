#include "flows/attention_flow.hpp"
#include "scalars.hpp"

namespace gradflow {
namespace {

template <class Real>
class ReducedFlow final : public AttentionFlow<Real> {
  using typename Flow<Real>::State;
  using typename AttentionFlow<Real>::ConstVector;

 public:
  ReducedFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates)
      : AttentionFlow<Real>(task, start, rates, {.name = "u", .rows = start.width()}) {}

 private:
  Vector<Real> u(State x) const override { return ConstVector(x.data(), this->width()); }
  void set_head(const Weights<Real>& start, std::span<Real> x) const override {
    Eigen::Map<Vector<Real>>(x.data(), this->width()).noalias() = start.W.transpose() * start.a;
  }
  void head_derivative(const Vector<Real>& p, std::span<Real> dx) const override {
    Eigen::Map<Vector<Real>>(dx.data(), this->width()) = (this->rates().W * this->M()) * p;
  }
  RowMatrix<Real> W(State x) const override {
    const Weights<Real>& start = this->start();
    const Vector<Real> u0 = start.W.transpose() * start.a;
    return start.W + start.a * (u(x) - u0).transpose() / this->M();
  }
};

}  // namespace

template <class Real>
std::unique_ptr<Flow<Real>> make_reduced_flow(const Task& task, const Weights<Real>& start, Rates<Real> rates) {
  return std::make_unique<ReducedFlow<Real>>(task, start, rates);
}

template std::unique_ptr<Flow<double>> make_reduced_flow(const Task&, const Weights<double>&, Rates<double>);
template std::unique_ptr<Flow<Quad>> make_reduced_flow(const Task&, const Weights<Quad>&, Rates<Quad>);

}  // namespace gradflow
