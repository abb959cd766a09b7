#pragma once
#include <gradflow/flows/field_derivatives.hpp>

namespace gradflow {

/// The flow that gradient descent theta <- theta + eta f(theta) follows to order 2 or 3 in its rate eta, at flow time
/// k eta after k steps; the plain flow it follows to order 1. Backward error analysis of Euler's method (Hairer,
/// Lubich, Wanner, Geometric Numerical Integration, 2006, IX.1; order 2: Barrett and Dherin 2021) gives
///     order 2:  f - (eta/2) f'f
///     order 3:  f - (eta/2) f'f + eta^2 ( (1/3) f'f'f + (1/12) f''(f,f) )
/// for any f. Here f = -grad L, f' = -H in the metric of FieldDerivatives::inner and f'' = -T, so the same reads
///     -grad L - (eta/2) H grad L - eta^2 ( (1/3) H^2 grad L + (1/12) T[grad L, grad L] ):
/// order 2 is the flow of L + (eta/4) |grad L|^2.
///
/// A flow like any other: states, observables and events are those of `field`'s flow (which also says what `power` and
/// `law_drifts` are: they speak of the plain flow's speeds and laws). The integrated power is that of -dL/dt along this
/// flow, so it still is what the loss has fallen by. `field` must outlive it. Throws std::invalid_argument for an order
/// other than 2 and 3, and unless eta is finite and not negative.
std::unique_ptr<Flow<double>> make_gradient_descent_flow(const FieldDerivatives& field, double eta, int order);

/// The flow that heavy ball v <- beta v + f, theta <- theta + eta v follows to order 2 in eta, at flow time
/// k eta / (1 - beta) after k steps once its start is forgotten: f - eta (1 + beta) / (2 (1 - beta)^2) f'f, and f'f =
/// H grad L. From rest (v = 0) it stands where this flow was beta / (1 - beta) steps earlier, also to order 2. As
/// above; throws std::invalid_argument unless 0 <= beta < 1.
std::unique_ptr<Flow<double>> make_heavy_ball_flow(const FieldDerivatives& field, double eta, double beta);

}  // namespace gradflow
