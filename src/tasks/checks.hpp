#pragma once
#include <array>
#include <gradflow/tasks/task.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gradflow {

/// mu_1 for word 0, ...: the paper's name, which leaves no doubt about where the numbering starts.
std::string default_word_name(Index word);

/// The names of all words of a vocabulary that has none of its own, [words].
std::vector<std::string> default_word_names(Index words);

/// What is wrong with a vocabulary size and its special words, as "key: rule; given; what to do"; empty if nothing is.
std::vector<std::string> vocabulary_problems(Index words, const std::array<Index, 2>& targets,
                                             const std::optional<Index>& common);

/// Throws std::invalid_argument with all problems, one to a line, if there are any.
void throw_if_any(const std::vector<std::string>& problems);

}  // namespace gradflow
