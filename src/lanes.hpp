#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace gradflow {

/// Small products of vectors that stand in one tile of memory, padded with zeros to whole strides. Block by block in
/// registers, so that each number loaded serves several multiplications.
namespace lanes {

using Index = std::ptrdiff_t;

inline constexpr Index width = 8, stride = 2 * width;

/// The length of a table's row of n numbers: whole lanes of `width`, so that every packet is full.
constexpr Index whole(Index n) { return (n + width - 1) / width * width; }

/// The length of a vector of n numbers with its padding.
constexpr Index padded(Index n) { return (n + stride - 1) / stride * stride; }

// A call would take a packet out of its register.
#define GRADFLOW_INLINE __attribute__((always_inline))

/// What a register holds; how many registers are sums in flight; how many packets or columns a block of these has at
/// most, and how many packets where it has one row alone: enough sums at any shape to hide the latency of each.
template <class Real>
struct Machine {
  using Packet = Real;
  static constexpr int size = 1, sums = 4, wide = 2, long_row = 4;
};
template <>
struct Machine<double> {
#if defined(__AVX512F__)  // 32 registers
  static constexpr int size = 8, sums = 24, wide = 4, long_row = 8;
#elif defined(__AVX__)  // 16
  static constexpr int size = 4, sums = 12, wide = 3, long_row = 8;
#else
  static constexpr int size = 2, sums = 12, wide = 3, long_row = 8;
#endif
  using Packet [[gnu::vector_size(size * sizeof(double))]] = double;
};

/// The most rows of a block of so many packets or columns.
template <class Real, int wide>
inline constexpr int most_rows = wide > Machine<Real>::wide ? 1 : std::min(Machine<Real>::sums / wide, 8);

template <class Real>
using Packet = typename Machine<Real>::Packet;

template <class Real>
GRADFLOW_INLINE inline Packet<Real> load(const Real* from) {
  if constexpr (Machine<Real>::size == 1) {
    return *from;
  } else {
    Packet<Real> packet;
    std::memcpy(&packet, from, sizeof packet);
    return packet;
  }
}

template <class Real>
GRADFLOW_INLINE inline void store(const Packet<Real>& packet, Real* to) {
  if constexpr (Machine<Real>::size == 1)
    *to = packet;
  else
    std::memcpy(to, &packet, sizeof packet);
}

/// The sums of as many packets as one has numbers, as a packet: pairwise, in rounds that serve them all.
template <class Real>
GRADFLOW_INLINE inline Packet<Real> sums_of(const Packet<Real>* v) {
  if constexpr (Machine<Real>::size == 1) {
    return v[0];
  } else if constexpr (Machine<Real>::size == 2) {
    return __builtin_shufflevector(v[0], v[1], 0, 2) + __builtin_shufflevector(v[0], v[1], 1, 3);
  } else if constexpr (Machine<Real>::size == 4) {
    const Packet<Real> pairs[] = {
        __builtin_shufflevector(v[0], v[1], 0, 4, 2, 6) + __builtin_shufflevector(v[0], v[1], 1, 5, 3, 7),
        __builtin_shufflevector(v[2], v[3], 0, 4, 2, 6) + __builtin_shufflevector(v[2], v[3], 1, 5, 3, 7)};
    return __builtin_shufflevector(pairs[0], pairs[1], 0, 1, 4, 5) +
           __builtin_shufflevector(pairs[0], pairs[1], 2, 3, 6, 7);
  } else {
    Packet<Real> pairs[4], fours[2];
    for (int i = 0; i < 4; ++i)
      pairs[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                 __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; ++i)
      fours[i] = __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                 __builtin_shufflevector(pairs[2 * i], pairs[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// visit(0), ..., visit(count - 1), unrolled, so that an array indexed by it can live in registers.
template <int count, class Visit>
GRADFLOW_INLINE inline void unrolled(Visit visit) {
  [&]<int... i>(std::integer_sequence<int, i...>) GRADFLOW_INLINE { (visit(std::integral_constant<int, i>()), ...); }
  (std::make_integer_sequence<int, count>());
}

/// visit(value), for one of 1, ..., most, as a number that the compiler knows.
template <int most, class Visit>
GRADFLOW_INLINE inline void as_constant(Index value, Visit visit) {
  [&]<int... before>(std::integer_sequence<int, before...>) {
    (void)((value == before + 1 && (visit(std::integral_constant<int, before + 1>()), true)) || ...);
  }
  (std::make_integer_sequence<int, most>());
}

/// visit(at, size) for [0, count) in pieces of at most `most`, whose sizes the compiler knows; the last two share what
/// is left.
template <int most, class Visit>
GRADFLOW_INLINE inline void in_pieces(Index count, Visit visit) {
  for (Index at = 0, size; at < count; at += size) {
    const Index left = count - at;
    size = left <= most ? left : left < 2 * most ? (left + 1) / 2 : most;
    as_constant<most>(size, [&](auto known) { visit(at, known); });
  }
}

/// A block of the inner products below.
template <int I, int J, class Real>
void dot_block(const Real* const* a, const Real* const* b, Index n, const Real& scale, Real* out, Index ld) {
  constexpr int size = Machine<Real>::size;
  constexpr int at_once = I * J > 4 ? 1 : 2;  // enough sums in flight to hide the latency of each
  constexpr int all = (I * J + size - 1) / size * size;
  Packet<Real> sum[at_once][all];
  unrolled<at_once * all>([&](auto e) GRADFLOW_INLINE { sum[e / all][e % all] = Packet<Real>{}; });
  for (Index r = 0; r < n; r += at_once * size)
    unrolled<at_once>([&](auto s) GRADFLOW_INLINE {
      Packet<Real> y[J];
      unrolled<J>([&](auto j) GRADFLOW_INLINE { y[j] = load(b[j] + r + s * size); });
      unrolled<I>([&](auto i) GRADFLOW_INLINE {
        const Packet<Real> x = load(a[i] + r + s * size);
        unrolled<J>([&](auto j) GRADFLOW_INLINE { sum[s][i * J + j] += x * y[j]; });
      });
    });
  if constexpr (at_once == 2) unrolled<I * J>([&](auto e) GRADFLOW_INLINE { sum[0][e] += sum[1][e]; });
  std::array<Real, all> values;
  unrolled<all / size>([&](auto block) GRADFLOW_INLINE {
    store<Real>(scale * sums_of<Real>(&sum[0][block * size]), values.data() + block * size);
  });
  for (int i = 0; i < I; ++i) std::copy_n(values.data() + i * J, J, out + i * ld);
}

/// out[i ld + j] = scale a_i . b_j, for the vectors a_i, b_j of padded length n that stand at a[i] and b[j].
template <class Real>
void dots(const Real* const* a, Index from_a, Index to_a, const Real* const* b, Index from_b, Index to_b, Index n,
          const Real& scale, Real* out, Index ld) {
  constexpr int wide = Machine<Real>::wide;
  const Index count = to_b - from_b, pieces = (count + wide - 1) / wide;
  if (count == 0) return;
  as_constant<wide>((count + pieces - 1) / pieces, [&](auto most) {
    in_pieces<most_rows<Real, most()>>(to_a - from_a, [&](Index i, auto rows) {
      in_pieces<most()>(count, [&](Index j, auto columns) {
        dot_block<rows(), columns()>(a + from_a + i, b + from_b + j, n, scale, out + (from_a + i) * ld + from_b + j,
                                     ld);
      });
    });
  });
}

/// Vectors that stand one after another, `ld` apart.
template <class Real>
struct Rows {
  Real* first;
  Index ld;
  GRADFLOW_INLINE Real* operator[](Index i) const { return first + i * ld; }
};

/// One number of each of `sums`' factors: g_ij stands at g[i by_i + j by_j].
template <class Real>
struct Factors {
  const Real* g;
  Index by_i, by_j;

  Factors from(Index i) const { return {g + i * by_i, by_i, by_j}; }
};

/// I rows of the sums below, `wide` packets from r on.
template <int I, int wide, class Real, class In, class Out>
void sum_block(const Factors<Real>& factors, Index i0, const In& b, Index count, Index r, Index n, const Real& scale,
               const Out& out, bool add, Packet<Real>* squares) {
  constexpr int size = Machine<Real>::size;
  Packet<Real> sum[I][wide];
  const auto each = [](auto visit) GRADFLOW_INLINE {
    unrolled<I * wide>([&](auto e) GRADFLOW_INLINE {
      visit(std::integral_constant<int, e / wide>(), std::integral_constant<int, e % wide>());
    });
  };
  each([&](auto i, auto s) GRADFLOW_INLINE { sum[i][s] = Packet<Real>{}; });
  const Real* g = factors.g + i0 * factors.by_i;
  for (Index j = 0; j < count; ++j, g += factors.by_j) {
    const Real* const from = b[j] + r;
    Packet<Real> x[wide];
    unrolled<wide>([&](auto s) GRADFLOW_INLINE { x[s] = load(from + s * size); });
    each([&](auto i, auto s) GRADFLOW_INLINE { sum[i][s] += g[i * factors.by_i] * x[s]; });
  }
  if (squares) each([&](auto i, auto s) GRADFLOW_INLINE { squares[s] += sum[i][s] * sum[i][s]; });
  if (r + wide * size <= n) {
    if (add)
      each([&](auto i, auto s) GRADFLOW_INLINE {
        Real* const to = out[i0 + i] + r + s * size;
        store<Real>(load(to) + scale * sum[i][s], to);
      });
    else
      each([&](auto i, auto s) GRADFLOW_INLINE { store<Real>(scale * sum[i][s], out[i0 + i] + r + s * size); });
    return;
  }
  each([&](auto i, auto s) {
    std::array<Real, size> values;
    store<Real>(scale * sum[i][s], values.data());
    const Index at = r + s * size;
    for (Index e = 0; e < std::min<Index>(size, n - at); ++e) {
      Real& to = out[i0 + i][at + e];
      to = add ? Real(to + values[static_cast<std::size_t>(e)]) : values[static_cast<std::size_t>(e)];
    }
  });
}

/// The squares of all sums, before `scale`, a packet's worth in each.
template <class Real>
using Squares = std::array<Packet<Real>, Machine<Real>::long_row>;

template <class Real>
Real total(const Squares<Real>& squares) {
  Real sum = 0;
  for (const Packet<Real>& packet : squares) {
    std::array<Real, Machine<Real>::size> values;
    store<Real>(packet, values.data());
    for (const Real& value : values) sum += value;
  }
  return sum;
}

/// out_i = scale sum_j g_ij b_j, or += where it adds, for i in [0, rows) and j in [0, count): n numbers of each, the
/// b_j being padded to whole lanes. b[j] and out[i] say where a vector begins. Few lanes of all rows at a time, so that
/// of many b_j each is fetched once.
template <class Real, class In, class Out>
void sums(const Factors<Real>& factors, Index rows, Index count, const In& b, Index n, const Real& scale,
          const Out& out, bool add, Squares<Real>* squares = nullptr) {
  using M = Machine<Real>;
  const auto in_blocks = [&](auto widest) {
    in_pieces<widest()>((n + M::size - 1) / M::size, [&](Index packet, auto wide) {
      in_pieces<most_rows<Real, wide()>>(rows, [&](Index i, auto size) {
        sum_block<size(), wide()>(factors, i, b, count, packet * M::size, n, scale, out, add,
                                  squares ? squares->data() : nullptr);
      });
    });
  };
  if (rows == 1)
    in_blocks(std::integral_constant<int, M::long_row>());
  else
    in_blocks(std::integral_constant<int, M::wide>());
}

}  // namespace lanes
}  // namespace gradflow
