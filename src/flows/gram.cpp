#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <iterator>
#include <numeric>
#include <stdexcept>

#include "scalars.hpp"

namespace gradflow {
namespace {

/// X^T X, symmetric to the last bit.
template <class Real>
Matrix<Real> squared(const Matrix<Real>& X) {
  Matrix<Real> product = X.transpose() * X;
  product.template triangularView<Eigen::StrictlyUpper>() = product.transpose();
  return product;
}

}  // namespace

template <class Real>
GramStart<Real> gram_start(const Weights<Real>& w, std::vector<Index> words) {
  check(w.template cast<double>(), w.words());
  for (const Index word : words)
    if (word < 0 || word >= w.words())
      throw std::invalid_argument(
          fmt::format("start: word {} lies outside the vocabulary of {} words", word + 1, w.words()));
  const Vector<Real> u = w.W.transpose() * w.a;
  const Matrix<Real> V = w.W_V(Eigen::all, words), K = w.W_K(Eigen::all, words), Q = w.W_Q(Eigen::all, words);
  GramStart<Real> start{.words = std::move(words),
                        .G = V.transpose() * u,
                        .U = u.squaredNorm(),
                        .Gamma = squared(V),
                        .B = K.transpose() * Q,
                        .S_K = squared(K),
                        .S_Q = squared(Q),
                        .width = w.width(),
                        .hidden = w.hidden(),
                        .others = {}};
  for (Index word = 0; word < w.words(); ++word) {
    if (std::binary_search(start.words.begin(), start.words.end(), word)) continue;
    const Real square = w.W_V.col(word).squaredNorm();
    start.others.trace_Gamma += square;
    start.others.trace_S_K += w.W_K.col(word).squaredNorm();
    start.others.trace_S_Q += w.W_Q.col(word).squaredNorm();
    start.others.largest_Gamma = std::max(start.others.largest_Gamma, square);
  }
  return start;
}

template <class Real>
GramStart<Real> gram_start(const Weights<Real>& weights) {
  std::vector<Index> all(static_cast<std::size_t>(weights.words()));
  std::iota(all.begin(), all.end(), 0);
  return gram_start(weights, std::move(all));
}

std::vector<Index> coupled_words(const Task& task, std::span<const Index> also) {
  const TaskData& data = task.data();
  std::vector<Index> words(task.used_words().begin(), task.used_words().end());
  words.insert(words.end(), data.targets.begin(), data.targets.end());
  if (data.common) words.push_back(*data.common);
  std::copy_if(also.begin(), also.end(), std::back_inserter(words),
               [&](Index word) { return word >= 0 && word < task.words(); });
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

GramStart<double> limit_start(std::vector<Index> words, Index vocabulary, Index width, Index hidden,
                              const StandardDeviations& s) {
  for (const auto& [name, size] :
       {std::pair("the vocabulary", vocabulary), std::pair("width", width), std::pair("hidden", hidden)})
    if (size < 1) throw std::invalid_argument(fmt::format("limit start: {} must be at least 1, but is {}", name, size));
  for (const auto& [name, deviation] :
       {std::pair("W", s.W), std::pair("W_V", s.W_V), std::pair("W_K", s.W_K), std::pair("W_Q", s.W_Q)})
    if (!(deviation >= 0) || !std::isfinite(deviation))
      throw std::invalid_argument(fmt::format(
          "limit start: the standard deviation of {} must be finite and not negative, but is {}", name, deviation));
  const auto m = static_cast<double>(width), M = static_cast<double>(hidden);
  const double V = m * s.W_V * s.W_V, K = m * s.W_K * s.W_K, Q = m * s.W_Q * s.W_Q;
  const Index n = std::ssize(words), left = vocabulary - n;
  const auto others = static_cast<double>(left);
  return {.words = std::move(words),
          .G = Vector<double>::Zero(n),
          .U = s.W * s.W * m * M,
          .Gamma = V * Matrix<double>::Identity(n, n),
          .B = Matrix<double>::Zero(n, n),
          .S_K = K * Matrix<double>::Identity(n, n),
          .S_Q = Q * Matrix<double>::Identity(n, n),
          .width = width,
          .hidden = hidden,
          .others = {others * V, others * K, others * Q, left > 0 ? V : 0}};
}

template <class Real>
GramStart<Real> gram_at(const Flow<Real>& flow, std::type_identity_t<std::span<const Real>> x,
                        std::vector<Index> words) {
  const Index n = std::ssize(words);
  const auto entries = [&](Real (Flow<Real>::*entry)(std::span<const Real>, Index, Index) const) -> Matrix<Real> {
    return Matrix<Real>::NullaryExpr(n, n, [&](Index k, Index l) {
      return (flow.*entry)(x, words[static_cast<std::size_t>(k)], words[static_cast<std::size_t>(l)]);
    });
  };
  std::vector<Real> G(static_cast<std::size_t>(flow.task().words()));
  flow.values(x, G);
  GramStart<Real> result{.words = {},
                         .G = Eigen::Map<const Vector<Real>>(G.data(), std::ssize(G))(words),
                         .U = flow.U(x),
                         .Gamma = entries(&Flow<Real>::Gamma),
                         .B = entries(&Flow<Real>::B),
                         .S_K = entries(&Flow<Real>::S_K),
                         .S_Q = entries(&Flow<Real>::S_Q),
                         .width = flow.width(),
                         .hidden = flow.hidden(),
                         .others = {}};
  result.words = std::move(words);
  return result;
}

template GramStart<double> gram_start(const Weights<double>&, std::vector<Index>);
template GramStart<Quad> gram_start(const Weights<Quad>&, std::vector<Index>);
template GramStart<double> gram_start(const Weights<double>&);
template GramStart<Quad> gram_start(const Weights<Quad>&);
template GramStart<double> gram_at(const Flow<double>&, std::span<const double>, std::vector<Index>);
template GramStart<Quad> gram_at(const Flow<Quad>&, std::span<const Quad>, std::vector<Index>);

}  // namespace gradflow
