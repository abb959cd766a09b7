#pragma once
#include <gradflow/flows/weights.hpp>
#include <gradflow/model/model.hpp>

#include <array>
#include <memory>
#include <solvers/system.hpp>
#include <solvers/workers.hpp>
#include <stdexcept>

namespace gradflow {

/// Rates rho >= 0 of W, W_V, W_K, W_Q: W' = rho_W (-dL/dW) and so on. 1: the gradient flow; 0: that matrix is frozen.
template <class Real>
struct Rates {
  Real W = 1, W_V = 1, W_K = 1, W_Q = 1;
};

/// One value for each matrix, in the order W, W_V, W_K, W_Q.
template <class Real>
using PerMatrix = std::array<Real, 4>;

/// What the columns at t = 0, and ever after, of the words that a flow's state does not hold add to its traces, and the
/// largest squared column of W_V among them.
template <class Real>
struct OtherWords {
  Real trace_Gamma = 0, trace_S_K = 0, trace_S_Q = 0, largest_Gamma = 0;
};

/// What a flow sees of a state inside a frozen step without forming it (Flow::look).
template <class Real>
struct Glance {
  std::vector<Real> G, A, gV;  ///< [d], [pairs], [d]; of the words held
  Vector<Real> p;              ///< W_V gV, in the state's coordinates
  Real U = 0, integrated_power = 0;
  std::vector<Index> words;  ///< some of those held, ascending, 0-based
  Matrix<Real> V, K, Q;      ///< their columns, in the state's coordinates
  /// Where the whole was asked for.
  Real trace_Gamma = 0, trace_S_K = 0, trace_S_Q = 0;
  PerMatrix<Real> power = {};
};

/// The gradient flow of the training loss, in some formulation. Three maps make a formulation: from its state to (G,
/// A), from (gV, gA, state) to the state's derivative, and from the state to the entries of the Gram matrices
///     U = |u|^2,  Gamma = W_V^T W_V,  B = W_K^T W_Q,  S_K = W_K^T W_K,  S_Q = W_Q^T W_Q   (u = W^T a, all else [d,
///     d]).
/// Every observable is a function of these. The state's last component is the integral of the power, sum over the
/// matrices of |theta'|^2 / rho, by which the loss has fallen since t = 0: carried along, without a say in the step
/// size.
template <class Real>
class Flow : public solvers::System<Real> {
 public:
  using State = std::span<const Real>;

  explicit Flow(const Task& task, Rates<Real> rates) : model_(task), rates_(rates) {}

  const Model<Real>& model() const { return model_; }
  const Task& task() const { return model_.task(); }
  const Rates<Real>& rates() const { return rates_; }
  virtual Index width() const = 0;   ///< m
  virtual Index hidden() const = 0;  ///< m1 = |a|^2 = M
  /// The words (0-based, ascending) whose columns the state holds. Those of all others never move.
  virtual std::span<const Index> words() const = 0;
  virtual const OtherWords<Real>& other_words() const = 0;

  virtual std::vector<Real> initial_state() const = 0;

  /// Threads for all derivatives from now on, where the formulation can share its work among them; the bits of the
  /// result do not depend on their number.
  virtual void use(std::shared_ptr<solvers::Workers> /*workers*/) {}

  /// The derivative that the flow would have if the task had these samples (0-based, at least one) alone: a minibatch.
  /// Throws std::logic_error where the formulation has inner products only.
  virtual void batch_derivative(State /*x*/, std::span<const Index> /*samples*/, std::span<Real> /*dx*/) const {
    throw std::logic_error("batch_derivative: a flow of inner products has no minibatches");
  }

  /// What the functions below say of a point whose state has not been formed; false where they are to be asked. Without
  /// `whole`, no traces and no power.
  virtual bool look(const solvers::Point<Real>& /*at*/, bool /*whole*/, Glance<Real>& /*out*/) const { return false; }

  virtual void values(State x, std::span<Real> G) const = 0;  ///< G(k) = u . v_k, [d]
  /// The same of the words held; all other entries are left as they are, and cost nothing.
  virtual void held_values(State x, std::span<Real> G) const = 0;
  virtual void scores(State x, std::span<Real> A) const = 0;  ///< A = B / sqrt(m) on the model's pairs

  virtual Real U(State x) const = 0;
  virtual Real Gamma(State x, Index word, Index word2) const = 0;
  virtual Real B(State x, Index key, Index query) const = 0;
  virtual Real S_K(State x, Index word, Index word2) const = 0;
  virtual Real S_Q(State x, Index word, Index word2) const = 0;
  virtual Real trace_Gamma(State x) const = 0;  ///< traces over all words
  virtual Real trace_S_K(State x) const = 0;
  virtual Real trace_S_Q(State x) const = 0;
  /// (Gamma gV)(k) for each of the given words; like the entries above NaN where the formulation does not hold a word.
  virtual void Gamma_times(State x, std::span<const Real> gV, std::span<const Index> words,
                           std::span<Real> out) const = 0;
  /// Squared speeds |W'|^2, |W_V'|^2, |W_K'|^2, |W_Q'|^2, rates included.
  virtual PerMatrix<Real> power(State x, std::span<const Real> gV, std::span<const Real> gA) const = 0;

  /// False: the formulation has inner products only.
  virtual bool has_weights() const { return true; }
  /// The parameters at a state, all words included; throws std::logic_error where there are none.
  virtual Weights<Real> weights(State x) const = 0;
  /// Changes since t = 0 of the m x m laws u u^T - M W_V W_V^T and W_K W_K^T - W_Q W_Q^T (each term over its rate; a
  /// frozen matrix's by itself) and, for the full flow, of W - a u^T / M: Frobenius norms, each over how far its terms
  /// have moved. The coupled flow, which has inner products only, gives for each law the larger relative change of the
  /// trace and of the trace of the square (gram.hpp).
  virtual std::array<Real, 3> law_drifts(State x) const = 0;

  Real integrated_power(State x) const { return x.back(); }

 private:
  Model<Real> model_;
  Rates<Real> rates_;
};

/// State W [m1, m], W_V, W_K, W_Q [m, n] with the columns of the n words that stand in a sample (Appendix B):
///     W' = a (W_V gV)^T,  W_V' = u gV^T,  W_K' = W_Q gA^T / sqrt(m),  W_Q' = W_K gA / sqrt(m).
/// The task must outlive the flow. Throws std::invalid_argument when the weights do not fit the task.
template <class Real>
std::unique_ptr<Flow<Real>> make_full_flow(const Task& task, const Weights<Real>& start, Rates<Real> rates = {});

/// In which coordinates a reduced flow runs.
enum class Coordinates {
  automatic,  ///< compressed where that is smaller
  full_width  ///< the m coordinates of the weights
};

/// State u = W^T a [m], W_V, W_K, W_Q [m, n], with u' = M W_V gV: exact, since W(t) = W(0) + a (u(t) - u(0))^T / M.
///
/// The columns of W_K and W_Q never leave the span of their 2n starting columns, nor u and W_V that of their n + 1.
/// Where 2n < m, or n + 1 < m, the state holds coordinates in an orthonormal basis of that span: the same trajectory,
/// and since the error norm does not see the basis the same steps, but for rounding. All that the flow says, weights
/// included, is about the full width.
template <class Real>
std::unique_ptr<Flow<Real>> make_reduced_flow(const Task& task, const Weights<Real>& start, Rates<Real> rates = {},
                                              Coordinates coordinates = Coordinates::automatic);

}  // namespace gradflow
