// What a frozen basis does with one sample at a stage.
#include <algorithm>
#include <solvers/combine.hpp>

#include "flows/frozen_basis.hpp"
#include "lanes.hpp"

namespace gradflow {
namespace {

using In = lanes::Rows<const double>;
using Out = lanes::Rows<double>;

std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

/// The products of the sample's own columns with the stage's new directions.
void FrozenBasis::add_directions(Index i, std::size_t stage, const Pointers& B) {
  const Place& at = place(i);
  const std::vector<Index>& shared = sets_[at.set].shared;
  const Index s = at.shared, from = 2 * s * static_cast<Index>(stage), own = 2 * at.own,
              ld = at.directions(to_size(stages_));
  std::array<const double*, 2 * most_shared> h;
  for (Index a = 0; a < s; ++a) {
    h[to_size(a)] = H(stage, 0).col(shared[to_size(a)]).data();
    h[to_size(s + a)] = H(stage, 1).col(shared[to_size(a)]).data();
  }
  double *const by_B = numbers(at.gram_B) + own + from, *const by_H = numbers(at.gram_H) + from * own;
  lanes::dots<double>(B.data(), 0, own, h.data(), 0, 2 * s, padded_KQ_, 1.0, by_B, ld);
  for (Index a = 0; a < 2 * s; ++a)
    for (Index b = 0; b < own; ++b) by_H[a * own + b] = by_B[b * ld + a];
}

/// Z = I (where it stands on x) + the sum's coordinates, in the directions of so many stages.
void FrozenBasis::coordinates(Index i, std::size_t stages, bool stand_on_x, const Sum& sum, Vector<double>& Z) const {
  const Place& at = place(i);
  std::array<const double*, most_stages> k;
  for (std::size_t j = 0; j < sum.c.size(); ++j) k[j] = numbers(at.derivatives[sum.stages[j]]);
  std::size_t begin = 0;
  for (std::size_t j = 0; j < sum.c.size(); ++j) {  // a later stage has more directions
    const std::size_t end = to_size(at.directions(sum.stages[j] + 1) * at.padded);
    solvers::combine<double>({}, sum.c.subspan(j), std::span<const double* const>(k.data(), sum.c.size()).subspan(j),
                             {Z.data() + begin, end - begin}, begin);
    begin = end;
  }
  std::fill(Z.data() + begin, Z.data() + at.directions(stages) * at.padded, 0.0);
  if (!stand_on_x) return;
  for (Index a = 0; a < at.own; ++a) {
    Z[a * at.padded + a] += 1;
    Z[(at.own + a) * at.padded + at.queries + a] += 1;
  }
}

/// T = [B | H]^T [B | H] Z, and from it all inner products of the own vectors and those with the stage's directions.
void FrozenBasis::take_products(Index i, std::size_t stage, Tile& tile) const {
  const Place& at = place(i);
  const Set& set = sets_[at.set];
  const Index own = 2 * at.own, before = 2 * at.shared * static_cast<Index>(stage), now = before + 2 * at.shared,
              ld = at.padded, all = at.directions(to_size(stages_));
  const double* const Z = tile.Z.data();
  double *const T = tile.T.data(), *const inner = tile.inner.data();
  lanes::sums<double>({numbers(at.gram_B), all, 1}, own, own + before, In{Z, ld}, ld, 1.0, Out{T, ld}, false);
  lanes::sums<double>({numbers(at.gram_H), own, 1}, now, own, In{Z, ld}, ld, 1.0, Out{T + own * ld, ld}, false);
  lanes::sums<double>({set.gram.data(), set.gram.cols(), 1}, now, before, In{Z + own * ld, ld}, ld, 1.0,
                      Out{T + own * ld, ld}, true);
  const Index q = at.queries, aligned = q / lanes::width * lanes::width;
  lanes::sums<double>({Z, 1, ld}, at.own, own + before, In{T, ld}, ld, 1.0, Out{inner, ld}, false);
  lanes::sums<double>({Z + q, 1, ld}, at.own, own + before, In{T + aligned, ld}, ld - aligned, 1.0,
                      Out{inner + q * ld + aligned, ld}, false);
}

/// From the coordinates Z at the stage's point and the columns B, V(0): the values in tile.G, the scores in tile.P.
void FrozenBasis::take_scores(Index i, const Now& now, Tile& tile) const {
  const Sample& sample = this->sample(i);
  const Place& at = place(i);
  const Set& set = sets_[at.set];
  const Index own = at.own, s = at.shared, l = own + s, before = 2 * s * static_cast<Index>(now.stage), ld = at.padded;
  take_products(i, now.stage, tile);
  const double *const inner = tile.inner.data(), *const keys = tile.T.data() + (2 * own + before) * ld;
  const std::span<double> G(tile.G.data(), to_size(l)), P(tile.P.data(), to_size(l * l));
  for (Index q = 0; q < own; ++q) {
    double* const row = P.data() + q * l;
    for (Index k = 0; k < own; ++k) row[k] = flow_.root * inner[k * ld + at.queries + q];
    for (Index k = 0; k < s; ++k) row[own + k] = flow_.root * keys[k * ld + at.queries + q];
  }
  for (Index q = 0; q < s; ++q) {
    double* const row = P.data() + (own + q) * l;
    for (Index k = 0; k < own; ++k) row[k] = flow_.root * keys[(s + q) * ld + k];
    for (Index k = 0; k < s; ++k) row[own + k] = flow_.root * set.gram(before + s + q, before + k);
  }
  const double* const u = u_.col(static_cast<Index>(now.stage)).data();
  lanes::dots<double>(&u, 0, 1, tile.values.data(), 0, own, padded_V_, 1.0, G.data(), 1);
  for (std::size_t j = 0; j < now.sum.c.size(); ++j) {
    const double* const gV_before = numbers(at.gV[now.sum.stages[j]]);
    for (Index a = 0; a < own; ++a) G[to_size(a)] += now.uu[static_cast<Index>(j)] * gV_before[a];
  }
  for (Index a = 0; a < s; ++a) G[to_size(own + a)] = now.G[sample.shared[to_size(a)]];
}

/// From these gV, gA (in the place of the scores), and what they add to p and to the shared words.
void FrozenBasis::take_gradient(Index i, const Now& now, Tile& tile, Chunk& chunk) const {
  const Sample& sample = this->sample(i);
  const Place& at = place(i);
  const Index own = at.own, s = at.shared, l = own + s;
  const std::span<double> G(tile.G.data(), to_size(l)), h(tile.h.data(), G.size()), P(tile.P.data(), to_size(l * l)),
      gV(tile.gV.data(), G.size());
  const double y = flow_.model.task().label(i), F = attend<double>(sample.counts, G, P, h);
  coefficients<double>(y * residual<double>(y * F) / static_cast<double>(places_.size()), sample.counts, G, h, P, gV);
  lanes::sums<double>({gV.data(), 0, 1}, 1, own, tile.values.data(), padded_V_, 1.0, Out{chunk.p.data(), 0}, true);
  for (Index a = 0; a < own; ++a) chunk.V += gV[to_size(a)] * gV[to_size(a)];
  for (std::size_t j = 0; j < now.sum.c.size(); ++j) {
    const double* const gV_before = numbers(at.gV[now.sum.stages[j]]);
    for (Index a = 0; a < own; ++a) chunk.tau[static_cast<Index>(j)] += gV[to_size(a)] * gV_before[a];
  }
  for (Index a = 0; a < s; ++a) {
    chunk.gV[sample.shared[to_size(a)]] += gV[to_size(own + a)];
    for (Index b = 0; b < s; ++b)
      chunk.g(sample.shared[to_size(a)], sample.shared[to_size(b)]) += P[to_size((own + a) * l + own + b)];
  }
}

/// From the scores at the stage's point: the sample's derivative, and what it adds to the shared words.
void FrozenBasis::take_derivative(Index i, const Now& now, Tile& tile, Chunk& chunk) {
  take_gradient(i, now, tile, chunk);
  arrange_gradient(i, now.scale, tile);
  write_derivative(i, now.stage, now.scale, tile);
  add_to_shared(i, now.stage, tile, chunk);
  add_power(i, now.stage, tile, chunk);
}

/// gA, query-major in P, as the factors g of dK_k = sum_q gA(k, q) Q_q and dQ_q = sum_k gA(k, q) K_k. In the columns
/// behind those: what the own words add to the shared ones' derivatives.
void FrozenBasis::arrange_gradient(Index i, double scale, Tile& tile) const {
  const Place& at = place(i);
  const Index own = at.own, s = at.shared, l = own + s, ld = at.padded, q0 = at.queries,
              ld_g = ld + lanes::whole(2 * s);
  const double *const P = tile.P.data(), of_K = scale * flow_.root * flow_.rates.W_K,
                      of_Q = scale * flow_.root * flow_.rates.W_Q;
  double* const g = tile.g.data();
  std::fill_n(g, (q0 + own) * ld_g, 0.0);
  for (Index q = 0; q < own; ++q)
    for (Index k = 0; k < own; ++k) {
      g[(q0 + q) * ld_g + k] = of_K * P[q * l + k];
      g[k * ld_g + q0 + q] = of_Q * P[q * l + k];
    }
  for (Index a = 0; a < own; ++a)
    for (Index b = 0; b < s; ++b) {
      g[(q0 + a) * ld_g + ld + b] = P[a * l + own + b];
      g[a * ld_g + ld + s + b] = P[(own + b) * l + a];
    }
}

/// Their products with the coordinates.
void FrozenBasis::write_derivative(Index i, std::size_t stage, double scale, Tile& tile) {
  const Place& at = place(i);
  const Index own = at.own, s = at.shared, l = own + s, ld = at.padded, q0 = at.queries,
              ld_g = ld + lanes::whole(2 * s), directions = at.directions(stage);
  const double *const P = tile.P.data(), *const g = tile.g.data(), of_K = scale * flow_.root * flow_.rates.W_K,
                      of_Q = scale * flow_.root * flow_.rates.W_Q;
  const double* const Z = tile.Z.data();
  double* const D = numbers(at.derivatives[stage]);
  if (q0 % lanes::width == 0) {  // keys from queries alone, and queries from keys
    lanes::sums<double>({Z + q0, ld, 1}, directions, own, In{g + q0 * ld_g, ld_g}, q0, 1.0, Out{D, ld}, false);
    lanes::sums<double>({Z, ld, 1}, directions, own, In{g + q0, ld_g}, ld - q0, 1.0, Out{D + q0, ld}, false);
  } else {
    lanes::sums<double>({Z, ld, 1}, directions, q0 + own, In{g, ld_g}, ld, 1.0, Out{D, ld}, false);
  }
  double* const here = D + directions * ld;  // the stage's own directions
  std::fill_n(here, 2 * s * ld, 0.0);
  for (Index b = 0; b < s; ++b)
    for (Index a = 0; a < own; ++a) {
      here[b * ld + q0 + a] = of_Q * P[a * l + own + b];
      here[(s + b) * ld + a] = of_K * P[(own + b) * l + a];
    }
  double* const gV = numbers(at.gV[stage]);
  for (Index a = 0; a < own; ++a) gV[a] = scale * flow_.rates.W_V * tile.gV[to_size(a)];
}

/// What the own words add to dK and dQ of the shared ones: the last columns of tile.g.
void FrozenBasis::add_to_shared(Index i, std::size_t stage, Tile& tile, Chunk& chunk) const {
  const Sample& sample = this->sample(i);
  const Place& at = place(i);
  const Index own = at.own, s = at.shared, padded = lanes::whole(2 * s), directions = at.directions(stage);
  if (own == 0 || s == 0) return;
  double* const W = tile.W.data();
  lanes::sums<double>({tile.Z.data(), at.padded, 1}, directions, at.queries + own,
                      In{tile.g.data() + at.padded, at.padded + padded}, padded, 1.0, Out{W, padded}, false);
  std::array<double*, 2 * most_shared> to;
  for (Index a = 0; a < s; ++a) {
    to[to_size(a)] = chunk.dK.col(sample.shared[to_size(a)]).data();
    to[to_size(s + a)] = chunk.dQ.col(sample.shared[to_size(a)]).data();
  }
  lanes::sums<double>({W, 1, padded}, 2 * s, 2 * own, tile.B.data(), padded_KQ_, 1.0, to.data(), true);
  for (Index h = 0; h < directions - 2 * own; ++h) {
    const double* const row = W + (2 * own + h) * padded;
    const Index from = sets_[at.set].in_all[to_size(h)];
    for (Index a = 0; a < s; ++a) {
      chunk.yK(from, sample.shared[to_size(a)]) += row[a];
      chunk.yQ(from, sample.shared[to_size(a)]) += row[s + a];
    }
  }
}

/// |dK|^2 and |dQ|^2 of the own words, before rates and scale: g^T (Gram matrix of all queries, or keys) g.
void FrozenBasis::add_power(Index i, std::size_t stage, Tile& tile, Chunk& chunk) const {
  const Place& at = place(i);
  const Set& set = sets_[at.set];
  const Index own = at.own, s = at.shared, l = own + s, before = 2 * s * static_cast<Index>(stage), ld = at.padded,
              n = lanes::whole(own);
  const double *const P = tile.P.data(), *const T = tile.T.data() + (2 * own + before) * ld;
  double *const gram = tile.gram.data(), *const g = tile.g.data(), *const product = tile.product.data();
  const auto squares = [&](Index first, Index kind, Index by_row, Index by_column) {
    for (Index a = 0; a < own; ++a) {
      for (Index b = 0; b < own; ++b) gram[a * l + b] = tile.inner[(first + a) * ld + first + b];
      for (Index b = 0; b < s; ++b)
        gram[a * l + own + b] = gram[(own + b) * l + a] = T[(kind * s + b) * ld + first + a];
    }
    for (Index a = 0; a < s; ++a)
      for (Index b = 0; b < s; ++b)
        gram[(own + a) * l + own + b] = set.gram(before + kind * s + a, before + kind * s + b);
    std::fill_n(g, l * n, 0.0);
    for (Index row = 0; row < l; ++row)
      for (Index column = 0; column < own; ++column) g[row * n + column] = P[row * by_row + column * by_column];
    lanes::sums<double>({gram, l, 1}, l, l, In{g, n}, n, 1.0, Out{product, n}, false);
    return Eigen::Map<const Vector<double>>(g, l * n).dot(Eigen::Map<const Vector<double>>(product, l * n));
  };
  chunk.K += squares(at.queries, 1, l, 1);
  chunk.Q += squares(0, 0, 1, l);
}

/// The first stage of a sample whose columns tile.B and tile.values are the step's start.
void FrozenBasis::start_sample(Index i, const Now& now, Tile& tile, Chunk& chunk) {
  const Place& at = place(i);
  const Index own = 2 * at.own, ld = at.directions(to_size(stages_));
  double* const gram = numbers(at.gram_B);
  for (Index from = 0; from < own; from += 4) {  // one triangle, in blocks
    const Index to = std::min(own, from + 4);
    lanes::dots<double>(tile.B.data(), from, to, tile.B.data(), 0, to, padded_KQ_, 1.0, gram, ld);
  }
  for (Index row = 0; row < own; ++row)
    for (Index column = row + 1; column < own; ++column) gram[row * ld + column] = gram[column * ld + row];
  for (Index a = 0; a < at.own; ++a) {
    const double* const v = tile.values[to_size(a)];
    lanes::dots<double>(&v, 0, 1, &v, 0, 1, padded_V_, 1.0, numbers(at.squares_V) + a, 1);
  }
  add_directions(i, 0, tile.B);
  coordinates(i, 0, true, {}, tile.Z);
  take_scores(i, now, tile);
  std::copy(tile.P.begin(), tile.P.begin() + (at.own + at.shared) * (at.own + at.shared), numbers(at.A));
  std::copy(tile.G.begin(), tile.G.begin() + at.own, numbers(at.G));
  take_derivative(i, now, tile, chunk);
  std::copy(tile.gV.begin(), tile.gV.begin() + at.own, numbers(at.gradient));
}

}  // namespace gradflow
