#pragma once
#include <cstdint>
#include <random>

namespace gradflow {

/// What random numbers are drawn for. Each use has its own stream, so that a change to the task (more samples, say)
/// leaves the start as it was. The numbers are part of what a seed means: never renumber them, append.
enum class Stream : std::uint32_t {
  task = 0,     ///< fillers of a generated task
  start = 1,    ///< W, W_V, W_K, W_Q at t = 0
  readout = 2,  ///< a
  batches = 3,  ///< order of the samples in descents on minibatches
  test = 4,     ///< fillers of test samples; which samples of a text are held back as such
};

/// The generator of one stream of a seed; equal arguments give equal generators, everywhere. Seed (both halves) and
/// stream go through std::seed_seq, which fills the whole 19,968-bit state, so neighbouring seeds and streams share
/// nothing; its algorithm, like that of the engine, is laid down by the C++ standard ([rand.util.seedseq],
/// [rand.eng.mers]). The distributions of the standard library are not: draw with Boost.Random, whose algorithms do not
/// depend on the compiler's library.
std::mt19937_64 random_stream(std::uint64_t seed, Stream stream);

}  // namespace gradflow
