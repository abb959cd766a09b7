#include "checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

namespace gradflow {

std::string default_word_name(Index word) { return fmt::format("mu_{}", word + 1); }

std::vector<std::string> default_word_names(Index words) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(words));
  for (Index word = 0; word < words; ++word) names.push_back(default_word_name(word));
  return names;
}

std::vector<std::string> vocabulary_problems(Index words, const std::array<Index, 2>& targets,
                                             const std::optional<Index>& common) {
  if (words < 2)
    return {fmt::format("words: the vocabulary must hold the two targets, so words >= 2; given {}", words)};
  std::vector<std::string> problems;
  const auto check_range = [&](const char* key, Index word) {
    if (word < 0 || word >= words)
      problems.push_back(
          fmt::format("{}: {} is not in the vocabulary, which is mu_1 to mu_{}; raise words or name another word", key,
                      default_word_name(word), words));
  };
  check_range("targets", targets[0]);
  check_range("targets", targets[1]);
  if (common) check_range("common", *common);
  if (targets[0] == targets[1])
    problems.push_back(fmt::format("targets: the two words must differ; both are {}", default_word_name(targets[0])));
  if (common && (*common == targets[0] || *common == targets[1]))
    problems.push_back(
        fmt::format("common: {} is a target already; name another word, or none", default_word_name(*common)));
  return problems;
}

void throw_if_any(const std::vector<std::string>& problems) {
  if (!problems.empty()) throw std::invalid_argument(fmt::format("{}", fmt::join(problems, "\n")));
}

}  // namespace gradflow
