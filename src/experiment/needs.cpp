#include "experiment/needs.hpp"

#include <fmt/format.h>
#include <gradflow/descent/update_rules.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

namespace gradflow {
namespace {

using settings::Experiment;
using settings::Formulation;

constexpr double number = 8;  // bytes of one

/// How many different ones of `pool` words `places` uniform draws give on average.
double distinct(double pool, double places) {
  return pool > 0 && places > 0 ? -pool * std::expm1(places * std::log1p(-1 / pool)) : 0;
}

double tracked_words(const Experiment& experiment) {
  return experiment.save.words ? static_cast<double>(experiment.save.words->size()) : 3;
}

/// The numbers in the arrays of a problem.
struct Arrays {
  Arrays(const Experiment& experiment, const ProblemSizes& s)
      : coupled(experiment.flow.formulation == Formulation::coupled),
        full(experiment.flow.formulation == Formulation::full),
        weights(s.width * (s.hidden + 3 * s.words) + s.hidden),
        spans(s.width * (3 * s.used + 1)),
        products(4 * s.held * s.held),
        pairs(std::min(s.sample_pairs, s.used * s.used)) {
    const double uv = full ? s.width : std::min(s.width, s.used + 1);
    kq = full ? s.width : std::min(s.width, 2 * s.used);
    head = full ? s.width * s.hidden : uv;
    state = coupled ? 2.5 * s.held * s.held + 2.5 * s.held + 2 : head + s.used * (uv + 2 * kq) + 1;
    law_terms = coupled ? 0 : 12 * kq * s.used + 5 * kq * kq;
    const double w = tracked_words(experiment);
    record = 2 * w * w + 2 * w + 50;
  }

