// From a run's file back to what it started from, and to the problem that it solved.
#include <fmt/format.h>
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/array_file.hpp>
#include <gradflow/trajectory/reader.hpp>

#include <algorithm>
#include <solvers/stepper.hpp>

#include "experiment/problem.hpp"

namespace gradflow {
namespace {

template <class T>
const std::vector<T>& values(const trajectory::Arrays& arrays, const std::string& name,
                             const std::filesystem::path& run) {
  const auto found = std::ranges::find(arrays.arrays, name, &trajectory::Array::name);
  const auto* typed = found == arrays.arrays.end() ? nullptr : std::get_if<std::vector<T>>(&found->values);
  if (typed == nullptr)
    throw FileError(fmt::format("{}: task/{}: it is missing, or of another type", run.string(), name));
  return *typed;
}

std::optional<Index> integer_attribute(const trajectory::Arrays& arrays, const std::string& name) {
  const auto found = std::ranges::find(arrays.attributes, name, &trajectory::Attribute::first);
  const auto* value = found == arrays.attributes.end() ? nullptr : std::get_if<std::int64_t>(&found->second);
  return value == nullptr ? std::nullopt : std::optional<Index>(*value);
}

std::vector<std::string> labels(const trajectory::Arrays& arrays, const std::string& dimension) {
  const auto found = std::ranges::find(arrays.dimensions, dimension, &trajectory::Dimension::name);
  return found == arrays.dimensions.end() ? std::vector<std::string>{} : found->labels;
}

/// Puts in the samples of padded tokens, and their labels; the arrays' names begin with `prefix`.
void read_samples(const trajectory::Arrays& task, const std::string& prefix, const std::filesystem::path& run,
                  TaskData& data) {
  const auto& tokens = values<std::int64_t>(task, prefix + "tokens", run);
  const auto& labels = values<std::int64_t>(task, prefix + "labels", run);
  data.labels.assign(labels.begin(), labels.end());
  const std::size_t length = labels.empty() ? 0 : tokens.size() / labels.size();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    std::vector<Index>& sample = data.tokens.emplace_back();
    std::ranges::copy_if(std::span(tokens).subspan(i * length, length), std::back_inserter(sample),
                         [](std::int64_t token) { return token != -1; });
  }
}

TaskData task_data(const trajectory::Arrays& task, const std::filesystem::path& run) {
  const auto attribute = [&](const char* name) {
    const auto value = integer_attribute(task, name);
    if (!value) throw FileError(fmt::format("{}: task/@{}: there is no such attribute", run.string(), name));
    return *value;
  };
  const auto& classes = values<std::int64_t>(task, "sample_class", run);
  TaskData data;
  data.words = attribute("words");
  data.targets = {attribute("target1"), attribute("target2")};
  data.common = integer_attribute(task, "common");
  read_samples(task, "", run, data);
  data.sample_class.assign(classes.begin(), classes.end());
  data.class_names = labels(task, "class");
  data.word_names = labels(task, "word");
  return data;
}

/// The test samples of that task, where the file has any.
std::optional<TaskData> test_data(const trajectory::Arrays& arrays, const TaskData& task,
                                  const std::filesystem::path& run) {
  if (std::ranges::find(arrays.arrays, "test_tokens", &trajectory::Array::name) == arrays.arrays.end()) return {};
  TaskData test;
  test.words = task.words;
  test.targets = task.targets;
  test.common = task.common;
  test.word_names = task.word_names;
  read_samples(arrays, "test_", run, test);
  return Task(std::move(test)).data();
}

}  // namespace

/// Whether the file holds inner products (of a coupled run) and no weights.
bool holds_inner_products(const settings::Start& start) {
  const trajectory::ArrayFile file(start.path);
  return file.find_start("W", start.snapshot).empty() && !file.find_start("Gamma", start.snapshot).empty();
}

/// What a coupled run keeps of its start, or of a snapshot.
GramStart<double> read_gram_start(const settings::Start& start) {
  const trajectory::ArrayFile file(start.path);
  const auto matrix = [&](const char* name) -> Matrix<double> {
    const auto array = file.start(name, 2, start.snapshot);
    return Eigen::Map<const RowMatrix<double>>(array.values.data(), array.shape[0], array.shape[1]);
  };
  const auto size = [&](const char* name) {
    const auto value = file.integer_attribute(name, "start");
    if (!value) throw FileError(fmt::format("{}: start/@{}: there is no such attribute", start.path.string(), name));
    return *value;
  };
  const auto G = file.start("G", 1, start.snapshot);
  const auto words = file.integers("start/word_index", 1);
  const auto others = file.reals("start/others", 1);
  if (others.values.size() != 4)
    throw FileError(
        fmt::format("{}: start/others: must have 4 values; it has {}", start.path.string(), others.values.size()));
  return {.words = {words.values.begin(), words.values.end()},
          .G = Eigen::Map<const Vector<double>>(G.values.data(), G.shape[0]),
          .U = file.start("U", 0, start.snapshot).values.front(),
          .Gamma = matrix("Gamma"),
          .B = matrix("B"),
          .S_K = matrix("S_K"),
          .S_Q = matrix("S_Q"),
          .width = size("width"),
          .hidden = size("hidden"),
          .others = {others.values[0], others.values[1], others.values[2], others.values[3]}};
}

settings::Experiment read_run_settings(const std::filesystem::path& run, const std::string& group) {
  const trajectory::RunReader reader(run, group);
  const std::string text = reader.text_attribute("settings");
  if (!integer_attribute(reader.task(), "words"))
    throw FileError(
        fmt::format("{}: holds no task of gradflow: it is another flow's solution, which solvers::certify "
                    "certifies in the program that made it",
                    run.string()));
  std::vector<std::string> methods;
  for (const solvers::Method& method : solvers::methods()) methods.emplace_back(method.name);
  try {
    return settings::parse(text, run, {}, methods);
  } catch (const settings::Error& error) {
    throw FileError(
        fmt::format("{}: the settings that it holds are not this version's: {}", run.string(), error.what()));
  }
}

Inputs read_run_inputs(const std::filesystem::path& run, Undertaking undertaking, const std::string& group) {
  const settings::Experiment experiment = read_run_settings(run, group);
  const auto reading = [&](const auto& read) {
    try {
      read();
    } catch (const std::invalid_argument& problem) {
      throw FileError(fmt::format("{}: {}", run.string(), problem.what()));
    } catch (const settings::Error& problem) {
      throw FileError(fmt::format("{}: what it holds does not fit together: {}", run.string(), problem.what()));
    }
  };
  Inputs inputs;
  ProblemSizes sizes;
  reading([&] {
    const trajectory::Arrays arrays = trajectory::RunReader(run, group).task();
    inputs.task = Task(task_data(arrays, run)).data();
    inputs.test = test_data(arrays, inputs.task, run);
    sizes = sizes_of(experiment, Task(inputs.task), inputs.test ? &*inputs.test : nullptr);
  });
  require_memory_again(experiment, undertaking, sizes);
  reading([&] {
    settings::Experiment from_file = experiment;
    from_file.model.start = {};
    from_file.model.start.kind = settings::StartKind::file;
    from_file.model.start.path = run;
    inputs.start = make_flow_start(from_file, Task(inputs.task), inputs.test);
  });
  if (!experiment.model.width) {  // it was for a start's file to say
    set_widths(sizes, inputs.start);
    require_memory_again(experiment, undertaking, sizes);
  }
  return inputs;
}

}  // namespace gradflow
