#pragma once
#include <gradflow/flows/weights.hpp>

#include <cstdint>

namespace gradflow {

/// How weights are drawn at t = 0. "Kaiming" is ambiguous in the paper (Appendix A); its three readings are offered.
/// fan_in is d for W_V, W_K, W_Q and m for W.
enum class StartLaw {
  kaiming_normal,   ///< N(0, 2 / fan_in)
  kaiming_uniform,  ///< U(+-sqrt(6 / fan_in))
  linear_default,   ///< U(+-1 / sqrt(fan_in)), what a linear layer starts from in common frameworks
  gaussian,         ///< N(0, s^2) with the given standard deviations (the paper's theory: s1 for W, s0 for the others)
  orthogonal  ///< a gaussian start's limit at large m: W_K^T W_K = m s^2 I etc., W_K^T W_Q = 0, u orthogonal to W_V's
              ///< columns
};

struct StandardDeviations {
  double W = 0, W_V = 0, W_K = 0, W_Q = 0;
};

/// Draws W [hidden, width], W_V, W_K, W_Q [width, words] and a uniform on {-1, +1}; `s` is read for gaussian and
/// orthogonal only. The same seed means the same weights on every machine. Throws std::invalid_argument where
/// orthogonal lacks room (width < 2 words).
Weights<double> draw_start(StartLaw law, Eigen::Index width, Eigen::Index hidden, Eigen::Index words,
                           const StandardDeviations& s, std::uint64_t seed);

}  // namespace gradflow
