// How a frozen basis forms states, and the end of a step with its error.
#include <algorithm>
#include <cmath>
#include <limits>
#include <solvers/combine.hpp>
#include <solvers/error_norm.hpp>

#include "flows/frozen_basis.hpp"
#include "lanes.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace gradflow {
namespace {

using In = lanes::Rows<const double>;
using Out = lanes::Rows<double>;

std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

/// A copy past the caches: what is written is not read again before all else has been.
void stream(const double* from, Index n, double* to) {
  Index i = 0;
#ifdef __SSE2__
  if (reinterpret_cast<std::uintptr_t>(to) % sizeof(__m128d) == 0)
    for (; i + 2 <= n; i += 2) _mm_stream_pd(to + i, _mm_load_pd(from + i));
#endif
  std::copy(from + i, from + n, to + i);
}

/// Makes them visible to other threads.
void finish_streams() {
#ifdef __SSE2__
  _mm_sfence();
#endif
}

/// The upper triangular R of vectors = Q R, with orthonormal Q: by its columns all linear combinations can be measured
/// without cancellation, however near to each other the vectors lie. Gram-Schmidt, twice. [padded, n] -> [n, n]
Matrix<double> triangular_root(const Matrix<double>& vectors) {
  const Index n = vectors.cols();
  Matrix<double> Q = Matrix<double>::Zero(vectors.rows(), n), R = Matrix<double>::Zero(n, n);
  std::vector<const double*> columns;
  std::vector<double> along(to_size(n));
  for (Index j = 0; j < n; ++j) {
    Q.col(j) = vectors.col(j);
    const double* const q = Q.col(j).data();
    const double length = Q.col(j).norm();
    for (int round = 0; round < 2; ++round) {
      lanes::dots<double>(&q, 0, 1, columns.data(), 0, j, Q.rows(), 1.0, along.data(), n);
      lanes::sums<double>({along.data(), 0, 1}, 1, j, columns.data(), Q.rows(), -1.0, Out{Q.col(j).data(), 0}, true);
      for (Index i = 0; i < j; ++i) R(i, j) += along[to_size(i)];
    }
    const double rest = Q.col(j).norm();
    const bool new_direction = rest > 4 * std::numeric_limits<double>::epsilon() * length;
    R(j, j) = new_direction ? rest : 0;
    Q.col(j) *= new_direction ? 1 / rest : 0.0;
    columns.push_back(q);
  }
  return R;
}

}  // namespace

/// out = x + sum, or the sum alone, in a sample's own columns; leaves in tile.Z the coordinates of the sum alone.
void FrozenBasis::form_own(Index i, bool stand_on_x, const Sum& sum, std::span<double> out, Tile& tile) const {
  const Sample& sample = this->sample(i);
  const Place& at = place(i);
  const Index own = at.own;
  const std::size_t stages = sum.stages.empty() ? 0 : sum.stages.back() + 1;
  coordinates(i, stages, false, sum, tile.Z);
  tile.basis.assign(tile.B.begin(), tile.B.begin() + 2 * own);
  for (Index h = 0; h < at.directions(stages) - 2 * own; ++h)
    tile.basis.push_back(H_.col(sets_[at.set].in_all[to_size(h)]).data());
  // Column by column into the state, which is written faster that way than in as many places at once.
  lanes::sums<double>({tile.Z.data(), 1, at.padded}, at.padded, at.directions(stages), tile.basis.data(), padded_KQ_,
                      1.0, Out{tile.formed.data(), tile.formed.rows()}, false);
  for (Index kind = 0; kind < 2; ++kind)
    for (Index a = 0; a < own; ++a) {
      const Index rows = flow_.rows_KQ;
      auto formed = tile.formed.col(kind * at.queries + a);
      if (stand_on_x) formed += Eigen::Map<const Vector<double>>(tile.B[to_size(kind * own + a)], padded_KQ_);
      stream(formed.data(), rows,
             out.data() + (kind == 0 ? flow_.begin_K : flow_.begin_Q) + sample.columns[to_size(a)] * rows);
    }
  std::array<double, most_stages> c;
  std::array<const double*, most_stages> k;
  for (Index a = 0; a < own; ++a) {
    for (std::size_t j = 0; j < sum.c.size(); ++j) {
      c[j] = sum.c[j] * numbers(at.gV[sum.stages[j]])[a];
      k[j] = u_.col(static_cast<Index>(sum.stages[j])).data();
    }
    double* const formed = tile.formed_V.col(a).data();
    const std::size_t size = to_size(padded_V_);
    solvers::combine<double>(stand_on_x ? std::span(tile.values[to_size(a)], size) : std::span<const double>(),
                             {c.data(), sum.c.size()}, {k.data(), sum.c.size()}, {formed, size});
    stream(formed, flow_.rows_V, out.data() + flow_.begin_V + sample.columns[to_size(a)] * flow_.rows_V);
  }
  finish_streams();
}

