#include "experiment/settings_checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gradflow/observables/observables.hpp>

#include <algorithm>
#include <numeric>
#include <set>

namespace gradflow::settings {
namespace {

using Count = std::int64_t;

// No array of more numbers than this (8 TB) fits a machine that this program is for; it also keeps products within 64
// bits.
constexpr Count largest_array = 1'000'000'000'000;

const TaskClass* longest_class(const std::vector<TaskClass>& classes) {
  const auto shorter = [](const TaskClass& a, const TaskClass& b) { return a.words.size() < b.words.size(); };
  const auto longest = std::max_element(classes.begin(), classes.end(), shorter);
  return longest == classes.end() ? nullptr : &*longest;
}

std::vector<TaskClass> paper_classes(const CoOccurrenceTask& task) {
  const auto [first, second] = task.targets;
  std::vector<TaskClass> classes{
      {"I1", {first, second}, +1, 1, 2}, {"I2", {first}, -1, 1, 6}, {"I3", {second}, -1, 1, 6}, {"I4", {}, -1, 1, 6}};
  if (task.common)
    for (auto& one : classes) one.words.push_back(*task.common);
  return classes;
}

// A word of the settings against the vocabulary.
void check_word(const std::string& key, Count word, Count words, Report& report) {
  if (word > words && report.sound(key) && report.sound("task.words"))
    report.problem(key, fmt::format("must be a word from 1 to task.words = {}, but is {}", words, word),
                   "Words are numbered from 1. Correct it, or raise task.words.");
}

template <class T>
void check_common(const T& common, const std::array<T, 2>& targets, const std::string& given, Report& report) {
  if ((common == targets[0] || common == targets[1]) && report.sound("task.common") && report.sound("task.targets"))
    report.problem("task.common", "must differ from both targets, but is " + given + ", which is one of them",
                   "Choose another word, or leave the key out beside targets where no word is common to all samples.");
}

template <class T>
void check_named_words(const T& task, std::optional<Count> words, Report& report) {
  if (task.common) check_common(*task.common, task.targets, std::to_string(*task.common), report);
  if (!words) return;
  for (const auto target : task.targets) check_word("task.targets", target, *words, report);
  if (task.common) check_word("task.common", *task.common, *words, report);
}

void check_class(const CoOccurrenceTask& task, std::size_t index, Report& report) {
  const auto& one = task.classes[index];
  const auto key = fmt::format("task.class[{}]", index + 1);
  for (const auto word : one.words) check_word(key + ".words", word, task.words, report);
  for (std::size_t other = 0; other < index; ++other)
    if (task.classes[other].name == one.name)
      report.problem(key + ".name",
                     fmt::format("must be a name of its own, but class {} is \"{}\" too", other + 1, one.name),
                     "Rename one of them.");
}

void check_fractions(const CoOccurrenceTask& task, Report& report) {
  constexpr Count largest_denominator = 1'000'000'000;
  Count common_denominator = 1, sum = 0;
  for (const auto& one : task.classes) {
    common_denominator = std::lcm(common_denominator, one.denominator);
    if (common_denominator > largest_denominator)
      return report.problem("task.class",
                            "has fractions whose common denominator exceeds 1000000000, the largest number of samples",
                            "Use simpler fractions.");
  }
  std::vector<std::string> fractions;
  for (const auto& one : task.classes) {
    sum += one.numerator * (common_denominator / one.denominator);
    fractions.push_back(fmt::format("{}/{}", one.numerator, one.denominator));
  }
  const auto listed = fmt::format("{}", fmt::join(fractions, ", "));
  if (sum != common_denominator)
    return report.problem(
        "task.class",
        fmt::format("must have fractions that sum to 1, but {} sum to {}/{}", listed,
                    sum / std::gcd(sum, common_denominator), common_denominator / std::gcd(sum, common_denominator)),
        "Correct the fractions.");
  if (task.samples % common_denominator == 0 || !report.sound("task.samples")) return;
  const Count below = task.samples / common_denominator * common_denominator;
  const auto nearest =
      below == 0 ? fmt::format("{}", common_denominator) : fmt::format("{} or {}", below, below + common_denominator);
  report.problem("task.samples",
                 fmt::format("must divide exactly into the classes' fractions {}, but is {}", listed, task.samples),
                 fmt::format("The nearest that does is {}.", nearest));
}

// Fillers are drawn from the words that neither the targets, the common word nor a class names (Yang et al. 2024,
// Assumption 2.3).
void check_fillers(const CoOccurrenceTask& task, Report& report) {
  std::set<Count> named(task.targets.begin(), task.targets.end());
  if (task.common) named.insert(*task.common);
  Count places = 0;
  for (const auto& one : task.classes) {
    named.insert(one.words.begin(), one.words.end());
    places += task.samples / one.denominator * one.numerator * (task.length - static_cast<Count>(one.words.size()));
  }
  const Count needed =
      static_cast<Count>(named.size()) + (task.fillers == Fillers::distinct ? places : std::min<Count>(places, 1));
  if (task.words >= needed) return;
  const bool distinct = task.fillers == Fillers::distinct;
  report.problem(
      "task.words",
      fmt::format("must be at least {}, but is {}: {} named words and {}", needed, task.words, named.size(),
                  distinct ? fmt::format("a distinct filler for each of {} places", places) : "a filler"),
      distinct ? "Raise it, lower task.samples or task.length, or set task.fillers = \"uniform\"." : "Raise it.");
}

void check_product(const std::string& key, std::initializer_list<std::pair<const char*, Count>> factors,
                   Report& report) {
  Count product = 1;
  std::string text;
  for (const auto& [name, factor] : factors) {
    if (!report.sound(name)) return;
    text += (text.empty() ? "" : " x ") + fmt::format("{} {}", name, factor);
    product = product > largest_array / factor ? largest_array + 1 : product * factor;
  }
  if (product > largest_array)
    report.problem(key, fmt::format("makes an array of more than {} numbers: {}", largest_array, text),
                   "Lower one of them.");
}

void check_task(const CoOccurrenceTask& task, Report& report) {
  check_named_words(task, task.words, report);
  check_product("task.samples", {{"task.samples", task.samples}, {"task.length", task.length}}, report);
  if (task.test_samples)
    check_product("task.test_samples", {{"task.test_samples", *task.test_samples}, {"task.length", task.length}},
                  report);
  if (!report.sound("task.class")) return;
  if (report.given("task.class"))  // the paper's consist of words that are checked already
    for (std::size_t i = 0; i < task.classes.size(); ++i) check_class(task, i, report);
  if (const auto* longest = longest_class(task.classes);
      longest != nullptr && report.sound("task.length") && static_cast<Count>(longest->words.size()) > task.length)
    report.problem(
        "task.length",
        fmt::format("must be at least {}, the number of words that a sample of class {} must contain, but is {}",
                    longest->words.size(), longest->name, task.length),
        "Raise it, or ask for fewer words.");
  check_fractions(task, report);
  if (report.sound("task")) check_fillers(task, report);
}

void check_task(const FileTask& task, Report& report) {
  const auto extension = task.path.extension();
  if ((extension == ".jsonl" || extension == ".ndjson" || extension == ".json") && !report.given("task.words"))
    report.problem("task.words", "is missing, and JSON Lines do not say it",
                   "Give task.words = the size of the vocabulary.");
  check_named_words(task, task.words, report);
}

void check_task(const TextTask& task, Report& report) {
  if (task.common) check_common(*task.common, task.targets, "\"" + shown(*task.common) + "\"", report);
}

void check_model(const Model& model, const Flow& flow, std::optional<Count> words, Report& report) {
  if (model.start.kind == StartKind::limit) {
    if (flow.formulation != Formulation::coupled && report.sound("flow.formulation"))
      report.problem(
          "model.start.kind",
          fmt::format("\"limit\" has inner products but no weights, and flow.formulation = \"{}\" needs them",
                      name(flow.formulation)),
          "Set flow.formulation = \"coupled\", or choose kind = \"gaussian\" or \"orthogonal\".");
    return;  // the sizes of weights are numbers in the equations, never sizes of arrays
  }
  if (model.width && model.hidden)
    check_product("model.hidden", {{"model.hidden", *model.hidden}, {"model.width", *model.width}}, report);
  if (!words || !model.width || !report.sound("model") || !report.sound("task.words")) return;
  check_product("model.width", {{"model.width", *model.width}, {"task.words", *words}}, report);
  if (model.start.kind == StartKind::orthogonal && *model.width < 2 * *words)
    report.problem("model.width",
                   fmt::format("must be at least 2 x task.words = {} for a start of kind \"orthogonal\", but is {}",
                               2 * *words, *model.width),
                   "Raise it, lower task.words, or choose kind = \"gaussian\".");
}

void check_solver(const Solver& solver, const Phases& phases, Report& report) {
  if (solver.t0 && solver.clock == ClockKind::linear && report.sound("solver.clock"))
    report.problem("solver.t0", "is the scale of the log clock, but the clock is \"linear\"",
                   "Leave it out, or set solver.clock = \"log\".");
  if (solver.initial_step && solver.max_step && *solver.initial_step > *solver.max_step &&
      report.sound("solver.initial_step") && report.sound("solver.max_step"))
    report.problem(
        "solver.initial_step",
        fmt::format("must not exceed solver.max_step = {}, but is {}", *solver.max_step, *solver.initial_step),
        "Lower it, or raise solver.max_step.");
  if (phases.T2 && *phases.T2 > solver.until && report.sound("phases.T2") && report.sound("solver.until"))
    report.problem("phases.T2", fmt::format("must not exceed solver.until = {}, but is {}", solver.until, *phases.T2),
                   "Lower it, or raise solver.until.");
}

void check_observables(const Save& save, const Flow& flow, Report& report) {
  if (flow.formulation != Formulation::coupled || !report.sound("flow.formulation")) return;
  for (const Observable& row : observable_table())
    if (row.needs_weights && std::ranges::find(save.observables, row.name) != save.observables.end())
      report.problem("save.observables",
                     fmt::format("has \"{}\", which needs weights, and the flow is \"coupled\"", row.name),
                     "Leave it out, or set flow.formulation = \"reduced\".");
}

void check_save(const Save& save, std::optional<Count> words, Report& report) {
  if (!save.words || !report.sound("save.words")) return;
  for (const auto word : *save.words)
    if (words) check_word("save.words", word, *words, report);
  const auto tracked = static_cast<Count>(save.words->size());
  check_product("save.records", {{"save.records", save.records}, {"save.words", tracked}, {"save.words", tracked}},
                report);
}

void check_events(const std::vector<Event>& events, Report& report) {
  // The names of the standard events, whose arguments stand in parentheses.
  static const std::set<std::string> standard{"classified", "overtaken",       "bracket",
                                              "aligned",    "attention_moves", "loss_below"};
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto key = fmt::format("event[{}].name", i + 1);
    if (!report.sound(key)) continue;
    const auto& name = events[i].name;
    if (standard.contains(name.substr(0, name.find('('))))
      report.problem(key, fmt::format("must not be the name of a standard event, but is \"{}\"", shown(name)),
                     "Rename it.");
    for (std::size_t other = 0; other < i; ++other)
      if (events[other].name == name)
        report.problem(key,
                       fmt::format("must be a name of its own, but event {} is \"{}\" too", other + 1, shown(name)),
                       "Rename one of them.");
  }
}

void check_descent(const Descent& descent, Report& report) {
  if (!report.sound("descent.modified") || !report.sound("descent.methods")) return;
  const auto has = [&](const char* method) {
    return std::ranges::find(descent.methods, method) != descent.methods.end();
  };
  for (const Count order : descent.modified)
    if (!has("gd") && (order != 2 || !has("heavy-ball")))
      report.problem("descent.modified",
                     fmt::format("has order {}, but none of descent.methods has a modified flow of that order", order),
                     "They are known for \"gd\" (2 and 3) and \"heavy-ball\" (2); add the method, or leave it out.");
}

void check_name(const std::string& name, Report& report) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    report.problem("name", fmt::format("must be the name of a file without folder, but is \"{}\"", shown(name)),
                   "It names the run's file unless -o does.");
}

}  // namespace

