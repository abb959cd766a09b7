#pragma once
#include <gradflow/observables/moment.hpp>

#include <array>

namespace gradflow {

/// The rows of the table of observables that take more than a line. `out` is row-major over the row's dimensions.

/// What a word is to the task; all but the targets and the common word are fillers.
inline constexpr std::array<const char*, 4> role_names{"target1", "target2", "common", "filler"};

/// Sums (or means) of a per-sample quantity over each class, [class]; the mean of an empty class is NaN.
void by_class(Moment& moment, const std::vector<double>& per_sample, bool mean, std::span<double> out);

/// [class, key role, query role] The attention mass P_iq on all keys of a role, averaged over the query tokens of a
/// role in the samples of a class; NaN where there are none.
void attention_by_role(Moment& moment, std::span<double> out);

/// [statistic] Mean, deviation, smallest and largest value G of the filler words that occur; NaN where there are none.
void filler_statistics(Moment& moment, std::span<double> out);

/// [class] t L_c' / L_c, L_c the mean loss of class c, L_c' its derivative along the flow:
///     z_i' = y_i sum_q c_iq sum_k P_iq(k) (G'(k) + (G(k) - h_iq) A'(k,q)),   log(1 + e^{-z})' = -g z',
/// with G' and A' = B' / sqrt(m) from the coupled equations (flows/gram.hpp), which hold in every formulation.
void loss_class_slope(Moment& moment, std::span<double> out);

/// [matrix] |W|_F^2 / |W|_2^2 of W, W_V, W_K, W_Q, the columns of all words included. Without weights it comes from the
/// Gram matrices, which must hold all words; else, and for W, it is NaN.
void stable_ranks(Moment& moment, std::span<double> out);

}  // namespace gradflow
