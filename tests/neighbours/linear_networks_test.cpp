// Deep linear networks: sigmoidal growth of modes, and the laws that tie the layers together.
#include <gtest/gtest.h>

#include <Eigen/QR>

#include "support/closed_form.hpp"
#include "support/neighbours.hpp"

namespace neighbours {
namespace {

/// An orthogonal matrix like any other.
template <class Real>
Matrix<Real> orthogonal(Index size, int seed) {
  Matrix<Real> A(size, size);
  for (Index i = 0; i < A.size(); ++i) A.data()[i] = Real((i * i * 7 + i * seed + 3) % 11 - 5);
  return Eigen::HouseholderQR<Matrix<Real>>(A).householderQ() * Matrix<Real>::Identity(size, size);
}

/// One mode: a' = b (s - a b), b' = a (s - a b), from a > 0 and b > 0. a^2 - b^2 is constant.
template <class Real>
struct Mode {
  Real s, a, b;

  std::pair<Real, Real> at(Real t) const {  // a, b
    using std::exp;
    using std::sqrt;
    const Real c = a * a - b * b;
    if (c == 0) {  // a b follows a sigmoid
      const Real growth = exp(2 * s * t), root = sqrt(s * growth / (growth - 1 + s / (a * b)));
      return {root, root};
    }
    // The larger is sqrt|c| cosh(theta/2), the smaller sqrt|c| sinh(theta/2); theta' = 2 s - |c| sinh theta.
    using std::abs;
    using std::cosh;
    using std::sinh;
    const Real theta = angle_flow().theta(t) / 2, large = sqrt(abs(c)) * cosh(theta),
               small = sqrt(abs(c)) * sinh(theta);
    return c > 0 ? std::pair(large, small) : std::pair(small, large);
  }
  /// When a b = s/2.
  Real half_height() const {
    using std::abs;
    using std::asinh;
    using std::log;
    const Real c = abs(a * a - b * b);
    return c == 0 ? Real(log(s / (a * b) - 1) / (2 * s)) : angle_flow().time(asinh(s / c));
  }

 private:
  SinhFlow<Real> angle_flow() const {
    using std::abs;
    using std::asinh;
    const Real c = abs(a * a - b * b);
    return {2 * s, c, asinh(2 * a * b / c)};
  }
};

/// W_1 = R diag(a) V^T and W_2 = U diag(b) R^T: three modes side by side, in matrices that show none of it. One is
/// balanced, in one the first layer is larger, in one the second.
struct AlignedModes {
  template <class Real>
  ClosedForm<Real> operator()(Real) const {
    const std::vector<Mode<Real>> modes{
        {3, Real(1) / 4, Real(1) / 4}, {2, Real(1) / 2, Real(1) / 8}, {1, Real(1) / 4, Real(5) / 4 - Real(1) / 2}};
    const Matrix<Real> U = orthogonal<Real>(3, 4), R = orthogonal<Real>(3, 6), V = orthogonal<Real>(4, 5).leftCols(3);
    Vector<Real> s(3);
    for (Index k = 0; k < 3; ++k) s[k] = modes[static_cast<std::size_t>(k)].s;
    const auto system = std::make_shared<TwoLayerLinear<Real>>(U, s, V, 3);
    const auto exact = [=](Real t) {
      Vector<Real> a(3), b(3), x(21);
      for (Index k = 0; k < 3; ++k) std::tie(a[k], b[k]) = modes[static_cast<std::size_t>(k)].at(t);
      x << (R * a.asDiagonal() * V.transpose()).reshaped(), (U * b.asDiagonal() * R.transpose()).reshaped();
      return std::vector<Real>(x.begin(), x.end());
    };
    const auto error = [exact](Real t, In<Real> x) -> Real {
      return (Eigen::Map<const Vector<Real>>(x.data(), 21) - Eigen::Map<const Vector<Real>>(exact(t).data(), 21))
          .cwiseAbs()
          .maxCoeff();
    };
    const auto balance = [system](In<Real> x) {
      const Matrix<Real> law =
          system->W_1(x) * system->W_1(x).transpose() - system->W_2(x).transpose() * system->W_2(x);
      return std::vector<Real>(law.data(), law.data() + law.size());
    };
    return {.system = system,
            .start = exact(Real(0)),
            .end = 6,
            .clock = solvers::Clock<Real>::linear(),
            .error = error,
            .invariants = balance,
            .event_times = {modes[0].half_height(), modes[1].half_height(), modes[2].half_height()}};
  }
};

TEST(TwoLayerLinearNetwork, AlignedModesFollowSigmoidsAndHyperbolas) { expect_closed_form(AlignedModes{}); }

TEST(TwoLayerLinearNetwork, HalfHeightIsWhereTheProductIsHalf) {
  for (const Mode<double>& mode : {Mode<double>{3, 0.25, 0.25}, {2, 0.5, 0.1}, {1, 0.1, 0.5}}) {
    const auto [a, b] = mode.at(mode.half_height());
    EXPECT_NEAR(a * b, mode.s / 2, 1e-14);
    EXPECT_NEAR(a * a - b * b, mode.a * mode.a - mode.b * mode.b, 1e-14);
  }
}

/// Equal layers w: w' = w^{D-1} (s - w^D), so for the product x' = D x^{2-2/D} (s - x). The time is elementary in w for
/// D = 2, 3, 4.
template <class Real>
Real time_of(Index depth, Real s, Real w) {
  using std::atan;
  using std::atanh;
  using std::cbrt;
  using std::log;
  using std::sqrt;
  if (depth == 2) return (log(w) - log(s - w * w) / 2) / s;
  if (depth == 4) return (atanh(w * w / sqrt(s)) / sqrt(s) - 1 / (w * w)) / (2 * s);
  const Real r = cbrt(s), v = w / r, root = sqrt(Real(3));
  return ((log(v * v + v + 1) / 6 - log(1 - v) / 3 - atan((2 * v + 1) / root) / root) / r - 1 / w) / s;
}

struct EqualLayers {
  Index depth;

  template <class Real>
  ClosedForm<Real> operator()(Real) const {
    using std::pow;
    const Real s = 2, w_0 = Real(3) / 10, D = Real(depth);
    const auto time = [=, *this](Real w) -> Real { return time_of(depth, s, w) - time_of(depth, s, w_0); };
    const auto error = [=](Real t, In<Real> x) -> Real {  // of the time at which w is had, times the speed there
      using std::abs;
      return abs(time(x[0]) - t) * pow(x[0], D - 1) * (s - pow(x[0], D));
    };
    const auto equal = [](In<Real> x) {
      std::vector<Real> laws;
      for (const Real& w : x) laws.push_back(w * w - x[0] * x[0]);
      return laws;
    };
    return {.system = std::make_shared<DeepScalar<Real>>(depth, s),
            .start = std::vector<Real>(static_cast<std::size_t>(depth), w_0),
            .end = time(pow(s * Real(99) / 100, 1 / D)),
            .clock = solvers::Clock<Real>::linear(),
            .error = error,
            .invariants = equal,
            .event_times = {time(pow(s / 2, 1 / D)), time(pow(s * 9 / 10, 1 / D))}};
  }
};

class DeepScalarNetwork : public testing::TestWithParam<Index> {};
INSTANTIATE_TEST_SUITE_P(Depths, DeepScalarNetwork, testing::Values(2, 3, 4));

TEST_P(DeepScalarNetwork, EqualLayersFollowTheImplicitTime) { expect_closed_form(EqualLayers{GetParam()}); }

}  // namespace
}  // namespace neighbours
