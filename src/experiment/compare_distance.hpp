#pragma once
#include <gradflow/flows/flow.hpp>

namespace gradflow {

/// All that a comparison looks at, at one state.
struct Standing {
  Weights<double> weights;
  std::vector<double> logits;     ///< F_i [n]
  std::vector<double> G;          ///< [d]
  std::vector<double> attention;  ///< P_iq(k), laid out as Model::Forward::attention
  double loss;
};

/// The flow must have weights.
Standing standing(const Flow<double>& flow, std::span<const double> x);

/// How far a descent is from a flow.
struct Distances {
  /// |theta_d - theta_f| / |theta_f| over all words' columns of W, W_V, W_K, W_Q, and of each by itself (0 where
  /// neither has anything).
  double parameters;
  PerMatrix<double> matrices;
  double logits;     ///< root mean square over the samples, over that of the flow's
  double loss;       ///< the descent's less the flow's
  double G;          ///< |G_d - G_f| / |G_f| over all words
  double attention;  ///< the largest difference of a P_iq(k)
};

Distances distances(const Standing& descent, const Standing& flow);

/// The first of them by itself.
double parameter_distance(const Weights<double>& descent, const Weights<double>& flow);

}  // namespace gradflow
