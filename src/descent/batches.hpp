#pragma once
#include <gradflow/tasks/task.hpp>

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace gradflow {

/// Minibatches without replacement: every epoch visits every sample once, in an order drawn anew, `size` samples at a
/// time; its last batch takes what is left. The same seed means the same batches on every machine.
class Batches {
 public:
  Batches(Index samples, Index size, std::uint64_t seed);

  /// The next batch, ascending (a sum over all samples is then the full gradient's to the last bit). Holds until the
  /// next call.
  std::span<const Index> next();

 private:
  void shuffle();

  std::vector<Index> order_;
  std::size_t size_, place_;  // place_: where the next batch begins
  std::mt19937_64 generator_;
};

}  // namespace gradflow
