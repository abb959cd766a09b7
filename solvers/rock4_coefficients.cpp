#include <Eigen/LU>
#include <cmath>
#include <utility>

#include "quad.ipp"
#include "rock4_coefficients.ipp"

namespace solvers {
namespace {

/// Powers 0 .. 4 of 25 / stages^2 in reach / stages^2; in real and imaginary parts of w0's zeros in the upper half
/// plane; in the finishing method's second node, where 1 is all that is left of the step. The first five by least
/// squares from the reaches at which w0 = w has the solutions with max |w P| = 0.95, 5 to 152 stages; the last from
/// where the error for x' = z (x - t^2/2) + t from x(0) = 0 is least at its largest over [-reach, 0], 5 to 60 stages.
constexpr double fit[6][5] = {
    {0.35132, -0.11417, 0.00533, -0.00279, 0.00004},   {-2.50043, 0.49977, -0.02164, 0.00939, 0.00155},
    {1.31759, -0.18822, -0.03460, -0.00055, -0.00733}, {-0.30671, 0.25100, -0.22532, 0.07418, -0.01509},
    {3.58355, -0.80308, 0.06339, 0.02839, -0.01603},   {0.12782, -0.14369, 0.01472, 0.04121, 0}};

double fitted(int quantity, int stages) {
  const double y = 25.0 / stages / stages;
  double sum = 0;
  for (int power = 4; power >= 0; --power) sum = sum * y + fit[quantity][power];
  return sum;
}

/// Coefficients of a B-series, in the order . [.] [..] [[.]] [...] [.[.]] [[..]] [[[.]]] of rooted trees: of a stage,
/// the products of what stands under each tree's root (Hairer, Norsett, Wanner, II.12).
template <class Real>
using Series = std::array<Real, 8>;
constexpr std::array exact{1, 2, 3, 6, 4, 8, 12, 24};   // the solution's are 1 over these
constexpr std::array symmetry{1, 1, 2, 1, 6, 1, 2, 1};  // of the trees

/// h f of a stage.
template <class Real>
Series<Real> slope(const Series<Real>& y) {
  return {1, y[0], y[0] * y[0], y[1], y[0] * y[0] * y[0], y[0] * y[1], y[2], y[3]};
}

/// into += c k.
template <class Real>
void add(Series<Real>& into, const Real& c, const Series<Real>& k) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += c * k[i];
}

/// Of K_n and of the stage before it.
template <class Real>
std::pair<Series<Real>, Series<Real>> recurrence_series(const Rock4Coefficients<Real>& of) {
  Series<Real> before{}, now{};
  for (std::size_t j = 0; j < of.mu.size(); ++j) {
    Series<Real> next{};
    add(next, of.mu[j], slope(now));
    add(next, Real(1 + of.kappa[j]), now);
    add(next, Real(-of.kappa[j]), before);
    before = std::exchange(now, next);
  }
  return {now, before};
}

/// The finishing method with nodes 0, c2, c3, c4 after a stage with series g that meets all order conditions but that
/// of the tallest tree, whose residual is returned.
template <class Real>
Real finish(Rock4Coefficients<Real>& of, const Series<Real>& g, const Real& c2, const Real& c3, const Real& c4) {
  using Vector = Eigen::Matrix<Real, 4, 1>;
  const Vector c(Real(0), c2, c3, c4);
  const Vector t = c.array() + g[0];
  Series<Real> rest;  // what is left to do
  for (std::size_t tree = 0; tree < rest.size(); ++tree) rest[tree] = 1 / Real(exact[tree]) - g[tree];
  Eigen::Matrix<Real, 4, 4> powers;
  for (int i = 0; i < 4; ++i) powers.col(i) << 1, t[i], t[i] * t[i], t[i] * t[i] * t[i];
  // sum b_i t_i^p, from the bushy trees.
  const Vector b = powers.fullPivLu().solve(Vector(rest[0], rest[1], rest[2], rest[4]));
  // u_i = sum a_ij c_j, from [[.]] and [.[.]].
  const Real sum = b.sum(), bc = b.dot(c);
  const Real r1 = rest[3] - sum * g[1] - g[0] * bc;
  const Real r2 = rest[5] - b.dot(t) * g[1] - g[0] * b.cwiseProduct(t).dot(c);
  const Real u4 = (r2 - t[2] * r1) / (b[3] * (t[3] - t[2])), u3 = (r1 - b[3] * u4) / b[2];
  const Real bu = b[2] * u3 + b[3] * u4, a32 = u3 / c2;
  // sum a_4j c_j^2, from [[..]].
  const Real v4 = (rest[6] - sum * g[2] - g[0] * g[0] * bc - 2 * g[0] * bu - b[2] * a32 * c2 * c2) / b[3];
  const Real a43 = (v4 - u4 * c2) / (c3 * (c3 - c2)), a42 = (u4 - a43 * c3) / c2;
  of.a = {{{}, {c2}, {Real(c3 - a32), a32}, {Real(c4 - a42 - a43), a42, a43}}};
  for (std::size_t i = 0; i < 4; ++i) {
    of.b[i] = b[static_cast<Eigen::Index>(i)];
    of.finish_time[i] = t[static_cast<Eigen::Index>(i)];
  }
  return sum * g[3] + g[1] * bc + g[0] * bu + b[3] * a43 * u3 - rest[7];
}

/// The one combination of five slopes that has order 3, so scaled that the Euclidean length of its coefficients of
/// order 4 is 1/100; these are then about those of a cubic Hermite interpolant's error at its worst.
template <class Real>
void set_error(Rock4Coefficients<Real>& of, const Series<Real>& before, const Series<Real>& g) {
  using std::sqrt;
  std::array<Series<Real>, 5> k{slope(before)};
  for (std::size_t i = 0; i < 4; ++i) {
    Series<Real> y = g;
    for (std::size_t j = 0; j < i; ++j) add(y, of.a[i][j], k[j + 1]);
    k[i + 1] = slope(y);
  }
  Eigen::Matrix<Real, 4, 4> conditions;
  Eigen::Matrix<Real, 4, 1> first;
  for (std::size_t tree = 0; tree < 4; ++tree) {
    const auto row = static_cast<Eigen::Index>(tree);
    first[row] = -k[0][tree];
    for (std::size_t i = 0; i < 4; ++i) conditions(row, static_cast<Eigen::Index>(i)) = k[i + 1][tree];
  }
  const Eigen::Matrix<Real, 4, 1> others = conditions.fullPivLu().solve(first);
  of.e[0] = 1;
  for (std::size_t i = 0; i < 4; ++i) of.e[i + 1] = others[static_cast<Eigen::Index>(i)];
  Real squares = 0;
  for (std::size_t tree = 4; tree < 8; ++tree) {
    Real coefficient = 0;
    for (std::size_t i = 0; i < 5; ++i) coefficient += of.e[i] * k[i][tree];
    squares += coefficient * coefficient / (symmetry[tree] * symmetry[tree]);
  }
  for (Real& weight : of.e) weight /= 100 * sqrt(squares);
}

}  // namespace

