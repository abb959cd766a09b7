#pragma once
#include <gradflow/tasks/task.hpp>

#include <numeric>
#include <span>
#include <vector>

namespace gradflow {

/// The pairs (key word, query word) that share a sample. Scores, attention and gA live on these alone; all else is zero
/// or unused. Sorted by query, then key.
class WordPairs {
 public:
  explicit WordPairs(const Task& task);

  Index size() const { return static_cast<Index>(keys_.size()); }
  /// Queries that occur, ascending; the pairs of the j-th are [begin(j), begin(j + 1)).
  std::span<const Index> queries() const { return queries_; }
  Index begin(Index j) const { return begins_[static_cast<std::size_t>(j)]; }
  Index key(Index pair) const { return keys_[static_cast<std::size_t>(pair)]; }
  /// [l, l] pair of (query, key), query-major, by position in the sample's bag of l distinct words.
  std::span<const Index> of_sample(Index sample) const;

 private:
  std::vector<Index> keys_, queries_, begins_;
  std::vector<Index> sample_pairs_;
  std::vector<std::size_t> sample_begins_;
};

/// One sample's attention from its values and back, by position in a list of its l distinct words, whose counts c are
/// given. `G` [l], `P` [l, l] query-major, `h` [l].

/// P holds the scores and takes the attention; returns F = sum_q c_q h_q.
template <class Real>
Real attend(std::span<const Index> counts, std::span<const Real> G, std::span<Real> P, std::span<Real> h);

/// gV(k) = r sum_q c_q P_q(k) and, in the place of P, gA(k,q) = r c_q P_q(k) (G(k) - h_q).
template <class Real>
void coefficients(const Real& r, std::span<const Index> counts, std::span<const Real> G, std::span<const Real> h,
                  std::span<Real> P, std::span<Real> gV);

/// g = 1 / (1 + e^z), free of overflow.
template <class Real>
Real residual(const Real& z);

/// From the values G [d] and the scores A [pairs] to logits and margins, and from these to the gradient's coefficients
/// (Yang et al. 2024, equation 1 and Appendix B). Never sees a weight matrix. Uses
///     P_iq(k) = c_ik e^{A(k,q)} / sum_k' c_ik' e^{A(k',q)},  h_iq = sum_k P_iq(k) G(k),
///     F_i = sum_q c_iq h_iq,  z_i = y_i F_i,  g_i = 1 / (1 + e^{z_i}),  loss = mean of log(1 + e^{-z_i}),
/// all of them free of overflow and cancellation at any margin.
template <class Real>
class Model {
 public:
  /// The task must outlive the model.
  explicit Model(const Task& task) : task_(task), pairs_(task), all_(static_cast<std::size_t>(task.samples())) {
    std::iota(all_.begin(), all_.end(), Index{0});
  }

  const Task& task() const { return task_; }
  const WordPairs& pairs() const { return pairs_; }

  struct Forward {
    std::vector<Real>
        attention;           ///< P_iq(k), samples one after another, each [l, l] query-major like WordPairs::of_sample
    std::vector<Real> head;  ///< h_iq, samples one after another, each [l]
    std::vector<Real> margin;       ///< z_i [n]
    std::vector<Real> residual;     ///< g_i [n]
    std::vector<Real> sample_loss;  ///< log(1 + e^{-z_i}) [n]
    Real loss = 0;                  ///< their mean
  };
  /// `G` [d], `A` [pairs] = k_k . q_q / sqrt(m).
  void forward(std::span<const Real> G, std::span<const Real> A, Forward& out) const { forward(G, A, all_, out); }

  /// gV [d] = sum_i r_i sum_q c_iq P_iq(k) and gA [pairs] = sum_i r_i c_iq P_iq(k) (G(k) - h_iq), with r_i = y_i g_i /
  /// n. Of gV only the words that stand in a sample are written; all others have 0, which the caller has put there.
  void coefficients(std::span<const Real> G, const Forward& forward, std::span<Real> gV, std::span<Real> gA) const {
    coefficients(G, forward, all_, gV, gA);
  }

  /// The same of a minibatch, as if the task had these n samples alone; what Forward holds stands in their order.
  void forward(std::span<const Real> G, std::span<const Real> A, std::span<const Index> samples, Forward& out) const;
  void coefficients(std::span<const Real> G, const Forward& forward, std::span<const Index> samples, std::span<Real> gV,
                    std::span<Real> gA) const;

 private:
  const Task& task_;
  WordPairs pairs_;
  std::vector<Index> all_;  // samples
};

}  // namespace gradflow
