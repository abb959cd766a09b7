#include "flows/attention_flow.hpp"

#include <Eigen/QR>
#include <cmath>
#include <limits>
#include <solvers/combine.hpp>
#include <stdexcept>

#include "flows/frozen_basis.hpp"
#include "scalars.hpp"
#include "taylor.hpp"

namespace gradflow {
namespace {

template <class Real>
Real inverse_root(Index m) {
  using std::sqrt;
  return 1 / sqrt(Real(m));
}

/// The columns of both matrices.
template <class Real>
Matrix<Real> beside(const Matrix<Real>& first, const Matrix<Real>& second) {
  Matrix<Real> both(first.rows(), first.cols() + second.cols());
  both << first, second;
  return both;
}

template <class Real>
Matrix<Real> columns(const Matrix<Real>& matrix, std::span<const Index> words) {
  return matrix(Eigen::all, std::vector<Index>(words.begin(), words.end()));
}

/// The same inner products in min(rows, columns) dimensions: the laws are m x m, but no larger than the vectors that
/// they are made of.
template <class Real>
Matrix<Real> compress(Matrix<Real> vectors) {
  if (vectors.rows() <= vectors.cols()) return vectors;
  const Matrix<Real> qr = Eigen::HouseholderQR<Matrix<Real>>(vectors).matrixQR();
  return qr.topRows(vectors.cols()).template triangularView<Eigen::Upper>();
}

/// One side of a law: X X^T's change since t = 0, and what X X^T was, in length.
template <class Real>
struct Side {
  Matrix<Real> change;
  Real size;
};

/// The change of a law X X^T / rate_x - Y Y^T / rate_y (m x m) since t = 0, over how far its terms have moved; a frozen
/// term is a law by itself. Terms that have moved by their rounding alone say nothing: 0.
template <class Real>
Real drift(const Side<Real>& X, const Side<Real>& Y, Real rate_x, Real rate_y) {
  const Real x = rate_x > 0 ? rate_x : Real(1), y = rate_y > 0 ? rate_y : Real(1);
  const Real moved_x = X.change.norm() / x, moved_y = Y.change.norm() / y, moved = moved_x + moved_y;
  Real change = (X.change / x - Y.change / y).norm();
  if (!(rate_x > 0 && rate_y > 0)) change = (rate_x > 0 ? Real(0) : moved_x) + (rate_y > 0 ? Real(0) : moved_y);
  const Real rounding = 64 * std::numeric_limits<Real>::epsilon() * (X.size / x + Y.size / y);
  return moved > rounding ? Real(change / moved) : Real(0);
}

}  // namespace

template <class Real>
AttentionFlow<Real>::AttentionFlow(const Task& task, const Weights<Real>& start, Rates<Real> rates, bool compress)
    : Flow<Real>(task, rates),
      start_((check(start.template cast<double>(), task.words()), start)),
      u0_(start_.W.transpose() * start_.a),
      place_(places(task.used_words(), task.words())),
      products_(this->model().pairs(), place_),
      uv_(beside<Real>(u0_, columns(start_.W_V, task.used_words())), compress),
      kq_(beside(columns(start_.W_K, task.used_words()), columns(start_.W_Q, task.used_words())), compress),
      gradient_(this->model(), task.used_words(), uv_.rows(), kq_.rows()) {
  for (const Real& rate : {rates.W, rates.W_V, rates.W_K, rates.W_Q})
    if (!(rate >= 0)) {
      throw std::invalid_argument("flow: a matrix's rate must be >= 0 (0 freezes it), but one is " +
                                  std::to_string(static_cast<double>(rate)));
    }
  for (Index word = 0; word < task.words(); ++word) {
    if (place_[static_cast<std::size_t>(word)] >= 0) continue;
    const Real square = start_.W_V.col(word).squaredNorm();
    others_.trace_Gamma += square;
    others_.trace_S_K += start_.W_K.col(word).squaredNorm();
    others_.trace_S_Q += start_.W_Q.col(word).squaredNorm();
    if (square > others_.largest_Gamma) others_.largest_Gamma = square;
  }
}

template <class Real>
std::vector<solvers::Block> AttentionFlow<Real>::blocks() const {
  const std::vector<Index> numbers(words().begin(), words().end());
  const auto block = [&](const std::string& name, Which which) {
    const SpanCoordinates<Real>& c = coordinates(which);
    return solvers::Block{.name = c.compressed() ? name + " (compressed)" : name,
                          .rows = c.rows(),
                          .columns = n(),
                          .space = c.space(),
                          .column_numbers = numbers};
  };
  return {head(), block("W_V", V), block("W_K", K), block("W_Q", Q), {.name = "integrated_power", .measured = false}};
}

template <class Real>
std::vector<Real> AttentionFlow<Real>::initial_state() const {
  std::vector<Real> x(static_cast<std::size_t>(begin(Q) + n() * kq_.rows() + 1));
  set_head(x);
  const Matrix<Real> V_start = uv_.start().rightCols(n());
  Real* place = std::copy(V_start.data(), V_start.data() + V_start.size(), x.data() + head_size());
  std::copy(kq_.start().data(), kq_.start().data() + kq_.start().size(), place);
  return x;
}

template <class Real>
Vector<Real> AttentionFlow<Real>::held_part(std::span<const Real> values) const {
  Vector<Real> part(n());
  for (Index i = 0; i < n(); ++i) part[i] = values[static_cast<std::size_t>(words()[static_cast<std::size_t>(i)])];
  return part;
}

template <class Real>
Vector<Real> AttentionFlow<Real>::column(State x, Which which, Index word) const {
  const Index place = place_[static_cast<std::size_t>(word)];
  const Vector<Real> origin = start(which).col(word);
  if (place < 0) return origin;
  return coordinates(which).lift(matrix(x, which).col(place),
                                 which == V   ? 1 + place
                                 : which == K ? place
                                              : n() + place,
                                 origin);
}

template <class Real>
Real AttentionFlow<Real>::product(State x, Which first, Index k, Which second, Index l) const {
  const Index i = place_[static_cast<std::size_t>(k)], j = place_[static_cast<std::size_t>(l)];
  if (i >= 0 && j >= 0) return matrix(x, first).col(i).dot(matrix(x, second).col(j));
  return column(x, first, k).dot(column(x, second, l));
}

template <class Real>
void AttentionFlow<Real>::held_values(State x, std::span<Real> G) const {
  const Vector<Real> held = matrix(x, V).transpose() * u(x);
  for (Index i = 0; i < n(); ++i) G[static_cast<std::size_t>(words()[static_cast<std::size_t>(i)])] = held[i];
}

template <class Real>
void AttentionFlow<Real>::values(State x, std::span<Real> G) const {
  held_values(x, G);
  const Vector<Real> full = full_u(x);
  for (std::size_t word = 0; word < G.size(); ++word)
    if (place_[word] < 0) G[word] = start_.W_V.col(static_cast<Index>(word)).dot(full);
}

template <class Real>
void AttentionFlow<Real>::scores(State x, std::span<Real> A) const {
  const ConstMatrix keys = matrix(x, K), queries = matrix(x, Q);
  const Real scale = inverse_root<Real>(width());
  products_.for_each(
      [&](std::size_t pair, Index key, Index query) { A[pair] = scale * keys.col(key).dot(queries.col(query)); });
}

template <class Real>
void AttentionFlow<Real>::attention_derivative(State x, std::span<const Real> gA, Real* dW_K, Real* dW_Q) const {
  const ConstMatrix keys = matrix(x, K), queries = matrix(x, Q);
  Eigen::Map<Matrix<Real>> dK(dW_K, keys.rows(), keys.cols()), dQ(dW_Q, keys.rows(), keys.cols());
  dK.setZero();
  dQ.setZero();
  const Real scale = inverse_root<Real>(width()), scale_K = this->rates().W_K * scale,
             scale_Q = this->rates().W_Q * scale;
  products_.for_each([&](std::size_t pair, Index key, Index query) {
    const Real& g = gA[pair];
    dK.col(key) += (scale_K * g) * queries.col(query);
    dQ.col(query) += (scale_Q * g) * keys.col(key);
  });
}

template <class Real>
void AttentionFlow<Real>::derivative(Real t, State x, std::span<Real> dx) const {
  evaluate({.t = t, .x = x, .c = {}, .k = {}}, {}, false, dx);
}

template <class Real>
void AttentionFlow<Real>::stage(const solvers::StagePoint<Real>& at, std::span<Real> y, bool keep,
                                std::span<Real> dx) const {
  evaluate(at, y, keep, dx);
}

template <class Real>
std::unique_ptr<solvers::FrozenStep<Real>> AttentionFlow<Real>::frozen_step(std::size_t stages) const {
  if constexpr (std::is_same_v<Real, double>) {
    FrozenFlow flow{.model = this->model(),
                    .words = gradient_.layout(),
                    .rows_V = uv_.rows(),
                    .rows_KQ = kq_.rows(),
                    .begin_V = begin(V),
                    .begin_K = begin(K),
                    .begin_Q = begin(Q),
                    .root = inverse_root<double>(width()),
                    .M = M(),
                    .rates = this->rates(),
                    .u = [this](State x) { return u(x); },
                    .held = words(),
                    .head_derivative = [this](const Vector<Real>& p, std::span<Real> dx) { head_derivative(p, dx); },
                    .workers = [this]() -> solvers::Workers& { return *gradient_.workers(); }};
    if (FrozenBasis::pays(flow, static_cast<Index>(stages)))
      return std::make_unique<FrozenBasis>(std::move(flow), static_cast<Index>(stages));
  }
  return nullptr;
}

template <class Real>
bool AttentionFlow<Real>::look(const solvers::Point<Real>& at, bool whole, Glance<Real>& out) const {
  if constexpr (std::is_same_v<Real, double>) {
    if (at.step() == nullptr) return false;
    out.G.resize(static_cast<std::size_t>(this->task().words()));
    out.gV.resize(out.G.size());
    out.A.resize(static_cast<std::size_t>(this->model().pairs().size()));
    dynamic_cast<FrozenBasis&>(*at.step()).look(at.sum(), whole, out);
    out.trace_Gamma += others_.trace_Gamma;
    out.trace_S_K += others_.trace_S_K;
    out.trace_S_Q += others_.trace_S_Q;
    return true;
  }
  return false;
}

template <class Real>
void AttentionFlow<Real>::batch_derivative(State x, std::span<const Index> samples, std::span<Real> dx) const {
  evaluate({.t = 0, .x = x, .c = {}, .k = {}}, {}, false, dx, samples);
}

/// The head, which every word needs, is formed first and stored, in y or (a point without terms) where it stands.
template <class Real>
template <class... Batch>
void AttentionFlow<Real>::evaluate(const solvers::StagePoint<Real>& at, std::span<Real> y, bool keep,
                                   std::span<Real> dx, const Batch&... batch) const {
  const std::size_t size = static_cast<std::size_t>(head_size());
  if (!y.empty()) solvers::combine<Real>(at.x.first(size), at.c, at.k, y.first(size));
  const Vector<Real> head = u(y.empty() ? at.x : State(y));
  const Rates<Real>& rho = this->rates();
  const Real root = inverse_root<Real>(width());
  const auto sums = gradient_({.at = at,
                               .begin = {begin(V), begin(K), begin(Q)},
                               .u = head,
                               .root = root,
                               .scale = {at.scale * rho.W_V, at.scale * root * rho.W_K, at.scale * root * rho.W_Q},
                               .y = keep ? y.data() : nullptr,
                               .dx = dx.data()},
                              batch...);
  head_derivative(at.scale * sums.p, dx);
  dx.back() = at.scale * (rho.W * M() * sums.p.squaredNorm() + rho.W_V * head.squaredNorm() * sums.V +
                          root * root * (rho.W_K * sums.K + rho.W_Q * sums.Q));
  if (!keep) return;
  const std::size_t last = at.x.size() - 1;
  solvers::combine<Real>(at.x.subspan(last), at.c, at.k, y.subspan(last), last);
}

template <class Real>
void AttentionFlow<Real>::Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words,
                                      std::span<Real> out) const {
  const Vector<Real> held = held_part(gV), p = matrix(x, V) * held;
  std::optional<Vector<Real>> full;  // p of the full width, for words that the state does not hold
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Index place = place_[static_cast<std::size_t>(words[i])];
    if (place < 0 && !full) {
      full = Vector<Real>::Zero(width());
      for (Index j = 0; j < n(); ++j) *full += held[j] * column(x, V, this->words()[static_cast<std::size_t>(j)]);
    }
    out[i] = place >= 0 ? matrix(x, V).col(place).dot(p) : start_.W_V.col(words[i]).dot(*full);
  }
}

