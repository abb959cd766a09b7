#pragma once
#include <gradflow/flows/weights.hpp>
#include <gradflow/model/model.hpp>

#include <array>
#include <memory>
#include <solvers/system.hpp>
#include <solvers/workers.hpp>

#include "flows/word_layout.hpp"
#include "lanes.hpp"

namespace gradflow {

/// The derivative of W_V, W_K and W_Q at a stage of a Runge-Kutta method, a tile of memory at a time. A word that
/// stands in one sample only (most fillers of a large task) is touched once: its columns are formed from the stage's
/// terms, multiplied, and their derivatives written, while they are in the nearest cache. Words that several samples
/// share come first and last. Of the stage's point nothing need be stored.
///
/// The sums have a fixed order, whatever the number of threads.
template <class Real>
class TiledGradient {
 public:
  /// `words`: those whose columns the state holds, ascending; each column of W_V has rows_V numbers, of W_K and W_Q
  /// rows_KQ. The model must outlive this.
  TiledGradient(const Model<Real>& model, std::span<const Index> words, Index rows_V, Index rows_KQ);
  TiledGradient(const TiledGradient&) = delete;  // it points into itself
  TiledGradient& operator=(const TiledGradient&) = delete;

  /// One value for each of the three matrices.
  template <class Value>
  struct PerTable {
    Value V, K, Q;
  };
  struct Request {
    const solvers::StagePoint<Real>& at;
    PerTable<Index> begin;  ///< where the matrices begin in the state
    const Vector<Real>& u;  ///< at the stage's point, [rows_V]
    Real root;              ///< 1 / sqrt(m)
    PerTable<Real> scale;   ///< of the derivatives: rates, and the point's
    Real* y;                ///< where the point goes; null: it is not wanted
    Real* dx;
  };
  struct Sums {
    Vector<Real> p;            ///< W_V gV, [rows_V]
    Real V = 0, K = 0, Q = 0;  ///< |gV|^2, |gA^T-products|^2: squared speeds before `scale` (of V: over |u|^2)
  };
  /// Of all samples.
  Sums operator()(const Request& request) const { return run(request, all_, false); }
  /// As if the task had these samples alone.
  Sums operator()(const Request& request, std::span<const Index> batch) const { return run(request, batch, true); }

  /// Threads for all later calls; the default is none beside the caller.
  void use(std::shared_ptr<solvers::Workers> workers);
  solvers::Workers* workers() const { return workers_.get(); }
  const WordLayout& layout() const { return layout_; }

 private:
  static constexpr std::size_t most_terms = 16;  // of a stage: those of every explicit method here

  /// What a thread works in: the columns of one sample.
  struct Tile {
    Matrix<Real> V, K, Q;  // [padded rows, most own words of a sample]
    std::vector<const Real*> columns_V, columns_K, columns_Q;
    std::vector<Real*> out;
    std::vector<Real> G, h, P, gV;
  };
  /// What a run of samples adds to the shared words.
  struct Chunk {
    Vector<Real> p, gV;                          // [padded rows], [shared]
    std::array<Real, most_terms> gV_of_factors;  // sums of gV g_j
    std::vector<Real> gA;                        // [pairs of shared words]
    Matrix<Real> dK, dQ;                         // [padded rows, shared]
    Real V;                                      // squares
    lanes::Squares<Real> K, Q;
  };

  /// One of the stage's terms of W_V, an outer product: c u_j, and where g_j stands, one entry a column.
  struct Factor {
    Vector<Real> u;   // [rows_V]
    Real along_u;     // its product with the stage's u
    const Real* row;  // of the first column

    const Real& of(Index column, Index rows) const { return row[column * rows]; }
  };

  Sums run(const Request& request, std::span<const Index> samples, bool batch) const;
  void find_factors(const Request& request) const;
  const Real* form_V(const Request& request, Index column, Real* out) const;
  const Real* start_V(const Request& request, Index column, Real* out) const;
  void form_shared(const Request& request, Index word) const;
  void score_shared(const Request& request, Index word) const;
  void add_sample(const Request& request, Index sample, Real weight, bool add, Tile& tile, Chunk& chunk) const;
  void finish_shared(const Request& request, Index word, Chunk& total) const;
  const Real* form(const Request& request, Index begin, Index rows, Index size, Real* out) const;

  const Model<Real>& model_;
  WordLayout layout_;
  Index columns_, rows_V_, rows_KQ_;
  std::vector<Index> all_;
  std::shared_ptr<solvers::Workers> workers_;

  // Scratch of one evaluation; the result depends on the arguments alone.
  mutable Matrix<Real> V_, K_, Q_;  // columns of the shared words, padded
  mutable Vector<Real> u_, G_;      // u padded; values of the shared words
  mutable std::vector<Real> A_, gA_mirrored_;
  std::vector<const Real*> partner_K_, partner_Q_;  // columns of the partners
  mutable std::vector<Factor> factors_;             // of W_V: all the stage's terms, or none
  mutable std::vector<Tile> tiles_;                 // one a thread
  mutable std::vector<Chunk> chunks_;               // as many whatever the threads
};

}  // namespace gradflow
