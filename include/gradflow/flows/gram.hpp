#pragma once
#include <gradflow/flows/flow.hpp>
#include <gradflow/flows/start.hpp>

#include <type_traits>

namespace gradflow {

/// Inner products of the weights' columns and of u = W^T a: all that the coupled flow starts from, and what it has
/// instead of weights at any later time. With them go the two sizes that its equations still hold. They are about some
/// words of the vocabulary; the columns of a flow's other words never move.
template <class Real>
struct GramStart {
  std::vector<Index> words;  ///< [n] the words that rows and columns stand for (0-based), ascending
  Vector<Real> G;            ///< [n] W_V^T u
  Real U = 0;                ///< |u|^2
  Matrix<Real> Gamma, B;     ///< [n, n] W_V^T W_V; W_K^T W_Q (row: key, column: query)
  Matrix<Real> S_K, S_Q;     ///< [n, n] W_K^T W_K; W_Q^T W_Q
  Index width = 0;           ///< m; nothing of this size is ever formed
  Index hidden = 0;          ///< m1 = |a|^2
  OtherWords<Real> others;   ///< all words but these

  template <class Other>
  GramStart<Other> cast() const {
    const auto to = [](const Real& value) { return static_cast<Other>(value); };
    return {words,
            G.template cast<Other>(),
            to(U),
            Gamma.template cast<Other>(),
            B.template cast<Other>(),
            S_K.template cast<Other>(),
            S_Q.template cast<Other>(),
            width,
            hidden,
            {to(others.trace_Gamma), to(others.trace_S_K), to(others.trace_S_Q), to(others.largest_Gamma)}};
  }
};

/// The words that a coupled flow of this task needs for the standard events and observables, ascending: those that
/// stand in a sample, the targets, the common word, and those of `also` (0-based, in any order; one that lies outside
/// the vocabulary is left out).
std::vector<Index> coupled_words(const Task& task, std::span<const Index> also = {});

/// The inner products of any weights, among the given words (ascending) or all. Throws std::invalid_argument as `check`
/// does.
template <class Real>
GramStart<Real> gram_start(const Weights<Real>& weights, std::vector<Index> words);
template <class Real>
GramStart<Real> gram_start(const Weights<Real>& weights);

/// What the inner products of a Gaussian start tend to as the width grows (relative deviations are of order 1/sqrt(m)),
/// and exactly those of StartLaw::orthogonal, among the given words of a vocabulary of d:
///     Gamma = m s_V^2 I,  S_K = m s_K^2 I,  S_Q = m s_Q^2 I,  U = s_W^2 m m1,  G = 0,  B = 0.
/// At any width. Throws std::invalid_argument for sizes below 1 and standard deviations that are negative or not
/// finite.
GramStart<double> limit_start(std::vector<Index> words, Index vocabulary, Index width, Index hidden,
                              const StandardDeviations& s);

/// The inner products at a state of any flow, among the given words; `others` stays 0. NaN where the flow does not know
/// them (make_coupled_flow).
template <class Real>
GramStart<Real> gram_at(const Flow<Real>& flow, std::type_identity_t<std::span<const Real>> x,
                        std::vector<Index> words);

/// The paper's coupled dynamical system (Yang et al. 2024, Appendix C) contracted with a: exact, closed, and of a size
/// that depends on neither m nor m1. With rates rho,
///     G'     = rho_V U gV + rho_W M Gamma gV             U'   = 2 rho_W M gV . G
///     Gamma' = rho_V (gV G^T + G gV^T)                   B'   = (rho_K gA S_Q + rho_Q S_K gA) / sqrt(m)
///     S_K'   = rho_K (gA B^T + B gA^T) / sqrt(m)         S_Q' = rho_Q (gA^T B + B^T gA) / sqrt(m).
///
/// State: [G | U | Gamma | B | S_K | S_Q | integrated power] among the start's words, B [key, query] by columns, the
/// symmetric matrices as their lower triangles by columns. For the error norm G, each column of B and each whole
/// triangle is one vector; entries off the diagonal of a triangle count once.
///
/// All words that the start leaves out cost nothing: their columns never move, so the traces over all words are known.
/// Their inner products, and their values G, are not: NaN, also from Gamma_times.
///
/// There are no weights: `weights` throws std::logic_error. `law_drifts` speaks of what traces of the m x m laws C = u
/// u^T / rho_W - M W_V W_V^T / rho_V and W_K W_K^T / rho_K - W_Q W_Q^T / rho_Q follow from inner products: of tr C and
/// tr C^2 the one that has changed more, relative to how far its terms have moved. W_V, W_K, W_Q stand in them with the
/// columns of the words held: the others contribute a constant matrix, so what is left of C is constant too. (tr C by
/// itself is linear in this state, and any Runge-Kutta method keeps it to rounding.)
///
/// The task must outlive the flow. Throws std::invalid_argument when the start does not fit the task (it must hold
/// every word that stands in a sample), is not symmetric or not finite, has a negative square, or a rate is negative.
template <class Real>
std::unique_ptr<Flow<Real>> make_coupled_flow(const Task& task, const GramStart<Real>& start, Rates<Real> rates = {});

}  // namespace gradflow
