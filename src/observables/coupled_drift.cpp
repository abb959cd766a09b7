#include <gradflow/observables/coupled_drift.hpp>

#include <algorithm>
#include <cmath>

namespace gradflow {
namespace {

constexpr std::array<CoupledDrift::Entry, 6> table{{
    {"drift_U", "1", "|U - U(0)| / U(0)"},
    {"drift_Gamma", "1",
     "largest change of Gamma among tracked words, over the largest squared column of W_V at t = 0"},
    {"drift_B", "1", "largest change of B among tracked words, over the largest columns of W_K and W_Q at t = 0"},
    {"drift_S_K", "1", "largest change of W_K^T W_K among tracked words, over the largest squared column at t = 0"},
    {"drift_S_Q", "1", "largest change of W_Q^T W_Q among tracked words, over the largest squared column at t = 0"},
    {"power_share_kq", "1", "share of the power |W_K'|^2 + |W_Q'|^2 in that of all matrices"},
}};

double largest_magnitude(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  return largest;
}

}  // namespace

std::span<const CoupledDrift::Entry> CoupledDrift::entries() { return table; }

CoupledDrift::CoupledDrift(Moment& start, std::vector<Index> words)
    : words_(std::move(words)), U_(start.U()), grams_(grams(start)) {
  // The largest entry of a Gram matrix stands on its diagonal; B's scale is that of its two factors.
  const double K = largest_magnitude(grams_[2]), Q = largest_magnitude(grams_[3]);
  scales_ = {largest_magnitude(grams_[0]), std::sqrt(K * Q), K, Q};
}

std::array<std::vector<double>, 4> CoupledDrift::grams(Moment& moment) const {
  std::array<std::vector<double>, 4> result;
  for (const Index k : words_)
    for (const Index l : words_) {
      result[0].push_back(moment.Gamma(k, l));
      result[1].push_back(moment.B(k, l));
      result[2].push_back(moment.S_K(k, l));
      result[3].push_back(moment.S_Q(k, l));
    }
  return result;
}

std::vector<double> CoupledDrift::evaluate(Moment& moment) const {
  std::vector<double> drifts{std::abs(moment.U() - U_) / U_};
  const auto now = grams(moment);
  for (std::size_t kind = 0; kind < 4; ++kind) {
    double change = 0;
    for (std::size_t i = 0; i < now[kind].size(); ++i)
      change = std::max(change, std::abs(now[kind][i] - grams_[kind][i]));
    drifts.push_back(change / scales_[kind]);
  }
  const PerMatrix<double> power = moment.power();
  const double kq = power[2] + power[3];
  drifts.push_back(kq / (power[0] + power[1] + kq));
  return drifts;
}

}  // namespace gradflow
