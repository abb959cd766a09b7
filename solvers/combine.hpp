#pragma once
#include <solvers/system.hpp>

#include <algorithm>
#include <utility>

namespace solvers {
namespace detail {

/// sum[i] = from[i] + c[0] k[0][i] + ... + c[count - 1] k[count - 1][i], count known to the compiler: one loop.
template <class Real, std::size_t... j>
void combine(const Real* from, const Real* c, const Real* const* k, Real* sum, std::size_t size,
             std::index_sequence<j...>) {
  [[maybe_unused]] const Real* const terms[] = {k[j]..., nullptr};
  [[maybe_unused]] const Real factors[] = {c[j]..., Real(0)};
#pragma GCC ivdep  // `sum` is `from` or overlaps none of the others
  for (std::size_t i = 0; i < size; ++i) sum[i] = (from[i] + ... + (factors[j] * terms[j][i]));
}

/// The same for a count that is not.
template <class Real, std::size_t most>
void combine(const Real* from, std::size_t count, const Real* c, const Real* const* k, Real* sum, std::size_t size) {
  if (count == most)
    combine(from, c, k, sum, size, std::make_index_sequence<most>());
  else if constexpr (most > 0)
    combine<Real, most - 1>(from, count, c, k, sum, size);
}

}  // namespace detail

/// out = x + sum_j c[j] k[j], in one pass over all of them; x may be empty, which stands for 0. `offset` is where x and
/// `out` begin in each of k. Every component is summed by itself, in the order of j, whatever the sizes.
template <class Real>
void combine(std::span<const Real> x, std::span<const Real> c, std::span<const Real* const> k, std::span<Real> out,
             std::size_t offset = 0) {
  constexpr std::size_t at_once = 8, piece = 512;  // a piece stays in the nearest cache for a second round
  const Real* terms[at_once];
  for (std::size_t from = 0; from < out.size(); from += piece) {
    const std::size_t size = std::min(piece, out.size() - from);
    Real* const sum = out.data() + from;
    const Real* base = x.empty() ? std::fill_n(sum, size, Real(0)) - size : x.data() + from;
    for (std::size_t j = 0; j == 0 || j < c.size(); j += at_once) {
      const std::size_t count = std::min(at_once, c.size() - j);
      for (std::size_t i = 0; i < count; ++i) terms[i] = k[j + i] + offset + from;
      detail::combine<Real, at_once>(base, count, c.data() + j, terms, sum, size);
      base = sum;
    }
  }
}

}  // namespace solvers
