#include "flows/frozen_basis.hpp"

#include <algorithm>
#include <utility>

#include "lanes.hpp"

namespace gradflow {
namespace {

std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

FrozenBasis::FrozenBasis(FrozenFlow flow, Index stages)
    : flow_(std::move(flow)),
      stages_(stages + 1),
      padded_V_(lanes::padded(flow_.rows_V)),
      padded_KQ_(lanes::padded(flow_.rows_KQ)) {
  const WordLayout& words = flow_.words;
  const auto count = static_cast<std::size_t>(stages_);
  Index size = 0, table = 0, shared_at_once = 0;
  const auto reserve = [&](Index numbers) { return std::exchange(size, size + lanes::whole(numbers)); };
  for (const Sample& sample : words.samples) {
    const Index own = sample.own, s = std::ssize(sample.shared), apart = lanes::whole(own);
    const Index queries = 2 * apart == lanes::whole(2 * own) ? apart : own;
    Place place{.own = own,
                .shared = s,
                .queries = queries,
                .padded = lanes::whole(queries + own),
                .set = 0,
                .gram_B = 0,
                .gram_H = reserve(2 * s * stages_ * 2 * own),
                .squares_V = reserve(own),
                .A = reserve((own + s) * (own + s)),
                .G = reserve(own),
                .gradient = reserve(own),
                .derivatives = {},
                .gV = {}};
    place.gram_B = reserve(2 * own * place.directions(count));
    for (std::size_t stage = 0; stage + 1 < count; ++stage) {
      place.derivatives.push_back(reserve(place.directions(stage + 1) * place.padded));
      place.gV.push_back(reserve(own));
    }
    const auto same = std::find_if(sets_.begin(), sets_.end(), [&](const Set& x) { return x.shared == sample.shared; });
    place.set = static_cast<std::size_t>(same - sets_.begin());
    if (same == sets_.end()) {
      sets_.push_back({.shared = sample.shared,
                       .in_all = {},
                       .gram = RowMatrix<double>::Zero(2 * s * stages_, 2 * s * stages_),
                       .root = RowMatrix<double>::Zero(2 * shared() * stages_, 2 * s * stages_)});
      for (Index kind = 0; kind < 2 * stages_; ++kind)
        for (const Index word : sample.shared) sets_.back().in_all.push_back(kind * shared() + word);
    }
    table = std::max(table, place.directions(count) * place.padded);
    shared_at_once = std::max(shared_at_once, s);
    places_.push_back(std::move(place));
  }
  numbers_.setZero(size);

  const Index all_H = 2 * shared() * stages_, own = words.most_own, l = words.longest, padded = 2 * lanes::whole(own),
              padded_shared = lanes::whole(2 * shared_at_once);
  H_.setZero(padded_KQ_, all_H);
  V_.setZero(padded_V_, shared());
  u_.setZero(padded_V_, stages_);
  gram_.setZero(all_H, all_H);
  of_stage_.resize(count);
  chunks_.resize(to_size(words.chunks(shared())));
  tiles_.assign(to_size(flow_.workers().threads()),
                {.columns = Matrix<double>::Zero(padded_KQ_, 2 * own),
                 .V = Matrix<double>::Zero(padded_V_, own),
                 .formed = Matrix<double>::Zero(padded_KQ_, padded),
                 .formed_V = Matrix<double>::Zero(padded_V_, own),
                 .B = Pointers(to_size(2 * own)),
                 .values = Pointers(to_size(own)),
                 .basis = {},
                 .Z = Vector<double>::Zero(table),
                 .T = Vector<double>::Zero(table),
                 .W = Vector<double>::Zero((2 * own + all_H) * padded_shared),
                 .inner = Vector<double>::Zero(padded * padded),
                 .g = Vector<double>::Zero(std::max(padded * (padded + padded_shared), l * padded)),
                 .gram = Vector<double>::Zero(l * l),
                 .product = Vector<double>::Zero(std::max({l, all_H, stages_}) * padded),
                 .G = std::vector<double>(to_size(l)),
                 .h = std::vector<double>(to_size(l)),
                 .P = std::vector<double>(to_size(l * l)),
                 .gV = std::vector<double>(to_size(l)),
                 .first = {},
                 .lower = {}});
}

bool FrozenBasis::pays(const FrozenFlow& flow, Index stages) {
  const WordLayout& words = flow.words;
  const Index directions = 2 * words.most_own + 2 * words.shared() * stages;
  // Measured for 8 to 256 samples of 4 to 32 words, widths from 64 to 320, both methods.
  return 6 * words.shared() * stages <= words.all_own && words.shared() <= most_shared &&
         stages <= static_cast<Index>(most_stages) && 4 * directions + 72 <= 3 * flow.rows_KQ;
}

/// The own columns of a state, of K, of Q and of V: where they stand, or padded copies.
void FrozenBasis::load(Index i, std::span<const double> x, Tile& tile) const {
  const Sample& sample = this->sample(i);
  const auto pointer = [&](Index begin, Index rows, Index column, auto&& copy) -> const double* {
    const double* const from = x.data() + begin + column * rows;
    return rows % lanes::stride == 0 ? from : std::copy_n(from, rows, copy.data()) - rows;
  };
  for (Index a = 0; a < sample.own; ++a) {
    const Index column = sample.columns[to_size(a)];
    tile.values[to_size(a)] = pointer(flow_.begin_V, flow_.rows_V, column, tile.V.col(a));
    tile.B[to_size(a)] = pointer(flow_.begin_K, flow_.rows_KQ, column, tile.columns.col(a));
    tile.B[to_size(sample.own + a)] = pointer(flow_.begin_Q, flow_.rows_KQ, column, tile.columns.col(sample.own + a));
  }
}

/// The shared words' columns of a state: the first directions.
void FrozenBasis::take_shared(std::span<const double> x) {
  for (Index word = 0; word < shared(); ++word) {
    const Index column = flow_.words.shared_columns[to_size(word)];
    const auto take = [&](Index begin, Index rows, auto&& to) {
      std::copy_n(x.data() + begin + column * rows, rows, to.data());
    };
    take(flow_.begin_V, flow_.rows_V, V_.col(word));
    take(flow_.begin_K, flow_.rows_KQ, H_.col(word));
    take(flow_.begin_Q, flow_.rows_KQ, H_.col(shared() + word));
  }
  u_.col(0).head(flow_.rows_V) = flow_.u(x);
}

/// The same at a stage.
void FrozenBasis::move_shared(std::size_t stage, const Sum& sum) {
  const auto at = static_cast<Index>(stage);
  for (Index word = 0; word < shared(); ++word) {
    const Index column = flow_.words.shared_columns[to_size(word)];
    V_.col(word).head(flow_.rows_V) =
        Eigen::Map<const Vector<double>>(x_.data() + flow_.begin_V + column * flow_.rows_V, flow_.rows_V);
  }
  H(stage, 0) = H(0, 0);
  H(stage, 1) = H(0, 1);
  u_.col(at) = u_.col(0);
  for (std::size_t j = 0; j < sum.c.size(); ++j) {
    const Stage& term = of_stage_[sum.stages[j]];
    V_ += u_.col(static_cast<Index>(sum.stages[j])) * (sum.c[j] * term.gV).transpose();
    H(stage, 0) += sum.c[j] * term.dK;
    H(stage, 1) += sum.c[j] * term.dQ;
    u_.col(at).head(flow_.rows_V) += (sum.c[j] * flow_.rates.W * flow_.M) * term.p;
  }
}

/// The products of the shared words' columns at a stage with all directions so far.
void FrozenBasis::take_gram(std::size_t stage) {
  const Index from = 2 * shared() * static_cast<Index>(stage), to = from + 2 * shared();
  Pointers columns;
  for (Index h = 0; h < to; ++h) columns.push_back(H_.col(h).data());
  lanes::dots<double>(columns.data(), from, to, columns.data(), 0, to, padded_KQ_, 1.0, gram_.data(), gram_.rows());
  for (Index h = from; h < to; ++h)
    for (Index g = 0; g < from; ++g) gram_(h, g) = gram_(g, h);
  for (Set& set : sets_) {
    const Index s = std::ssize(set.shared), done = 2 * s * static_cast<Index>(stage);
    for (Index h = done; h < done + 2 * s; ++h)
      for (Index g = 0; g <= h; ++g)
        set.gram(h, g) = set.gram(g, h) = gram_(set.in_all[to_size(h)], set.in_all[to_size(g)]);
  }
}

/// Once the shared words stand where the stage has them.
auto FrozenBasis::begin(std::size_t stage, double scale, const Sum& sum) -> Now {
  take_gram(stage);
  const Index before = 2 * shared() * static_cast<Index>(stage);
  Now now{.stage = stage,
          .sum = sum,
          .scale = scale,
          .uu = Vector<double>(std::ssize(sum.c)),
          .G = V_.transpose() * u_.col(static_cast<Index>(stage))};
  for (std::size_t j = 0; j < sum.c.size(); ++j)
    now.uu[static_cast<Index>(j)] =
        sum.c[j] * u_.col(static_cast<Index>(stage)).dot(u_.col(static_cast<Index>(sum.stages[j])));
  for (Chunk& chunk : chunks_) {
    chunk.p.setZero(padded_V_);
    chunk.gV.setZero(shared());
    chunk.tau.setZero(std::ssize(sum.c));
    chunk.g.setZero(shared(), shared());
    chunk.dK.setZero(padded_KQ_, shared());
    chunk.dQ.setZero(padded_KQ_, shared());
    chunk.yK.setZero(before, shared());
    chunk.yQ.setZero(before, shared());
    chunk.V = chunk.K = chunk.Q = chunk.trace_V = chunk.trace_K = chunk.trace_Q = chunk.error = 0;
  }
  return now;
}

/// The shared words' derivatives, the head's and the power, from all samples' sums.
void FrozenBasis::end(const Now& now) {
  Chunk& total = chunks_.front();
  for (std::size_t item = 1; item < chunks_.size(); ++item) {
    const Chunk& chunk = chunks_[item];
    total.p += chunk.p;
    total.gV += chunk.gV;
    total.tau += chunk.tau;
    total.g += chunk.g;
    total.dK += chunk.dK;
    total.dQ += chunk.dQ;
    total.yK += chunk.yK;
    total.yQ += chunk.yQ;
    total.V += chunk.V;
    total.K += chunk.K;
    total.Q += chunk.Q;
    total.trace_V += chunk.trace_V;
    total.trace_K += chunk.trace_K;
    total.trace_Q += chunk.trace_Q;
  }
  const Rates<double>& rho = flow_.rates;
  const Index before = total.yK.rows(), at = static_cast<Index>(now.stage);
  Stage& stage = of_stage_[now.stage];
  stage.dK = total.dK + H_.leftCols(before) * total.yK + H(now.stage, 1) * total.g;
  stage.dQ = total.dQ + H_.leftCols(before) * total.yQ + H(now.stage, 0) * total.g.transpose();
  stage.p = (total.p + V_ * total.gV).head(flow_.rows_V);
  for (std::size_t j = 0; j < now.sum.c.size(); ++j)
    stage.p += (now.sum.c[j] * total.tau[static_cast<Index>(j)]) *
               u_.col(static_cast<Index>(now.sum.stages[j])).head(flow_.rows_V);
  const double W = flow_.M * stage.p.squaredNorm(), W_V = u_.col(at).squaredNorm() * (total.V + total.gV.squaredNorm()),
               W_K = flow_.root * flow_.root * (total.K + stage.dK.squaredNorm()),
               W_Q = flow_.root * flow_.root * (total.Q + stage.dQ.squaredNorm());
  stage.power = now.scale * (rho.W * W + rho.W_V * W_V + rho.W_K * W_K + rho.W_Q * W_Q);
  stage.speeds = {rho.W * rho.W * W, rho.W_V * rho.W_V * W_V, rho.W_K * rho.W_K * W_K, rho.W_Q * rho.W_Q * W_Q};
  stage.gradient = total.gV;
  stage.scale = now.scale;
  stage.dK *= now.scale * flow_.root * rho.W_K;
  stage.dQ *= now.scale * flow_.root * rho.W_Q;
  stage.p *= now.scale;
  stage.gV = now.scale * rho.W_V * total.gV;
}

void FrozenBasis::start(double, double scale, std::span<const double> x) {
  x_ = x;
  latest_ = 0;
  take_shared(x);
  const Now now = begin(0, scale, {});
  for_each_sample([&](Index i, Tile& tile, std::size_t chunk) {
    load(i, x, tile);
    start_sample(i, now, tile, chunks_[chunk]);
  });
  end(now);
}

void FrozenBasis::start_as(const FrozenStep& other) {
  const auto& from = dynamic_cast<const FrozenBasis&>(other);
  x_ = from.x_;
  latest_ = from.latest_;
  numbers_ = from.numbers_;
  sets_ = from.sets_;
  H_ = from.H_;
  u_ = from.u_;
  gram_ = from.gram_;
  of_stage_ = from.of_stage_;
}

void FrozenBasis::evaluate(std::size_t stage, double, double scale, const Sum& sum) {
  latest_ = stage;
  move_shared(stage, sum);
  const Now now = begin(stage, scale, sum);
  for_each_sample([&](Index i, Tile& tile, std::size_t chunk) {
    load(i, x_, tile);
    add_directions(i, stage, tile.B);
    coordinates(i, stage, true, sum, tile.Z);
    take_scores(i, now, tile);
    take_derivative(i, now, tile, chunks_[chunk]);
  });
  end(now);
}

}  // namespace gradflow
