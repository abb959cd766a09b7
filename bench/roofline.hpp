#pragma once
#include <Eigen/Core>
#include <algorithm>
#include <cstring>
#include <limits>

#include "stopwatch.hpp"

/// What one thread of this machine can do, measured: the bound that every kernel is held against.
namespace bench {

/// Processor seconds of the fastest of several calls, after one that is not counted; at least `least` seconds in all.
template <class Call>
double fastest(Call call, double least = 0.2) {
  call();
  double best = std::numeric_limits<double>::infinity(), all = 0;
  for (int n = 0; n < 5 || all < least; ++n) {
    const Stopwatch watch;
    call();
    const double seconds = watch.read().processor;
    best = std::min(best, seconds);
    all += seconds;
  }
  return best;
}

/// Keeps the compiler from leaving out what nobody reads.
inline void use(const void* memory) { asm volatile("" : : "g"(memory) : "memory"); }

/// Bandwidths in bytes a second at one size of array; bytes as the program asks for them (a store that first reads its
/// line moves more).
struct Bandwidth {
  double read, copy, triad;
};

/// `size`: numbers in each array.
inline Bandwidth bandwidth(std::ptrdiff_t size) {
  Eigen::ArrayXd a = Eigen::ArrayXd::Constant(size, 1), b = Eigen::ArrayXd::Constant(size, 2), c = a;
  const double bytes = 8.0 * static_cast<double>(size);
  // The clock counts microseconds.
  const int repeat = static_cast<int>(std::max(1.0, 2e7 / bytes));
  const auto rate = [&](double arrays, auto call) {
    return arrays * bytes * repeat / fastest([&] {
             for (int n = 0; n < repeat; ++n) call();
           });
  };
  volatile double sum = 0;
  const double read = rate(1, [&] { sum = a.sum(); });
  const double stored = rate(2, [&] { b = a, use(b.data()); });
  const double copied = rate(2, [&] {
    std::memcpy(b.data(), a.data(), static_cast<std::size_t>(bytes));  // past the caches where the library thinks fit
    use(b.data());
  });
  const double triad = rate(3, [&] { c = a + 3.0 * b, use(c.data()); });
  return {read, std::max(stored, copied), triad};
}

/// Floating-point operations a second of multiplications and additions that wait for nothing.
inline double flop_peak() {
  using Packet = Eigen::internal::packet_traits<double>::type;
  constexpr int width = Eigen::internal::packet_traits<double>::size;
  constexpr int chains = 12, rounds = 100000;  // more chains in flight than latency times throughput
  double out[width * chains];
  const Packet factor = Eigen::internal::pset1<Packet>(0.999999), term = Eigen::internal::pset1<Packet>(1e-9);
  const double seconds = fastest([&] {
    Packet sums[chains];
    for (Packet& sum : sums) sum = Eigen::internal::pset1<Packet>(1.0);
    for (int n = 0; n < rounds; ++n)
#pragma GCC unroll 12
      for (int i = 0; i < chains; ++i) sums[i] = Eigen::internal::pmadd(sums[i], factor, term);
    for (int i = 0; i < chains; ++i) Eigen::internal::pstoreu(out + i * width, sums[i]);
    use(out);
  });
  return 2.0 * width * chains * rounds / seconds;
}

}  // namespace bench
