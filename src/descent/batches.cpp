#include "descent/batches.hpp"

#include <gradflow/tasks/random.hpp>

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <numeric>
#include <utility>

namespace gradflow {
Batches::Batches(Index samples, Index size, std::uint64_t seed)
    : order_(static_cast<std::size_t>(samples)),
      size_(static_cast<std::size_t>(std::min(size, samples))),
      place_(order_.size()),
      generator_(random_stream(seed, Stream::batches)) {
  std::iota(order_.begin(), order_.end(), Index{0});
}

void Batches::shuffle() {  // Fisher and Yates; std::shuffle draws in its own way on every standard library
  for (std::size_t i = order_.size() - 1; i > 0; --i)
    std::swap(order_[i], order_[boost::random::uniform_int_distribution<std::size_t>(0, i)(generator_)]);
}

std::span<const Index> Batches::next() {
  if (place_ == order_.size()) {
    shuffle();
    place_ = 0;
  }
  const std::span<Index> batch = std::span(order_).subspan(place_, std::min(size_, order_.size() - place_));
  place_ += batch.size();
  std::sort(batch.begin(), batch.end());
  return batch;
}

}  // namespace gradflow
