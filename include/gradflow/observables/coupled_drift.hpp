#pragma once
#include <gradflow/observables/moment.hpp>

namespace gradflow {

/// How far every kind of coupled variable but G has moved since t = 0 (Theorem 3.1 of Yang et al. 2024 says: little,
/// over Phase 1), and where the power goes. The Gram matrices are taken among the tracked words.
class CoupledDrift {
 public:
  /// The moment stands at t = 0.
  CoupledDrift(Moment& start, std::vector<Index> words);

  struct Entry {
    const char *name, *unit, *long_name;
  };
  /// drift_U, drift_Gamma, drift_B, drift_S_K, drift_S_Q, power_share_kq.
  static std::span<const Entry> entries();

  /// One value per entry: the largest change over the largest length (of the columns that the inner products belong to)
  /// at t = 0.
  std::vector<double> evaluate(Moment& moment) const;

 private:
  std::array<std::vector<double>, 4> grams(Moment& moment) const;  // Gamma, B, S_K, S_Q
  std::vector<Index> words_;
  double U_;
  std::array<std::vector<double>, 4> grams_;
  std::array<double, 4> scales_;
};

}  // namespace gradflow
