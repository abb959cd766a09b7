#pragma once
#include <gradflow/flows/weights.hpp>
#include <gradflow/model/model.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace gradflow {

/// Where each of `vocabulary` words stands among the given ones; -1 where it does not.
inline std::vector<Index> places(std::span<const Index> words, Index vocabulary) {
  std::vector<Index> place(static_cast<std::size_t>(vocabulary), -1);
  for (std::size_t i = 0; i < words.size(); ++i)
    if (words[i] >= 0 && words[i] < vocabulary) place[static_cast<std::size_t>(words[i])] = static_cast<Index>(i);
  return place;
}

/// The model's pairs among the n words of a state, and products of full matrices with g [n, n] (row: key, column:
/// query), which has entries on these pairs only and is given by them.
class PairProducts {
 public:
  /// `place` [d]: where a word stands among the n (`places`). The pairs must outlive this.
  PairProducts(const WordPairs& pairs, std::span<const Index> place) : pairs_(pairs) {
    const std::span<const Index> queries = pairs.queries();
    std::vector<Index> next;  // pair of each query's next key, in the order of the keys
    for (Index j = 0; j < std::ssize(queries); ++j) next.push_back(pairs.begin(j));
    for (Index j = 0; j < std::ssize(queries); ++j) {
      const Index query = queries[static_cast<std::size_t>(j)];
      queries_.push_back(place[static_cast<std::size_t>(query)]);
      for (Index pair = pairs.begin(j); pair < pairs.begin(j + 1); ++pair) {
        const Index key = pairs.key(pair);
        keys_.push_back(place[static_cast<std::size_t>(key)]);
        // Words that share a sample do so both ways: key is a query too, with query among its keys, which are
        // ascending.
        const Index other = std::lower_bound(queries.begin(), queries.end(), key) - queries.begin();
        mirror_.push_back(next[static_cast<std::size_t>(other)]++);
      }
    }
  }

  /// visit(pair, key, query), key and query being places.
  template <class Visit>
  void for_each(Visit visit) const {
    for_each_query([&](Index query, Index begin, Index end) {
      for (Index pair = begin; pair < end; ++pair)
        visit(static_cast<std::size_t>(pair), keys_[static_cast<std::size_t>(pair)], query);
    });
  }

  /// `out` = g^T, on the same pairs.
  template <class Real>
  void transpose(std::span<const Real> g, std::vector<Real>& out) const {
    out.resize(g.size());
    for (std::size_t pair = 0; pair < g.size(); ++pair) out[pair] = g[static_cast<std::size_t>(mirror_[pair])];
  }

  /// The entries of a full matrix on the pairs.
  template <class Dense, class Real>
  void gather(const Dense& matrix, std::span<Real> out) const {
    for_each([&](std::size_t pair, Index key, Index query) { out[pair] = matrix(key, query); });
  }

  /// out = left g, in pairs times n multiplications.
  template <class Real>
  void multiply(const Matrix<Real>& left, std::span<const Real> g, Matrix<Real>& out) const {
    out.setZero(left.rows(), left.cols());
    for_each_query([&](Index query, Index begin, Index end) {
      auto column = out.col(query);
      const auto term = [&](Index pair) {
        return g[static_cast<std::size_t>(pair)] * left.col(keys_[static_cast<std::size_t>(pair)]);
      };
      Index pair = begin;
      for (; pair + 4 <= end; pair += 4)  // a quarter of the passes over the column
        column += (term(pair) + term(pair + 1)) + (term(pair + 2) + term(pair + 3));
      for (; pair < end; ++pair) column += term(pair);
    });
  }

  /// tr(g^T matrix)
  template <class Real>
  Real inner(std::span<const Real> g, const Matrix<Real>& matrix) const {
    Real sum = 0;
    for_each([&](std::size_t pair, Index key, Index query) { sum += g[pair] * matrix(key, query); });
    return sum;
  }

 private:
  template <class Visit>
  void for_each_query(Visit visit) const {
    for (Index j = 0; j < std::ssize(queries_); ++j)
      visit(queries_[static_cast<std::size_t>(j)], pairs_.begin(j), pairs_.begin(j + 1));
  }

  const WordPairs& pairs_;
  std::vector<Index> queries_, keys_;  // places, of pairs_.queries() and of each pair's key
  std::vector<Index> mirror_;          // [pairs] the pair (key, query) of the pair (query, key)
};

}  // namespace gradflow
