#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <limits>
#include <stdexcept>

#include "flows/pair_products.hpp"
#include "scalars.hpp"

namespace gradflow {
namespace {

constexpr std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

/// Symmetric matrices stand in the state as their lower triangles, column after column.
constexpr Index triangle(Index n) { return n * (n + 1) / 2; }
constexpr Index in_triangle(Index n, Index i, Index j) {
  return i < j ? in_triangle(n, j, i) : j * n - j * (j - 1) / 2 + (i - j);
}

template <class Real>
void unpack(const Real* packed, Matrix<Real>& full) {
  for (Index j = 0; j < full.cols(); ++j)
    for (Index i = j; i < full.rows(); ++i) full(i, j) = full(j, i) = *packed++;
}

/// Writes the lower triangle of scale (half + half^T); returns what follows it.
template <class Real>
Real* pack_sum(const Matrix<Real>& half, Real scale, Real* packed) {
  for (Index j = 0; j < half.cols(); ++j)
    for (Index i = j; i < half.rows(); ++i) *packed++ = scale * (half(i, j) + half(j, i));
  return packed;
}

/// How far a matrix of inner products has moved since t = 0: the change of its trace and of the sum of its squares (not
/// as differences of sums, which would lose a small change), and the bounds on them.
template <class Real>
struct Change {
  Change(const Matrix<Real>& now, const Matrix<Real>& then, Real scale = 1) {
    const Matrix<Real> step = now - then;
    size = scale * (now.norm() + then.norm());
    trace = scale * step.diagonal().sum();
    squares = scale * scale * step.cwiseProduct(now + then).sum();
    length = scale * step.norm();
  }
  Real size, trace, squares, length;
};

/// Drift of C = X X^T / rate_x - Y Y^T / rate_y from the changes of X^T X, X^T Y and Y^T Y; a frozen term is a law by
/// itself. What rounding makes of the terms counts as no change.
template <class Real>
Real drift(const Change<Real>& X, const Change<Real>& XY, const Change<Real>& Y, Real rate_x, Real rate_y) {
  using std::abs;
  const auto ratio = [](const Real& change, const Real& moved, const Real& size) {
    const Real rounding = 64 * std::numeric_limits<Real>::epsilon() * size;
    return moved > rounding ? std::max(Real(0), Real((abs(change) - rounding) / moved)) : Real(0);
  };
  if (!(rate_x > 0 && rate_y > 0))
    return ratio((rate_x > 0 ? Real(0) : X.length) + (rate_y > 0 ? Real(0) : Y.length), X.length + Y.length,
                 X.size + Y.size);
  const Real x = 1 / rate_x, y = 1 / rate_y, xx = x * x, xy = 2 * x * y, yy = y * y;
  return std::max(ratio(x * X.trace - y * Y.trace, x * X.length + y * Y.length, x * X.size + y * Y.size),
                  ratio(xx * X.squares - xy * XY.squares + yy * Y.squares,
                        xx * X.length * X.size + xy * XY.length * XY.size + yy * Y.length * Y.size,
                        xx * X.size * X.size + xy * XY.size * XY.size + yy * Y.size * Y.size));
}

/// Throws unless a flow of this task can start from this.
void check_fits(const GramStart<double>& start, const Task& task) {
  const auto fail = [](const std::string& what) { throw std::invalid_argument("start: " + what); };
  const std::vector<Index>& words = start.words;
  const Index n = std::ssize(words);
  if (!std::is_sorted(words.begin(), words.end(), std::less_equal{})) fail("its words must ascend, each of them once");
  if (n > 0 && (words.front() < 0 || words.back() >= task.words()))
    fail(fmt::format("its words {} to {} do not lie in the vocabulary of {} words", words.front() + 1, words.back() + 1,
                     task.words()));
  for (const Index word : task.used_words())
    if (!std::binary_search(words.begin(), words.end(), word))
      fail(fmt::format("word {} stands in a sample, but is none of its {} words", word + 1, n));
  const auto require = [&](const char* name, const Matrix<double>& matrix, Index columns, bool square) {
    if (matrix.rows() != n || matrix.cols() != columns)
      fail(
          fmt::format("{} has shape [{}, {}], but must have [{}, {}]", name, matrix.rows(), matrix.cols(), n, columns));
    if (!matrix.allFinite()) fail(fmt::format("{} has entries that are not finite", name));
    if (!square) return;
    if (matrix.diagonal().minCoeff() < 0)
      fail(fmt::format("{} has the negative entry {} on its diagonal, where squared lengths stand", name,
                       matrix.diagonal().minCoeff()));
    // Room for the rounding of whoever computed it.
    if ((matrix - matrix.transpose()).cwiseAbs().maxCoeff() > 1e-10 * matrix.diagonal().maxCoeff())
      fail(fmt::format("{} is not symmetric", name));
  };
  if (start.width < 1 || start.hidden < 1)
    fail(fmt::format("width and hidden must be at least 1, but are {} and {}", start.width, start.hidden));
  if (!(start.U >= 0) || !std::isfinite(start.U))
    fail(fmt::format("U must be finite and not negative, but is {}", start.U));
  require("G", start.G, 1, false);
  require("B", start.B, n, false);
  require("Gamma", start.Gamma, n, true);
  require("S_K", start.S_K, n, true);
  require("S_Q", start.S_Q, n, true);
}

template <class Real>
class CoupledFlow final : public Flow<Real> {
 public:
  using typename Flow<Real>::State;

