#include "flows/attention_flow.hpp"
#include "scalars.hpp"
#include "taylor.hpp"

namespace gradflow {
namespace {

template <class Real>
class FullFlow final : public AttentionFlow<Real> {
  using typename Flow<Real>::State;

 public:
  FullFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates)
      : AttentionFlow<Real>(task, start, rates, false) {}

 private:
  using Rows = Eigen::Map<const RowMatrix<Real>>;

  Rows rows(const Real* x) const { return {x, this->hidden(), this->width()}; }

  solvers::Block head() const override {
    return {.name = "W", .rows = this->hidden(), .columns = this->width(), .vectors = solvers::Block::Vectors::rows};
  }
  Index head_size() const override { return this->hidden() * this->width(); }
  Vector<Real> u(State x) const override { return rows(x.data()).transpose() * this->start().a; }
  void set_head(std::span<Real> x) const override {
    const RowMatrix<Real>& W = this->start().W;
    std::copy(W.data(), W.data() + W.size(), x.begin());
  }
  void head_derivative(const Vector<Real>& p, std::span<Real> dx) const override {
    Eigen::Map<RowMatrix<Real>>(dx.data(), this->hidden(), this->width()).noalias() =
        this->start().a * (this->rates().W * p).transpose();
  }
  RowMatrix<Real> W(State x) const override { return rows(x.data()); }
  Real W_drift(State x) const override {
    const Vector<Real>& a = this->start().a;
    const RowMatrix<Real> moved = W(x) - this->start().W;  // a multiple of a in every column
    const Real distance = moved.norm();
    return distance > 0 ? Real((moved - a * (a.transpose() * moved) / this->M()).norm() / distance) : Real(0);
  }
};

}  // namespace

template <class Real>
std::unique_ptr<Flow<Real>> make_full_flow(const Task& task, const Weights<Real>& start, Rates<Real> rates) {
  return std::make_unique<FullFlow<Real>>(task, start, rates);
}

template std::unique_ptr<Flow<double>> make_full_flow(const Task&, const Weights<double>&, Rates<double>);
template std::unique_ptr<Flow<Quad>> make_full_flow(const Task&, const Weights<Quad>&, Rates<Quad>);
template std::unique_ptr<Flow<Taylor<double, 1>>> make_full_flow(const Task&, const Weights<Taylor<double, 1>>&,
                                                                 Rates<Taylor<double, 1>>);
template std::unique_ptr<Flow<Taylor<double, 2>>> make_full_flow(const Task&, const Weights<Taylor<double, 2>>&,
                                                                 Rates<Taylor<double, 2>>);

}  // namespace gradflow
