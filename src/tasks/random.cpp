#include <gradflow/tasks/random.hpp>

namespace gradflow {

std::mt19937_64 random_stream(std::uint64_t seed, Stream stream) {
  // seed_seq keeps 32 bits of each number.
  std::seed_seq sequence{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U),
                         static_cast<std::uint32_t>(stream)};
  return std::mt19937_64(sequence);
}

}  // namespace gradflow
