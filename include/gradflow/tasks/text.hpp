#pragma once
#include <array>
#include <cstdint>
#include <gradflow/tasks/task.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gradflow {

/// What one sample is. A line break inside a paragraph is a space (nothing at all between Chinese or Japanese
/// characters); a blank line ends a paragraph, and with it a sentence.
enum class TextUnit { sentence, line, paragraph };

/// How a text becomes a task. Words are compared after Unicode's NFKC_Casefold: License = LICENSE, strasse = Straße.
struct TextOptions {
  std::array<std::string, 2> targets;  ///< two words as a person types them
  std::optional<std::string> common;
  TextUnit unit = TextUnit::sentence;
  Index min_count = 1;  ///< words that stand less often in the text are left out of the bags; targets and common never
  std::optional<Index> max_length;  ///< units with more words are left out, rare words counted
  std::optional<Index> limit;       ///< at most so many units, from the start of the text
  /// Share > 0 and < 1 of the units kept that is held back as test samples: the nearest whole number, at least one.
  /// Vocabulary and min_count are those of all units kept.
  std::optional<double> test_share;
  std::uint64_t seed = 1;  ///< which ones, by its Stream::test
};

/// What became of a text: units_read = units_kept + too_long + without_words + only_rare_words.
struct TextReport {
  Index units_read = 0;            ///< sentences, lines or paragraphs, up to `limit`
  Index units_kept = 0;            ///< training and test samples
  Index too_long = 0;              ///< left out: more than max_length words
  Index without_words = 0;         ///< left out: rules, page numbers in ornaments, ...
  Index only_rare_words = 0;       ///< left out: no word stands min_count times
  Index rare_words = 0;            ///< distinct words that stand less than min_count times
  std::vector<Index> word_counts;  ///< [d], occurrences in the units kept, in the order of TaskData::word_names
  std::vector<Index> class_sizes;  ///< samples in each class, in the order of TaskData::class_names, test samples too
};

struct TextSamples {
  TaskData data;                 ///< to train on
  std::optional<TaskData> test;  ///< held back, over the same vocabulary; both in the order of the text
  TextReport report;
};

/// A task from any UTF-8 text: each unit is a sample, its words by Unicode's rules (UAX 29, with ICU's dictionaries for
/// scripts that do not part their words), numbers among them, punctuation not. The label is +1 where both targets stand
/// in the unit, -1 elsewhere; classes are those of `classify`. The vocabulary is the targets, the common word, then all
/// others from frequent to rare (equally frequent ones by code point). Counts for min_count are taken over the units
/// that are neither cut off by limit nor too long. `name` says in messages where the text comes from. Throws
/// std::invalid_argument when the text is not UTF-8 (naming line and byte) or larger than 2^30 bytes, an option is
/// impossible, a target or the common word is not one word or stands in no unit kept (naming the nearest words that
/// do), two of them are the same word, or all samples to train on would have the same label (naming the number of units
/// with each target).
TextSamples from_text(std::string_view text, std::string_view name, const TextOptions& options);

}  // namespace gradflow
