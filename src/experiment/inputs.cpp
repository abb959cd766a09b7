// From settings to the task and the start: the only place where an experiment's other files are read.
#include "experiment/problem.hpp"

#include <gradflow/experiment/simulate.hpp>
#include <gradflow/flows/start.hpp>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/tasks/co_occurrence.hpp>
#include <gradflow/tasks/json_lines.hpp>
#include <gradflow/trajectory/array_file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace gradflow {
namespace {

using settings::Experiment;

[[noreturn]] void wrong(const Experiment& experiment, const std::string& key, const std::string& problem) {
  throw settings::Error({fmt::format("{}: {}: {}", experiment.source.string(), key, problem)});
}

std::array<Index, 2> from_zero(const std::array<std::int64_t, 2>& words) { return {words[0] - 1, words[1] - 1}; }

std::optional<Index> from_zero(const std::optional<std::int64_t>& word) {
  return word ? std::optional<Index>(*word - 1) : std::nullopt;
}

/// What is no regular file may never end, or wait for ever. Paths in messages are absolute.
void require_regular(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_regular_file(status)) return;
  throw FileError(fmt::format("{}: cannot be read: {}; check the path (relative ones start at the experiment's folder)",
                              path.string(),
                              std::filesystem::is_directory(status) ? "it is a folder"
                              : std::filesystem::exists(status) ? "it is a pipe or a device, and must be a regular file"
                                                                : error.message()));
}

std::string read_text(const std::filesystem::path& path) {
  require_regular(path);
  constexpr std::uintmax_t most_bytes = std::uintmax_t{1} << 30;
  const std::uintmax_t size = std::filesystem::file_size(path);
  if (size > most_bytes)
    throw FileError(
        fmt::format("{}: is too large: a text or JSON Lines may have {} bytes (1 GiB), and this has {}; "
                    "take a part of it, or give the samples as HDF5",
                    path.string(), most_bytes, size));
  std::string text(size, '\0');
  errno = 0;
  if (!std::ifstream(path, std::ios::binary).read(text.data(), std::ssize(text)))
    throw FileError(fmt::format("{}: cannot be read: {}", path.string(),
                                errno != 0 ? std::generic_category().message(errno) : "it became shorter meanwhile"));
  return text;
}

bool is_hdf5(const std::filesystem::path& path) {
  require_regular(path);
  std::ifstream file(path, std::ios::binary);
  std::array<char, 8> signature{};
  file.read(signature.data(), signature.size());
  return std::string_view(signature.data(), signature.size()) == std::string_view("\x89HDF\r\n\x1a\n", 8);
}

/// Samples to train on, and others to test with.
struct Tasks {
  TaskData train;
  std::optional<TaskData> test;
  std::optional<TextReport> text_report;
};

Tasks make(const Experiment& experiment, const settings::CoOccurrenceTask& task) {
  CoOccurrenceOptions options{
      .samples = task.samples,
      .length = task.length,
      .words = task.words,
      .fillers = task.fillers == settings::Fillers::distinct ? Fillers::distinct : Fillers::uniform,
      .targets = from_zero(task.targets),
      .common = from_zero(task.common),
      .classes = {}};
  for (const settings::TaskClass& c : task.classes) {
    std::vector<Index> words;
    for (const std::int64_t word : c.words) words.push_back(word - 1);
    options.classes.push_back({c.name, words, c.label, {c.numerator, c.denominator}});
  }
  Tasks made{co_occurrence(options, experiment.seed), {}, {}};
  if (task.test_samples) made.test = co_occurrence_test(options, *task.test_samples, experiment.seed);
  return made;
}

/// Before so many words get their names.
void require_room_for(const Experiment& experiment, std::int64_t words) {
  require_memory(experiment, Undertaking::simulation,
                 {.words = static_cast<double>(words),
                  .width = static_cast<double>(experiment.model.width.value_or(0)),
                  .hidden = static_cast<double>(experiment.model.hidden.value_or(0))});
}

/// Puts in tokens [n, L] padded with -1, and labels [n].
void read_samples(const trajectory::ArrayFile& file, const std::string& prefix, TaskData& data) {
  const auto tokens = file.integers(prefix + "tokens", 2);
  const auto length = static_cast<std::size_t>(tokens.shape[1]);
  for (std::size_t i = 0; i < static_cast<std::size_t>(tokens.shape[0]); ++i) {
    const auto row = std::span(tokens.values).subspan(i * length, length);
    std::vector<Index> sample;
    std::copy_if(row.begin(), row.end(), std::back_inserter(sample), [](std::int64_t token) { return token != -1; });
    data.tokens.push_back(std::move(sample));
  }
  for (const std::int64_t label : file.integers(prefix + "labels", 1).values) {
    if (label != 1 && label != -1)
      throw std::invalid_argument(
          fmt::format("sample {} (from 0): a label must be 1 or -1; given {}", data.labels.size(), label));
    data.labels.push_back(static_cast<int>(label));
  }
}