/// sum_j c[j] k_{stages[j]} in a shared word's column.
Vector<double> FrozenBasis::shared_sum(Matrices which, Index word, std::span<const std::size_t> stages,
                                       std::span<const double> c) const {
  Vector<double> vector = Vector<double>::Zero(rows(which));
  for (std::size_t j = 0; j < c.size(); ++j) {
    const Stage& of = of_stage_[stages[j]];
    if (which == V)
      vector += (c[j] * of.gV[word]) * u_.col(static_cast<Index>(stages[j])).head(vector.size());
    else
      vector += c[j] * (which == K ? of.dK : of.dQ).col(word).head(vector.size());
  }
  return vector;
}

/// x + sum, or the sum alone, in the shared words' columns, the head and the power.
void FrozenBasis::form_shared(bool stand_on_x, const Sum& sum, std::span<double> out) const {
  for (const Matrices which : {V, K, Q})
    for (Index word = 0; word < shared(); ++word) {
      Vector<double> vector = shared_sum(which, word, sum.stages, sum.c);
      const Index begin = begin_shared(which, word);
      if (stand_on_x) vector += Eigen::Map<const Vector<double>>(x_.data() + begin, vector.size());
      std::copy(vector.begin(), vector.end(), out.data() + begin);
    }
  Vector<double> p = Vector<double>::Zero(flow_.rows_V);
  double power = stand_on_x ? x_.back() : 0;
  for (std::size_t j = 0; j < sum.c.size(); ++j) {
    p += sum.c[j] * of_stage_[sum.stages[j]].p;
    power += sum.c[j] * of_stage_[sum.stages[j]].power;
  }
  flow_.head_derivative(p, out);
  if (stand_on_x)
    for (std::size_t k = 0; k < to_size(flow_.begin_V); ++k) out[k] += x_[k];
  out.back() = power;
}

void FrozenBasis::form(bool stand_on_x, const Sum& sum, std::span<double> out) const {
  for_each_sample([&](Index i, Tile& tile, std::size_t) {
    load(i, x_, tile);
    form_own(i, stand_on_x, sum, out, tile);
  });
  form_shared(stand_on_x, sum, out);
}

/// Square roots of the Gram matrices of H and u.
void FrozenBasis::factorise(std::size_t stages) {
  const auto count = static_cast<Index>(stages);
  root_H_ = triangular_root(H_.leftCols(2 * shared() * count));
  root_u_ = triangular_root(u_.leftCols(count));
  for (Set& set : sets_)
    for (Index h = 0; h < 2 * std::ssize(set.shared) * count; ++h)
      set.root.col(h).head(root_H_.rows()) = root_H_.col(set.in_all[to_size(h)]);
}

/// The lengths of a sum in a sample's own columns: [3 own] of K, of Q and of V. Overwrites tile.Z, T and product.
void FrozenBasis::lengths(Index i, std::size_t stages, const Sum& sum, Tile& tile, std::vector<double>& out) const {
  const Place& at = place(i);
  const Set& set = sets_[at.set];
  const Index own = 2 * at.own, H = at.directions(stages) - own, ld = at.padded, all = at.directions(to_size(stages_)),
              rows = root_H_.rows();
  coordinates(i, stages, false, sum, tile.Z);
  double *const Z = tile.Z.data(), *const T = tile.T.data(), *const Y = tile.product.data();
  lanes::sums<double>({numbers(at.gram_B), all, 1}, own, own, In{Z, ld}, ld, 1.0, Out{T, ld}, false);
  lanes::sums<double>({numbers(at.gram_B) + own, all, 1}, own, H, In{Z + own * ld, ld}, ld, 2.0, Out{T, ld}, true);
  lanes::sums<double>({set.root.data(), set.root.cols(), 1}, rows, H, In{Z + own * ld, ld}, ld, 1.0, Out{Y, ld}, false);
  using Numbers = Eigen::Map<Eigen::ArrayXd>;
  Numbers square(T, ld);  // of the first row of T, where the lengths go
  square *= Numbers(Z, ld);
  for (Index t = 1; t < own; ++t) square += Numbers(Z + t * ld, ld) * Numbers(T + t * ld, ld);
  for (Index r = 0; r < rows; ++r) square += Numbers(Y + r * ld, ld).square();
  // Rounding may leave less than nothing; a NaN stays.
  square = (square < 0).select(0.0, square).sqrt();
  out.resize(to_size(3 * at.own));
  std::copy_n(T, at.own, out.begin());
  std::copy_n(T + at.queries, at.own, out.begin() + at.own);
  Vector<double> along(root_u_.rows());
  for (Index a = 0; a < at.own; ++a) {
    along.setZero();
    for (std::size_t j = 0; j < sum.c.size(); ++j)
      along += (sum.c[j] * numbers(at.gV[sum.stages[j]])[a]) * root_u_.col(static_cast<Index>(sum.stages[j]));
    out[to_size(own + a)] = along.norm();
  }
}

