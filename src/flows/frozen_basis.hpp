#pragma once
#include <gradflow/flows/flow.hpp>

#include <array>
#include <functional>
#include <solvers/frozen_step.hpp>

#include "flows/word_layout.hpp"

namespace gradflow {

/// What a frozen basis has to know of its flow.
struct FrozenFlow {
  const Model<double>& model;
  const WordLayout& words;
  Index rows_V, rows_KQ;            ///< of a column of W_V, and of W_K and W_Q
  Index begin_V, begin_K, begin_Q;  ///< in the state; the head stands before, the power at the end
  double root, M;                   ///< 1 / sqrt(m), |a|^2
  Rates<double> rates;
  std::function<Vector<double>(std::span<const double> x)> u;
  std::span<const Index> held;  ///< the words of the state's columns
  std::function<void(const Vector<double>& p, std::span<double> dx)> head_derivative;  ///< from p = W_V gV, linear
  std::function<solvers::Workers&()> workers;
};

/// One step of an explicit Runge-Kutta method through an attention flow. The words of one sample alone move within few
/// directions only: their columns of W_K and W_Q within the span of the sample's own ones at the step's start, B, and
/// of those of its shared words at every stage, H; their columns of W_V by multiples of u at every stage:
///
///     [K | Q] = B X + H Y,   V = V(0) + sum_r c_r u_r gV_r^T.
///
/// So B and V(0) are read once a stage, for their products with the new vectors of H and with u, and for what the
/// sample adds to the shared words' derivatives; all else is algebra with the coordinates (X, Y) and the Gram matrix of
/// [B | H], sample by sample. Exact: no direction is left out.
///
/// Tables of coordinates have one row a direction (2 own of B, then 2 shared of H for every stage, keys first) and one
/// column an own vector (keys, then queries, each beginning at whole lanes where that takes no more of them).
class FrozenBasis final : public solvers::FrozenStep<double> {
 public:
  /// For at most `stages` of them. What `flow` refers to must outlive this.
  FrozenBasis(FrozenFlow flow, Index stages);

  /// Whether it is less work than a method on vectors: most words in one sample only, columns longer than there are
  /// directions.
  static bool pays(const FrozenFlow& flow, Index stages);

  void start(double t, double scale, std::span<const double> x) override;
  void start_as(const FrozenStep& other) override;
  void evaluate(std::size_t stage, double t, double scale, const Sum& sum) override;
  double finish(std::size_t stage, double t, double scale, const Sum& sum, const Error& error,
                const solvers::ErrorNorm<double>& norm, std::span<double> y, FrozenStep& next) override;
  void form(bool stand_on_x, const Sum& sum, std::span<double> out) const override;

  /// What Flow::look says of x + sum, but for the words that the state does not hold. The stages stay as they are.
  void look(const Sum& sum, bool whole, Glance<double>& out);

 private:
  static constexpr std::size_t most_stages = 32;
  static constexpr Index most_shared = 32;  // words

  using Sample = WordLayout::Sample;
  using Pointers = std::vector<const double*>;
  using Norm = solvers::ErrorNorm<double>;
  enum Matrices : std::size_t { V, K, Q };

  /// Where the numbers of one sample begin in numbers_.
  struct Place {
    Index own, shared;
    Index queries, padded;           // the first query's column in a table of coordinates; its columns with padding
    std::size_t set;                 // of the same shared words
    Index gram_B;                    // [2 own, directions] B^T [B | H]
    Index gram_H;                    // [2 shared stages, 2 own] H^T B
    Index squares_V;                 // [own] |V(0)|^2
    Index A, G, gradient;            // [all, all], [own], [own] scores, values and gV at the start
    std::vector<Index> derivatives;  // of each stage: [directions, padded] coordinates of dK and dQ
    std::vector<Index> gV;           // of each stage: [own], scaled

    Index directions(std::size_t stages) const { return 2 * own + 2 * shared * static_cast<Index>(stages); }
  };
  /// Of the samples that have the same shared words.
  struct Set {
    std::vector<Index> shared;
    std::vector<Index> in_all;  // [2 shared stages] where its directions stand among all of H
    RowMatrix<double> gram;     // [2 shared stages, the same] H^T H
    RowMatrix<double> root;     // [directions of all H, 2 shared stages] its square root: |H y| = |root y|
  };
  /// What all samples share at one stage: of the derivative.
  struct Stage {
    double scale = 1;
    Vector<double> p, gV;      // [rows_V] W_V gV, [shared], scaled
    Matrix<double> dK, dQ;     // [padded rows, shared]
    double power = 0;          // scaled
    Vector<double> gradient;   // [shared] gV itself
    PerMatrix<double> speeds;  // squared, as Flow::power
  };
  /// What a run of samples adds to that.
  struct Chunk {
    Vector<double> p, gV, tau;  // [padded rows], [shared]; [stages] sum of gV gV_r
    Matrix<double> g;           // [shared queries, shared keys]
    Matrix<double> dK, dQ;      // [padded rows, shared] of B
    Matrix<double> yK, yQ;      // [all of H, shared] of H
    double V, K, Q;             // squares
    double trace_V, trace_K, trace_Q;
    double error;  // the largest
  };
  /// What a thread works in.
  struct Tile {
    Matrix<double> columns, V;        // copies where the state's own columns are not padded
    Matrix<double> formed, formed_V;  // of a sum
    Pointers B, values, basis;
    Vector<double> Z, T, W, inner;  // tables of coordinates; inner products of the own vectors
    Vector<double> g, gram, product;
    std::vector<double> G, h, P, gV, first, lower;
  };
  /// The stage that is being evaluated: its sum and what all samples need of it.
  struct Now {
    std::size_t stage;
    Sum sum;
    double scale;
    Vector<double> uu;  // [terms of the sum] u . c_r u_r
    Vector<double> G;   // [shared]
  };

