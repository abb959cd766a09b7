// What a frozen basis sees of a point without forming it.
#include "flows/frozen_basis.hpp"
#include "lanes.hpp"

namespace gradflow {
namespace {

std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

/// A stage behind those there are, of which nothing is kept but what it has seen on its way.
void FrozenBasis::look(const Sum& sum, bool whole, Glance<double>& out) {
  if (sum.c.empty()) return look_at_start(out);
  const std::size_t stage = latest_ + 1;
  move_shared(stage, sum);
  const Now now = begin(stage, 1.0, sum);
  Matrix<double> terms(padded_V_, std::ssize(sum.c));  // u of each
  for (Index j = 0; j < terms.cols(); ++j) terms.col(j) = u_.col(static_cast<Index>(sum.stages[to_size(j)]));
  const Matrix<double> gram = terms.transpose() * terms;
  for_each_sample([&](Index i, Tile& tile, std::size_t item) {
    Chunk& chunk = chunks_[item];
    load(i, x_, tile);
    add_directions(i, stage, tile.B);
    coordinates(i, stage, true, sum, tile.Z);
    take_scores(i, now, tile);
    see_scores(i, tile.P.data(), out);
    take_gradient(i, now, tile, chunk);
    see_values(i, tile.G.data(), tile.gV.data(), out);
    if (!whole) return;
    add_traces(i, now, gram, tile, chunk);
    arrange_gradient(i, 1.0, tile);
    add_to_shared(i, stage, tile, chunk);
    add_power(i, stage, tile, chunk);
  });
  end(now);
  see_shared(now, out);
}

/// The first stage has seen it all.
void FrozenBasis::look_at_start(Glance<double>& out) {
  move_shared(0, {});
  const Now now = begin(0, 1.0, {});
  Chunk& total = chunks_.front();
  for (Index i = 0; i < std::ssize(places_); ++i) {
    const Place& at = place(i);
    see_scores(i, numbers(at.A), out);
    see_values(i, numbers(at.G), numbers(at.gradient), out);
    const Index next = at.directions(to_size(stages_)) + 1;  // on the diagonal
    for (Index a = 0; a < at.own; ++a) {
      total.trace_V += numbers(at.squares_V)[a];
      total.trace_K += numbers(at.gram_B)[a * next];
      total.trace_Q += numbers(at.gram_B)[(at.own + a) * next];
    }
  }
  see_shared(now, out);
}

/// All scores of a sample but those of two shared words, which are not its alone.
void FrozenBasis::see_scores(Index i, const double* A, Glance<double>& out) const {
  const Sample& sample = this->sample(i);
  const std::span<const Index> of_sample = flow_.model.pairs().of_sample(i);
  const Index l = std::ssize(sample.order);
  for (Index q = 0; q < l; ++q)
    for (Index k = 0; k < (q < sample.own ? l : sample.own); ++k)
      out.A[to_size(of_sample[sample.pair(q, k)])] = A[q * l + k];
}

/// Of a sample's own words.
void FrozenBasis::see_values(Index i, const double* G, const double* gV, Glance<double>& out) const {
  const Sample& sample = this->sample(i);
  for (Index a = 0; a < sample.own; ++a) {
    const std::size_t word = to_size(flow_.held[to_size(sample.columns[to_size(a)])]);
    out.G[word] = G[a];
    out.gV[word] = gV[a];
  }
}

/// The squares of the sample's own columns. `gram`: of u at the stages of the sum.
void FrozenBasis::add_traces(Index i, const Now& now, const Matrix<double>& gram, Tile& tile, Chunk& chunk) const {
  const Place& at = place(i);
  for (Index a = 0; a < at.own; ++a) {
    const Index q = at.queries + a;
    chunk.trace_K += tile.inner[a * at.padded + a];
    chunk.trace_Q += tile.inner[q * at.padded + q];
  }
  // |V(0) + sum_r c_r gV_r u_r|^2
  const Index terms = std::ssize(now.sum.c);
  std::array<const double*, most_stages> u;
  for (Index j = 0; j < terms; ++j) u[to_size(j)] = u_.col(static_cast<Index>(now.sum.stages[to_size(j)])).data();
  double* const along = tile.product.data();  // [own, terms] V(0) . u_r
  lanes::dots<double>(tile.values.data(), 0, at.own, u.data(), 0, terms, padded_V_, 1.0, along, terms);
  Vector<double> weights(terms);
  for (Index a = 0; a < at.own; ++a) {
    for (Index j = 0; j < terms; ++j)
      weights[j] = now.sum.c[to_size(j)] * numbers(at.gV[now.sum.stages[to_size(j)]])[a];
    chunk.trace_V += numbers(at.squares_V)[a] +
                     2 * weights.dot(Eigen::Map<const Vector<double>>(along + a * terms, terms)) +
                     weights.dot(gram * weights);
  }
}

/// All that is not of one sample.
void FrozenBasis::see_shared(const Now& now, Glance<double>& out) const {
  const Chunk& total = chunks_.front();
  const Stage& stage = of_stage_[now.stage];
  const auto u = u_.col(static_cast<Index>(now.stage));
  out.p = stage.p / stage.scale;
  out.U = u.squaredNorm();
  out.integrated_power = x_.back();
  for (std::size_t j = 0; j < now.sum.c.size(); ++j)
    out.integrated_power += now.sum.c[j] * of_stage_[now.sum.stages[j]].power;
  out.V = V_.topRows(flow_.rows_V);
  out.K = H(now.stage, 0).topRows(flow_.rows_KQ);
  out.Q = H(now.stage, 1).topRows(flow_.rows_KQ);
  out.words.clear();
  for (Index word = 0; word < shared(); ++word) {
    out.words.push_back(flow_.held[to_size(flow_.words.shared_columns[to_size(word)])]);
    out.G[to_size(out.words.back())] = now.G[word];
    out.gV[to_size(out.words.back())] = stage.gradient[word];
  }
  const Matrix<double> A = flow_.root * out.Q.transpose() * out.K;
  for (Index i = 0; i < std::ssize(places_); ++i) {
    const Sample& sample = this->sample(i);
    const std::span<const Index> of_sample = flow_.model.pairs().of_sample(i);
    const Index l = std::ssize(sample.order);
    for (Index q = sample.own; q < l; ++q)
      for (Index k = sample.own; k < l; ++k)
        out.A[to_size(of_sample[sample.pair(q, k)])] =
            A(sample.shared[to_size(q - sample.own)], sample.shared[to_size(k - sample.own)]);
  }
  out.trace_Gamma = total.trace_V + out.V.squaredNorm();
  out.trace_S_K = total.trace_K + out.K.squaredNorm();
  out.trace_S_Q = total.trace_Q + out.Q.squaredNorm();
  out.power = stage.speeds;
}

}  // namespace gradflow
