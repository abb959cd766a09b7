#pragma once
#include <gradflow/observables/moment.hpp>

#include <functional>
#include <string>

namespace gradflow {

/// What an observable needs beside the moment.
struct ObservableContext {
  std::vector<Index> words;  ///< tracked words, 0-based
  Origin origin;
  std::shared_ptr<const Model<double>> test;  ///< of the test samples, if there are any
};

/// One row of the table of observables.
struct Observable {
  std::string name;
  /// Beside t: "class", "word", "word2", "key", "query" (tracked words), "key_role", "query_role", "statistic",
  /// "matrix"; none for a scalar.
  std::vector<std::string> dimensions;
  std::string unit, long_name, source;  ///< source: the paper's equation, or the identity it watches
  std::function<void(Moment&, const ObservableContext&, std::span<double>)>
      evaluate;                ///< row-major over the dimensions; a function of the moment's state alone
  bool on_request = false;     ///< recorded only where it is asked for: it costs much, or is large
  bool needs_weights = false;  ///< flows that have inner products only do not have it
  bool needs_test = false;     ///< there only where there are test samples
};

/// Every observable there is; a new one is one entry here.
std::span<const Observable> observable_table();
/// Names of those that are recorded on request only.
std::vector<std::string> observables_on_request();

/// The table applied to one flow: which rows are recorded, how many values each has, and all of them at a moment.
class Observables {
 public:
  /// `words`: the tracked words, 0-based. The moment stands at t = 0. `requested`: names of rows that are recorded on
  /// request. `test`: samples over the task's vocabulary that the flow is not trained on; they must outlive this.
  /// Throws std::invalid_argument for words outside the vocabulary, and for requests that are unknown or need weights
  /// that the flow does not have.
  Observables(Moment& start, std::vector<Index> words, const std::vector<std::string>& requested = {},
              const Task* test = nullptr);

  const ObservableContext& context() const { return context_; }
  /// The rows that are recorded, in the table's order.
  std::span<const Observable* const> rows() const { return rows_; }
  /// Number of values; 0 where this flow does not have the row: it needs weights or test samples, and there are none.
  std::size_t size(const Observable& observable) const;
  std::size_t size() const { return total_; }  ///< of all recorded rows together

  /// The values of all recorded rows, in their order. `out` has size() entries.
  void evaluate(Moment& moment, std::span<double> out) const;

  /// A scalar by name: "loss", or one component: "G[3]" (words count from 1), "loss_class[I2]", "B[2,1]", "power[W_K]",
  /// "attention[I1,target1,common]" (key, query). Of any row, recorded or not. Throws std::invalid_argument that says
  /// what is wrong and lists the names there are.
  std::function<double(Moment&)> scalar(const std::string& quantity) const;

  /// Labels along a dimension: names of classes, words, roles, statistics, matrices.
  std::vector<std::string> labels(const std::string& dimension) const;

 private:
  /// Why this flow does not have the row; "" where it has.
  std::string why_absent(const Observable& row) const;

  const Task& task_;
  bool has_weights_;
  ObservableContext context_;
  std::vector<const Observable*> rows_;
  std::size_t total_ = 0;
};

}  // namespace gradflow
