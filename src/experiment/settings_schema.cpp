#include <gradflow/observables/observables.hpp>

#include "experiment/settings_keys.hpp"

namespace gradflow::settings {
namespace {

// Counts beyond this are slips of the keyboard: two of them still multiply without overflow, and their rows fit no
// machine.
constexpr std::int64_t largest_count = 1'000'000'000;

Rule count(std::int64_t smallest = 1) { return from_to(smallest, largest_count); }

const std::vector<std::string> task_kinds{"co-occurrence", "file", "text"};
const std::vector<std::string> start_kinds{
    "kaiming-normal", "kaiming-uniform", "linear-default", "gaussian", "orthogonal", "limit", "file"};

using Task = decltype(Experiment::task);

Task task_of_kind(std::size_t kind) {
  if (kind == 0) return CoOccurrenceTask{};
  if (kind == 1) return FileTask{};
  return TextTask{};
}

void describe_class(Keys& keys, TaskClass& v) {
  std::int64_t label = v.label;
  Fraction fraction{v.numerator, v.denominator};
  keys.value("name", &v.name, Rule{}.needed());
  keys.value("words", &v.words, count().needed());
  keys.value("label", &label, Rule{.text = "-1 or 1", .holds = [](double x) { return x == -1 || x == 1; }}.needed());
  keys.value("fraction", &fraction, Rule{}.needed());
  v.label = static_cast<int>(label);
  v.numerator = fraction.numerator;
  v.denominator = fraction.denominator;
}

void describe_task(Keys& keys, CoOccurrenceTask& v) {
  keys.value("samples", &v.samples, count());
  keys.value("length", &v.length, count());
  keys.value("words", &v.words, count(2));
  keys.choice("fillers", v.fillers, {"uniform", "distinct"});
  keys.pair("targets", v.targets, count());
  keys.optional("common", v.common, count());
  keys.optional("test_samples", v.test_samples, count());
  keys.list("class", v.classes, describe_class);
}

void describe_task(Keys& keys, FileTask& v) {
  auto path = v.path.string();
  keys.value("path", &path, Rule{}.needed());
  v.path = path;
  keys.optional("words", v.words, count(2));
  keys.pair("targets", v.targets, count());
  keys.optional("common", v.common, count());
}

void describe_task(Keys& keys, TextTask& v) {
  auto path = v.path.string();
  keys.value("path", &path, Rule{}.needed());
  v.path = path;
  keys.pair("targets", v.targets, Rule{}.needed());
  keys.optional("common", v.common);
  keys.value("unit", &v.unit, one_of({"sentence", "line", "paragraph"}));
  keys.value("min_count", &v.min_count, count());
  keys.optional("max_length", v.max_length, count(2).because("A unit of one word cannot hold both targets."));
  keys.optional("limit", v.limit, count());
  keys.optional("test_share", v.test_share, inside(0, 1));
}

void describe_task(Keys& keys, Task& v) {
  auto kind = v.index();
  keys.choice("kind", kind, task_kinds);
  if (kind != v.index()) v = task_of_kind(kind);
  std::visit([&](auto& task) { describe_task(keys, task); }, v);
}

void describe_start(Keys& keys, Start& v) {
  keys.choice("kind", v.kind, start_kinds);
  if (v.kind == StartKind::gaussian || v.kind == StartKind::orthogonal || v.kind == StartKind::limit) {
    keys.value("W", &v.W, at_least(0).needed());
    keys.value("W_V", &v.W_V, at_least(0).needed());
    keys.value("W_K", &v.W_K, at_least(0).needed());
    keys.value("W_Q", &v.W_Q, at_least(0).needed());
  } else if (v.kind == StartKind::file) {
    auto path = v.path.string();
    keys.value("path", &path, Rule{}.needed());
    v.path = path;
    keys.optional("snapshot", v.snapshot, from_to(std::int64_t{0}, largest_count));
  }
}

void describe_model(Keys& keys, Model& v) {
  keys.optional("width", v.width, count());
  keys.optional("hidden", v.hidden, count());
  std::vector<std::pair<std::string, Keys::Body>> others;
  for (std::size_t kind = 0; kind < start_kinds.size(); ++kind)
    others.emplace_back(start_kinds[kind], [kind](Keys& other) {
      Start start;
      start.kind = static_cast<StartKind>(kind);
      describe_start(other, start);
    });
  keys.section(
      "start", [&](Keys& start) { describe_start(start, v.start); }, others);
}

void describe_flow(Keys& keys, Flow& v) {
  keys.choice("formulation", v.formulation, {"full", "reduced", "coupled"});
  keys.section("rates", [&](Keys& rates) {
    auto& [W, W_V, W_K, W_Q] = v.rates;
    rates.value("W", &W, at_least(0));
    rates.value("W_V", &W_V, at_least(0));
    rates.value("W_K", &W_K, at_least(0));
    rates.value("W_Q", &W_Q, at_least(0));
  });
}

void describe_solver(Keys& keys, Solver& v, const std::vector<std::string>& methods) {
  keys.value("method", &v.method, one_of(methods));
  keys.value(
      "rtol", &v.rtol,
      from_to(1e-14, 1e-1)
          .because("Below 1e-14 the rounding of double precision (2e-16 an operation) drowns the error estimate; above "
                   "0.1 the companion solve of the error bars, ten times looser, controls nothing."));
  keys.value("atol", &v.atol, above(0));
  keys.value("until", &v.until, above(0));
  keys.choice("clock", v.clock, {"linear", "log"});
  keys.optional("t0", v.t0, above(0));
  keys.value("error_bars", &v.error_bars);
  keys.value("max_steps", &v.max_steps, from_to(std::int64_t{1}, std::int64_t{1'000'000'000'000}));
  keys.value("max_rejections", &v.max_rejections, from_to(std::int64_t{1}, std::int64_t{1'000'000'000'000}));
  keys.optional("max_wall_seconds", v.max_wall_seconds, above(0));
  keys.optional("initial_step", v.initial_step, above(0));
  keys.optional("max_step", v.max_step, above(0));
}

void describe_save(Keys& keys, Save& v) {
  keys.value("records", &v.records, count(2).because("t = 0 and t = until are always recorded."));
  keys.optional("states", v.states, count(2).because("The first and the last state are always saved."));
  keys.optional("words", v.words, count().with_at_least_one());
  keys.value("observables", &v.observables,
             one_of(observables_on_request()).because("All other observables are always recorded."));
  keys.value("checkpoint_seconds", &v.checkpoint_seconds, above(0));
}

void describe_phases(Keys& keys, Phases& v) {
  keys.value("aligned", &v.aligned,
             Rule{}.with_at_least_one().because("Phase 1 ends at the later of classified and aligned."));
  keys.value("bracket", &v.bracket, inside(0, 1));
  keys.value("attention_moves", &v.attention_moves, inside(0, 1));
  keys.value("loss_below", &v.loss_below, above(0));
  keys.value("T1_constant", &v.T1_constant, above(0));
  keys.optional("T2", v.T2, above(0));
}

void describe_event(Keys& keys, Event& v) {
  auto above_level = static_cast<std::size_t>(v.direction > 0);
  keys.value("name", &v.name, Rule{}.needed());
  keys.value("quantity", &v.quantity, Rule{}.needed());
  keys.value("crosses", &v.crosses, Rule{}.needed());
  keys.choice("direction", above_level, {"down", "up"});
  keys.value("stop", &v.stop);
  v.direction = above_level == 1 ? +1 : -1;
  keys.position(v.where);
}

void describe_descent(Keys& keys, Descent& v) {
  keys.value("methods", &v.methods,
             one_of({"gd", "heavy-ball", "nesterov", "adam", "rmsprop", "sign", "sgd"}).with_at_least_one());
  keys.value("rates", &v.rates, above(0).with_at_least_one());
  keys.value("momentum", &v.momentum, Rule{.text = ">= 0 and < 1", .holds = [](double x) { return x >= 0 && x < 1; }});
  keys.value("batch", &v.batch, count());
  keys.value("modified", &v.modified, from_to(std::int64_t{2}, std::int64_t{3}));
  keys.value("curvature", &v.curvature,
             Rule{.text = "0 (none), or from 2 to 1000000",
                  .holds = [](double x) { return x == 0 || (x >= 2 && x <= 1'000'000); }}
                 .because("The first sample is taken at t = 0 and the last at t = until."));
  keys.value("eps", &v.eps, inside(0, 1));
}

}  // namespace

void describe(Keys& keys, Experiment& experiment, const std::vector<std::string>& methods) {
  auto seed = static_cast<std::int64_t>(experiment.seed);
  keys.value("name", &experiment.name);
  keys.value("seed", &seed, at_least(0));
  experiment.seed = static_cast<std::uint64_t>(seed);

  std::vector<std::pair<std::string, Keys::Body>> tasks;
  for (std::size_t kind = 0; kind < task_kinds.size(); ++kind)
    tasks.emplace_back(task_kinds[kind], [kind](Keys& other) {
      auto task = task_of_kind(kind);
      describe_task(other, task);
    });
  keys.section(
      "task", [&](Keys& task) { describe_task(task, experiment.task); }, tasks);
  keys.section("model", [&](Keys& model) { describe_model(model, experiment.model); });
  keys.section("flow", [&](Keys& flow) { describe_flow(flow, experiment.flow); });
  keys.section("solver", [&](Keys& solver) { describe_solver(solver, experiment.solver, methods); });
  keys.section("save", [&](Keys& save) { describe_save(save, experiment.save); });
  keys.section("phases", [&](Keys& phases) { describe_phases(phases, experiment.phases); });
  keys.list("event", experiment.events, describe_event);
  if (keys.present("descent", experiment.descent.has_value())) {
    if (!experiment.descent) experiment.descent.emplace();
    keys.section("descent", [&](Keys& descent) { describe_descent(descent, *experiment.descent); });
  }
}

}  // namespace gradflow::settings