/// tokens and labels, test_tokens and test_labels where there are any, attribute words = d; of a run's file, those of
/// its group `task`. Checked and classified.
Tasks read_hdf5_task(const Experiment& experiment, const settings::FileTask& task) {
  const trajectory::ArrayFile file(task.path);
  const std::string group = file.has("task/tokens") ? "task" : "", prefix = group.empty() ? "" : group + "/";
  const std::optional<std::int64_t> words = file.integer_attribute("words", group);
  if (!words && !task.words)
    wrong(experiment, "task.words",
          fmt::format("{} has no integer attribute `words`; state words = d here", task.path.string()));
  if (words && task.words && *words != *task.words)
    wrong(experiment, "task.words",
          fmt::format("is {}, but {} has the attribute words = {}; leave one of them out", *task.words,
                      task.path.string(), *words));
  TaskData data;
  data.words = words ? *words : *task.words;
  require_room_for(experiment, data.words);
  // A run's task names its own targets and common word: they hold unless the settings name others.
  const settings::FileTask unnamed;
  const auto first = file.integer_attribute("target1", group), second = file.integer_attribute("target2", group);
  if (first && second && task.targets == unnamed.targets && task.common == unnamed.common) {
    data.targets = {*first, *second};
    data.common = file.integer_attribute("common", group);
  } else {
    data.targets = from_zero(task.targets);
    data.common = from_zero(task.common);
  }
  TaskData test = data;
  read_samples(file, prefix, data);
  Tasks tasks{Task(std::move(data)).data(), {}, {}};
  if (file.has(prefix + "test_tokens")) try {
      read_samples(file, prefix + "test_", test);
      tasks.test = Task(std::move(test)).data();
    } catch (const std::invalid_argument& problem) {
      throw std::invalid_argument(fmt::format("test samples: {}", problem.what()));
    }
  return tasks;
}

Tasks make(const Experiment& experiment, const settings::FileTask& task) {
  if (!is_hdf5(task.path)) {
    const std::string text = read_text(task.path);
    if (!task.words)
      wrong(experiment, "task.words", "a task in JSON Lines needs the size of its vocabulary: words = d");
    require_room_for(experiment, *task.words);
    return {from_json_lines(text, task.path.string(), *task.words, from_zero(task.targets), from_zero(task.common)),
            {},
            {}};
  }
  try {
    return read_hdf5_task(experiment, task);
  } catch (const std::invalid_argument& problem) {
    throw std::invalid_argument(task.path.string() + ": " + problem.what());
  }
}

Tasks make(const Experiment& experiment, const settings::TextTask& task) {
  const TextUnit unit = task.unit == "line"        ? TextUnit::line
                        : task.unit == "paragraph" ? TextUnit::paragraph
                                                   : TextUnit::sentence;
  TextSamples samples = from_text(read_text(task.path), task.path.string(),
                                  {.targets = task.targets,
                                   .common = task.common,
                                   .unit = unit,
                                   .min_count = task.min_count,
                                   .max_length = task.max_length,
                                   .limit = task.limit,
                                   .test_share = task.test_share,
                                   .seed = experiment.seed});
  return {std::move(samples.data), std::move(samples.test), std::move(samples.report)};
}

Tasks make_tasks(const Experiment& experiment) {
  try {
    return std::visit([&](const auto& task) { return make(experiment, task); }, experiment.task);
  } catch (const std::invalid_argument& problem) {
    wrong(experiment, "task", problem.what());
  }
}

Weights<double> read_start(const settings::Start& start) {
  const trajectory::ArrayFile file(start.path);
  const auto matrix = [&](const char* name) -> RowMatrix<double> {
    const auto array = file.start(name, 2, start.snapshot);
    return Eigen::Map<const RowMatrix<double>>(array.values.data(), array.shape[0], array.shape[1]);
  };
  const auto a = file.start("a", 1, start.snapshot);
  return {matrix("W"), matrix("W_V"), matrix("W_K"), matrix("W_Q"),
          Eigen::Map<const Vector<double>>(a.values.data(), a.shape[0])};
}

/// Sizes that the settings name must be those of the file.
void check_sizes(const Experiment& experiment, Index width, Index hidden) {
  const settings::Model& model = experiment.model;
  const std::string file = model.start.path.string();
  if (model.width && *model.width != width)
    wrong(experiment, "model.width",
          fmt::format("is {}, but the width of the start in {} is {}", *model.width, file, width));
  if (model.hidden && *model.hidden != hidden)
    wrong(experiment, "model.hidden",
          fmt::format("is {}, but the start in {} has hidden = {}", *model.hidden, file, hidden));
}

