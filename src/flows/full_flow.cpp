#include "flows/attention_flow.hpp"
#include "scalars.hpp"

namespace gradflow {
namespace {

template <class Real>
class FullFlow final : public AttentionFlow<Real> {
  using typename Flow<Real>::State;

 public:
  FullFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates)
      : AttentionFlow<Real>(
            task, start, rates,
            {.name = "W", .rows = start.hidden(), .columns = start.width(), .vectors = solvers::Block::Vectors::rows}) {
  }

 private:
  using Rows = Eigen::Map<const RowMatrix<Real>>;

  Rows rows(const Real* x) const { return {x, this->hidden(), this->width()}; }

  Vector<Real> u(State x) const override { return rows(x.data()).transpose() * this->start().a; }
  void set_head(const Weights<Real>& start, std::span<Real> x) const override {
    std::copy(start.W.data(), start.W.data() + start.W.size(), x.begin());
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

}  // namespace gradflow