template <class Real>
double Rock4Coefficients<Real>::reach(int stages) {
  return fitted(0, stages) * stages * stages;
}

/// Stieltjes' procedure on [-1, 1], with a Gauss-Chebyshev rule that is exact for the integrals it takes; every
/// polynomial is scaled to 1 at the right end, which is z = 0.
template <class Real>
void Rock4Coefficients<Real>::set_recurrence(int stages) {
  using std::acos;
  using std::cos;
  const auto n = static_cast<std::size_t>(stages - 4), nodes = n + 5;
  const Real half = Real(reach(stages)) / 2, pi = acos(Real(-1));
  std::vector<Real> x(nodes), weight(nodes), before(nodes, Real(0)), now(nodes, Real(1));
  for (std::size_t i = 0; i < nodes; ++i) {
    x[i] = cos(pi * Real(2 * i + 1) / Real(2 * nodes));
    weight[i] = 1;
    for (const int zero : {1, 3}) {
      const Real along = half * (x[i] - 1) - Real(fitted(zero, stages)), across(fitted(zero + 1, stages));
      weight[i] *= (along * along + across * across) * (along * along + across * across);
    }
  }
  Real before_at_end = 0, before_norm = 1;
  time = {Real(0)};
  for (std::size_t j = 0; j < n; ++j) {
    Real norm = 0, moment = 0;
    for (std::size_t i = 0; i < nodes; ++i) {
      norm += weight[i] * now[i] * now[i];
      moment += weight[i] * x[i] * now[i] * now[i];
    }
    const Real alpha = moment / norm, beta = j == 0 ? Real(0) : Real(norm / before_norm);
    const Real at_end = 1 - alpha - beta * before_at_end;
    mu.push_back(1 / (at_end * half));
    kappa.push_back(beta * before_at_end / at_end);
    time.push_back(mu[j] + time[j] + (j == 0 ? Real(0) : Real(kappa[j] * (time[j] - time[j - 1]))));
    for (std::size_t i = 0; i < nodes; ++i) {
      const Real next = ((x[i] - alpha) * now[i] - beta * before[i]) / at_end;
      before[i] = std::exchange(now[i], next) / at_end;
    }
    before_at_end = 1 / at_end;
    before_norm = norm / (at_end * at_end);
  }
}

template <class Real>
Rock4Coefficients<Real>::Rock4Coefficients(int stages) {
  set_recurrence(stages);
  const auto [g, before] = recurrence_series(*this);
  // The second node decides how far a fast component pulls the others along a curve; the third, what the coefficients
  // of order 5 and the weights are, which are small around here. The last, near the step's end, is where the last
  // condition holds, by the secant method.
  const Real left = 1 - g[0], c2 = Real(fitted(5, stages)) * left, c3 = Real(0.47) * left;
  Real last = Real(1.03) * left, c4 = Real(1.02) * left;
  Real last_residual = finish(*this, g, c2, c3, last), residual = finish(*this, g, c2, c3, c4);
  for (int iteration = 0; iteration < 20 && residual != last_residual; ++iteration) {
    const Real next = c4 - residual * (c4 - last) / (residual - last_residual);
    last = std::exchange(c4, next);
    last_residual = std::exchange(residual, finish(*this, g, c2, c3, c4));
  }
  set_error(*this, before, g);
}

template struct Rock4Coefficients<double>;
template struct Rock4Coefficients<Quad>;

}  // namespace solvers
