#pragma once
#include <Eigen/Core>
#include <type_traits>
#include <utility>

namespace gradflow {

/// Small products of vectors that stand in one tile of memory: aligned, and padded with zeros to whole strides. Block by
/// block in registers, so that each number loaded serves several multiplications.
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
      Lane<Real> sum[I][J];
      for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j) sum[i][j].setZero();
      for (Index r = 0; r < n; r += width) {
        Lane<Real> y[J];
        for (int j = 0; j < J; ++j) y[j] = load(b[j0 + j] + r);
        for (int i = 0; i < I; ++i) {
          const Lane<Real> x = load(a[i0 + i] + r);
          for (int j = 0; j < J; ++j) sum[i][j] += x * y[j];
        }
      }
      for (int i = 0; i < I; ++i)
        for (int j = 0; j < J; ++j) out[(i0 + i) * ld + j0 + j] = scale * sum[i][j].sum();
    });
  });
}

/// store(i, r, lane) of sum_j g[i by_i + j by_j] b_j at the positions r, ..., r + width - 1, for i in [from, to) and j
/// over `terms`.
template <class Real, class Store>
void sums(const Real* g, Index by_i, Index by_j, Index from, Index to, const Real* const* b, Index from_b, Index to_b,
          Index n, Store store) {
  in_blocks(from, to, [&](Index i0, auto rows) {
    constexpr int I = rows();
    for (Index r = 0; r < n; r += stride) {
      Lane<Real> sum[I][2];
      for (int i = 0; i < I; ++i) {
        sum[i][0].setZero();
        sum[i][1].setZero();
      }
      for (Index j = from_b; j < to_b; ++j) {
        const Lane<Real> x = load(b[j] + r), y = load(b[j] + r + width);
        for (int i = 0; i < I; ++i) {
          const Real& weight = g[(i0 + i) * by_i + j * by_j];
          sum[i][0] += weight * x;
          sum[i][1] += weight * y;
        }
      }
      for (int i = 0; i < I; ++i) {
        store(i0 + i, r, sum[i][0]);
        store(i0 + i, r + width, sum[i][1]);
      }
    }
  });
}

}  // namespace lanes
}  // namespace gradflow