void complete(Experiment& experiment, const Report& report) {
  const auto without_common = [&](auto& task) {
    if (report.given("task.targets") && !report.given("task.common")) task.common.reset();
  };
  if (auto* task = std::get_if<CoOccurrenceTask>(&experiment.task)) {
    without_common(*task);
    if (task->classes.empty()) task->classes = paper_classes(*task);
  }
  if (auto* task = std::get_if<FileTask>(&experiment.task)) without_common(*task);
  if (experiment.model.start.kind == StartKind::file) return;
  if (!experiment.model.width) experiment.model.width = 128;
  if (!experiment.model.hidden) experiment.model.hidden = 256;
}

void check(const Experiment& experiment, Report& report) {
  std::optional<Count> words;
  if (const auto* task = std::get_if<CoOccurrenceTask>(&experiment.task)) words = task->words;
  if (const auto* task = std::get_if<FileTask>(&experiment.task)) words = task->words;
  check_name(experiment.name, report);
  std::visit([&](const auto& task) { check_task(task, report); }, experiment.task);
  check_model(experiment.model, experiment.flow, words, report);
  check_solver(experiment.solver, experiment.phases, report);
  check_save(experiment.save, words, report);
  check_observables(experiment.save, experiment.flow, report);
  check_events(experiment.events, report);
  if (experiment.descent) check_descent(*experiment.descent, report);
}

}  // namespace gradflow::settings
