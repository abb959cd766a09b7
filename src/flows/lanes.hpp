#pragma once
#include <Eigen/Core>
#include <cstring>
#include <type_traits>
#include <utility>

namespace gradflow {

/// Small products of vectors that stand in one tile of memory: aligned, and padded with zeros to whole strides. Block
/// by block in registers, so that each number loaded serves several multiplications.
namespace lanes {

using Index = Eigen::Index;

inline constexpr Index width = 8, stride = 2 * width;

/// n numbers and what fills the last lane.
constexpr Index whole(Index n) { return (n + width - 1) / width * width; }

/// The length of a vector of n numbers with its padding.
constexpr Index padded(Index n) { return (n + stride - 1) / stride * stride; }

template <class Real>
using Lane = Eigen::Array<Real, width, 1>;

template <class Real>
Lane<Real> load(const Real* from) {
  return Eigen::Map<const Lane<Real>, Eigen::AlignedMax>(from);
}

/// The sums of eight lanes, as a lane.
template <class Real>
[[gnu::always_inline]] inline Lane<Real> sums_of(const Lane<Real>* lanes) {
  if constexpr (std::is_same_v<Real, double>) {  // three rounds of pairwise sums instead of eight times three
    using Packed = double __attribute__((vector_size(sizeof(double) * width)));
    Packed v[width], pairs[4], fours[2];
    for (int i = 0; i < width; ++i) std::memcpy(&v[i], lanes[i].data(), sizeof(Packed));
    for (int i = 0; i < 4; ++i)
      pairs[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                 __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; ++i)
      fours[i] = __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                 __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    const Packed all = __builtin_shufflevector(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
                       __builtin_shufflevector(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
    Lane<Real> result;
    std::memcpy(result.data(), &all, sizeof(all));
    return result;
  } else {
    Lane<Real> result;
    for (int i = 0; i < width; ++i) result[i] = lanes[i].sum();
    return result;
  }
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
      if constexpr (I * J % width == 0) {
        Lane<Real>* const all = &sum[0][0][0];
        for (int from = 0; from < I * J; from += width) {
          const Lane<Real> eight = scale * sums_of<Real>(all + from);
          for (int e = 0; e < width; ++e) out[(i0 + (from + e) / J) * ld + j0 + (from + e) % J] = eight[e];
        }
      } else {
        for (int i = 0; i < I; ++i)
          for (int j = 0; j < J; ++j) {
            if constexpr (at_once == 2) sum[i][j][0] += sum[i][j][1];
            out[(i0 + i) * ld + j0 + j] = scale * sum[i][j][0].sum();
          }
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

/// `wide` lanes of I rows of the product below.
template <int I, int wide, class Real>
[[gnu::always_inline]] inline void product_strip(const Real* a, Index by_i, Index by_t, Index count, const Real* b,
                                                 Index ld_b, const Real& scale, Real* out, Index ld_out, bool add) {
  Lane<Real> sum[I][wide];
  for (auto& row : sum)
    for (Lane<Real>& lane : row) lane.setZero();
  for (Index t = 0; t < count; ++t) {
    Lane<Real> x[wide];
    for (int s = 0; s < wide; ++s) x[s] = load(b + t * ld_b + s * width);
    for (int i = 0; i < I; ++i) {
      const Real& factor = a[i * by_i + t * by_t];
      for (int s = 0; s < wide; ++s) sum[i][s] += factor * x[s];
    }
  }
  for (int i = 0; i < I; ++i)
    for (int s = 0; s < wide; ++s) {
      Eigen::Map<Lane<Real>, Eigen::AlignedMax> to(out + i * ld_out + s * width);
      if (add)
        to += scale * sum[i][s];
      else
        to = scale * sum[i][s];
    }
}

/// out[i ld_out + r] = scale sum_t a[i by_i + t by_t] b[t ld_b + r], or += where it adds, for i in [0, rows), t in
/// [0, count), r in [0, n); b and `out` begin, and all their rows, at whole lanes, and n is a multiple of `width`.
template <class Real>
void product(const Real* a, Index by_i, Index by_t, Index rows, Index count, const Real* b, Index ld_b, Index n,
             const Real& scale, Real* out, Index ld_out, bool add) {
  // Eight sums in flight.
  const auto strip = [&](Index i, Index r, auto size, auto wide) {
    product_strip<size(), wide()>(a + i * by_i, by_i, by_t, count, b + r, ld_b, scale, out + i * ld_out + r, ld_out,
                                  add);
  };
  Index r = 0;
  for (; r + 2 * width <= n; r += 2 * width)
    in_blocks(0, rows, [&](Index i, auto size) { strip(i, r, size, std::integral_constant<int, 2>()); });
  if (r == n) return;
  Index i = 0;
  for (; i + 8 <= rows; i += 8) strip(i, r, std::integral_constant<int, 8>(), std::integral_constant<int, 1>());
  in_blocks(i, rows, [&](Index at, auto size) { strip(at, r, size, std::integral_constant<int, 1>()); });
}

/// One lane of I of the vectors below.
template <int I, class Real, class Store>
[[gnu::always_inline]] inline void mixture(const Real* g, Index ld, Index i0, const Real* const* b, Index count,
                                           Index r, Store& store) {
  Lane<Real> sum[I];
  for (Lane<Real>& lane : sum) lane.setZero();
  for (Index j = 0; j < count; ++j) {
    const Lane<Real> x = load(b[j] + r);
    for (int i = 0; i < I; ++i) sum[i] += g[j * ld + i0 + i] * x;
  }
  for (int i = 0; i < I; ++i) store(i0 + i, r, sum[i]);
}

/// As `sums` of many vectors b, with g[j ld + i]: lane by lane, so that each b_j is read as few times as may be. `rows`
/// is a multiple of `width`.
template <class Real, class Store>
void mixtures(const Real* g, Index ld, Index rows, const Real* const* b, Index count, Index n, Store store) {
  for (Index r = 0; r < n; r += width) {
    Index i = 0;
    for (; i + 2 * width <= rows; i += 2 * width) mixture<2 * width>(g, ld, i, b, count, r, store);
    if (i < rows) mixture<width>(g, ld, i, b, count, r, store);
  }
}

}  // namespace lanes
}  // namespace gradflow