  Index shared() const { return flow_.words.shared(); }
  const Sample& sample(Index i) const { return flow_.words.samples[static_cast<std::size_t>(i)]; }
  const Place& place(Index i) const { return places_[static_cast<std::size_t>(i)]; }
  const double* numbers(Index at) const { return numbers_.data() + at; }
  double* numbers(Index at) { return numbers_.data() + at; }
  auto H(std::size_t stage, Index kind) {
    return H_.middleCols((2 * static_cast<Index>(stage) + kind) * shared(), shared());
  }
  auto H(std::size_t stage, Index kind) const {
    return H_.middleCols((2 * static_cast<Index>(stage) + kind) * shared(), shared());
  }

  Index rows(Matrices which) const { return which == V ? flow_.rows_V : flow_.rows_KQ; }
  /// Where a shared word's column begins in the state.
  Index begin_shared(Matrices which, Index word) const {
    return (which == V   ? flow_.begin_V
            : which == K ? flow_.begin_K
                         : flow_.begin_Q) +
           flow_.words.shared_columns[static_cast<std::size_t>(word)] * rows(which);
  }
  void take_shared(std::span<const double> x);
  void move_shared(std::size_t stage, const Sum& sum);
  void take_gram(std::size_t stage);
  Now begin(std::size_t stage, double scale, const Sum& sum);
  void end(const Now& now);
  /// work(i, tile, chunk) for every sample; the chunks are the same whatever the threads.
  template <class Work>
  void for_each_sample(Work work) const {
    const Index chunks = std::ssize(chunks_), n = std::ssize(places_);
    flow_.workers().for_each(chunks, [&](Index item, int thread) {
      Tile& tile = tiles_[static_cast<std::size_t>(thread)];
      for (Index i = item * n / chunks; i < (item + 1) * n / chunks; ++i) work(i, tile, static_cast<std::size_t>(item));
    });
  }
  void load(Index i, std::span<const double> x, Tile& tile) const;
  void add_directions(Index i, std::size_t stage, const Pointers& B);
  void coordinates(Index i, std::size_t stages, bool stand_on_x, const Sum& sum, Vector<double>& Z) const;
  void take_products(Index i, std::size_t stage, Tile& tile) const;
  void take_scores(Index i, const Now& now, Tile& tile) const;
  void take_gradient(Index i, const Now& now, Tile& tile, Chunk& chunk) const;
  void take_derivative(Index i, const Now& now, Tile& tile, Chunk& chunk);
  void start_sample(Index i, const Now& now, Tile& tile, Chunk& chunk);
  void arrange_gradient(Index i, double scale, Tile& tile) const;
  void write_derivative(Index i, std::size_t stage, double scale, Tile& tile);
  void add_to_shared(Index i, std::size_t stage, Tile& tile, Chunk& chunk) const;
  void add_power(Index i, std::size_t stage, Tile& tile, Chunk& chunk) const;
  void form_own(Index i, bool stand_on_x, const Sum& sum, std::span<double> out, Tile& tile) const;
  Vector<double> shared_sum(Matrices which, Index word, std::span<const std::size_t> stages,
                            std::span<const double> c) const;
  void form_shared(bool stand_on_x, const Sum& sum, std::span<double> out) const;
  void factorise(std::size_t stages);
  void lengths(Index i, std::size_t stages, const Sum& sum, Tile& tile, std::vector<double>& out) const;
  double own_error(Index i, std::size_t stage, const Error& error, const Norm& norm, const FrozenBasis& next,
                   Tile& tile) const;
  double shared_error(const Error& error, const Norm& norm, std::span<const double> y) const;
  void add_traces(Index i, const Now& now, const Matrix<double>& gram, Tile& tile, Chunk& chunk) const;
  void look_at_start(Glance<double>& out);
  void see_scores(Index i, const double* A, Glance<double>& out) const;
  void see_values(Index i, const double* G, const double* gV, Glance<double>& out) const;
  void see_shared(const Now& now, Glance<double>& out) const;

  FrozenFlow flow_;
  Index stages_, padded_V_, padded_KQ_;  // one stage more than a method has, to look from
  std::size_t latest_ = 0;               // stage
  std::vector<Place> places_;
  std::vector<Set> sets_;
  Vector<double> numbers_;
  std::span<const double> x_;

  Matrix<double> H_;                // [padded, 2 shared stages] all of H: of each stage keys, then queries
  Matrix<double> V_, u_;            // [padded, shared] at the present stage; [padded, stages]
  Matrix<double> gram_;             // [2 shared stages, the same] H^T H
  Matrix<double> root_H_, root_u_;  // upper triangular
  std::vector<Stage> of_stage_;
  std::vector<Chunk> chunks_;
  mutable std::vector<Tile> tiles_;
};

}  // namespace gradflow
