#include "experiment/states.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <gradflow/flows/gram.hpp>
#include <gradflow/observables/moment.hpp>

namespace gradflow {
namespace {

using trajectory::Array;
using trajectory::Arrays;
using trajectory::Column;
using trajectory::Series;

std::vector<double> row_major(const RowMatrix<double>& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}

/// A few columns at a time: whole cache lines are written.
std::vector<double> row_major(const Matrix<double>& matrix) {
  constexpr Index at_once = 16;
  std::vector<double> values(static_cast<std::size_t>(matrix.size()));
  Eigen::Map<RowMatrix<double>> out(values.data(), matrix.rows(), matrix.cols());
  for (Index from = 0; from < matrix.cols(); from += at_once) {
    const Index count = std::min(at_once, matrix.cols() - from);
    out.middleCols(from, count) = matrix.middleCols(from, count);
  }
  return values;
}

std::vector<Index> held_words(const Flow<double>& flow) { return {flow.words().begin(), flow.words().end()}; }

std::vector<trajectory::Dimension> dimensions(const Flow<double>& flow) {
  const std::vector<std::string>& names = flow.task().data().word_names;
  if (flow.has_weights()) return {{"hidden", flow.hidden()}, {"width", flow.width()}, {"word", names}};
  std::vector<std::string> held;
  for (const Index word : flow.words()) held.push_back(names[static_cast<std::size_t>(word)]);
  return {{"word", held}, {"word2", held}, {"key", held}, {"query", held}};
}

const std::vector<Column>& columns(const Flow<double>& flow) {
  static const std::vector<Column> weights{{"W", {"hidden", "width"}, "1", "linear MLP", ""},
                                           {"W_V", {"width", "word"}, "1", "value matrix", ""},
                                           {"W_K", {"width", "word"}, "1", "key matrix", ""},
                                           {"W_Q", {"width", "word"}, "1", "query matrix", ""}};
  static const std::vector<Column> products{{"G", {"word"}, "1", "W_V^T u, the values of the words; u = W^T a", ""},
                                            {"U", {}, "1", "|u|^2", ""},
                                            {"Gamma", {"word", "word2"}, "1", "W_V^T W_V", ""},
                                            {"B", {"key", "query"}, "1", "W_K^T W_Q", ""},
                                            {"S_K", {"word", "word2"}, "1", "W_K^T W_K", ""},
                                            {"S_Q", {"word", "word2"}, "1", "W_Q^T W_Q", ""}};
  return flow.has_weights() ? weights : products;
}

std::vector<std::vector<double>> column_values(const Weights<double>& w) {
  return {row_major(w.W), row_major(w.W_V), row_major(w.W_K), row_major(w.W_Q)};
}

/// The values of `columns`.
std::vector<std::vector<double>> column_values(const Flow<double>& flow, std::span<const double> x) {
  if (flow.has_weights()) return column_values(flow.weights(x));
  const GramStart<double> gram = gram_at(flow, x, held_words(flow));
  return {{gram.G.begin(), gram.G.end()},
          {gram.U},
          row_major(gram.Gamma),
          row_major(gram.B),
          row_major(gram.S_K),
          row_major(gram.S_Q)};
}

}  // namespace

Arrays start_arrays(const Flow<double>& flow, std::span<const double> x) {
  Arrays arrays{{{"width", flow.width()}, {"hidden", flow.hidden()}}, dimensions(flow), {}};
  const auto add = [&](std::vector<std::vector<double>> values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Column& column = columns(flow)[i];
      arrays.arrays.push_back({column.name, column.dimensions, std::move(values[i]), column.unit, column.long_name});
    }
  };
  if (flow.has_weights()) {
    const Weights<double> w = flow.weights(x);
    const Vector<double> u = w.W.transpose() * w.a;
    add(column_values(w));
    arrays.arrays.push_back({"a", {"hidden"}, std::vector<double>(w.a.begin(), w.a.end()), "1", "fixed readout"});
    arrays.arrays.push_back(
        {"u", {"width"}, std::vector<double>(u.begin(), u.end()), "1", "W^T a, what the reduced flow keeps of W"});
  } else {
    add(column_values(flow, x));
    arrays.arrays.push_back({"word_index",
                             {"word"},
                             std::vector<std::int64_t>(flow.words().begin(), flow.words().end()),
                             "1",
                             "position of each word in the vocabulary, from 0"});
    const OtherWords<double>& others = flow.other_words();
    arrays.dimensions.emplace_back("other_words",
                                   std::vector<std::string>{"trace_Gamma", "trace_S_K", "trace_S_Q", "largest_Gamma"});
    arrays.arrays.push_back(
        {"others",
         {"other_words"},
         std::vector<double>{others.trace_Gamma, others.trace_S_K, others.trace_S_Q, others.largest_Gamma},
         "1",
         "what all words but these add to the traces of Gamma, S_K, S_Q, and their largest Gamma(k, k)"});
  }
  return arrays;
}

Series state_series(const Flow<double>& flow) {
  Series series{dimensions(flow), columns(flow)};
  series.dimensions.emplace_back("sample", flow.task().samples());
  const std::string since = flow.has_weights()
                                ? "since t = 0, Frobenius norm over how far its terms have moved"
                                : "since t = 0, of its trace and the trace of its square what has changed more over "
                                  "how far its terms have moved";
  for (const auto& [name, law] :
       {std::pair("law_drift_vw", "u u^T - M W_V W_V^T"), std::pair("law_drift_kq", "W_K W_K^T - W_Q W_Q^T"),
        std::pair("law_drift_W", "W - a u^T / M")})
    series.columns.push_back(
        {name, {}, "1", fmt::format("change of {} {}", law, since), "conservation law of the flow"});
  series.columns.push_back(
      {"margin", {"sample"}, "1", "z_i = y_i F(X_i) of each training sample", "Yang et al. 2024, equation 1"});
  series.columns.push_back(
      {"sample_loss", {"sample"}, "1", "log(1 + exp(-z_i)) of each training sample", "Yang et al. 2024, equation 1"});
  return series;
}

std::size_t state_columns(const Flow<double>& flow) { return columns(flow).size(); }

std::vector<std::vector<double>> state_values(const Flow<double>& flow, std::span<const double> x) {
  auto values = column_values(flow, x);
  for (const double drift : flow.law_drifts(x)) values.push_back({drift});
  Moment moment(flow);
  moment.set(0, x);  // what the model says does not depend on t
  values.push_back(moment.forward().margin);
  values.push_back(moment.forward().sample_loss);
  return values;
}

}  // namespace gradflow
