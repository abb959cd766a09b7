#pragma once
#include <gradflow/observables/moment.hpp>

#include <functional>
#include <string>

namespace gradflow {

/// What an observable needs beside the moment.
struct ObservableContext {
  std::vector<Index> words;  ///< tracked words, 0-based
  Origin origin;
};

/// One row of the table of observables.
struct Observable {
  std::string name;
  std::vector<std::string>
      dimensions;  ///< beside t: "class", "word", "word2", "key", "query", "matrix"; none for a scalar
  std::string unit, long_name, source;  ///< source: the paper's equation, or the identity it watches
  std::function<void(Moment&, const ObservableContext&, std::span<double>)>
      evaluate;  ///< row-major over the dimensions
};

/// Every observable there is; a new one is one entry here.
std::span<const Observable> observable_table();

/// The table applied to one flow: how many values each row has, and all of them at a moment.
class Observables {
 public:
  /// `words`: the tracked words, 0-based. The moment stands at t = 0.
  Observables(Moment& start, std::vector<Index> words);

  const ObservableContext& context() const { return context_; }
  std::size_t size(const Observable& observable) const;  ///< number of values
  std::size_t size() const { return total_; }            ///< of all observables together

  /// All values, in the table's order. `out` has size() entries.
  void evaluate(Moment& moment, std::span<double> out) const;

  /// A scalar by name: "loss", or one component: "G[3]" (words count from 1), "loss_class[I2]", "B[2,1]", "power[W_K]".
  /// Throws std::invalid_argument that says what is wrong and lists the names there are.
  std::function<double(Moment&)> scalar(const std::string& quantity) const;

  /// Labels along a dimension: class names, word names, names of the matrices.
  std::vector<std::string> labels(const std::string& dimension) const;

 private:
  const Task& task_;
  ObservableContext context_;
  std::size_t total_ = 0;
};

}  // namespace gradflow