/// The largest error among a sample's own columns.
double FrozenBasis::own_error(Index i, std::size_t stage, const Error& error, const Norm& norm, const FrozenBasis& next,
                              Tile& tile) const {
  const Place& at = place(i);
  const Index own = at.own, ld = at.directions(to_size(stages_));
  lengths(i, stage + 1, error.sum, tile, tile.first);
  if (!error.lower.empty()) lengths(i, stage + 1, {error.sum.stages, error.lower}, tile, tile.lower);
  const auto square = [&](const FrozenBasis& of, Index row) {
    return row < 2 * own ? of.numbers(at.gram_B)[row * ld + row] : of.numbers(at.squares_V)[row - 2 * own];
  };
  double largest = 0;
  for (Index row = 0; row < 3 * own; ++row) {
    const std::size_t block = row < own ? 2 : row < 2 * own ? 3 : 1, r = to_size(row);
    const double weight = error.lower.empty() ? 1 : Norm::weight(tile.first[r], tile.lower[r]);
    largest = Norm::larger(norm.of_vector(norm.blocks()[block], weight * tile.first[r], std::sqrt(square(*this, row)),
                                          std::sqrt(square(next, row))),
                           largest);
  }
  return largest;
}

/// The same among the shared words' columns and the head's vectors; NaN where the power is none.
double FrozenBasis::shared_error(const Error& error, const Norm& norm, std::span<const double> y) const {
  double largest = 0;
  // The vector that begins at `begin` in the state, and its errors.
  const auto measure = [&](const solvers::Block& block, Index begin, const Vector<double>& first,
                           const Vector<double>& lower) {
    const double weight = error.lower.empty() ? 1 : Norm::weight(first.norm(), lower.norm());
    const Eigen::Map<const Vector<double>> before(x_.data() + begin, first.size()),
        after(y.data() + begin, first.size());
    largest = Norm::larger(norm.of_vector(block, weight * first.norm(), before.norm(), after.norm()), largest);
  };
  for (const Matrices which : {V, K, Q})
    for (Index word = 0; word < shared(); ++word)
      measure(norm.blocks()[1 + which], begin_shared(which, word),
              shared_sum(which, word, error.sum.stages, error.sum.c),
              shared_sum(which, word, error.sum.stages, error.lower));

  const auto head = [&](std::span<const double> c) {
    Vector<double> p = Vector<double>::Zero(flow_.rows_V), vector = Vector<double>::Zero(flow_.begin_V);
    for (std::size_t j = 0; j < c.size(); ++j) p += c[j] * of_stage_[error.sum.stages[j]].p;
    flow_.head_derivative(p, {vector.data(), to_size(vector.size())});
    return vector;
  };
  const solvers::Block& block = norm.blocks().front();
  const Index size = block.vector_length();
  const Vector<double> first = head(error.sum.c), lower = head(error.lower);
  for (Index begin = 0; begin < first.size(); begin += size)
    measure(block, begin, first.segment(begin, size), lower.segment(begin, size));
  return std::isfinite(y.back()) && std::isfinite(of_stage_[error.sum.stages.back()].power) ? largest : NAN;
}

double FrozenBasis::finish(std::size_t stage, double, double scale, const Sum& sum, const Error& error,
                           const Norm& norm, std::span<double> y, FrozenStep& next_step) {
  auto& next = dynamic_cast<FrozenBasis&>(next_step);
  form_shared(true, sum, y);
  latest_ = stage;
  next.latest_ = 0;
  next.x_ = y;
  next.take_shared(y);
  const Now now = next.begin(0, scale, {});
  H(stage, 0) = next.H(0, 0);
  H(stage, 1) = next.H(0, 1);
  u_.col(static_cast<Index>(stage)) = next.u_.col(0);
  take_gram(stage);
  factorise(stage + 1);
  for_each_sample([&](Index i, Tile& tile, std::size_t item) {
    load(i, x_, tile);
    add_directions(i, stage, tile.B);
    form_own(i, true, sum, y, tile);
    for (Index a = 0; a < place(i).own; ++a) {  // y, still in the cache
      tile.values[to_size(a)] = tile.formed_V.col(a).data();
      tile.B[to_size(a)] = tile.formed.col(a).data();
      tile.B[to_size(place(i).own + a)] = tile.formed.col(place(i).queries + a).data();
    }
    next.start_sample(i, now, tile, next.chunks_[item]);
    coordinates(i, stage, true, sum, tile.Z);
    arrange_gradient(i, scale, tile);
    write_derivative(i, stage, scale, tile);
    chunks_[item].error = Norm::larger(own_error(i, stage, error, norm, next, tile), chunks_[item].error);
  });
  next.end(now);
  of_stage_[stage] = next.of_stage_[0];
  double largest = shared_error(error, norm, y);
  for (const Chunk& chunk : chunks_) largest = Norm::larger(chunk.error, largest);
  return largest;
}

}  // namespace gradflow
