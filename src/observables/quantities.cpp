#include "observables/quantities.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <limits>
#include <numeric>

#include "flows/pair_products.hpp"

namespace gradflow {
namespace {

constexpr std::size_t to_size(Index i) { return static_cast<std::size_t>(i); }

std::size_t role(const TaskData& data, Index word) {
  if (word == data.targets[0]) return 0;
  if (word == data.targets[1]) return 1;
  return data.common == word ? 2 : 3;
}

/// G'(k) [d] of the words that stand in a sample.
std::vector<double> value_rates(Moment& moment) {
  const std::span<const Index> words = moment.task().used_words();
  const std::vector<double> rates = moment.G_rates(words);
  std::vector<double> result(to_size(moment.task().words()));
  for (std::size_t i = 0; i < words.size(); ++i) result[to_size(words[i])] = rates[i];
  return result;
}

/// A' [pairs] = (rho_K gA S_Q + rho_Q S_K gA) / m.
std::vector<double> score_rates(Moment& moment) {
  const Flow<double>& flow = moment.flow();
  const std::span<const Index> words = moment.task().used_words();
  const Index n = std::ssize(words);
  const std::vector<Index> place = places(words, moment.task().words());
  const PairProducts products(flow.model().pairs(), place);
  const std::vector<double>& gA = moment.gA();
  std::vector<double> transposed, result(gA.size());
  products.transpose<double>(gA, transposed);
  Matrix<double> S_K(n, n), S_Q(n, n), of_keys, of_queries;
  for (Index j = 0; j < n; ++j)
    for (Index i = j; i < n; ++i) {
      S_K(i, j) = S_K(j, i) = flow.S_K(moment.x(), words[to_size(i)], words[to_size(j)]);
      S_Q(i, j) = S_Q(j, i) = flow.S_Q(moment.x(), words[to_size(i)], words[to_size(j)]);
    }
  products.multiply<double>(S_Q, transposed, of_keys);  // (gA S_Q)^T
  products.multiply<double>(S_K, gA, of_queries);
  const auto m = static_cast<double>(flow.width());
  const Matrix<double> rates = (flow.rates().W_K / m) * of_keys.transpose() + (flow.rates().W_Q / m) * of_queries;
  products.gather<Matrix<double>, double>(rates, result);
  return result;
}

/// d log(1 + e^{-z_i}) / dt of each sample.
std::vector<double> sample_loss_rates(Moment& moment) {
  const Task& task = moment.task();
  const Model<double>::Forward& forward = moment.forward();
  const std::vector<double> dG = value_rates(moment), dA = score_rates(moment);
  std::vector<double> result;
  const double *P = forward.attention.data(), *h = forward.head.data();
  for (Index i = 0; i < task.samples(); ++i) {
    const Bag bag = task.bag(i);
    const std::span<const Index> pairs = moment.flow().model().pairs().of_sample(i);
    const std::size_t l = bag.words.size();
    double dF = 0;
    for (std::size_t q = 0; q < l; ++q, P += l, ++h)
      for (std::size_t k = 0; k < l; ++k)
        dF += static_cast<double>(bag.counts[q]) * P[k] *
              (dG[to_size(bag.words[k])] + (moment.G(bag.words[k]) - *h) * dA[to_size(pairs[q * l + k])]);
    result.push_back(-forward.residual[to_size(i)] * task.label(i) * dF);
  }
  return result;
}

/// tr(gram) over its largest eigenvalue.
double stable_rank(const Matrix<double>& gram) {
  return gram.trace() /
         Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram, Eigen::EigenvaluesOnly).eigenvalues()[gram.rows() - 1];
}

template <class Weight>
double stable_rank_of(const Weight& weight) {
  return stable_rank(weight.rows() < weight.cols() ? Matrix<double>(weight * weight.transpose())
                                                   : Matrix<double>(weight.transpose() * weight));
}

}  // namespace

void by_class(Moment& moment, const std::vector<double>& per_sample, bool mean, std::span<double> out) {
  std::vector<double> count(out.size());
  std::fill(out.begin(), out.end(), 0.0);
  for (Index i = 0; i < moment.task().samples(); ++i) {
    const std::size_t c = to_size(moment.task().class_of(i));
    out[c] += per_sample[to_size(i)];
    ++count[c];
  }
  if (mean)
    for (std::size_t c = 0; c < out.size(); ++c) out[c] /= count[c];  // an empty class has no mean: NaN
}

void attention_by_role(Moment& moment, std::span<double> out) {
  constexpr std::size_t roles = role_names.size();
  const Task& task = moment.task();
  std::vector<double> tokens(to_size(task.classes()) * roles);  // queries [class, query role]
  std::fill(out.begin(), out.end(), 0.0);
  const double* P = moment.forward().attention.data();
  for (Index i = 0; i < task.samples(); ++i) {
    const Bag bag = task.bag(i);
    const std::size_t c = to_size(task.class_of(i)), l = bag.words.size();
    for (std::size_t q = 0; q < l; ++q, P += l) {
      const std::size_t query = role(task.data(), bag.words[q]);
      const auto count = static_cast<double>(bag.counts[q]);
      tokens[c * roles + query] += count;
      for (std::size_t k = 0; k < l; ++k)
        out[(c * roles + role(task.data(), bag.words[k])) * roles + query] += count * P[k];
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] /= tokens[i / (roles * roles) * roles + i % roles];
}

void filler_statistics(Moment& moment, std::span<double> out) {
  std::vector<double> G;
  for (const Index word : moment.task().used_words())
    if (role(moment.task().data(), word) == 3) G.push_back(moment.G(word));
  std::fill(out.begin(), out.end(), std::numeric_limits<double>::quiet_NaN());
  if (G.empty()) return;
  const auto n = static_cast<double>(G.size());
  const double mean = std::accumulate(G.begin(), G.end(), 0.0) / n;
  double squares = 0;
  for (const double value : G) squares += (value - mean) * (value - mean);
  const auto [smallest, largest] = std::minmax_element(G.begin(), G.end());
  out[0] = mean;
  out[1] = std::sqrt(squares / n);
  out[2] = *smallest;
  out[3] = *largest;
}

void loss_class_slope(Moment& moment, std::span<double> out) {
  std::vector<double> loss(out.size());
  by_class(moment, moment.forward().sample_loss, true, loss);
  by_class(moment, sample_loss_rates(moment), true, out);
  for (std::size_t c = 0; c < out.size(); ++c) out[c] *= moment.t() / loss[c];
}

void stable_ranks(Moment& moment, std::span<double> out) {
  const Flow<double>& flow = moment.flow();
  std::fill(out.begin(), out.end(), std::numeric_limits<double>::quiet_NaN());
  if (flow.has_weights()) {
    const Weights<double> w = flow.weights(moment.x());
    out[0] = stable_rank_of(w.W);
    out[1] = stable_rank_of(w.W_V);
    out[2] = stable_rank_of(w.W_K);
    out[3] = stable_rank_of(w.W_Q);
  } else if (std::ssize(flow.words()) == moment.task().words()) {
    const GramStart<double> gram = gram_at(flow, moment.x(), {flow.words().begin(), flow.words().end()});
    out[1] = stable_rank(gram.Gamma);
    out[2] = stable_rank(gram.S_K);
    out[3] = stable_rank(gram.S_Q);
  }
}

}  // namespace gradflow
