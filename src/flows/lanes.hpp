#pragma once
#include <Eigen/Core>
#include <type_traits>
#include <utility>

namespace gradflow {

/// Small products of vectors that stand in one tile of memory: aligned, and padded with zeros to whole strides. Block
/// by block in registers, so that each number loaded serves several multiplications.
namespace lanes {

using Index = Eigen::Index;

inline constexpr Index width = 8, stride = 2 * width;

/// The length of a vector of n numbers with its padding.
constexpr Index padded(Index n) { return (n + stride - 1) / stride * stride; }

template <class Real>
using Lane = Eigen::Array<Real, width, 1>;

template <class Real>
Lane<Real> load(const Real* from) {
  return Eigen::Map<const Lane<Real>, Eigen::AlignedMax>(from);
}

/// visit(at, size) with sizes known to the compiler, 4 as long as there are so many left, then 2 and 1.
template <class Visit>
void in_blocks(Index from, Index to, Visit visit) {
  while (from < to) {
    const Index left = to - from;
    if (left >= 4) {
      visit(from, std::integral_constant<int, 4>());
      from += 4;
    } else if (left >= 2) {
      visit(from, std::integral_constant<int, 2>());
      from += 2;
    } else {
      visit(from, std::integral_constant<int, 1>());
      from += 1;
    }
  }
}

/// out[i ld + j] = scale a_i . b_j, for the vectors a_i, b_j of padded length n that stand at a[i] and b[j].
template <class Real>
void dots(const Real* const* a, Index from_a, Index to_a, const Real* const* b, Index from_b, Index to_b, Index n,
          const Real& scale, Real* out, Index ld) {
  in_blocks(from_a, to_a, [&](Index i0, auto rows) {
    in_blocks(from_b, to_b, [&](Index j0, auto columns) {
      constexpr int I = rows(), J = columns();
      constexpr int at_once = I * J > 4 ? 1 : 2;  // lanes: enough sums in flight to hide the latency of each
      Lane<Real> sum[I][J][at_once];
      for (auto& row : sum)
        for (auto& entry : row)
          for (Lane<Real>& lane : entry) lane.setZero();
      for (Index r = 0; r < n; r += at_once * width)
        for (int s = 0; s < at_once; ++s) {
          Lane<Real> y[J];
          for (int j = 0; j < J; ++j) y[j] = load(b[j0 + j] + r + s * width);
          for (int i = 0; i < I; ++i) {
            const Lane<Real> x = load(a[i0 + i] + r + s * width);
            for (int j = 0; j < J; ++j) sum[i][j][s] += x * y[j];
          }
        }
      for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j) {
          if constexpr (at_once == 2) sum[i][j][0] += sum[i][j][1];
          out[(i0 + i) * ld + j0 + j] = scale * sum[i][j][0].sum();
        }
    });
  });
}

/// The sums below for I rows from i0 on, at `lanes` lanes from r on.
template <int I, int lanes, class Real, class Store>
[[gnu::always_inline]] inline void strip(const Real* g, Index by_i, Index by_j, Index i0, const Real* const* b,
                                         Index from_b, Index to_b, Index r, Store& store) {
  Lane<Real> sum[I][lanes];
  for (auto& row : sum)
    for (Lane<Real>& lane : row) lane.setZero();
  for (Index j = from_b; j < to_b; ++j) {
    Lane<Real> x[lanes];
    for (int s = 0; s < lanes; ++s) x[s] = load(b[j] + r + s * width);
    for (int i = 0; i < I; ++i) {
      const Real& weight = g[(i0 + i) * by_i + j * by_j];
      for (int s = 0; s < lanes; ++s) sum[i][s] += weight * x[s];
    }
  }
  for (int i = 0; i < I; ++i)
    for (int s = 0; s < lanes; ++s) store(i0 + i, r + s * width, sum[i][s]);
}

/// store(i, r, lane) of sum_j g[i by_i + j by_j] b_j at the positions r, ..., r + width - 1, for i in [from, to) and j
/// in [from_b, to_b).
template <class Real, class Store>
void sums(const Real* g, Index by_i, Index by_j, Index from, Index to, const Real* const* b, Index from_b, Index to_b,
          Index n, Store store) {
  in_blocks(from, to, [&](Index i0, auto rows) {
    constexpr int I = rows(), wide = 8 / I;  // eight sums in flight hide the latency of each
    Index r = 0;
    for (; r + wide * width <= n; r += wide * width) strip<I, wide>(g, by_i, by_j, i0, b, from_b, to_b, r, store);
    for (; r < n; r += stride) strip<I, 2>(g, by_i, by_j, i0, b, from_b, to_b, r, store);
  });
}

}  // namespace lanes
}  // namespace gradflow
