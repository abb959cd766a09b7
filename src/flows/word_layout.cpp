#include "flows/word_layout.hpp"

#include <algorithm>
#include <numeric>

#include "flows/pair_products.hpp"

namespace gradflow {
namespace {

std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

constexpr Index most_chunks = 16;  // enough for the threads of one machine's memory channels

}  // namespace

WordLayout::WordLayout(const Task& task, const WordPairs& pairs, std::span<const Index> words) {
  const std::vector<Index> place = places(words, task.words());
  std::vector<Index> uses(to_size(task.words()), 0), shared(uses.size(), -1);
  for (Index i = 0; i < task.samples(); ++i)
    for (const Index word : task.bag(i).words) ++uses[to_size(word)];
  for (const Index word : words) {
    if (uses[to_size(word)] < 2) continue;
    shared[to_size(word)] = std::ssize(shared_columns);
    shared_columns.push_back(place[to_size(word)]);
  }

  // The pairs of shared words, by query; each occurs both ways.
  std::vector<Index> number(to_size(pairs.size()), -1);
  begins.push_back(0);
  const std::span<const Index> queries = pairs.queries();
  for (Index j = 0; j < std::ssize(queries); ++j) {
    if (shared[to_size(queries[to_size(j)])] < 0) continue;
    for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair) {
      const Index partner = shared[to_size(pairs.key(pair))];
      if (partner < 0) continue;
      number[to_size(pair)] = std::ssize(partners);
      partners.push_back(partner);
    }
    begins.push_back(std::ssize(partners));
  }
  for (Index word = 0; word < std::ssize(shared_columns); ++word)
    for (Index pair = begins[to_size(word)]; pair < begins[to_size(word + 1)]; ++pair) {
      const Index other = partners[to_size(pair)];
      const auto from = partners.begin() + begins[to_size(other)], to = partners.begin() + begins[to_size(other + 1)];
      mirror.push_back(std::lower_bound(from, to, word) - partners.begin());
    }

  for (Index i = 0; i < task.samples(); ++i) {
    const Bag bag = task.bag(i);
    const std::span<const Index> of_sample = pairs.of_sample(i);
    std::vector<std::size_t> order(bag.words.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto is_own = [&](std::size_t k) { return shared[to_size(bag.words[k])] < 0; };
    const auto own_end = std::stable_partition(order.begin(), order.end(), is_own);
    Sample sample{.columns = {}, .counts = {}, .order = {}, .own = own_end - order.begin(), .shared = {}, .pairs = {}};
    for (const std::size_t k : order) {
      sample.columns.push_back(place[to_size(bag.words[k])]);
      sample.counts.push_back(bag.counts[k]);
      sample.order.push_back(static_cast<Index>(k));
      if (!is_own(k)) sample.shared.push_back(shared[to_size(bag.words[k])]);
    }
    for (auto q = own_end; q != order.end(); ++q)
      for (auto k = own_end; k != order.end(); ++k)
        sample.pairs.push_back(number[to_size(of_sample[*q * order.size() + *k])]);
    most_own = std::max(most_own, sample.own);
    all_own += sample.own;
    longest = std::max(longest, std::ssize(order));
    samples.push_back(std::move(sample));
  }
}

Index WordLayout::chunks(Index sums) const { return std::clamp<Index>(all_own / (8 * (sums + 1)), 1, most_chunks); }

}  // namespace gradflow