  CoupledFlow(const Task& task, const GramStart<Real>& start, Rates<Real> rates);

  Index width() const override { return start_.width; }
  Index hidden() const override { return start_.hidden; }
  std::span<const Index> words() const override { return start_.words; }
  const OtherWords<Real>& other_words() const override { return start_.others; }

  std::vector<solvers::Block> blocks() const override;
  void derivative(Real t, State x, std::span<Real> dx) const override;
  std::vector<Real> initial_state() const override;

  void values(State x, std::span<Real> G) const override;
  void held_values(State x, std::span<Real> G) const override {
    for (std::size_t i = 0; i < start_.words.size(); ++i) G[to_size(start_.words[i])] = x[i];
  }
  void scores(State x, std::span<Real> A) const override;
  Real U(State x) const override { return x[to_size(n_)]; }
  Real Gamma(State x, Index k, Index l) const override { return symmetric(x, Gamma_, k, l); }
  Real B(State x, Index k, Index q) const override {
    const Index i = place(k), j = place(q);
    return i >= 0 && j >= 0 ? x[to_size(B_ + j * n_ + i)] : not_held;
  }
  Real S_K(State x, Index k, Index l) const override { return symmetric(x, S_K_, k, l); }
  Real S_Q(State x, Index k, Index l) const override { return symmetric(x, S_Q_, k, l); }
  Real trace_Gamma(State x) const override { return trace(x, Gamma_) + start_.others.trace_Gamma; }
  Real trace_S_K(State x) const override { return trace(x, S_K_) + start_.others.trace_S_K; }
  Real trace_S_Q(State x) const override { return trace(x, S_Q_) + start_.others.trace_S_Q; }
  void Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words, std::span<Real> out) const override;
  PerMatrix<Real> power(State x, std::span<const Real> gV, std::span<const Real> gA) const override;
  bool has_weights() const override { return false; }
  Weights<Real> weights(State) const override {
    throw std::logic_error("the coupled flow has inner products of the weights, but no weights");
  }
  std::array<Real, 3> law_drifts(State x) const override;

 private:
  using ConstVector = Eigen::Map<const Vector<Real>>;
  using ConstMatrix = Eigen::Map<const Matrix<Real>>;

  static constexpr double not_held = std::numeric_limits<double>::quiet_NaN();

  Real M() const { return Real(start_.hidden); }
  Index place(Index word) const { return place_[to_size(word)]; }
  Real symmetric(State x, Index at, Index k, Index l) const {
    const Index i = place(k), j = place(l);
    return i >= 0 && j >= 0 ? x[to_size(at + in_triangle(n_, i, j))] : not_held;
  }
  Real trace(State x, Index at) const {
    Real sum = 0;
    for (Index i = 0; i < n_; ++i) sum += x[to_size(at + in_triangle(n_, i, i))];
    return sum;
  }
  Real inverse_root_width() const {
    using std::sqrt;
    return 1 / sqrt(Real(start_.width));
  }

  Vector<Real> held_part(std::span<const Real> values) const;
  const Vector<Real>& times_Gamma(State x, const Vector<Real>& v) const;
  /// first_ = S_Q gA^T and second_ = S_K gA; returns tr(gA S_Q gA^T) / m and tr(gA^T S_K gA) / m, the squared speeds of
  /// W_K and W_Q at rate 1.
  std::array<Real, 2> score_products(State x, std::span<const Real> gA) const;

