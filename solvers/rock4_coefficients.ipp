// The family of fourth-order stabilised methods that rock4.cpp steps with, at any number of stages.
#include <array>
#include <vector>

namespace solvers {

/// One member of the family, in the construction of Abdulle (SIAM J. Sci. Comput. 23, 2002): n = stages - 4 stages by a
/// three-term recurrence,
///     K_0 = x,  K_j = h mu_j f(K_{j-1}) + (1 + kappa_j) K_{j-1} - kappa_j K_{j-2},
/// then a method of four stages from K_n, of which all together have order 4:
///     Y_i = K_n + h sum_{j<i} a_ij f(Y_j),  x_new = K_n + h sum_i b_i f(Y_i).
/// h (e_0 f(K_{n-1}) + sum_i e_i f(Y_i)) estimates the error, to order 3. The stability polynomial is w P: P, of degree
/// n, that of K_n, comes from polynomials orthogonal on [-reach, 0] with weight w0^2 / sqrt(z (z + reach)), w0 of
/// degree 4 with two pairs of complex zeros; w follows from the order conditions, and w0 is so chosen that it is w, in
/// all but the last figures. Then |w P| <= 0.9503 where the exponential does not dominate.
///
/// Abdulle's are tables of numbers, to sixteen figures. Here nothing is tabulated but w0's zeros, the reach and a node,
/// which are smooth functions of 1/stages^2, fitted for 5 to 200 stages to the figures that matter; recurrence and
/// finishing method are worked out from them in Real's precision, so that the order conditions hold to rounding.
///
/// Like all compositions of this kind it has stages of order 1: where h rho is large and a slow motion drives a fast
/// component, that one's error falls with h^2 only (rkc2, whose stages have order 2, is better there).
template <class Real>
struct Rock4Coefficients {
  /// `stages` >= 5.
  explicit Rock4Coefficients(int stages);

  static double reach(int stages);  ///< the stability interval is [-reach, 0]

  std::vector<Real> mu, kappa;      ///< of the recurrence, j = 1 .. n
  std::vector<Real> time;           ///< of K_0 .. K_n, in steps
  std::array<Real, 4> finish_time;  ///< of the Y_i, in steps
  std::array<std::array<Real, 4>, 4> a;
  std::array<Real, 4> b;
  std::array<Real, 5> e;

 private:
  void set_recurrence(int stages);
};

}  // namespace solvers
