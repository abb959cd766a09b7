#include "flows/tiled_gradient.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <solvers/combine.hpp>

#include "flows/pair_products.hpp"
#include "lanes.hpp"
#include "scalars.hpp"
#include "taylor.hpp"

namespace gradflow {
namespace {

std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

template <class Real>
Real size_of(const Real& x) {
  return x < 0 ? Real(-x) : x;
}

}  // namespace

template <class Real>
TiledGradient<Real>::TiledGradient(const Model<Real>& model, std::span<const Index> words, Index rows_V, Index rows_KQ)
    : model_(model),
      layout_(model.task(), model.pairs(), words),
      columns_(std::ssize(words)),
      rows_V_(rows_V),
      rows_KQ_(rows_KQ),
      all_(to_size(model.task().samples())) {
  const Task& task = model.task();
  std::iota(all_.begin(), all_.end(), Index{0});
  const Index words_shared = layout_.shared(), pairs_shared = std::ssize(layout_.partners);
  const Index rows = std::max<Index>(rows_V + 2 * rows_KQ, 1);
  chunks_.resize(to_size(std::min(layout_.chunks(words_shared + pairs_shared / rows), task.samples())));
  const Index padded_V = lanes::padded(rows_V), padded_KQ = lanes::padded(rows_KQ);
  for (Chunk& chunk : chunks_) {
    chunk.p.resize(padded_V);
    chunk.gV.resize(words_shared);
    chunk.gA.resize(layout_.partners.size());
    chunk.dK.resize(padded_KQ, layout_.all_own > 0 ? words_shared : 0);
    chunk.dQ.resize(padded_KQ, layout_.all_own > 0 ? words_shared : 0);
  }
  V_.setZero(padded_V, words_shared);
  K_.setZero(padded_KQ, words_shared);
  Q_.setZero(padded_KQ, words_shared);
  u_.setZero(padded_V);
  G_.resize(words_shared);
  A_.resize(layout_.partners.size());
  gA_mirrored_.resize(layout_.partners.size());
  for (const Index partner : layout_.partners) {
    partner_K_.push_back(K_.col(partner).data());
    partner_Q_.push_back(Q_.col(partner).data());
  }
  const std::size_t longest = to_size(layout_.longest);
  tiles_.push_back({.V = Matrix<Real>::Zero(padded_V, layout_.most_own),
                    .K = Matrix<Real>::Zero(padded_KQ, layout_.most_own),
                    .Q = Matrix<Real>::Zero(padded_KQ, layout_.most_own),
                    .columns_V = std::vector<const Real*>(longest),
                    .columns_K = std::vector<const Real*>(longest),
                    .columns_Q = std::vector<const Real*>(longest),
                    .out = std::vector<Real*>(longest),
                    .G = std::vector<Real>(longest),
                    .h = std::vector<Real>(longest),
                    .P = std::vector<Real>(longest * longest),
                    .gV = std::vector<Real>(longest)});
  use(std::make_shared<solvers::Workers>());
}

template <class Real>
void TiledGradient<Real>::use(std::shared_ptr<solvers::Workers> workers) {
  workers_ = std::move(workers);
  tiles_.resize(static_cast<std::size_t>(workers_->threads()), Tile(tiles_.front()));
}

/// Numbers of the stage's point, and their copy in the state where that is wanted. They stand in `out`, or in the state
/// itself if that is the point and pads its columns, which have so many rows.
template <class Real>
const Real* TiledGradient<Real>::form(const Request& request, Index begin, Index rows, Index size, Real* out) const {
  const std::size_t at = to_size(begin), count = to_size(size);
  if (request.at.c.empty() && !request.y && rows % lanes::stride == 0) return request.at.x.data() + at;
  solvers::combine<Real>(request.at.x.subspan(at, count), request.at.c, request.at.k, {out, count}, at);
  if (request.y) std::copy_n(out, size, request.y + at);
  return out;
}

/// W_V' = u gV^T: a column and a row of a term say all of it, so that the terms, which fill most of a stage's memory
/// traffic, need not be read whole.
template <class Real>
void TiledGradient<Real>::find_factors(const Request& request) const {
  factors_.clear();
  if (!request.at.unmixed || request.at.c.size() > most_terms) return;
  const auto largest = [](Index count, auto entry) {
    Index at = 0;
    for (Index i = 1; i < count; ++i)
      if (size_of<Real>(entry(i)) > size_of<Real>(entry(at))) at = i;
    return at;
  };
  const Index row = largest(rows_V_, [&](Index i) { return request.u[i]; });  // any will do where u_j is not small
  for (std::size_t j = 0; j < request.at.c.size(); ++j) {
    const Eigen::Map<const Matrix<Real>> term(request.at.k[j] + request.begin.V, rows_V_, columns_);
    const Index column = largest(columns_, [&](Index i) { return term(row, i); });
    const Real pivot = term(row, column);
    // Division by so little would lose digits; so would a row of zeros.
    if (!(size_of(pivot) > std::numeric_limits<Real>::min() / std::numeric_limits<Real>::epsilon()))
      return factors_.clear();
    const Vector<Real> u = (request.at.c[j] / pivot) * term.col(column);
    factors_.push_back({u, request.u.dot(u), request.at.k[j] + request.begin.V + row});
  }
}

/// As `form`, by the factors.
template <class Real>
const Real* TiledGradient<Real>::form_V(const Request& request, Index column, Real* out) const {
  const Index begin = request.begin.V + column * rows_V_;
  if (factors_.empty()) return form(request, begin, rows_V_, rows_V_, out);
  const std::size_t at = to_size(begin), size = to_size(rows_V_), terms = factors_.size();
  std::array<Real, most_terms> c;
  std::array<const Real*, most_terms> k;
  for (std::size_t j = 0; j < terms; ++j) {
    c[j] = factors_[j].of(column, rows_V_);
    k[j] = factors_[j].u.data();
  }
  solvers::combine<Real>(request.at.x.subspan(at, size), {c.data(), terms}, {k.data(), terms}, {out, size});
  if (request.y) std::copy_n(out, size, request.y + at);
  return out;
}

/// The column before the factors are added to it, for who can add their products instead.
template <class Real>
const Real* TiledGradient<Real>::start_V(const Request& request, Index column, Real* out) const {
  const Real* const from = request.at.x.data() + request.begin.V + column * rows_V_;
  return rows_V_ % lanes::stride == 0 ? from : std::copy_n(from, rows_V_, out) - rows_V_;
}

template <class Real>
void TiledGradient<Real>::form_shared(const Request& request, Index word) const {
  const Index column = layout_.shared_columns[to_size(word)];
  const auto keep = [](const Real* from, auto&& to) {
    if (from != to.data()) to = Eigen::Map<const Vector<Real>>(from, to.size());
  };
  keep(form_V(request, column, V_.col(word).data()), V_.col(word));
  const auto form_KQ = [&](Index begin, Matrix<Real>& to) {
    keep(form(request, begin + column * rows_KQ_, rows_KQ_, rows_KQ_, to.col(word).data()), to.col(word));
  };
  form_KQ(request.begin.K, K_);
  form_KQ(request.begin.Q, Q_);
  const Real *const u = u_.data(), *const v = V_.col(word).data();
  lanes::dots<Real>(&u, 0, 1, &v, 0, 1, u_.size(), Real(1), &G_[word], 1);
}

template <class Real>
void TiledGradient<Real>::score_shared(const Request& request, Index word) const {
  const Index from = layout_.begins[to_size(word)], to = layout_.begins[to_size(word + 1)];
  const Real* const query = Q_.col(word).data();
  lanes::dots<Real>(&query, 0, 1, partner_K_.data() + from, 0, to - from, K_.rows(), request.root, A_.data() + from, 1);
}

template <class Real>
void TiledGradient<Real>::add_sample(const Request& request, Index i, Real weight, bool add, Tile& tile,
                                     Chunk& chunk) const {
  const WordLayout::Sample& sample = layout_.samples[to_size(i)];
  const Index l = std::ssize(sample.columns), own = sample.own, shared = l - own;
  const std::span<Real> G(tile.G.data(), to_size(l)), h(tile.h.data(), G.size()), P(tile.P.data(), G.size() * G.size()),
      gV(tile.gV.data(), G.size());
  const Real **const V = tile.columns_V.data(), **const K = tile.columns_K.data(), **const Q = tile.columns_Q.data();
  Real** const out = tile.out.data();
  const Real* const u = u_.data();
  // Matrix by matrix: the columns of a sample's own words mostly stand side by side, and memory is read ahead.
  const auto own_columns = [&](auto one) {
    for (Index a = 0; a < own; ++a) one(a, sample.columns[to_size(a)]);
  };
  const std::span<const Factor> apart = request.y ? std::span<const Factor>() : factors_;  // of V
  own_columns([&](Index a, Index column) {
    Real* const room = tile.V.col(a).data();
    V[a] = apart.empty() ? form_V(request, column, room) : start_V(request, column, room);
  });
  const auto form_KQ = [&](Index begin, Matrix<Real>& columns, const Real** at) {
    for (Index a = 0, next; a < own; a = next) {
      const Index first = sample.columns[to_size(a)];
      next = a + 1;  // neighbours together, where they stand in the tile as in the state
      while (columns.rows() == rows_KQ_ && next < own && sample.columns[to_size(next)] == first + next - a) ++next;
      at[a] = form(request, begin + first * rows_KQ_, rows_KQ_, (next - a) * rows_KQ_, columns.col(a).data());
      for (Index b = a + 1; b < next; ++b) at[b] = at[b - 1] + rows_KQ_;
    }
  };
  form_KQ(request.begin.K, tile.K, K);
  form_KQ(request.begin.Q, tile.Q, Q);
  for (Index a = own; a < l; ++a) {
    const Index word = sample.shared[to_size(a - own)];
    G[to_size(a)] = G_[word];
    K[a] = K_.col(word).data();
    Q[a] = Q_.col(word).data();
  }
  lanes::dots<Real>(&u, 0, 1, V, 0, own, u_.size(), Real(1), G.data(), 1);
  for (const Factor& factor : apart)
    own_columns([&](Index a, Index column) { G[to_size(a)] += factor.along_u * factor.of(column, rows_V_); });
  lanes::dots<Real>(Q, 0, own, K, 0, l, K_.rows(), request.root, P.data(), l);
  lanes::dots<Real>(Q, own, l, K, 0, own, K_.rows(), request.root, P.data(), l);
  for (Index q = 0; q < shared; ++q)
    for (Index k = 0; k < shared; ++k)
      P[to_size((own + q) * l + own + k)] = A_[to_size(sample.pairs[to_size(q * shared + k)])];

  const Real y = Real(model_.task().label(i)), F = attend<Real>(sample.counts, G, P, h);
  coefficients<Real>(weight * y * residual<Real>(y * F), sample.counts, G, h, P, gV);

  const auto derivatives_of_own = [&](Index begin, Index rows) {
    own_columns([&](Index a, Index column) { out[a] = request.dx + begin + column * rows; });
  };
  lanes::sums<Real>({gV.data(), 0, 1}, 1, own, V, u_.size(), Real(1), lanes::Rows<Real>{chunk.p.data(), 0}, true);
  for (std::size_t j = 0; j < apart.size(); ++j)
    own_columns(
        [&](Index a, Index column) { chunk.gV_of_factors[j] += gV[to_size(a)] * apart[j].of(column, rows_V_); });
  derivatives_of_own(request.begin.V, rows_V_);
  lanes::sums<Real>({gV.data(), 1, 0}, own, 1, &u, rows_V_, request.scale.V, out, add);
  for (Index a = 0; a < own; ++a) chunk.V += gV[to_size(a)] * gV[to_size(a)];
  for (Index a = own; a < l; ++a) chunk.gV[sample.shared[to_size(a - own)]] += gV[to_size(a)];
  for (Index q = 0; q < shared; ++q)
    for (Index k = 0; k < shared; ++k)
      chunk.gA[to_size(sample.pairs[to_size(q * shared + k)])] += P[to_size((own + q) * l + own + k)];

  // dK_k = sum_q gA(k, q) Q_q and dQ_q = sum_k gA(k, q) K_k; gA stands query-major.
  const auto products = [&](const lanes::Factors<Real>& factors, const Real* const* terms, Index begin,
                            const Real& scale, lanes::Squares<Real>& squares, Matrix<Real>& of_shared) {
    derivatives_of_own(begin, rows_KQ_);
    lanes::sums<Real>(factors, own, l, terms, rows_KQ_, scale, out, add, &squares);
    if (own == 0) return;
    for (Index a = 0; a < shared; ++a) out[a] = of_shared.col(sample.shared[to_size(a)]).data();
    lanes::sums<Real>(factors.from(own), shared, own, terms, K_.rows(), Real(1), out, true);
  };
  products({P.data(), 1, l}, Q, request.begin.K, request.scale.K, chunk.K, chunk.dK);
  products({P.data(), l, 1}, K, request.begin.Q, request.scale.Q, chunk.Q, chunk.dQ);
}

template <class Real>
void TiledGradient<Real>::finish_shared(const Request& request, Index word, Chunk& total) const {
  const Index from = layout_.begins[to_size(word)], to = layout_.begins[to_size(word + 1)],
              column = layout_.shared_columns[to_size(word)];
  Eigen::Map<Vector<Real>>(request.dx + request.begin.V + column * rows_V_, rows_V_) =
      (request.scale.V * total.gV[word]) * request.u;
  const auto products = [&](const Real* g, const Real* const* terms, Index begin, const Real& scale,
                            const Matrix<Real>& sum) {
    Real* const out = request.dx + begin + column * rows_KQ_;
    lanes::sums<Real>({g + from, 0, 1}, 1, to - from, terms + from, rows_KQ_, scale, lanes::Rows<Real>{out, 0}, false);
    if (sum.cols() > 0) Eigen::Map<Vector<Real>>(out, rows_KQ_) += scale * sum.col(word).head(rows_KQ_);
  };
  products(gA_mirrored_.data(), partner_Q_.data(), request.begin.K, request.scale.K, total.dK);
  products(total.gA.data(), partner_K_.data(), request.begin.Q, request.scale.Q, total.dQ);
}

template <class Real>
auto TiledGradient<Real>::run(const Request& request, std::span<const Index> samples, bool batch) const -> Sums {
  const Index words = layout_.shared(), chunks = std::ssize(chunks_), n = std::ssize(samples);
  u_.head(rows_V_) = request.u;
  find_factors(request);
  // A word costs little: several at a time.
  const auto for_each_word = [&](auto work) {
    constexpr Index block = 16;
    workers_->for_each((words + block - 1) / block, [&](Index item, int) {
      for (Index word = item * block; word < std::min(words, (item + 1) * block); ++word) work(word);
    });
  };
  for_each_word([&](Index word) { form_shared(request, word); });
  for_each_word([&](Index word) { score_shared(request, word); });
  if (batch) {  // words of other samples stand still
    const auto clear = [&](Index begin, Index rows) { std::fill_n(request.dx + begin, rows * columns_, Real(0)); };
    clear(request.begin.V, rows_V_);
    clear(request.begin.K, rows_KQ_);
    clear(request.begin.Q, rows_KQ_);
  }
  workers_->for_each(chunks, [&](Index item, int thread) {
    Chunk& chunk = chunks_[to_size(item)];
    chunk.p.setZero();
    chunk.gV.setZero();
    chunk.gV_of_factors.fill(Real(0));
    std::fill(chunk.gA.begin(), chunk.gA.end(), Real(0));
    chunk.dK.setZero();
    chunk.dQ.setZero();
    chunk.V = 0;
    chunk.K = {};
    chunk.Q = {};
    for (Index j = item * n / chunks; j < (item + 1) * n / chunks; ++j)
      add_sample(request, samples[to_size(j)], 1 / Real(n), batch, tiles_[static_cast<std::size_t>(thread)], chunk);
  });
  Chunk& total = chunks_.front();
  Real squares_K = lanes::total<Real>(total.K), squares_Q = lanes::total<Real>(total.Q);
  for (Index item = 1; item < chunks; ++item) {
    const Chunk& chunk = chunks_[to_size(item)];
    total.p += chunk.p;
    total.gV += chunk.gV;
    for (std::size_t j = 0; j < most_terms; ++j) total.gV_of_factors[j] += chunk.gV_of_factors[j];
    for (std::size_t pair = 0; pair < total.gA.size(); ++pair) total.gA[pair] += chunk.gA[pair];
    total.dK += chunk.dK;
    total.dQ += chunk.dQ;
    total.V += chunk.V;
    squares_K += lanes::total<Real>(chunk.K);
    squares_Q += lanes::total<Real>(chunk.Q);
  }
  for (std::size_t pair = 0; pair < total.gA.size(); ++pair)
    gA_mirrored_[pair] = total.gA[to_size(layout_.mirror[pair])];
  for_each_word([&](Index word) { finish_shared(request, word, total); });

  Sums sums{.p = total.p.head(rows_V_) + V_.topRows(rows_V_) * total.gV,
            .V = total.V + total.gV.squaredNorm(),
            .K = squares_K,
            .Q = squares_Q};
  for (std::size_t j = 0; j < factors_.size(); ++j) sums.p += total.gV_of_factors[j] * factors_[j].u;
  const auto squares = [&](Index begin, const Real& scale) -> Real {
    Real sum = 0;
    if (!(scale > 0)) return sum;
    for (const Index column : layout_.shared_columns)
      sum += Eigen::Map<const Vector<Real>>(request.dx + begin + column * rows_KQ_, rows_KQ_).squaredNorm();
    return sum / (scale * scale);
  };
  sums.K += squares(request.begin.K, request.scale.K);
  sums.Q += squares(request.begin.Q, request.scale.Q);
  return sums;
}

template class TiledGradient<double>;
template class TiledGradient<Quad>;
template class TiledGradient<Taylor<double, 1>>;
template class TiledGradient<Taylor<double, 2>>;

}  // namespace gradflow
