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
    trace = scale * step.diagonal().sum();
    squares = scale * scale * step.cwiseProduct(now + then).sum();
    length = scale * step.norm();
    length_of_squares = length * scale * (now.norm() + then.norm());
  }
  Real trace, squares, length, length_of_squares;
};

/// Drift of C = X X^T / rate_x - Y Y^T / rate_y from the changes of X^T X, X^T Y and Y^T Y; a frozen term is a law by
/// itself.
template <class Real>
Real drift(const Change<Real>& X, const Change<Real>& XY, const Change<Real>& Y, Real rate_x, Real rate_y) {
  using std::abs;
  const auto ratio = [](const Real& change, const Real& moved) {
    return moved > 0 ? Real(abs(change) / moved) : Real(0);
  };
  if (!(rate_x > 0 && rate_y > 0))
    return ratio((rate_x > 0 ? Real(0) : X.length) + (rate_y > 0 ? Real(0) : Y.length), X.length + Y.length);
  const Real x = 1 / rate_x, y = 1 / rate_y;
  return std::max(ratio(x * X.trace - y * Y.trace, x * X.length + y * Y.length),
                  ratio(x * x * X.squares - 2 * x * y * XY.squares + y * y * Y.squares,
                        x * x * X.length_of_squares + 2 * x * y * XY.length_of_squares + y * y * Y.length_of_squares));
}

/// Throws unless the words held by the state can start from this.
void check(const GramStart<double>& start, Index words, const std::vector<Index>& held) {
  const auto fail = [](const std::string& what) { throw std::invalid_argument("start: " + what); };
  const auto require = [&](const char* name, const Matrix<double>& matrix, Index columns, bool square) {
    if (matrix.rows() != words || matrix.cols() != columns)
      fail(fmt::format("{} has shape [{}, {}], but must have [{}, {}]", name, matrix.rows(), matrix.cols(), words,
                       columns));
    const Matrix<double> part = columns == 1 ? Matrix<double>(matrix(held, 0)) : Matrix<double>(matrix(held, held));
    if (!part.allFinite()) fail(fmt::format("{} has entries that are not finite", name));
    if (!square) return;
    if (part.diagonal().minCoeff() < 0)
      fail(fmt::format("{} has the negative entry {} on its diagonal, where squared lengths stand", name,
                       part.diagonal().minCoeff()));
    // Room for the rounding of whoever computed it.
    if ((part - part.transpose()).cwiseAbs().maxCoeff() > 1e-10 * part.diagonal().maxCoeff())
      fail(fmt::format("{} is not symmetric", name));
  };
  if (start.width < 1 || start.hidden < 1)
    fail(fmt::format("width and hidden must be at least 1, but are {} and {}", start.width, start.hidden));
  if (!(start.U >= 0) || !std::isfinite(start.U))
    fail(fmt::format("U must be finite and not negative, but is {}", start.U));
  require("G", start.G, 1, false);
  require("B", start.B, words, false);
  require("Gamma", start.Gamma, words, true);
  require("S_K", start.S_K, words, true);
  require("S_Q", start.S_Q, words, true);
}

/// Words in the state, ascending: those that move, those that the standard events read, and those asked for.
std::vector<Index> words_held(const Task& task, std::span<const Index> also) {
  const TaskData& data = task.data();
  std::vector<Index> held(task.used_words().begin(), task.used_words().end());
  held.insert(held.end(), data.targets.begin(), data.targets.end());
  if (data.common) held.push_back(*data.common);
  for (const Index word : also) {
    if (word < 0 || word >= task.words())
      throw std::invalid_argument(
          fmt::format("coupled flow: word {} lies outside the vocabulary of {} words", word + 1, task.words()));
    held.push_back(word);
  }
  std::sort(held.begin(), held.end());
  held.erase(std::unique(held.begin(), held.end()), held.end());
  return held;
}

std::vector<Index> places(Index words, const std::vector<Index>& held) {
  std::vector<Index> place(to_size(words), -1);
  for (Index i = 0; i < std::ssize(held); ++i) place[to_size(held[to_size(i)])] = i;
  return place;
}

template <class Real>
class CoupledFlow final : public Flow<Real> {
 public:
  using typename Flow<Real>::State;

  CoupledFlow(const Task& task, const GramStart<Real>& start, Rates<Real> rates, std::span<const Index> also);

  Index width() const override { return start_.width; }
  Index hidden() const override { return start_.hidden; }

  std::vector<solvers::Block> blocks() const override;
  void derivative(Real t, State x, std::span<Real> dx) const override;
  std::vector<Real> initial_state() const override;

