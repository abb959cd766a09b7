#pragma once
#include <span>

namespace gradflow {

/// What bounds a descent's rate, at one flow time.
struct CurvatureSample {
  double t;
  double gradient;           ///< |grad L|, the square root of the power
  double largest, smallest;  ///< lambda_max and lambda_min of H
};

/// A rate, as its logarithm, which is always finite where the rate itself may underflow.
struct RateEstimate {
  double log_eta;  ///< ln eta
  double t;        ///< of the sample that binds
};

/// How small eta must be for gradient descent to stay within eps (in parameters) of the flow up to the last sample
/// (Elkabetz and Cohen, NeurIPS 2021, arXiv 2107.06608):
///     eta <= eps / sup_t ( beta_t gamma_t integral_0^t exp( integral_{t'}^t m dt'' ) dt' ),   m = max(0, -lambda_min),
/// beta_t the largest |lambda| and gamma_t the largest |grad L| up to t. An estimate and no bound: theirs takes beta,
/// gamma and m over an eps-tube around the flow, this one on the flow itself and at the samples, m constant between two
/// of them at their mean. (Rates some 200 times larger still kept within eps in our tests.)
///
/// Throws std::invalid_argument unless 0 < eps, the samples are at least two, finite, and their times ascend from 0.
RateEstimate elkabetz_cohen_estimate(std::span<const CurvatureSample> samples, double eps);

}  // namespace gradflow
