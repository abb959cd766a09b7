#include <fmt/format.h>

#include <algorithm>
#include <gradflow/tasks/classify.hpp>
#include <gradflow/tasks/task.hpp>
#include <stdexcept>
#include <utility>

#include "checks.hpp"

namespace gradflow {
namespace {

void check_length(const char* array, std::size_t given, std::size_t expected, const char* of) {
  if (given != expected)
    throw std::invalid_argument(
        fmt::format("{}: one entry for each {} is needed, {} in all; given {}", array, of, expected, given));
}

void check_sample(const TaskData& data, std::size_t sample) {
  const auto fail = [&](const std::string& what) {
    throw std::invalid_argument(fmt::format("sample {} (from 0): {}", sample, what));
  };
  if (data.tokens[sample].empty()) fail("it has no tokens; leave it out");
  for (const Index token : data.tokens[sample])
    if (token < 0 || token >= data.words)
      fail(
          fmt::format("token {} is not in the vocabulary, 0 to {}; tokens are numbered from 0", token, data.words - 1));
  if (data.labels[sample] != 1 && data.labels[sample] != -1)
    fail(fmt::format("a label must be 1 or -1; given {}", data.labels[sample]));
  if (const Index given = data.sample_class[sample]; given < 0 || given >= std::ssize(data.class_names))
    fail(fmt::format("class {} does not exist; there are {} class names", given, data.class_names.size()));
}

void check(const TaskData& data) {
  throw_if_any(vocabulary_problems(data.words, data.targets, data.common));
  if (data.tokens.empty()) throw std::invalid_argument("tokens: there are no samples; a task needs at least one");
  check_length("labels", data.labels.size(), data.tokens.size(), "sample");
  check_length("sample_class", data.sample_class.size(), data.tokens.size(), "sample");
  check_length("word_names", data.word_names.size(), static_cast<std::size_t>(data.words), "word");
  for (std::size_t sample = 0; sample < data.tokens.size(); ++sample) check_sample(data, sample);
}

}  // namespace

Task::Task(TaskData data) : data_(std::move(data)), offsets_{0} {
  if (data_.class_names.empty() && data_.sample_class.empty()) classify(data_);
  if (data_.word_names.empty() && data_.words > 0) data_.word_names = default_word_names(data_.words);
  check(data_);

  std::vector<bool> is_used(static_cast<std::size_t>(data_.words), false);
  for (std::vector<Index> sorted : data_.tokens) {
    std::ranges::sort(sorted);
    for (auto begin = sorted.begin(); begin != sorted.end();) {
      const auto end = std::upper_bound(begin, sorted.end(), *begin);
      bag_words_.push_back(*begin);
      bag_counts_.push_back(end - begin);
      is_used[static_cast<std::size_t>(*begin)] = true;
      begin = end;
    }
    offsets_.push_back(bag_words_.size());
  }
  for (Index word = 0; word < data_.words; ++word)
    if (is_used[static_cast<std::size_t>(word)]) used_.push_back(word);
}

Bag Task::bag(Index sample) const {
  const std::size_t begin = offsets_[static_cast<std::size_t>(sample)];
  const std::size_t size = offsets_[static_cast<std::size_t>(sample) + 1] - begin;
  return {std::span(bag_words_).subspan(begin, size), std::span(bag_counts_).subspan(begin, size)};
}

}  // namespace gradflow
