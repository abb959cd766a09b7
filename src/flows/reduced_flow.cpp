#include "flows/attention_flow.hpp"
#include "scalars.hpp"
#include "taylor.hpp"

namespace gradflow {
namespace {

template <class Real>
class ReducedFlow final : public AttentionFlow<Real> {
  using typename Flow<Real>::State;
  using typename AttentionFlow<Real>::ConstVector;

 public:
  ReducedFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates, Coordinates coordinates)
      : AttentionFlow<Real>(task, start, rates, coordinates == Coordinates::automatic) {}

 private:
  solvers::Block head() const override {
    return {.name = this->uv().compressed() ? "u (compressed)" : "u",
            .rows = this->uv().rows(),
            .space = this->uv().space()};
  }
  Index head_size() const override { return this->uv().rows(); }
  Vector<Real> u(State x) const override { return ConstVector(x.data(), this->uv().rows()); }
  void set_head(std::span<Real> x) const override {
    Eigen::Map<Vector<Real>>(x.data(), this->uv().rows()) = this->uv().start().col(0);
  }
  void head_derivative(const Vector<Real>& p, std::span<Real> dx) const override {
    Eigen::Map<Vector<Real>>(dx.data(), p.size()) = (this->rates().W * this->M()) * p;
  }
  RowMatrix<Real> W(State x) const override {
    return this->start().W + this->start().a * (this->full_u(x) - this->u0()).transpose() / this->M();
  }
};

}  // namespace

template <class Real>
std::unique_ptr<Flow<Real>> make_reduced_flow(const Task& task, const Weights<Real>& start, Rates<Real> rates,
                                              Coordinates coordinates) {
  return std::make_unique<ReducedFlow<Real>>(task, start, rates, coordinates);
}

template std::unique_ptr<Flow<double>> make_reduced_flow(const Task&, const Weights<double>&, Rates<double>,
                                                         Coordinates);
template std::unique_ptr<Flow<Quad>> make_reduced_flow(const Task&, const Weights<Quad>&, Rates<Quad>, Coordinates);
template std::unique_ptr<Flow<Taylor<double, 1>>> make_reduced_flow(const Task&, const Weights<Taylor<double, 1>>&,
                                                                    Rates<Taylor<double, 1>>, Coordinates);
template std::unique_ptr<Flow<Taylor<double, 2>>> make_reduced_flow(const Task&, const Weights<Taylor<double, 2>>&,
                                                                    Rates<Taylor<double, 2>>, Coordinates);

}  // namespace gradflow
