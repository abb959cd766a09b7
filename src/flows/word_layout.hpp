#pragma once
#include <gradflow/model/model.hpp>

namespace gradflow {

/// Which of a state's words stand in one sample only, most fillers of a large task, and which are shared.
struct WordLayout {
  struct Sample {
    std::vector<Index> columns;  ///< [l] in the state; words of this sample alone first
    std::vector<Index> counts;   ///< [l]
    std::vector<Index> order;    ///< [l] places in the sample's bag
    Index own;                   ///< how many are of this sample alone
    std::vector<Index> shared;   ///< [l - own] places among the shared words
    std::vector<Index> pairs;    ///< [l - own, l - own] places among the pairs of shared words, query-major

    /// Where the q-th word as query and the k-th as key stand among the bag's own pairs.
    std::size_t pair(Index q, Index k) const {
      return static_cast<std::size_t>(order[static_cast<std::size_t>(q)] * std::ssize(order) +
                                      order[static_cast<std::size_t>(k)]);
    }
  };

  /// `words`: those whose columns the state holds, ascending.
  WordLayout(const Task& task, const WordPairs& pairs, std::span<const Index> words);

  std::vector<Sample> samples;
  std::vector<Index> shared_columns;  ///< in the state
  /// Pairs of shared words that share a sample: of the word w, partners [begins[w], begins[w + 1]), and for each where
  /// the same pair stands the other way round.
  std::vector<Index> partners, begins, mirror;
  Index most_own = 0, all_own = 0, longest = 0;  ///< of a sample, of all, distinct words of a sample

  Index shared() const { return std::ssize(shared_columns); }
  /// Into how many runs of samples a sum over all is divided, the same whatever the threads. Each run has its own sums
  /// for the shared words, as large as those of so many words: no more runs than the words of single samples pay for.
  Index chunks(Index sums) const;
};

}  // namespace gradflow
