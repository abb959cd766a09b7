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
Real attend(std::span<const Index> counts, std::span<const Real> G, std::span<Real> P, std::span<Real> h) {
  const std::size_t l = counts.size();
  for (std::size_t q = 0; q < l; ++q) {  // scores less their maximum, so that the exponentials lie in (0, 1]
    Real* const row = P.data() + q * l;
    Real largest = row[0];
    for (std::size_t k = 1; k < l; ++k) largest = row[k] > largest ? row[k] : largest;
    for (std::size_t k = 0; k < l; ++k) row[k] -= largest;
  }
  exponentials<Real>(P);  // of the whole sample at once
  Real F = 0;
  for (std::size_t q = 0; q < l; ++q) {
    Real* const row = P.data() + q * l;
    Real sum = 0, weighted = 0;
    for (std::size_t k = 0; k < l; ++k) {
      if (counts[k] != 1) row[k] *= Real(counts[k]);
      sum += row[k];
    }
    for (std::size_t k = 0; k < l; ++k) {
      row[k] /= sum;
      weighted += row[k] * G[k];
    }
    h[q] = weighted;
    F += Real(counts[q]) * h[q];
  }
  return F;
}

template <class Real>
void coefficients(const Real& r, std::span<const Index> counts, std::span<const Real> G, std::span<const Real> h,
                  std::span<Real> P, std::span<Real> gV) {
  const std::size_t l = counts.size();
  std::fill(gV.begin(), gV.end(), Real(0));
  for (std::size_t q = 0; q < l; ++q) {
    const Real weight = r * Real(counts[q]);
    for (std::size_t k = 0; k < l; ++k) {
      Real& entry = P[q * l + k];
      entry *= weight;
      gV[k] += entry;
      entry *= G[k] - h[q];
    }
  }
}

template <class Real>
Real residual(const Real& z) {
  using std::exp;
  const Real e = exp(z > 0 ? Real(-z) : z);  // e^{-|z|}
  return (z > 0 ? e : Real(1)) / (1 + e);
}

template <class Real>
void Model<Real>::forward(std::span<const Real> G, std::span<const Real> A, std::span<const Index> samples,
                          Forward& out) const {
  using std::exp;
  using std::log1p;
  const std::size_t n = samples.size();
  std::size_t pairs = 0, words = 0;
  for (const Index i : samples) {
    pairs += pairs_.of_sample(i).size();
    words += task_.bag(i).words.size();
  }
  out.attention.resize(pairs);
  out.head.resize(words);
  for (auto* v : {&out.margin, &out.residual, &out.sample_loss}) v->resize(n);
  out.loss = 0;
  std::vector<Real> values;
  Real *P = out.attention.data(), *h = out.head.data();
  for (std::size_t j = 0; j < n; ++j) {
    const Index i = samples[j];
    const Bag bag = task_.bag(i);
    const std::span<const Index> pairs_of_sample = pairs_.of_sample(i);
    const std::size_t l = bag.words.size();
    values.resize(l);
    for (std::size_t k = 0; k < l; ++k) values[k] = G[to_size(bag.words[k])];
    for (std::size_t pair = 0; pair < l * l; ++pair) P[pair] = A[to_size(pairs_of_sample[pair])];
    const Real z = Real(task_.label(i)) * attend<Real>(bag.counts, values, {P, l * l}, {h, l});
    out.margin[j] = z;
    out.residual[j] = residual(z);
    out.sample_loss[j] = log1p(exp(z > 0 ? Real(-z) : z)) - (z > 0 ? Real(0) : z);
    out.loss += out.sample_loss[j];
    P += l * l;
    h += l;
  }
  out.loss /= Real(n);
}

template <class Real>
void Model<Real>::coefficients(std::span<const Real> G, const Forward& forward, std::span<const Index> samples,
                               std::span<Real> gV, std::span<Real> gA) const {
  for (const Index word : task_.used_words()) gV[to_size(word)] = 0;
  std::fill(gA.begin(), gA.end(), Real(0));
  std::vector<Real> values, shares, entries;
  const Real *P = forward.attention.data(), *h = forward.head.data();
  for (std::size_t j = 0; j < samples.size(); ++j) {
    const Index i = samples[j];
    const Bag bag = task_.bag(i);
    const std::span<const Index> pairs = pairs_.of_sample(i);
    const std::size_t l = bag.words.size();
    values.resize(l);
    shares.resize(l);
    for (std::size_t k = 0; k < l; ++k) values[k] = G[to_size(bag.words[k])];
    entries.assign(P, P + l * l);
    const Real r = Real(task_.label(i)) * forward.residual[j] / Real(samples.size());
    gradflow::coefficients<Real>(r, bag.counts, values, {h, l}, entries, shares);
    for (std::size_t k = 0; k < l; ++k) gV[to_size(bag.words[k])] += shares[k];
    for (std::size_t pair = 0; pair < l * l; ++pair) gA[to_size(pairs[pair])] += entries[pair];
    P += l * l;
    h += l;
  }
}

#define INSTANTIATE(Real)                                                                                       \
  template Real attend(std::span<const Index>, std::span<const Real>, std::span<Real>, std::span<Real>);        \
  template void coefficients(const Real&, std::span<const Index>, std::span<const Real>, std::span<const Real>, \
                             std::span<Real>, std::span<Real>);                                                 \
  template Real residual(const Real&);                                                                          \
  template class Model<Real>;

using Taylor1 = Taylor<double, 1>;
using Taylor2 = Taylor<double, 2>;
INSTANTIATE(double)
INSTANTIATE(Quad)
INSTANTIATE(Taylor1)
INSTANTIATE(Taylor2)
#undef INSTANTIATE

}  // namespace gradflow
