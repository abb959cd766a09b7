#include "flows/attention_flow.hpp"

#include <Eigen/QR>
#include <cmath>
#include <stdexcept>

#include "scalars.hpp"

namespace gradflow {
namespace {

template <class Real>
Real inverse_root(Index m) {
  using std::sqrt;
  return 1 / sqrt(Real(m));
}

/// The same inner products in min(rows, columns) dimensions: the laws are m x m, but no larger than the vectors that
/// they are made of.
template <class Real>
Matrix<Real> compress(Matrix<Real> vectors) {
  if (vectors.rows() <= vectors.cols()) return vectors;
  const Matrix<Real> qr = Eigen::HouseholderQR<Matrix<Real>>(vectors).matrixQR();
  return qr.topRows(vectors.cols()).template triangularView<Eigen::Upper>();
}

/// The change of a law X / rate_x - Y / rate_y (m x m) since t = 0, over how far X and Y have moved; a frozen term is a
/// law by itself.
template <class Real>
Real drift(const Matrix<Real>& dX, const Matrix<Real>& dY, Real rate_x, Real rate_y) {
  const Real x = rate_x > 0 ? rate_x : Real(1), y = rate_y > 0 ? rate_y : Real(1);
  const Real moved_x = dX.norm() / x, moved_y = dY.norm() / y, moved = moved_x + moved_y;
  Real change = (dX / x - dY / y).norm();
  if (!(rate_x > 0 && rate_y > 0)) change = (rate_x > 0 ? Real(0) : moved_x) + (rate_y > 0 ? Real(0) : moved_y);
  return moved > 0 ? Real(change / moved) : Real(0);
}

}  // namespace

template <class Real>
AttentionFlow<Real>::AttentionFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates, solvers::Block head)
    : Flow<Real>(task, rates), start_(start), head_(std::move(head)) {
  for (const Real& rate : {rates.W, rates.W_V, rates.W_K, rates.W_Q})
    if (!(rate >= 0)) {
      throw std::invalid_argument("flow: a matrix's rate must be >= 0 (0 freezes it), but one is " +
                                  std::to_string(static_cast<double>(rate)));
    }
  check(start_.template cast<double>(), task.words());
  G_.resize(static_cast<std::size_t>(task.words()));
  gV_.resize(G_.size());
  A_.resize(static_cast<std::size_t>(this->model().pairs().size()));
  gA_.resize(A_.size());
}

template <class Real>
std::vector<solvers::Block> AttentionFlow<Real>::blocks() const {
  const Index m = width(), d = start_.words();
  return {head_,
          {.name = "W_V", .rows = m, .columns = d},
          {.name = "W_K", .rows = m, .columns = d},
          {.name = "W_Q", .rows = m, .columns = d},
          {.name = "integrated_power", .measured = false}};
}

template <class Real>
std::vector<Real> AttentionFlow<Real>::initial_state() const {
  const Index size = start_.W_V.size();
  std::vector<Real> x(static_cast<std::size_t>(head_.size() + 3 * size + 1));
  set_head(start_, x);
  Real* place = x.data() + head_.size();
  for (const Matrix<Real>* matrix : {&start_.W_V, &start_.W_K, &start_.W_Q})
    place = std::copy(matrix->data(), matrix->data() + size, place);
  return x;
}

template <class Real>
void AttentionFlow<Real>::values(State x, std::span<Real> G) const {
  Eigen::Map<Vector<Real>>(G.data(), start_.words()).noalias() = W_V(x).transpose() * u(x);
}

template <class Real>
void AttentionFlow<Real>::scores(State x, std::span<Real> A) const {
  const WordPairs& pairs = this->model().pairs();
  const ConstMatrix K = W_K(x), Q = W_Q(x);
  const Real scale = inverse_root<Real>(width());
  for (Index j = 0; j < static_cast<Index>(pairs.queries().size()); ++j) {
    const auto q = Q.col(pairs.queries()[static_cast<std::size_t>(j)]);
    for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair)
      A[static_cast<std::size_t>(pair)] = scale * K.col(pairs.key(pair)).dot(q);
  }
}

