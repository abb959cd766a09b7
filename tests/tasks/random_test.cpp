#include <gtest/gtest.h>

#include <gradflow/tasks/random.hpp>
#include <set>

namespace gradflow {
namespace {

TEST(RandomStream, FirstDrawsAreWhatTheStandardLaysDown) {
  // From a second implementation of seed_seq and the 64-bit Mersenne Twister, written in Python after the standard's
  // text.
  const auto expect = [](std::uint64_t seed, Stream stream, std::uint64_t first, std::uint64_t second) {
    std::mt19937_64 random = random_stream(seed, stream);
    EXPECT_EQ(random(), first);
    EXPECT_EQ(random(), second);
  };
  expect(1, Stream::task, 13990704927042618759U, 10587350473720932948U);
  expect(1, Stream::start, 7663924775176451978U, 10092148966538454146U);
  expect(1, Stream::readout, 11610198530410577314U, 18104453842212157692U);
  constexpr std::uint64_t beyond_32_bits = (std::uint64_t{1} << 32U) + 1;
  expect(beyond_32_bits, Stream::task, 6500593848524457103U, 7426778199531695833U);
}

TEST(RandomStream, NeighbouringSeedsAndStreamsShareNoDraws) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (const Stream stream : {Stream::task, Stream::start, Stream::readout}) {
      std::mt19937_64 random = random_stream(seed, stream);
      // 60,000 draws of 64 bits coincide by chance with probability 1e-10.
      for (int k = 0; k < 1000; ++k) ASSERT_TRUE(seen.insert(random()).second);
    }
}

}  // namespace
}  // namespace gradflow
