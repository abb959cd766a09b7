#pragma once
#include <gradflow/flows/field_derivatives.hpp>

namespace gradflow {

/// The ends of the spectrum of the loss's Hessian H, per unit of flow time.
struct Curvature {
  double largest = 0;   ///< lambda_max, the sharpness: gradient descent is stable where eta lambda_max < 2
  double smallest = 0;  ///< lambda_min
  /// |H v - lambda v| of both, v of length 1: an eigenvalue lies no further from `largest` and `smallest` than that.
  double residual_largest = 0, residual_smallest = 0;
  Index products = 0;      ///< products f'v that it took
  bool converged = false;  ///< both residuals are within their bars; false also where f' is not finite
};

/// Bars for the residuals, over the largest |lambda|. An eigenvalue that stands apart from others is good to the square
/// of its bar. lambda_min lies in a crowd and takes many more products (16 against 144 on the paper's experiment at the
/// start, 40 at a bar of 1e-4).
struct LanczosOptions {
  double tolerance_largest = 1e-8, tolerance_smallest = 1e-8;
  Index max_products = 500;  ///< then what there is is returned, not converged
};

/// Of the Hessian in all parameters W, W_V, W_K, W_Q, whatever the formulation and the coordinates of `field`, in the
/// metric |theta'|^2 / rho, which makes it -f' (field_derivatives.hpp): with rates H is rho^(1/2) H rho^(1/2), and
/// frozen matrices are left out. By the Lanczos method with full reorthogonalisation (Golub and Van Loan, Matrix
/// Computations, 2013, 10.1 and 10.3) on products f'v, from a fixed pseudo-random start: the same bits every time.
///
/// The reduced state has the same nonzero spectrum as W itself. The loss sees W through u = W^T a alone, so its Hessian
/// in W is E H_b E^T, H_b that in b = u / sqrt(M), E = (a / sqrt(M)) (x) I with orthonormal columns; across them it is
/// 0, as it is for the columns of unused words: `smallest` is at most 0 where there is such a direction. Nor do
/// compressed coordinates lose an end of the spectrum. Across the span of the start's columns H couples u with W_V by
/// gV and W_K with W_Q by gA / sqrt(m), with eigenvalues +-sqrt(M) |gV| and +- the singular values of gA / sqrt(m); but
/// the eigenvectors of the outermost exist along every direction z, and the n + 1 (or 2n) dimensions of the span have
/// room for a z such that no value G and no score A changes to first order: there H has the same quotient.
///
/// Throws std::invalid_argument unless both tolerances are positive and max_products >= 1.
Curvature curvature(const FieldDerivatives& field, FieldDerivatives::State x, const LanczosOptions& options = {});

}  // namespace gradflow
