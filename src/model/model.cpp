#include <gradflow/model/model.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <utility>

#include "lanes.hpp"
#include "scalars.hpp"
#include "taylor.hpp"

namespace gradflow {
namespace {

constexpr std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

/// e^x for x <= 0, 0 where that is no normal number: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor polynomial,
/// whose remainder is below 2^-57, and 2^n as an exponent's bits. Off by at most 1 ulp (1.2 without fused
/// multiplication; measured), and the same bits wherever x stands in its packet, and whatever the packet's size.
GRADFLOW_INLINE inline lanes::Packet<double> exponential(const lanes::Packet<double>& x) {
  using Packet = lanes::Packet<double>;
  using Bits [[gnu::vector_size(sizeof(Packet))]] = std::int64_t;
  constexpr int degree = 13;
  constexpr std::array<double, degree + 1> coefficient = [] {
    std::array<double, degree + 1> c{1};
    double factorial = 1;
    for (int k = 1; k <= degree; ++k) c[to_size(k)] = 1 / (factorial *= k);
    return c;
  }();
  constexpr double to_integer = 0x1.8p52;  // after adding it a number's last bits are its integer part
  constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;  // n times the first is exact
  const Packet shifted = x * std::numbers::log2e + to_integer, n = shifted - to_integer,
               r = (x - n * ln2_high) - n * ln2_low;
  Packet power = Packet{} + coefficient[degree];
  lanes::unrolled<degree>([&](auto k) GRADFLOW_INLINE { power = power * r + coefficient[degree - 1 - k]; });
  power *= std::bit_cast<Packet>((std::bit_cast<Bits>(shifted) + 1023) << 52);
  const Bits normal = ~Bits(x < std::log(std::numeric_limits<double>::min()));  // a NaN stays one
  return std::bit_cast<Packet>(std::bit_cast<Bits>(power) & normal);
}

/// x = e^x for x <= 0.
template <class Real>
void exponentials(std::span<Real> values) {
  using std::exp;
  using std::log;
  const Real underflow = log(std::numeric_limits<Real>::min());
  for (Real& x : values) x = x < underflow ? Real(0) : Real(exp(x));
}
template <>
void exponentials(std::span<double> values) {
  constexpr std::size_t size = lanes::Machine<double>::size;
  std::array<double, size> tail{};
  for (std::size_t from = 0; from < values.size(); from += size) {
    double* const place = values.data() + from;
    const std::size_t count = std::min(size, values.size() - from);
    double* const at = count == size ? place : std::copy_n(place, count, tail.begin()) - count;
    lanes::store(exponential(lanes::load(at)), at);
    if (count < size) std::copy_n(at, count, place);
  }
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
    // Two loops: in one, a compiler that sees a store takes a path, and roundings, by how far apart row and G stand.
    for (std::size_t k = 0; k < l; ++k) row[k] /= sum;
    for (std::size_t k = 0; k < l; ++k) weighted += row[k] * G[k];
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