  void values(State x, std::span<Real> G) const override;
  void scores(State x, std::span<Real> A) const override;
  Real U(State x) const override { return x[to_size(n_)]; }
  Real Gamma(State x, Index k, Index l) const override { return symmetric(x, Gamma_, start_.Gamma, k, l); }
  Real B(State x, Index k, Index q) const override {
    const Index i = place(k), j = place(q);
    return i >= 0 && j >= 0 ? x[to_size(B_ + j * n_ + i)] : not_held(start_.B, k, q);
  }
  Real S_K(State x, Index k, Index l) const override { return symmetric(x, S_K_, start_.S_K, k, l); }
  Real S_Q(State x, Index k, Index l) const override { return symmetric(x, S_Q_, start_.S_Q, k, l); }
  Real trace_Gamma(State x) const override { return trace(x, Gamma_, start_.Gamma); }
  Real trace_S_K(State x) const override { return trace(x, S_K_, start_.S_K); }
  Real trace_S_Q(State x) const override { return trace(x, S_Q_, start_.S_Q); }
  void Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words, std::span<Real> out) const override;
  PerMatrix<Real> power(State x, std::span<const Real> gV, std::span<const Real> gA) const override;
  Weights<Real> weights(State) const override {
    throw std::logic_error("the coupled flow has inner products of the weights, but no weights");
  }
  std::array<Real, 3> law_drifts(State x) const override;

 private:
  using ConstVector = Eigen::Map<const Vector<Real>>;
  using ConstMatrix = Eigen::Map<const Matrix<Real>>;

  Real M() const { return Real(start_.hidden); }
  Index place(Index word) const { return place_[to_size(word)]; }
  /// Words that the state does not hold never move.
  Real not_held(const Matrix<Real>& start, Index k, Index l) const {
    return moves_[to_size(k)] || moves_[to_size(l)] ? std::numeric_limits<Real>::quiet_NaN() : start(k, l);
  }
  Real symmetric(State x, Index at, const Matrix<Real>& start, Index k, Index l) const {
    const Index i = place(k), j = place(l);
    return i >= 0 && j >= 0 ? x[to_size(at + in_triangle(n_, i, j))] : not_held(start, k, l);
  }
  Real trace(State x, Index at, const Matrix<Real>& start) const {
    Real sum = 0;
    for (Index k = 0; k < start.cols(); ++k) sum += symmetric(x, at, start, k, k);
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
  std::vector<Index> held_, place_;  // words in the state, ascending; where each of the d words stands there, or -1
  std::vector<bool> moves_;          // [d] its columns do
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
CoupledFlow<Real>::CoupledFlow(const Task& task, const GramStart<Real>& start, Rates<Real> rates,
                               std::span<const Index> also)
    : Flow<Real>(task, rates),
      start_(start),
      held_(words_held(task, also)),
      place_(places(task.words(), held_)),
      moves_(to_size(task.words()), false),
      products_(this->model().pairs(), place_),
      n_(std::ssize(held_)),
      Gamma_(n_ + 1),
      B_(Gamma_ + triangle(n_)),
      S_K_(B_ + n_ * n_),
      S_Q_(S_K_ + triangle(n_)),
      size_(S_Q_ + triangle(n_) + 1),
      left_(n_, n_) {
  for (const Real& rate : {rates.W, rates.W_V, rates.W_K, rates.W_Q})
    if (!(rate >= 0))
      throw std::invalid_argument(
          fmt::format("flow: a matrix's rate must be >= 0 (0 freezes it), but one is {}", static_cast<double>(rate)));
  check(start_.template cast<double>(), task.words(), held_);
  for (const Index word : task.used_words()) moves_[to_size(word)] = true;
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
  Eigen::Map<Vector<Real>>(x.data(), n_) = start_.G(held_);
  x[to_size(n_)] = start_.U;
  pack_sum<Real>(start_.Gamma(held_, held_), Real(0.5), x.data() + Gamma_);
  Eigen::Map<Matrix<Real>>(x.data() + B_, n_, n_) = start_.B(held_, held_);
  pack_sum<Real>(start_.S_K(held_, held_), Real(0.5), x.data() + S_K_);
  pack_sum<Real>(start_.S_Q(held_, held_), Real(0.5), x.data() + S_Q_);
  return x;
}

template <class Real>
void CoupledFlow<Real>::values(State x, std::span<Real> G) const {
  std::fill(G.begin(), G.end(), std::numeric_limits<Real>::quiet_NaN());
  for (std::size_t i = 0; i < held_.size(); ++i) G[to_size(held_[i])] = x[i];
}

template <class Real>
void CoupledFlow<Real>::scores(State x, std::span<Real> A) const {
  const Real scale = inverse_root_width();
  products_.gather(ConstMatrix(x.data() + B_, n_, n_), A);
  for (Real& score : A) score *= scale;
}

template <class Real>
Vector<Real> CoupledFlow<Real>::held_part(std::span<const Real> values) const {
  return ConstVector(values.data(), std::ssize(values))(held_);
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
  values(x, values_);
  scores(x, scores_);
  this->model().forward(values_, scores_, forward_);
  this->model().coefficients(values_, forward_, gV_, gA_);

  const Vector<Real> gV = held_part(gV_), G = held_part(values_);
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
    out[i] = at >= 0 ? p[at] : std::numeric_limits<Real>::quiet_NaN();
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
std::unique_ptr<Flow<Real>> make_coupled_flow(const Task& task, const GramStart<Real>& start, Rates<Real> rates,
                                              std::span<const Index> also) {
  return std::make_unique<CoupledFlow<Real>>(task, start, rates, also);
}

template std::unique_ptr<Flow<double>> make_coupled_flow(const Task&, const GramStart<double>&, Rates<double>,
                                                         std::span<const Index>);
template std::unique_ptr<Flow<Quad>> make_coupled_flow(const Task&, const GramStart<Quad>&, Rates<Quad>,
                                                       std::span<const Index>);

}  // namespace gradflow
