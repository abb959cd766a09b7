#include <gradflow/flows/start.hpp>
#include <gradflow/tasks/random.hpp>

#include <Eigen/QR>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/uniform_real_distribution.hpp>
#include <cmath>
#include <stdexcept>
#include <string>

namespace gradflow {
namespace {

using Generator = std::mt19937_64;

/// Fills column by column. `Distribution` draws with mean 0.
template <class Dense, class Distribution>
void fill(Dense& matrix, Distribution distribution, Generator& generator) {
  for (double& entry : matrix.reshaped()) entry = distribution(generator);
}

template <class Dense>
void fill(Dense& matrix, StartLaw law, double fan_in, double s, Generator& generator) {
  using Normal = boost::random::normal_distribution<double>;
  using Uniform = boost::random::uniform_real_distribution<double>;
  const auto uniform = [](double bound) { return Uniform(-bound, bound); };
  switch (law) {
    case StartLaw::kaiming_normal:
      return fill(matrix, Normal(0, std::sqrt(2 / fan_in)), generator);
    case StartLaw::kaiming_uniform:
      return fill(matrix, uniform(std::sqrt(6 / fan_in)), generator);
    case StartLaw::linear_default:
      return fill(matrix, uniform(1 / std::sqrt(fan_in)), generator);
    case StartLaw::gaussian:
      return fill(matrix, Normal(0, s), generator);
    case StartLaw::orthogonal:
      return fill(matrix, Normal(0, 1), generator);
  }
}

/// Orthonormal columns spanning what `gaussian`'s columns span: uniformly distributed (Haar), once the diagonal of R is
/// positive (Mezzadri 2007; a Householder decomposition alone fixes the sign of each column's first entry).
Matrix<double> orthonormal(const Matrix<double>& gaussian) {
  const Eigen::HouseholderQR<Matrix<double>> qr(gaussian);
  Matrix<double> Q = qr.householderQ() * Matrix<double>::Identity(gaussian.rows(), gaussian.cols());
  for (Eigen::Index j = 0; j < Q.cols(); ++j)
    if (qr.matrixQR()(j, j) < 0) Q.col(j) *= -1;
  return Q;
}

void make_orthogonal(Weights<double>& w, const StandardDeviations& s) {
  const Eigen::Index m = w.width(), d = w.words();
  const double root_m = std::sqrt(static_cast<double>(m)), M = static_cast<double>(w.hidden());
  Matrix<double> kq(m, 2 * d), vu(m, d + 1);
  kq << w.W_K, w.W_Q;
  kq = orthonormal(kq);
  w.W_K = s.W_K * root_m * kq.leftCols(d);
  w.W_Q = s.W_Q * root_m * kq.rightCols(d);
  vu << w.W_V, w.W.transpose() * w.a;
  vu = orthonormal(vu);
  w.W_V = s.W_V * root_m * vu.leftCols(d);
  // Of W only u = W^T a matters; the rest of it stays a Gaussian draw.
  const Vector<double> u = s.W * std::sqrt(static_cast<double>(m) * M) * vu.col(d);
  w.W *= s.W;
  w.W += w.a * (u - w.W.transpose() * w.a).transpose() / M;
}

}  // namespace

Weights<double> draw_start(StartLaw law, Eigen::Index width, Eigen::Index hidden, Eigen::Index words,
                           const StandardDeviations& s, std::uint64_t seed) {
  if (law == StartLaw::orthogonal && width < 2 * words)
    throw std::invalid_argument("orthogonal start: width must be at least 2 words = " + std::to_string(2 * words) +
                                ", but is " + std::to_string(width));
  Weights<double> w{RowMatrix<double>(hidden, width), Matrix<double>(width, words), Matrix<double>(width, words),
                    Matrix<double>(width, words), Vector<double>(hidden)};
  Generator start = random_stream(seed, Stream::start), readout = random_stream(seed, Stream::readout);
  const auto m = static_cast<double>(width), d = static_cast<double>(words);
  fill(w.W, law, m, s.W, start);
  fill(w.W_V, law, d, s.W_V, start);
  fill(w.W_K, law, d, s.W_K, start);
  fill(w.W_Q, law, d, s.W_Q, start);
  boost::random::uniform_int_distribution<int> coin(0, 1);
  for (double& sign : w.a) sign = coin(readout) == 1 ? 1 : -1;
  if (law == StartLaw::orthogonal) make_orthogonal(w, s);
  return w;
}

void check(const Weights<double>& w, Eigen::Index words) {
  const auto shape = [](Eigen::Index rows, Eigen::Index columns) {
    return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
  };
  const auto require = [&](const char* name, const auto& matrix, Eigen::Index rows, Eigen::Index columns) {
    if (matrix.rows() != rows || matrix.cols() != columns)
      throw std::invalid_argument(std::string("start: ") + name + " has shape " + shape(matrix.rows(), matrix.cols()) +
                                  ", but must have " + shape(rows, columns));
    if (!matrix.allFinite())
      throw std::invalid_argument(std::string("start: ") + name + " has entries that are not finite");
  };
  if (w.W.size() == 0) throw std::invalid_argument("start: W is empty");
  require("W", w.W, w.a.size(), w.W.cols());
  require("W_V", w.W_V, w.width(), words);
  require("W_K", w.W_K, w.width(), words);
  require("W_Q", w.W_Q, w.width(), words);
  require("a", w.a, w.hidden(), 1);
  if ((w.a.cwiseAbs().array() != 1).any()) throw std::invalid_argument("start: every entry of a must be -1 or +1");
}

}  // namespace gradflow
