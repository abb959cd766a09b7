#pragma once
#include <array>
#include <gradflow/tasks/task.hpp>
#include <optional>
#include <string_view>

namespace gradflow {

/// A task from JSON Lines: on each line one sample, {"tokens": [0, 1, 7], "label": 1}, with tokens in 0..words-1 (from
/// 0; any number, in any order, repeats count; at most 2^26 bytes a line) and label 1 or -1. Blank lines are skipped.
/// `words` is the vocabulary size d; the classes are those of `classify`, the words are called mu_1, mu_2, ... `name`
/// says in messages where the text comes from. Throws std::invalid_argument with up to ten problems, one to a line,
/// each "name:line: rule; given; what to do".
TaskData from_json_lines(std::string_view text, std::string_view name, Index words, const std::array<Index, 2>& targets,
                         const std::optional<Index>& common);

}  // namespace gradflow