template <class Real>
void AttentionFlow<Real>::attention_derivative(State x, std::span<const Real> gA, Real* dW_K, Real* dW_Q) const {
  const WordPairs& pairs = this->model().pairs();
  const ConstMatrix K = W_K(x), Q = W_Q(x);
  Eigen::Map<Matrix<Real>> dK(dW_K, K.rows(), K.cols()), dQ(dW_Q, K.rows(), K.cols());
  dK.setZero();
  dQ.setZero();
  const Real scale = inverse_root<Real>(width()), scale_K = this->rates().W_K * scale,
             scale_Q = this->rates().W_Q * scale;
  for (Index j = 0; j < static_cast<Index>(pairs.queries().size()); ++j) {
    const Index query = pairs.queries()[static_cast<std::size_t>(j)];
    for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair) {
      const Real g = gA[static_cast<std::size_t>(pair)];
      const Index key = pairs.key(pair);
      dK.col(key) += (scale_K * g) * Q.col(query);
      dQ.col(query) += (scale_Q * g) * K.col(key);
    }
  }
}

template <class Real>
void AttentionFlow<Real>::derivative(Real, State x, std::span<Real> dx) const {
  const Rates<Real>& rho = this->rates();
  const Model<Real>& model = this->model();
  values(x, G_);
  scores(x, A_);
  model.forward(G_, A_, forward_);
  model.coefficients(G_, forward_, gV_, gA_);

  const Index m = width(), d = start_.words();
  const ConstVector gV(gV_.data(), d);
  const Vector<Real> head = u(x), p = W_V(x) * gV;
  head_derivative(p, dx);
  Real* const dW_V = dx.data() + head_.size();
  Eigen::Map<Matrix<Real>>(dW_V, m, d).noalias() = (rho.W_V * head) * gV.transpose();
  Real *const dW_K = dW_V + m * d, *const dW_Q = dW_K + m * d;
  attention_derivative(x, gA_, dW_K, dW_Q);

  Real power = rho.W * M() * p.squaredNorm() + rho.W_V * head.squaredNorm() * gV.squaredNorm();
  if (rho.W_K > 0) power += ConstVector(dW_K, m * d).squaredNorm() / rho.W_K;
  if (rho.W_Q > 0) power += ConstVector(dW_Q, m * d).squaredNorm() / rho.W_Q;
  dx.back() = power;
}

template <class Real>
void AttentionFlow<Real>::Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words,
                                      std::span<Real> out) const {
  const Vector<Real> p = W_V(x) * ConstVector(gV.data(), start_.words());
  for (std::size_t i = 0; i < words.size(); ++i) out[i] = W_V(x).col(words[i]).dot(p);
}

template <class Real>
PerMatrix<Real> AttentionFlow<Real>::power(State x, std::span<const Real> gV_values, std::span<const Real> gA) const {
  const Rates<Real>& rho = this->rates();
  const Index m = width(), d = start_.words();
  const ConstVector gV(gV_values.data(), d);
  Matrix<Real> dK(m, d), dQ(m, d);
  attention_derivative(x, gA, dK.data(), dQ.data());
  return {rho.W * rho.W * M() * (W_V(x) * gV).squaredNorm(), rho.W_V * rho.W_V * U(x) * gV.squaredNorm(),
          dK.squaredNorm(), dQ.squaredNorm()};
}

template <class Real>
Weights<Real> AttentionFlow<Real>::weights(State x) const {
  return {W(x), W_V(x), W_K(x), W_Q(x), start_.a};
}

template <class Real>
std::array<Real, 3> AttentionFlow<Real>::law_drifts(State x) const {
  const Rates<Real>& rho = this->rates();
  const Index m = width(), d = start_.words();
  const Vector<Real> head0 = start_.W.transpose() * start_.a;
  Matrix<Real> vw_terms(m, 2 * d + 2), kq_terms(m, 4 * d);
  vw_terms << u(x) - head0, head0, W_V(x) - start_.W_V, start_.W_V;
  kq_terms << W_K(x) - start_.W_K, start_.W_K, W_Q(x) - start_.W_Q, start_.W_Q;
  vw_terms = compress<Real>(vw_terms);
  kq_terms = compress<Real>(kq_terms);
  // X X^T now less X X^T at t = 0, from the steps D = X now - X at t = 0 that stand at `from` and X at t = 0 behind
  // them: a difference of the two products would lose what little K and Q move.
  const auto change = [](const Matrix<Real>& terms, Index from, Index columns) -> Matrix<Real> {
    const auto D = terms.middleCols(from, columns), then = terms.middleCols(from + columns, columns);
    return D * (D + then).transpose() + then * D.transpose();
  };
  const Real vw = drift<Real>(change(vw_terms, 0, 1), M() * change(vw_terms, 2, d), rho.W, rho.W_V);
  const Real kq = drift<Real>(change(kq_terms, 0, d), change(kq_terms, 2 * d, d), rho.W_K, rho.W_Q);
  return {vw, kq, W_drift(x)};
}

template class AttentionFlow<double>;
template class AttentionFlow<Quad>;

}  // namespace gradflow