  GramStart<Real> start_;
  std::vector<Index> place_;  // [d] where each word stands in the state, or -1
  PairProducts products_;
  Index n_, Gamma_, B_, S_K_, S_Q_, size_;  // places in the state
  // Scratch of one evaluation; the result depends on the arguments alone. Sums are formed here, not in the spans given:
  // their last bit would depend on where in memory those stand.
  mutable std::vector<Real> values_, scores_, gV_, gA_, gA_transposed_;
  mutable typename Model<Real>::Forward forward_;
  mutable Vector<Real> product_;
  mutable Matrix<Real> left_, first_, second_;
};

template <class Real>
CoupledFlow<Real>::CoupledFlow(const Task& task, const GramStart<Real>& start, Rates<Real> rates)
    : Flow<Real>(task, rates),
      start_(start),
      place_(places(start.words, task.words())),
      products_(this->model().pairs(), place_),
      n_(std::ssize(start.words)),
      Gamma_(n_ + 1),
      B_(Gamma_ + triangle(n_)),
      S_K_(B_ + n_ * n_),
      S_Q_(S_K_ + triangle(n_)),
      size_(S_Q_ + triangle(n_) + 1),
      left_(n_, n_) {
  check_fits(start_.template cast<double>(), task);
  for (const Real& rate : {rates.W, rates.W_V, rates.W_K, rates.W_Q})
    if (!(rate >= 0))
      throw std::invalid_argument(
          fmt::format("flow: a matrix's rate must be >= 0 (0 freezes it), but one is {}", static_cast<double>(rate)));
  values_.resize(to_size(task.words()));
  gV_.resize(values_.size());
  scores_.resize(to_size(this->model().pairs().size()));
  gA_.resize(scores_.size());
}

template <class Real>
std::vector<solvers::Block> CoupledFlow<Real>::blocks() const {
  return {{.name = "G", .rows = n_},
          {.name = "U"},
          {.name = "Gamma", .rows = triangle(n_)},
          {.name = "B", .rows = n_, .columns = n_},
          {.name = "S_K", .rows = triangle(n_)},
          {.name = "S_Q", .rows = triangle(n_)},
          {.name = "integrated_power", .measured = false}};
}

template <class Real>
std::vector<Real> CoupledFlow<Real>::initial_state() const {
  std::vector<Real> x(to_size(size_));
  Eigen::Map<Vector<Real>>(x.data(), n_) = start_.G;
  x[to_size(n_)] = start_.U;
  pack_sum<Real>(start_.Gamma, Real(0.5), x.data() + Gamma_);
  Eigen::Map<Matrix<Real>>(x.data() + B_, n_, n_) = start_.B;
  pack_sum<Real>(start_.S_K, Real(0.5), x.data() + S_K_);
  pack_sum<Real>(start_.S_Q, Real(0.5), x.data() + S_Q_);
  return x;
}

template <class Real>
void CoupledFlow<Real>::values(State x, std::span<Real> G) const {
  std::fill(G.begin(), G.end(), not_held);
  held_values(x, G);
}

template <class Real>
void CoupledFlow<Real>::scores(State x, std::span<Real> A) const {
  const Real scale = inverse_root_width();
  products_.gather(ConstMatrix(x.data() + B_, n_, n_), A);
  for (Real& score : A) score *= scale;
}

template <class Real>
Vector<Real> CoupledFlow<Real>::held_part(std::span<const Real> values) const {
  return ConstVector(values.data(), std::ssize(values))(start_.words);
}

template <class Real>
const Vector<Real>& CoupledFlow<Real>::times_Gamma(State x, const Vector<Real>& v) const {
  unpack(x.data() + Gamma_, left_);
  return product_ = left_ * v;
}

template <class Real>
std::array<Real, 2> CoupledFlow<Real>::score_products(State x, std::span<const Real> gA) const {
  products_.transpose(gA, gA_transposed_);
  unpack(x.data() + S_Q_, left_);
  products_.multiply<Real>(left_, gA_transposed_, first_);
  unpack(x.data() + S_K_, left_);
  products_.multiply(left_, gA, second_);
  const Real m = Real(width());
  return {products_.inner<Real>(gA_transposed_, first_) / m, products_.inner(gA, second_) / m};
}

template <class Real>
void CoupledFlow<Real>::derivative(Real, State x, std::span<Real> dx) const {
  const Rates<Real>& rho = this->rates();
  held_values(x, values_);
  scores(x, scores_);
  this->model().forward(values_, scores_, forward_);
  this->model().coefficients(values_, forward_, gV_, gA_);

  const Vector<Real> gV = held_part(gV_), G = ConstVector(x.data(), n_);
  const Vector<Real>& p = times_Gamma(x, gV);
  Real* out = dx.data();
  for (Index i = 0; i < n_; ++i) *out++ = rho.W_V * U(x) * gV[i] + rho.W * M() * p[i];
  *out++ = 2 * rho.W * M() * gV.dot(G);
  for (Index j = 0; j < n_; ++j)
    for (Index i = j; i < n_; ++i) *out++ = rho.W_V * (gV[i] * G[j] + G[i] * gV[j]);
  const Real power_VW = rho.W * M() * gV.dot(p) + rho.W_V * U(x) * gV.squaredNorm();

  const Real K = rho.W_K * inverse_root_width(), Q = rho.W_Q * inverse_root_width();
  const auto [speed_K, speed_Q] = score_products(x, gA_);
  for (Index j = 0; j < n_; ++j)
    for (Index i = 0; i < n_; ++i) *out++ = K * first_(j, i) + Q * second_(i, j);
  const ConstMatrix full_B(x.data() + B_, n_, n_);
  left_ = full_B;
  products_.multiply<Real>(left_, gA_transposed_, first_);  // B gA^T
  out = pack_sum(first_, K, out);
  left_ = full_B.transpose();
  products_.multiply<Real>(left_, gA_, second_);  // B^T gA
  out = pack_sum(second_, Q, out);
  *out = power_VW + rho.W_K * speed_K + rho.W_Q * speed_Q;
}

template <class Real>
void CoupledFlow<Real>::Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words,
                                    std::span<Real> out) const {
  const Vector<Real>& p = times_Gamma(x, held_part(gV));
  for (std::size_t i = 0; i < words.size(); ++i) {
    const Index at = place(words[i]);
    out[i] = at >= 0 ? p[at] : not_held;
  }
}

