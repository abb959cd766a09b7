#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/random/uniform_int_distribution.hpp>
#include <cmath>
#include <gradflow/tasks/classify.hpp>
#include <gradflow/tasks/random.hpp>
#include <gradflow/tasks/text.hpp>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "checks.hpp"
#include "segmentation.hpp"
#include "utf8.hpp"

namespace gradflow {
namespace {

const char* plural(TextUnit unit) {
  switch (unit) {
    case TextUnit::line:
      return "lines";
    case TextUnit::paragraph:
      return "paragraphs";
    case TextUnit::sentence:
      break;
  }
  return "sentences";
}

/// One number for each distinct word, in order of first appearance.
class Dictionary {
 public:
  Index number(const std::string& word) {
    const auto [entry, is_new] = numbers_.try_emplace(word, std::ssize(words_));
    if (is_new) words_.push_back(word);
    return entry->second;
  }
  const std::vector<std::string>& words() const { return words_; }

 private:
  std::unordered_map<std::string, Index> numbers_;
  std::vector<std::string> words_;
};

/// The text as it was read: words 0 and 1 are the targets, word 2 the common word if there is one.
struct Corpus {
  std::string name;
  std::string plural;  // of the unit
  Dictionary dictionary;
  Index special = 2;
  std::vector<std::vector<Index>> units;
  std::vector<Index> counts;  // of each word, in `units`
  TextReport report;
};

/// The one word that was typed, folded as the text will be; a message in `problems` if it is not one word.
std::string fold_word(Segmenter& segmenter, const char* key, const std::string& typed,
                      std::vector<std::string>& problems) {
  require_utf8(typed, key);
  const std::vector<std::string> words = segmenter.words(typed);
  if (words.size() == 1) return words.front();
  problems.push_back(fmt::format("{}: one word is needed; \"{}\" {}", key, shortened(typed),
                                 words.empty() ? "has no letter or digit"
                                               : fmt::format("is read as {} words: {}; choose one", words.size(),
                                                             shortened(fmt::format("{}", fmt::join(words, ", "))))));
  return {};
}

/// The special words, folded: targets, then the common word. Throws if these or the numbers in the options make no
/// sense.
std::vector<std::string> checked_special_words(Segmenter& segmenter, const TextOptions& options) {
  std::vector<std::string> problems;
  const auto require_positive = [&](const char* key, Index value) {
    if (value < 1) problems.push_back(fmt::format("{}: at least 1 is needed; given {}", key, value));
  };
  require_positive("min_count", options.min_count);
  require_positive("max_length", options.max_length.value_or(1));
  require_positive("limit", options.limit.value_or(1));
  if (const double share = options.test_share.value_or(0.5); !(share > 0 && share < 1))
    problems.push_back(fmt::format("test_share: must lie above 0 and below 1; given {}", share));

  std::vector<std::string> words;
  for (const std::string& target : options.targets) words.push_back(fold_word(segmenter, "targets", target, problems));
  if (options.common) words.push_back(fold_word(segmenter, "common", *options.common, problems));
  for (std::size_t second = 1; second < words.size(); ++second)
    for (std::size_t first = 0; first < second; ++first)
      if (words[first] == words[second] && !words[first].empty())
        problems.push_back(
            fmt::format("{}: the words must differ; two of them are \"{}\" once case and form are folded",
                        second == 2 ? "common" : "targets", words[first]));
  throw_if_any(problems);
  return words;
}

Corpus read_corpus(Segmenter& segmenter, const std::vector<std::string>& special, std::string_view text,
                   std::string_view name, const TextOptions& options) {
  Corpus corpus;
  corpus.name = name;
  corpus.plural = plural(options.unit);
  for (const std::string& word : special) corpus.dictionary.number(word);
  corpus.special = std::ssize(special);
  segmenter.read(text, options.unit, [&](const std::vector<std::string>& words) {
    std::vector<Index> unit;
    for (const std::string& word : words) unit.push_back(corpus.dictionary.number(word));
    ++corpus.report.units_read;
    if (unit.empty())
      ++corpus.report.without_words;
    else if (options.max_length && std::ssize(unit) > *options.max_length)
      ++corpus.report.too_long;
    else
      corpus.units.push_back(std::move(unit));
    return !options.limit || corpus.report.units_read < *options.limit;
  });
  corpus.counts.assign(corpus.dictionary.words().size(), 0);
  for (const std::vector<Index>& unit : corpus.units)
    for (const Index word : unit) ++corpus.counts[static_cast<std::size_t>(word)];
  if (corpus.units.empty())
    throw std::invalid_argument(fmt::format(
        "{}: no {} are left to learn from: of {} read, {} have no words and {} are longer than "
        "max_length; give another text or raise max_length",
        name, corpus.plural, corpus.report.units_read, corpus.report.without_words, corpus.report.too_long));
  return corpus;
}

/// Levenshtein's distance: insertions, deletions and replacements of characters.
std::size_t edit_distance(const icu::UnicodeString& a, const icu::UnicodeString& b) {
  std::vector<std::size_t> row(static_cast<std::size_t>(b.length()) + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::int32_t i = 0; i < a.length(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::int32_t j = 0; j < b.length(); ++j) {
      const auto k = static_cast<std::size_t>(j);
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, diagonal + 1, row[k] + 1});
    }
  }
  return row.back();
}

