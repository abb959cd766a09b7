#pragma once
#include <gradflow/flows/flow.hpp>
#include <gradflow/trajectory/schema.hpp>

namespace gradflow {

/// A flow's state as a run's file keeps it: W, W_V, W_K, W_Q at full width, or where there are no weights the inner
/// products G, U, Gamma, B, S_K, S_Q among the words that the flow holds; row-major.

/// The group `start`: all that the flow starts from.
trajectory::Arrays start_arrays(const Flow<double>& flow, std::span<const double> x);

/// The group `states`: names and shapes of what a snapshot holds, the state, then the drift of the laws, then margin
/// and loss of each training sample.
trajectory::Series state_series(const Flow<double>& flow);
/// How many of its columns are the state.
std::size_t state_columns(const Flow<double>& flow);
/// The values of all its columns, in their order.
std::vector<std::vector<double>> state_values(const Flow<double>& flow, std::span<const double> x);

}  // namespace gradflow