  bool coupled, full;
  double weights;   // W, W_V, W_K, W_Q, a
  double spans;     // a flow's basis, or its starting columns
  double products;  // Gamma, B, S_K, S_Q
  double pairs;     // of words that share a sample
  double kq, head;  // rows of W_K and W_Q in the state; its W or u
  double state, law_terms;
  double record;  // one row of observables; a few more on request or by class
};

/// What a snapshot stores.
double snapshot(const Arrays& of, const ProblemSizes& s) {
  return (of.coupled ? of.products + s.held : of.weights) + 2 * s.samples;
}

double snapshots(const Experiment& experiment, const Arrays& of) {
  if (experiment.save.states) return static_cast<double>(*experiment.save.states);
  return std::clamp(256e6 / (number * std::max(1.0, of.coupled ? of.products : of.weights)), 2.0, 20.0);
}

/// State-sized arrays of a solve: the method's own, once for the steps and once for crossings inside a step, and what
/// the step control, the checkpoints and the caller keep.
double solver_states(const std::string& method) {
  if (method == "fehlberg78" || method == "dop853") return 38;
  return method == "rock4" ? 32 : method == "rkc2" ? 28 : 24;
}

bool takes_curvature(const Experiment& experiment, Undertaking undertaking) {
  const auto& asked = experiment.save.observables;
  const auto has = [&](const char* name) { return std::ranges::find(asked, name) != asked.end(); };
  if (has("sharpness") || has("curvature_min")) return true;
  return undertaking == Undertaking::comparison && experiment.descent && experiment.descent->curvature > 0;
}

bool takes_derivatives(const Experiment& experiment, Undertaking undertaking) {
  return takes_curvature(experiment, undertaking) ||
         (undertaking == Undertaking::comparison && experiment.descent && !experiment.descent->modified.empty());
}

double descents(const Experiment& experiment, Undertaking undertaking) {
  if (undertaking != Undertaking::comparison || !experiment.descent) return 0;
  return static_cast<double>(experiment.descent->methods.size() * experiment.descent->rates.size());
}

/// Numbers that the descents beside a flow keep.
double descent_numbers(const Experiment& experiment, const Arrays& of) {
  double sum = 0;
  bool full_width = false;
  for (const std::string& method : experiment.descent->methods) {
    const UpdateRule& rule = find_update_rule(method);
    const bool wide = !rule.rotates && !of.full;
    const double state = 4 * (wide ? of.spans : of.state);  // where it stands, its next step, two memories
    sum += static_cast<double>(experiment.descent->rates.size()) * ((rule.flow_time ? 1 : 2) * state + of.weights);
    full_width |= wide;
  }
  return sum + of.weights + (full_width ? of.weights + 2 * of.spans : 0);
}

std::string of_weights(const Experiment& experiment, const ProblemSizes& s) {
  // What makes them large: the side of the matrices that is longer.
  const std::string side = s.hidden > 3 * s.words ? "model.hidden or model.width" : "task.words or model.width";
  if (experiment.flow.formulation == Formulation::coupled)
    return fmt::format("lower {}; flow.formulation = \"coupled\" with model.start.kind = \"limit\" draws none", side);
  return fmt::format(
      "lower {}; flow.formulation = \"coupled\" with model.start.kind = \"limit\" needs none, whatever the width",
      side);
}

std::string size_text(double bytes) {
  constexpr std::array units{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < units.size(); ++unit) bytes /= 1000;
  return fmt::format("{:.3g} {}", bytes, units[unit]);
}

constexpr const char* to_be_changed = "Its largest parts, and what makes them smaller:";

/// Throws unless `needs` fit into what is available of `where`. `parts`: says what to do, and what the list of them is.
void require(const Experiment& experiment, std::vector<Need> needs, double available, const std::string& where,
             const std::string& parts = to_be_changed) {
  const double sum = total(needs);
  if (sum <= available) return;
  std::ranges::sort(needs, std::greater<>(), &Need::bytes);
  std::string text = fmt::format("{}: the run needs about {} {}, but there are {}. {}", experiment.source.string(),
                                 size_text(sum), where, size_text(available), parts);
  constexpr std::size_t most_shown = 3;
  for (std::size_t i = 0; i < std::min(needs.size(), most_shown) && needs[i].bytes >= sum / 20; ++i)
    text += fmt::format("\n    {} for {}: {}", size_text(needs[i].bytes), needs[i].what, needs[i].remedy);
  throw settings::Error({text});
}

}  // namespace

ProblemSizes expected_sizes(const Experiment& experiment, const settings::CoOccurrenceTask& task) {
  std::set<std::int64_t> reserved(task.targets.begin(), task.targets.end()), named;
  if (task.common) reserved.insert(*task.common);
  for (const settings::TaskClass& c : task.classes) named.insert(c.words.begin(), c.words.end());
  reserved.insert(named.begin(), named.end());
  const auto words = static_cast<double>(task.words), samples = static_cast<double>(task.samples);
  const double pool = words - static_cast<double>(reserved.size());
  const auto test = static_cast<double>(task.test_samples.value_or(0));
  const bool uniform = task.fillers == settings::Fillers::uniform;

  ProblemSizes s{.words = words,
                 .samples = samples + test,
                 .tokens = (samples + test) * static_cast<double>(task.length),
                 .width = static_cast<double>(experiment.model.width.value_or(0)),
                 .hidden = static_cast<double>(experiment.model.hidden.value_or(0))};
  double places = 0, test_places = 0;
  for (const settings::TaskClass& c : task.classes) {
    const double share = static_cast<double>(c.numerator) / static_cast<double>(c.denominator);
    const double of_class = static_cast<double>(c.words.size()), fillers = static_cast<double>(task.length) - of_class;
    const double drawn = of_class + distinct(pool, fillers), given = of_class + (uniform ? drawn - of_class : fillers);
    s.sample_pairs += share * (samples * given * given + test * drawn * drawn);
    places += share * samples * fillers;
    test_places += share * test * fillers;
  }
  const double train = uniform ? distinct(pool, places) : places;
  const double all =
      uniform ? distinct(pool, places + test_places) : std::min(pool, places + distinct(pool, test_places));
  s.used = std::min(words, static_cast<double>(named.size()) + train);
  s.held = std::min(words, static_cast<double>(reserved.size()) + all + tracked_words(experiment));
  return s;
}

ProblemSizes sizes_of(const Experiment& experiment, const Task& task, const TaskData* test) {
  ProblemSizes s{.words = static_cast<double>(task.words()),
                 .used = static_cast<double>(task.used_words().size()),
                 .samples = static_cast<double>(task.samples()),
                 .width = static_cast<double>(experiment.model.width.value_or(0)),
                 .hidden = static_cast<double>(experiment.model.hidden.value_or(0))};
  const auto add = [&](const std::vector<Index>& sample, std::size_t distinct) {
    s.tokens += static_cast<double>(sample.size());
    s.sample_pairs += static_cast<double>(distinct) * static_cast<double>(distinct);
  };
  for (Index i = 0; i < task.samples(); ++i)
    add(task.data().tokens[static_cast<std::size_t>(i)], task.bag(i).words.size());
  std::set<Index> held(task.used_words().begin(), task.used_words().end());
  if (test != nullptr)
    for (const std::vector<Index>& sample : test->tokens) {
      add(sample, std::set<Index>(sample.begin(), sample.end()).size());
      held.insert(sample.begin(), sample.end());
      s.samples += 1;
    }
  s.held = std::min(s.words, static_cast<double>(held.size()) + tracked_words(experiment));
  return s;
}

double total(const std::vector<Need>& needs) {
  double sum = 0;
  for (const Need& need : needs) sum += need.bytes;
  return sum;
}

std::vector<Need> memory_needs(const Experiment& experiment, Undertaking undertaking, const ProblemSizes& s) {
  const Arrays of(experiment, s);
  const bool draws = !of.coupled || experiment.model.start.kind != settings::StartKind::limit;
  const double records = static_cast<double>(experiment.save.records) + snapshots(experiment, of);
  std::vector<Need> needs;
  const auto add = [&](const std::string& what, double bytes, const std::string& remedy) {
    if (bytes > 0) needs.push_back({what, bytes, remedy});
  };
  // Factors without a name are measured: sizes of the problem raised one at a time, the peak of the process watched.
  add("the program and its libraries", 30e6, "a smaller run does not change it");
  add("the samples and their attention", 64 * s.tokens + 300 * s.samples + 72 * s.sample_pairs + 32 * of.pairs,
      "lower task.samples or task.length");
  add("the names of the words", 280 * s.words, "lower task.words");
  if (draws)  // in a flow: the start, a snapshot's matrices, by rows, as gathered for the file, and as HDF5 copies them
    add("weights", (of.coupled ? 3 : 7) * number * of.weights, of_weights(experiment, s));
  if (of.coupled)
    add("inner products of words", (5 * of.products + solver_states(experiment.solver.method) * of.state) * number,
        "have fewer words occur: lower task.samples, task.length or task.words");
  else
    add("states of the solver", (solver_states(experiment.solver.method) * of.state + of.spans + of.law_terms) * number,
        of.full ? "set flow.formulation = \"reduced\"" : "lower model.width, task.samples or task.words");
  add("times of records and snapshots", 120 * records, "lower save.records or save.states");
  if (undertaking == Undertaking::certificate)
    add("the records and snapshots of two more solves",
        number *
            (3 * static_cast<double>(experiment.save.records) * of.record + 2 * snapshots(experiment, of) * of.state),
        "lower save.records or save.states");
  add("rows of observables", 12 * number * of.record, "track fewer words (save.words)");
  if (takes_derivatives(experiment, undertaking))  // flows on numbers, pairs and triples of them, and their states
    add("derivatives of the flow", number * (6 * (of.weights + of.spans) + 12 * of.state),
        "set descent.curvature = 0 without descent.modified, and ask for no sharpness");
  // Krylov vectors: some 100 to 250 until both ends of the spectrum stand.
  if (takes_curvature(experiment, undertaking))
    add("the Lanczos method", number * std::min(200.0, of.state) * of.state,
        "set descent.curvature = 0, and ask for no sharpness");
  if (const double beside = descents(experiment, undertaking); beside > 0)
    add("the descents", 2e6 * beside + number * descent_numbers(experiment, of),
        "take fewer of descent.methods and descent.rates");
  return needs;
}

std::vector<Need> disk_needs(const Experiment& experiment, Undertaking undertaking, const ProblemSizes& s) {
  const Arrays of(experiment, s);
  const double runs = 1 + descents(experiment, undertaking), stored = snapshot(of, s);
  const double kept = snapshots(experiment, of) + (runs - 1) * 2;  // a descent's first and last
  return {{"the layout", 1e6 * runs, "a smaller run does not change it"},
          {"snapshots", number * kept * stored, "lower save.states"},
          {"records", number * runs * static_cast<double>(experiment.save.records) * of.record,
           "lower save.records, or track fewer words (save.words)"},
          {"the start and the task", runs * (number * (stored + s.tokens + 2 * s.samples) + 145 * s.words),
           of_weights(experiment, s)},
          {"checkpoints", 2 * number * (2 + 4 * (runs - 1)) * of.state, of_weights(experiment, s)}};
}

void require_memory(const Experiment& experiment, Undertaking undertaking, const ProblemSizes& sizes,
                    double available) {
  require(experiment, memory_needs(experiment, undertaking, sizes), available, "of memory");
}

void require_memory_again(const Experiment& experiment, Undertaking undertaking, const ProblemSizes& sizes,
                          double available) {
  require(experiment, memory_needs(experiment, undertaking, sizes), available, "of memory",
          "Its settings stand: do this where there is more memory, or make another run. The largest parts, and what "
          "makes them smaller in another run:");
}

void require_disk(const Experiment& experiment, Undertaking undertaking, const ProblemSizes& sizes,
                  const std::filesystem::path& file) {
  std::error_code unknown;
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const auto available = static_cast<double>(std::filesystem::space(folder, unknown).available);
  if (!unknown)
    require(experiment, disk_needs(experiment, undertaking, sizes), available,
            fmt::format("on the disk of '{}'", folder.string()));
}

}  // namespace gradflow
