// What a run's file says before the first step: settings, provenance, task, start, and the names of all that will grow.
#include "experiment/recorder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <build_info.hpp>

#include <algorithm>

namespace gradflow {
namespace {

using trajectory::Array;
using trajectory::Arrays;
using trajectory::Attribute;
using trajectory::Column;
using trajectory::Series;

std::vector<double> row_major(const RowMatrix<double>& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}

std::vector<Attribute> attributes(const settings::Experiment& experiment, const Flow<double>& flow,
                                  const Observables& observables, double t0, const std::string& command_line) {
  const settings::Start& start = experiment.model.start;
  const bool has_s1 = start.kind == settings::StartKind::gaussian || start.kind == settings::StartKind::orthogonal;
  const double m = static_cast<double>(flow.width()), m1 = static_cast<double>(flow.hidden());
  return {
      {"title", "Gradient flow of a shallow transformer learning word co-occurrence (Yang et al. 2024)"},
      {"program", "gradflow"},
      {"version", std::string(build_info::version)},
      {"commit", std::string(build_info::commit)},
      {"build", fmt::format("{}, {}, {}, {}", build_info::compiler, build_info::build_type, build_info::flags,
                            build_info::architecture)},
      {"created", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
      {"command", command_line},
      {"settings", settings::to_toml(experiment)},
      {"seed", static_cast<std::int64_t>(experiment.seed)},
      {"formulation", experiment.flow.formulation == settings::Formulation::full ? "full" : "reduced"},
      {"method", experiment.solver.method},
      {"rtol", experiment.solver.rtol},
      {"atol", experiment.solver.atol},
      {"error_norm", solvers::ErrorNorm<double>::description()},
      {"clock", t0 > 0 ? "log: tau = ln(1 + t/t0)" : "linear: tau = t"},
      {"t0", t0},
      {"until", experiment.solver.until},
      {"width", flow.width()},
      {"hidden", flow.hidden()},
      {"T1_constant", experiment.phases.T1_constant},
      {"T1_theory_rate", has_s1 ? start.W * start.W * m * m1 : observables.context().origin.U},
      {"T1_theory_rate_is", has_s1 ? "s1^2 m m1" : "U(0)"},
      {"T2", experiment.phases.T2.value_or(trajectory::unknown)},
  };
}

Series observable_series(const Observables& observables) {
  Series series;
  for (const char* dimension : {"class", "word", "word2", "key", "query", "matrix"})
    series.dimensions.emplace_back(dimension, observables.labels(dimension));
  for (const Observable& row : observable_table())
    series.columns.push_back({row.name, row.dimensions, row.unit, row.long_name, row.source});
  return series;
}

Arrays task_arrays(const Task& task) {
  const TaskData& data = task.data();
  std::size_t length = 0;
  for (const auto& sample : data.tokens) length = std::max(length, sample.size());
  std::vector<std::int64_t> tokens;
  for (const auto& sample : data.tokens) {
    tokens.insert(tokens.end(), sample.begin(), sample.end());
    tokens.insert(tokens.end(), length - sample.size(), -1);
  }
  std::vector<Attribute> attributes{{"words", data.words}, {"target1", data.targets[0]}, {"target2", data.targets[1]}};
  if (data.common) attributes.emplace_back("common", *data.common);
  return {attributes,
          {{"sample", task.samples()},
           {"position", static_cast<std::int64_t>(length)},
           {"class", data.class_names},
           {"word", data.word_names}},
          {{"tokens", {"sample", "position"}, tokens, "1", "words of each sample, from 0; padded with -1"},
           {"labels",
            {"sample"},
            std::vector<std::int64_t>(data.labels.begin(), data.labels.end()),
            "1",
            "label of each sample"},
           {"sample_class",
            {"sample"},
            std::vector<std::int64_t>(data.sample_class.begin(), data.sample_class.end()),
            "1",
            "class of each sample, from 0"}}};
}

Arrays start_arrays(const Flow<double>& flow, std::span<const double> x) {
  const Weights<double> w = flow.weights(x);
  const Vector<double> u = w.W.transpose() * w.a;
  return {{},
          {{"hidden", flow.hidden()}, {"width", flow.width()}, {"word", flow.task().data().word_names}},
          {{"W", {"hidden", "width"}, row_major(w.W), "1", "linear MLP"},
           {"W_V", {"width", "word"}, row_major(w.W_V), "1", "value matrix"},
           {"W_K", {"width", "word"}, row_major(w.W_K), "1", "key matrix"},
           {"W_Q", {"width", "word"}, row_major(w.W_Q), "1", "query matrix"},
           {"a", {"hidden"}, std::vector<double>(w.a.begin(), w.a.end()), "1", "fixed readout"},
           {"u", {"width"}, std::vector<double>(u.begin(), u.end()), "1", "W^T a, what the reduced flow keeps of W"}}};
}

Series state_series(const Flow<double>& flow) {
  const char* const laws = "since t = 0, Frobenius norm over how far its terms have moved";
  return {
      {{"hidden", flow.hidden()}, {"width", flow.width()}, {"word", flow.task().data().word_names}},
      {{"W", {"hidden", "width"}, "1", "linear MLP", ""},
       {"W_V", {"width", "word"}, "1", "value matrix", ""},
       {"W_K", {"width", "word"}, "1", "key matrix", ""},
       {"W_Q", {"width", "word"}, "1", "query matrix", ""},
       {"law_drift_vw", {}, "1", fmt::format("change of u u^T - M W_V W_V^T {}", laws), "conservation law of the flow"},
       {"law_drift_kq",
        {},
        "1",
        fmt::format("change of W_K W_K^T - W_Q W_Q^T {}", laws),
        "conservation law of the flow"},
       {"law_drift_W", {}, "1", fmt::format("change of W - a u^T / M {}", laws), "conservation law of the flow"}}};
}

}  // namespace

trajectory::RunDescription describe(const settings::Experiment& experiment, const Flow<double>& flow,
                                    std::span<const double> start, const Observables& observables,
                                    const std::vector<FlowEvent>& events, double t0, const std::string& command_line) {
  trajectory::RunDescription description{
      .attributes = attributes(experiment, flow, observables, t0, command_line),
      .observables = observable_series(observables),
      .task = task_arrays(flow.task()),
      .start = start_arrays(flow, start),
      .states = state_series(flow),
      .events = {},
      .crossing_values = {},
      .verdicts = {"not_applicable", "never", "at_start_and_for_good", "crossed_once_and_for_good",
                   "crossings_holds_at_the_end", "crossings_does_not_hold_at_the_end"},
      .outcomes = {},
      .counts = {"accepted", "rejected_error", "rejected_not_finite", "evaluations_start", "evaluations_steps",
                 "evaluations_outputs", "evaluations_events", "event_calls", "companion_accepted",
                 "companion_evaluations"}};
  for (const FlowEvent& event : events) description.events.push_back({event.name, event.condition});
  for (const CoupledDrift::Entry& entry : CoupledDrift::entries())
    description.crossing_values.push_back(
        {entry.name, {}, entry.unit, entry.long_name, "Yang et al. 2024, Theorem 3.1"});
  for (int outcome = 0; outcome <= static_cast<int>(solvers::Outcome::interrupted); ++outcome)
    description.outcomes.emplace_back(solvers::name(static_cast<solvers::Outcome>(outcome)));
  return description;
}

}  // namespace gradflow