template <class Real>
PerMatrix<Real> CoupledFlow<Real>::power(State x, std::span<const Real> gV_values, std::span<const Real> gA) const {
  const Rates<Real>& rho = this->rates();
  const Vector<Real> gV = held_part(gV_values);
  const auto [speed_K, speed_Q] = score_products(x, gA);
  return {rho.W * rho.W * M() * gV.dot(times_Gamma(x, gV)), rho.W_V * rho.W_V * U(x) * gV.squaredNorm(),
          rho.W_K * rho.W_K * speed_K, rho.W_Q * rho.W_Q * speed_Q};
}

template <class Real>
std::array<Real, 3> CoupledFlow<Real>::law_drifts(State x) const {
  using std::sqrt;
  const std::vector<Real> then = initial_state();
  const auto full = [&](Index at, Index rows, Index columns, Real scale) {
    return Change<Real>(ConstMatrix(x.data() + at, rows, columns), ConstMatrix(then.data() + at, rows, columns), scale);
  };
  const auto symmetric_part = [&](Index at, Real scale) {
    Matrix<Real> now(n_, n_), before(n_, n_);
    unpack(x.data() + at, now);
    unpack(then.data() + at, before);
    return Change<Real>(now, before, scale);
  };
  const Rates<Real>& rho = this->rates();
  return {drift(full(n_, 1, 1, 1), full(0, n_, 1, sqrt(M())), symmetric_part(Gamma_, M()), rho.W, rho.W_V),
          drift(symmetric_part(S_K_, 1), full(B_, n_, n_, 1), symmetric_part(S_Q_, 1), rho.W_K, rho.W_Q), Real(0)};
}

}  // namespace

template <class Real>
std::unique_ptr<Flow<Real>> make_coupled_flow(const Task& task, const GramStart<Real>& start, Rates<Real> rates) {
  return std::make_unique<CoupledFlow<Real>>(task, start, rates);
}

template std::unique_ptr<Flow<double>> make_coupled_flow(const Task&, const GramStart<double>&, Rates<double>);
template std::unique_ptr<Flow<Quad>> make_coupled_flow(const Task&, const GramStart<Quad>&, Rates<Quad>);

}  // namespace gradflow