/// The three words of the units kept that are most like a given one, as a phrase.
std::string nearest_words(const Corpus& corpus, const std::string& word) {
  const icu::UnicodeString wanted = icu::UnicodeString::fromUTF8(word);
  std::vector<std::tuple<std::size_t, Index, std::string>> candidates;  // distance, -count, word
  for (std::size_t k = 0; k < corpus.counts.size(); ++k)
    if (const std::string& candidate = corpus.dictionary.words()[k]; corpus.counts[k] > 0)
      candidates.emplace_back(edit_distance(wanted, icu::UnicodeString::fromUTF8(candidate)), -corpus.counts[k],
                              candidate);
  const std::size_t shown = std::min<std::size_t>(3, candidates.size());
  std::ranges::partial_sort(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(shown));
  std::vector<std::string> phrases;
  for (std::size_t k = 0; k < shown; ++k) {
    const auto& [distance, minus_count, candidate] = candidates[k];
    phrases.push_back(fmt::format("\"{}\" (count {})", shortened(candidate), -minus_count));
  }
  return fmt::format("{}", fmt::join(phrases, ", "));
}

void require_special_words(const Corpus& corpus) {
  std::vector<std::string> problems;
  for (Index word = 0; word < corpus.special; ++word) {
    if (corpus.counts[static_cast<std::size_t>(word)] > 0) continue;
    const std::string& folded = corpus.dictionary.words()[static_cast<std::size_t>(word)];
    const std::string dropped = corpus.report.too_long > 0
                                    ? fmt::format(" (left out as longer than max_length: {})", corpus.report.too_long)
                                    : "";
    problems.push_back(
        fmt::format("{}: {}: the word \"{}\" stands in none of the {} {} kept{}; the nearest that do are {}",
                    corpus.name, word == 2 ? "common" : "targets", shortened(folded), corpus.units.size(),
                    corpus.plural, dropped, nearest_words(corpus, folded)));
  }
  throw_if_any(problems);
}

void drop_rare_words(Corpus& corpus, Index min_count) {
  const auto is_rare = [&](Index word) {
    return word >= corpus.special && corpus.counts[static_cast<std::size_t>(word)] < min_count;
  };
  for (std::vector<Index>& unit : corpus.units) std::erase_if(unit, is_rare);
  corpus.report.only_rare_words = std::ssize(corpus.units);
  std::erase_if(corpus.units, [](const std::vector<Index>& unit) { return unit.empty(); });
  corpus.report.only_rare_words -= std::ssize(corpus.units);
  for (Index word = 0; word < std::ssize(corpus.counts); ++word) {
    Index& count = corpus.counts[static_cast<std::size_t>(word)];
    if (count > 0 && is_rare(word)) {
      ++corpus.report.rare_words;
      count = 0;
    }
  }
}

bool contains(const std::vector<Index>& unit, Index word) { return std::ranges::find(unit, word) != unit.end(); }

void require_both_labels(const Corpus& corpus) {
  const auto containing = [&](auto condition) { return std::ranges::count_if(corpus.units, condition); };
  const auto both = containing([](const auto& unit) { return contains(unit, 0) && contains(unit, 1); });
  if (both > 0 && both < std::ssize(corpus.units)) return;
  const std::vector<std::string>& words = corpus.dictionary.words();
  throw std::invalid_argument(fmt::format(
      "{0}: targets: there must be {1} with both targets and {1} without; of the {2} {1} kept, {3} contain \"{4}\", "
      "{5} contain "
      "\"{6}\", {7} contain both; choose other targets or another unit",
      corpus.name, corpus.plural, corpus.units.size(), containing([](const auto& unit) { return contains(unit, 0); }),
      shortened(words[0]), containing([](const auto& unit) { return contains(unit, 1); }), shortened(words[1]), both));
}

