// What a capable user would write without gradflow: the gradient of the paper (Appendix B) sample by sample on gathered
// columns, in straightforward Eigen, and Boost.Odeint's controlled dopri5 in plain time. All parameters are integrated,
// W included.
#include <CLI/CLI.hpp>
#include <Eigen/Core>
#include <boost/numeric/odeint.hpp>
#include <boost/numeric/odeint/external/eigen/eigen.hpp>
#include <cmath>
#include <cstdio>

#include "arrays.hpp"
#include "stopwatch.hpp"

namespace {

using Eigen::Index;
using Eigen::Map;
using Eigen::MatrixXd;
using Eigen::VectorXd;

class TransformerFlow {
 public:
  explicit TransformerFlow(const bench::ArrayFile& file)
      : tokens_(file.integers("tokens")), labels_(file.matrix("labels")), a_(file.matrix("a")) {
    const MatrixXd W = file.matrix("W"), W_V = file.matrix("W_V"), W_K = file.matrix("W_K"), W_Q = file.matrix("W_Q");
    m1_ = W.rows();
    m_ = W.cols();
    d_ = W_V.cols();
    start_.resize(W.size() + 3 * W_V.size());
    start_ << W.reshaped(), W_V.reshaped(), W_K.reshaped(), W_Q.reshaped();
  }

  const VectorXd& start() const { return start_; }
  long evaluations() const { return evaluations_; }

  template <class Vector>
  auto W(Vector& x) const {
    return matrix(x, 0, m1_, m_);
  }
  template <class Vector>
  auto W_V(Vector& x) const {
    return matrix(x, m1_ * m_, m_, d_);
  }
  template <class Vector>
  auto W_K(Vector& x) const {
    return matrix(x, m1_ * m_ + m_ * d_, m_, d_);
  }
  template <class Vector>
  auto W_Q(Vector& x) const {
    return matrix(x, m1_ * m_ + 2 * m_ * d_, m_, d_);
  }
  const VectorXd& a() const { return a_; }

  void operator()(const VectorXd& x, VectorXd& dx, double /*t*/) {
    ++evaluations_;
    dx.resize(x.size());
    const auto V = W_V(x), K = W_K(x), Q = W_Q(x);
    auto dK = W_K(dx), dQ = W_Q(dx);
    dK.setZero();
    dQ.setZero();
    const double scale = 1 / std::sqrt(static_cast<double>(m_));
    u_.noalias() = W(x).transpose() * a_;
    G_.noalias() = V.transpose() * u_;
    gV_.setZero(d_);
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const std::vector<Index>& words = tokens_[i];
      const double y = labels_[static_cast<Index>(i)];
      keys_ = K(Eigen::all, words);
      queries_ = Q(Eigen::all, words);
      values_ = G_(words);
      P_.noalias() = scale * keys_.transpose() * queries_;  // [key, query]
      for (auto column : P_.colwise()) {
        column = (column.array() - column.maxCoeff()).exp();
        column /= column.sum();
      }
      heads_.noalias() = P_.transpose() * values_;
      const double r = y / (1 + std::exp(y * heads_.sum())) / static_cast<double>(tokens_.size());
      gA_ = r * scale * P_.array() * (values_.replicate(1, P_.cols()).rowwise() - heads_.transpose()).array();
      dkeys_.noalias() = queries_ * gA_.transpose();
      dqueries_.noalias() = keys_ * gA_;
      for (std::size_t j = 0; j < words.size(); ++j) {
        const auto place = static_cast<Index>(j);
        gV_[words[j]] += r * P_.row(place).sum();
        dK.col(words[j]) += dkeys_.col(place);
        dQ.col(words[j]) += dqueries_.col(place);
      }
    }
    p_.noalias() = V * gV_;
    W(dx).noalias() = a_ * p_.transpose();
    W_V(dx).noalias() = u_ * gV_.transpose();
  }

 private:
  static Map<MatrixXd> matrix(VectorXd& x, Index begin, Index rows, Index columns) {
    return {x.data() + begin, rows, columns};
  }
  static Map<const MatrixXd> matrix(const VectorXd& x, Index begin, Index rows, Index columns) {
    return {x.data() + begin, rows, columns};
  }

  std::vector<std::vector<Index>> tokens_;
  VectorXd labels_, a_, start_;
  Index m1_ = 0, m_ = 0, d_ = 0;
  long evaluations_ = 0;
  VectorXd u_, G_, gV_, p_, values_, heads_;
  MatrixXd keys_, queries_, dkeys_, dqueries_, P_, gA_;
};

}  // namespace

int main(int argc, char** argv) {
  namespace odeint = boost::numeric::odeint;
  std::string problem, out;
  double until = 1, rtol = 1e-6, atol = 1e-8;
  bool derivative = false;
  CLI::App app("Boost.Odeint dopri5 on a straightforward Eigen gradient");
  app.add_option("problem", problem, "task and start (HDF5)")->required();
  app.add_option("--until", until);
  app.add_option("--rtol", rtol);
  app.add_option("--atol", atol);
  app.add_option("--out", out, "where the final state goes (HDF5)")->required();
  app.add_flag("--derivative", derivative, "write the derivative at the start instead");
  CLI11_PARSE(app, argc, argv);

  TransformerFlow flow(bench::ArrayFile(problem, bench::ArrayFile::Mode::read));
  VectorXd x = flow.start();
  const auto write = [&](const VectorXd& state) {
    bench::write_state(out, flow.W(state).transpose() * flow.a(), flow.W_V(state), flow.W_K(state), flow.W_Q(state));
  };
  if (derivative) {
    VectorXd dx;
    flow(x, dx, 0);
    write(dx);
    return 0;
  }
  using Stepper = odeint::runge_kutta_dopri5<VectorXd, double, VectorXd, double, odeint::vector_space_algebra>;
  const bench::Stopwatch watch;
  const double first_step = 1e-3;  // a guess, as a user makes one; it grows fivefold a step
  const std::size_t steps = odeint::integrate_adaptive(odeint::make_controlled(atol, rtol, Stepper()), std::ref(flow),
                                                       x, 0.0, until, std::min(first_step, until));
  const auto [seconds, processor_seconds] = watch.read();
  const long peak = bench::peak_bytes();
  write(x);
  std::printf(
      "{\"seconds\": %.9g, \"processor_seconds\": %.9g, \"evaluations\": %ld, \"steps\": %zu, \"peak_bytes\": %ld}\n",
      seconds, processor_seconds, flow.evaluations(), steps, peak);
}