template <class Real>
PerMatrix<Real> AttentionFlow<Real>::power(State x, std::span<const Real> gV_values, std::span<const Real> gA) const {
  const Rates<Real>& rho = this->rates();
  const Vector<Real> gV = held_part(gV_values);
  Matrix<Real> dK(kq_.rows(), n()), dQ(kq_.rows(), n());
  attention_derivative(x, gA, dK.data(), dQ.data());
  return {rho.W * rho.W * M() * (matrix(x, V) * gV).squaredNorm(), rho.W_V * rho.W_V * U(x) * gV.squaredNorm(),
          dK.squaredNorm(), dQ.squaredNorm()};
}

template <class Real>
Weights<Real> AttentionFlow<Real>::weights(State x) const {
  Weights<Real> result{W(x), start_.W_V, start_.W_K, start_.W_Q, start_.a};
  const auto put = [&](Which which, Matrix<Real>& to) {
    if (!coordinates(which).compressed()) {
      for (Index i = 0; i < n(); ++i) to.col(words()[static_cast<std::size_t>(i)]) = matrix(x, which).col(i);
    } else {
      for (const Index word : words()) to.col(word) = column(x, which, word);
    }
  };
  put(V, result.W_V);
  put(K, result.W_K);
  put(Q, result.W_Q);
  return result;
}