/// The words that stand in the units, as numbers of the dictionary: special ones, then all others from frequent to
/// rare.
std::vector<Index> vocabulary_of(const Corpus& corpus) {
  const auto count = [&](Index word) { return corpus.counts[static_cast<std::size_t>(word)]; };
  const auto name = [&](Index word) -> const std::string& {
    return corpus.dictionary.words()[static_cast<std::size_t>(word)];
  };
  std::vector<Index> vocabulary;
  for (Index word = 0; word < std::ssize(corpus.counts); ++word)
    if (count(word) > 0) vocabulary.push_back(word);
  std::sort(vocabulary.begin() + corpus.special, vocabulary.end(),
            [&](Index a, Index b) { return count(a) != count(b) ? count(a) > count(b) : name(a) < name(b); });
  return vocabulary;
}

/// Which of n samples are held back: round(share n) of them, at least one, every choice equally likely.
std::vector<bool> held_back(Index n, double share, std::uint64_t seed) {
  std::mt19937_64 random = random_stream(seed, Stream::test);
  Index wanted = std::max<Index>(1, std::llround(share * static_cast<double>(n)));
  std::vector<bool> chosen;
  for (Index left = n; left > 0; --left) {  // each with the probability that as many are still wanted
    const bool take = boost::random::uniform_int_distribution<Index>(1, left)(random) <= wanted;
    chosen.push_back(take);
    wanted -= take ? 1 : 0;
  }
  return chosen;
}

/// Takes the test samples out of `samples.data`.
void hold_back(TextSamples& samples, std::string_view name, double share, std::uint64_t seed) {
  const TaskData all = samples.data;
  TaskData &train = samples.data, &test = samples.test.emplace(all);
  for (TaskData* part : {&train, &test}) {
    part->tokens.clear();
    part->labels.clear();
    part->sample_class.clear();
  }
  const std::vector<bool> chosen = held_back(std::ssize(all.labels), share, seed);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    TaskData& part = chosen[i] ? test : train;
    part.tokens.push_back(all.tokens[i]);
    part.labels.push_back(all.labels[i]);
    part.sample_class.push_back(all.sample_class[i]);
  }
  const auto positive = std::ranges::count(train.labels, 1);
  if (positive == 0 || positive == std::ssize(train.labels))
    throw std::invalid_argument(
        fmt::format("{}: test_share: with {} of {} samples held back all {} that are left to train on {} both targets; "
                    "hold back fewer, or choose another seed",
                    name, test.labels.size(), all.labels.size(), train.labels.size(),
                    positive == 0 ? "do not contain" : "contain"));
}

TextSamples assemble(const Corpus& corpus) {
  TextSamples result{{}, {}, corpus.report};
  TaskData& data = result.data;
  if (corpus.special == 3) data.common = 2;
  std::vector<Index> position(corpus.counts.size(), -1);  // of each word in the vocabulary
  for (const Index word : vocabulary_of(corpus)) {
    position[static_cast<std::size_t>(word)] = data.words++;
    data.word_names.push_back(corpus.dictionary.words()[static_cast<std::size_t>(word)]);
    result.report.word_counts.push_back(corpus.counts[static_cast<std::size_t>(word)]);
  }
  for (const std::vector<Index>& unit : corpus.units) {
    data.labels.push_back(contains(unit, 0) && contains(unit, 1) ? 1 : -1);
    std::vector<Index>& tokens = data.tokens.emplace_back();
    for (const Index word : unit) tokens.push_back(position[static_cast<std::size_t>(word)]);
  }
  classify(data);
  result.report.units_kept = std::ssize(data.tokens);
  result.report.class_sizes.assign(data.class_names.size(), 0);
  for (const Index c : data.sample_class) ++result.report.class_sizes[static_cast<std::size_t>(c)];
  return result;
}

}  // namespace

TextSamples from_text(std::string_view text, std::string_view name, const TextOptions& options) {
  // ICU counts characters in 32 bits, and a text may be one long line.
  constexpr std::size_t largest = std::size_t{1} << 30U;
  if (text.size() > largest)
    throw std::invalid_argument(fmt::format("{}: a text may hold {} bytes; it has {}; cut it, for example with head -c",
                                            name, largest, text.size()));
  require_utf8(text, name);
  Segmenter segmenter;
  const std::vector<std::string> special = checked_special_words(segmenter, options);
  Corpus corpus = read_corpus(segmenter, special, without_byte_order_mark(text), name, options);
  require_special_words(corpus);
  drop_rare_words(corpus, options.min_count);
  require_both_labels(corpus);
  TextSamples samples = assemble(corpus);
  if (options.test_share) hold_back(samples, name, *options.test_share, options.seed);
  return samples;
}

}  // namespace gradflow
