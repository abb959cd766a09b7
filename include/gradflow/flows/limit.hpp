#pragma once
#include <gradflow/tasks/task.hpp>

#include <array>
#include <optional>
#include <solvers/system.hpp>
#include <span>
#include <vector>

namespace gradflow {

/// The paper's four classes I1..I4, with shares 1/2, 1/6, 1/6, 1/6 (Yang et al. 2024, Definition 2.1, Assumption 2.3),
/// L tokens in a sample, all fillers distinct.
struct LimitTask {
  std::optional<Index> samples;  ///< n, a multiple of 6; without a value: infinitely many, whose fillers do not move
  Index length = 5;              ///< L >= 3
};

/// The limit of the gradient flow at small starts of W_V, W_K, W_Q and large U = |W^T a|^2: attention stays uniform (so
/// every value counts once in F_i), W_V acts through U alone, and U is constant. Time is in units of 1/U. State, [3]
/// and [4]:
///     x_k = G(mu_k) of the two targets and the common word     x1' = S1 - S2,  x2' = S1 - S3,  x3' = S1 - S2 - S3 - S4
///     f_c, the value of each filler of a sample of class c     f_c' = y_c g_c / n
/// with the margins z_c = y_c (x of its own words + (number of its fillers) f_c), g_c = 1 / (1 + e^{z_c}) and S_c =
/// share_c g_c, the sum of g_i / n over class c. Samples of a class have L - 3, L - 2, L - 2, L - 1 fillers and move
/// alike. Where a class has no filler (I1 at L = 3), f_c stays 0. Not in the paper: it is the paper's coupled system
/// (Appendix C) with the other variables held fixed.
///
/// Events, over scales that make them free of units: "overtaken", -x3' > max(x1', x2') (proof of Lemma 4.3);
/// "past_the_peak", z2' > 0 and z3' > 0, so that the losses of I2 and I3 fall; "classified", all margins positive.
template <class Real>
class LimitFlow final : public solvers::System<Real> {
 public:
  using State = std::span<const Real>;  ///< x1, x2, x3, f1, f2, f3, f4

  /// Throws std::invalid_argument unless n is a positive multiple of 6 and L >= 3.
  explicit LimitFlow(const LimitTask& task);

  static std::vector<Real> initial_state() { return std::vector<Real>(7, Real(0)); }

  std::vector<solvers::Block> blocks() const override;
  void derivative(Real t, State x, std::span<Real> dx) const override;
  std::vector<solvers::Event> events() const override;
  void event_values(Real t, State x, std::span<Real> values) const override;

  std::array<Real, 4> margins(State x) const;        ///< z_c; linear in x, so of x' they are the margins' speeds
  std::array<Real, 4> gradient_sums(State x) const;  ///< S_c
  Real loss(State x) const;                          ///< sum_c share_c log(1 + e^{-z_c})
  Real R(State x) const;                             ///< (S2 + S3 + S4 - S1) / (S1 - S2); NaN while S1 <= S2

 private:
  std::array<Real, 4> fillers_;  // in a sample of each class
  Real per_sample_;              // 1/n
};

/// Where S_c, loss and R go as t -> infinity.
template <class Real>
struct LimitAtInfiniteTime {
  std::array<Real, 4> S;  ///< S_c U t
  Real loss;              ///< L U t, the sum of the four
  Real R;
};

/// Every margin that keeps pace grows like log t, so that t z_c' = 1, a linear system in the s_c = S_c U t, s_2 = s_3:
///     I1:  (3 + 2 (L-3)/n) s_1 - 4 s_2 - s_4 = 1       I2, I3:  -2 s_1 + (3 + 6 (L-2)/n) s_2 + s_4 = 1
///     I4:  -s_1 + 2 s_2 + (1 + 6 (L-1)/n) s_4 = 1
/// Class I4 outruns the others where t z_4' = 2 s_2 - s_1 > 1 without it; then s_4 = 0, S_4 dies like t^-(2 s_2 - s_1),
/// and I1 to I3 are the support vectors of the maximum margin. Otherwise (few samples to a filler) all four are. At
/// equality S_4 dies more slowly than any power against the rest. Throws as LimitFlow does.
template <class Real>
LimitAtInfiniteTime<Real> limit_at_infinite_time(const LimitTask& task);

}  // namespace gradflow