template <class Real>
std::array<Real, 3> AttentionFlow<Real>::law_drifts(State x) const {
  const Rates<Real>& rho = this->rates();
  // What each vector has moved since t = 0, then where it stood: a difference of products would lose what little K and
  // Q move.
  const auto terms = [](const Matrix<Real>& now, const Matrix<Real>& then) {
    return compress<Real>(beside<Real>(now - then, then));
  };
  const Matrix<Real> uv = terms(beside<Real>(Matrix<Real>(u(x)), matrix(x, V)), uv_.start());
  const Matrix<Real> kq = terms(beside<Real>(matrix(x, K), matrix(x, Q)), kq_.start());
  // X X^T now less X X^T at t = 0, of the vectors X from `from`: D (X + D)^T + X D^T, its two halves each other's
  // transposes.
  const auto side = [](const Matrix<Real>& both, Index from, Index columns, Real scale) -> Side<Real> {
    const auto D = both.middleCols(from, columns), X = both.middleCols(both.cols() / 2 + from, columns);
    const Matrix<Real> half = D * (X + D / 2).transpose();
    return {scale * (half + half.transpose()), scale * X.squaredNorm()};
  };
  const Real vw = drift<Real>(side(uv, 0, 1, 1), side(uv, 1, n(), M()), rho.W, rho.W_V);
  const Real kq_drift = drift<Real>(side(kq, 0, n(), 1), side(kq, n(), n(), 1), rho.W_K, rho.W_Q);
  return {vw, kq_drift, W_drift(x)};
}

template class AttentionFlow<double>;
template class AttentionFlow<Quad>;
template class AttentionFlow<Taylor<double, 1>>;
template class AttentionFlow<Taylor<double, 2>>;

}  // namespace gradflow
