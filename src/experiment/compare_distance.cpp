#include "experiment/compare_distance.hpp"

#include <gradflow/observables/moment.hpp>

namespace gradflow {
namespace {

double ratio(double difference, double size) { return difference == 0 && size == 0 ? 0 : difference / size; }

/// |d - f| and |f|, without overflow on the way to divergence.
struct Norms {
  PerMatrix<double> differences, sizes;
};

Norms norms(const Weights<double>& d, const Weights<double>& f) {
  return {{(d.W - f.W).stableNorm(), (d.W_V - f.W_V).stableNorm(), (d.W_K - f.W_K).stableNorm(),
           (d.W_Q - f.W_Q).stableNorm()},
          {f.W.stableNorm(), f.W_V.stableNorm(), f.W_K.stableNorm(), f.W_Q.stableNorm()}};
}

/// In Eigen's own memory: where its loops begin and end, and with that the last bits of a sum, depends on where values
/// stand in memory, and its own stand alike.
Eigen::VectorXd vector(std::span<const double> values) {
  return Eigen::Map<const Eigen::VectorXd>(values.data(), std::ssize(values));
}

double norm(const PerMatrix<double>& norms) { return vector(norms).stableNorm(); }

double relative_difference(const std::vector<double>& d, const std::vector<double>& f) {
  return ratio((vector(d) - vector(f)).stableNorm(), vector(f).stableNorm());
}

}  // namespace

Standing standing(const Flow<double>& flow, std::span<const double> x) {
  Moment moment(flow);
  moment.set(0, x);
  const auto& forward = moment.forward();
  Standing result{.weights = flow.weights(x),
                  .logits = forward.margin,
                  .G = std::vector<double>(static_cast<std::size_t>(flow.task().words())),
                  .attention = forward.attention,
                  .loss = forward.loss};
  for (std::size_t i = 0; i < result.logits.size(); ++i) result.logits[i] *= flow.task().data().labels[i];
  flow.values(x, result.G);
  return result;
}

Distances distances(const Standing& descent, const Standing& flow) {
  const Norms of = norms(descent.weights, flow.weights);
  Distances result{
      .parameters = ratio(norm(of.differences), norm(of.sizes)),
      .matrices = {},
      .logits = relative_difference(descent.logits, flow.logits),
      .loss = descent.loss - flow.loss,
      .G = relative_difference(descent.G, flow.G),
      .attention = (vector(descent.attention) - vector(flow.attention)).cwiseAbs().maxCoeff<Eigen::PropagateNaN>()};
  for (std::size_t i = 0; i < of.sizes.size(); ++i) result.matrices[i] = ratio(of.differences[i], of.sizes[i]);
  return result;
}

double parameter_distance(const Weights<double>& descent, const Weights<double>& flow) {
  const Norms of = norms(descent, flow);
  return ratio(norm(of.differences), norm(of.sizes));
}

}  // namespace gradflow