StartLaw law(settings::StartKind kind) {
  switch (kind) {
    case settings::StartKind::kaiming_normal:
      return StartLaw::kaiming_normal;
    case settings::StartKind::kaiming_uniform:
      return StartLaw::kaiming_uniform;
    case settings::StartKind::linear_default:
      return StartLaw::linear_default;
    case settings::StartKind::orthogonal:
      return StartLaw::orthogonal;
    case settings::StartKind::gaussian:
    case settings::StartKind::limit:
    case settings::StartKind::file:
      break;
  }
  return StartLaw::gaussian;
}

}  // namespace

TaskData make_task(const Experiment& experiment, std::optional<TextReport>& text_report) {
  Tasks tasks = make_tasks(experiment);
  if (tasks.text_report) text_report = std::move(tasks.text_report);
  return std::move(tasks.train);
}

Weights<double> make_start(const Experiment& experiment, const Task& task) {
  const settings::Model& model = experiment.model;
  const settings::Start& start = model.start;
  try {
    if (start.kind != settings::StartKind::file)
      return draw_start(law(start.kind), model.width.value(), model.hidden.value(), task.words(),
                        {start.W, start.W_V, start.W_K, start.W_Q}, experiment.seed);
    Weights<double> weights = read_start(start);
    check(weights, task.words());
    check_sizes(experiment, weights.width(), weights.hidden());
    return weights;
  } catch (const std::invalid_argument& problem) {
    const std::string file = start.kind == settings::StartKind::file ? start.path.string() + ": " : "";
    wrong(experiment, "model.start", file + problem.what());
  }
}

FlowStart make_flow_start(const Experiment& experiment, const Task& task, const std::optional<TaskData>& test) {
  const settings::Start& start = experiment.model.start;
  const bool coupled = experiment.flow.formulation == settings::Formulation::coupled;
  std::vector<Index> also;  // beside the words that the flow and the standard observables need
  for (const std::int64_t word : experiment.save.words.value_or(std::vector<std::int64_t>{})) also.push_back(word - 1);
  if (test)
    for (const std::vector<Index>& sample : test->tokens) also.insert(also.end(), sample.begin(), sample.end());
  if (start.kind == settings::StartKind::file && holds_inner_products(start)) {
    if (!coupled)
      wrong(experiment, "model.start.path",
            fmt::format("{} holds inner products and no weights; set flow.formulation = \"coupled\", or name another "
                        "file",
                        start.path.string()));
    const GramStart<double> gram = read_gram_start(start);
    check_sizes(experiment, gram.width, gram.hidden);
    for (const Index word : coupled_words(task, also))
      if (!std::binary_search(gram.words.begin(), gram.words.end(), word))
        wrong(experiment, "model.start.path",
              fmt::format("{} holds the inner products of {} words, and word {} is none of them; track other words "
                          "(save.words) and test with other samples, or track it in the run that made the file",
                          start.path.string(), gram.words.size(), word + 1));
    return gram;
  }
  if (!coupled) return make_start(experiment, task);
  std::vector<Index> words = coupled_words(task, also);
  if (start.kind != settings::StartKind::limit) return gram_start(make_start(experiment, task), std::move(words));
  return limit_start(std::move(words), task.words(), experiment.model.width.value(), experiment.model.hidden.value(),
                     {start.W, start.W_V, start.W_K, start.W_Q});
}

void set_widths(ProblemSizes& sizes, const FlowStart& start) {
  const auto* weights = std::get_if<Weights<double>>(&start);
  const auto* products = std::get_if<GramStart<double>>(&start);
  sizes.width = static_cast<double>(weights != nullptr ? weights->width() : products->width);
  sizes.hidden = static_cast<double>(weights != nullptr ? weights->hidden() : products->hidden);
}

Inputs read_inputs(const Experiment& experiment, Undertaking undertaking) {
  const auto* drawn = std::get_if<settings::CoOccurrenceTask>(&experiment.task);
  if (drawn != nullptr) require_memory(experiment, undertaking, expected_sizes(experiment, *drawn));
  Tasks tasks = make_tasks(experiment);
  const Task task(tasks.train);
  ProblemSizes sizes = sizes_of(experiment, task, tasks.test ? &*tasks.test : nullptr);
  if (drawn == nullptr) require_memory(experiment, undertaking, sizes);
  FlowStart start = make_flow_start(experiment, task, tasks.test);
  if (experiment.model.start.kind == settings::StartKind::file) {
    set_widths(sizes, start);
    require_memory(experiment, undertaking, sizes);
  }
  return {std::move(tasks.train), std::move(tasks.test), std::move(tasks.text_report), std::move(start)};
}

}  // namespace gradflow
