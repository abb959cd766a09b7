// Threads share work without losing any of it, and numbers do not show how many there were.
#include <gtest/gtest.h>

#include <numeric>
#include <solvers/workers.hpp>
#include <stdexcept>

namespace solvers {
namespace {

class WorkersThreads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Counts, WorkersThreads, testing::Values(1, 2, 3, 8));

TEST_P(WorkersThreads, DoEveryItemOnceRoundAfterRound) {
  Workers workers(GetParam());
  EXPECT_EQ(workers.threads(), GetParam());
  for (const std::ptrdiff_t count : {0, 1, 2, 1000, 7}) {
    std::vector<int> done(static_cast<std::size_t>(count), 0);
    std::vector<std::ptrdiff_t> by_thread(static_cast<std::size_t>(GetParam()), 0);
    workers.for_each(count, [&](std::ptrdiff_t item, int thread) {
      ++done[static_cast<std::size_t>(item)];
      ++by_thread[static_cast<std::size_t>(thread)];
    });
    EXPECT_EQ(done, std::vector<int>(done.size(), 1));
    EXPECT_EQ(std::accumulate(by_thread.begin(), by_thread.end(), std::ptrdiff_t{0}), count);
  }
}

TEST_P(WorkersThreads, TheFirstExceptionComesBackAndTheyGoOn) {
  Workers workers(GetParam());
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(workers.for_each(50,
                                  [](std::ptrdiff_t item, int) {
                                    if (item % 10 == 3) throw std::out_of_range("three");
                                  }),
                 std::out_of_range);
    std::atomic<int> done = 0;
    workers.for_each(50, [&](std::ptrdiff_t, int) { ++done; });
    EXPECT_EQ(done, 50);
  }
}

TEST(Workers, AtLeastOneThreadIsNeeded) {
  EXPECT_THROW(Workers(0), std::invalid_argument);
  EXPECT_THROW(Workers(-1), std::invalid_argument);
}

}  // namespace
}  // namespace solvers
