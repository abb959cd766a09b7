#include <gradflow/model/model.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "scalars.hpp"
#include "taylor.hpp"

namespace gradflow {
namespace {

constexpr std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

/// x = e^x for x <= 0, in blocks of fixed size: over one long array Eigen takes what lies before its first aligned
/// address and after its last full packet one by one, with another exponential, and the last bit would depend on where
/// the array stands in memory.
template <class Real>
void exponentials(std::span<Real> values) {
  using std::log;
  constexpr std::size_t width = 8;
  using Block = Eigen::Array<Real, static_cast<int>(width), 1>;
  const Real underflow = log(std::numeric_limits<Real>::min());  // the vectorised one stops there, at 5.6e-309
  const auto apply = [&](auto&& block) {
    const Block exponential = block.exp();  // a statement by itself: Eigen's select() would take it entry by entry
    block = (block < underflow).select(Block::Zero(), exponential);
  };
  std::size_t from = 0;
  for (; from + width <= values.size(); from += width) apply(Eigen::Map<Block>(values.data() + from));
  Block tail = Block::Zero();
  std::copy(values.begin() + static_cast<Index>(from), values.end(), tail.begin());
  apply(tail);
  std::copy_n(tail.begin(), values.size() - from, values.begin() + static_cast<Index>(from));
}

}  // namespace

WordPairs::WordPairs(const Task& task) {
  std::vector<std::pair<Index, Index>> all;  // (query, key)
  for (Index i = 0; i < task.samples(); ++i)
    for (const Index query : task.bag(i).words)
      for (const Index key : task.bag(i).words) all.emplace_back(query, key);
  auto distinct = all;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());

  for (const auto& [query, key] : distinct) {
    if (queries_.empty() || queries_.back() != query) {
      queries_.push_back(query);
      begins_.push_back(size());
    }
    keys_.push_back(key);
  }
  begins_.push_back(size());

  sample_pairs_.reserve(all.size());
  for (const auto& pair : all)
    sample_pairs_.push_back(std::lower_bound(distinct.begin(), distinct.end(), pair) - distinct.begin());
  sample_begins_.push_back(0);
  for (Index i = 0; i < task.samples(); ++i) {
    const std::size_t l = task.bag(i).words.size();
    sample_begins_.push_back(sample_begins_.back() + l * l);
  }
}

std::span<const Index> WordPairs::of_sample(Index sample) const {
  const std::size_t from = sample_begins_[to_size(sample)], to = sample_begins_[to_size(sample) + 1];
  return std::span(sample_pairs_).subspan(from, to - from);
}

template <class Real>
void Model<Real>::forward(std::span<const Real> G, std::span<const Real> A, std::span<const Index> samples,
                          Forward& out) const {
  using std::exp;
  using std::log1p;
  const std::size_t n = samples.size();
  out.attention.clear();
  out.head.clear();
  for (const Index i : samples) {  // scores less their maximum, so that the exponentials lie in (0, 1]
    const std::span<const Index> pairs = pairs_.of_sample(i);
    const std::size_t l = task_.bag(i).words.size();
    for (std::size_t q = 0; q < l; ++q) {
      Real largest = A[to_size(pairs[q * l])];
      for (std::size_t k = 1; k < l; ++k) largest = std::max(largest, A[to_size(pairs[q * l + k])]);
      for (std::size_t k = 0; k < l; ++k) out.attention.push_back(A[to_size(pairs[q * l + k])] - largest);
    }
  }
  exponentials<Real>(out.attention);  // of all samples at once: they are short, and exp is most of this function's work

  for (auto* v : {&out.margin, &out.residual, &out.sample_loss}) v->resize(n);
  out.loss = 0;
  Real* P = out.attention.data();
  for (std::size_t j = 0; j < n; ++j) {
    const Index i = samples[j];
    const Bag bag = task_.bag(i);
    const std::size_t l = bag.words.size();
    Real F = 0;
    for (std::size_t q = 0; q < l; ++q, P += l) {
      Real sum = 0, h = 0;
      for (std::size_t k = 0; k < l; ++k) sum += P[k] *= Real(bag.counts[k]);
      for (std::size_t k = 0; k < l; ++k) {
        P[k] /= sum;
        h += P[k] * G[to_size(bag.words[k])];
      }
      out.head.push_back(h);
      F += Real(bag.counts[q]) * h;
    }
    const Real z = Real(task_.label(i)) * F, e = exp(z > 0 ? Real(-z) : z);  // e^{-|z|}
    out.margin[j] = z;
    out.residual[j] = (z > 0 ? e : Real(1)) / (1 + e);
    out.sample_loss[j] = log1p(e) - (z > 0 ? Real(0) : z);
    out.loss += out.sample_loss[j];
  }
  out.loss /= Real(n);
}

template <class Real>
void Model<Real>::coefficients(std::span<const Real> G, const Forward& forward, std::span<const Index> samples,
                               std::span<Real> gV, std::span<Real> gA) const {
  for (const Index word : task_.used_words()) gV[to_size(word)] = 0;
  std::fill(gA.begin(), gA.end(), Real(0));
  const Real* P = forward.attention.data();
  const Real* h = forward.head.data();
  for (std::size_t j = 0; j < samples.size(); ++j) {
    const Index i = samples[j];
    const Bag bag = task_.bag(i);
    const std::span<const Index> pairs = pairs_.of_sample(i);
    const std::size_t l = bag.words.size();
    const Real r = Real(task_.label(i)) * forward.residual[j] / Real(samples.size());
    for (std::size_t q = 0; q < l; ++q, P += l, ++h) {
      for (std::size_t k = 0; k < l; ++k) {
        const Real weight = r * Real(bag.counts[q]) * P[k];
        const std::size_t word = to_size(bag.words[k]);
        gV[word] += weight;
        gA[to_size(pairs[q * l + k])] += weight * (G[word] - *h);
      }
    }
  }
}

template class Model<double>;
template class Model<Quad>;
template class Model<Taylor<double, 1>>;
template class Model<Taylor<double, 2>>;

}  // namespace gradflow
