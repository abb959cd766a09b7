#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <gradflow/tasks/classify.hpp>
#include <gradflow/tasks/co_occurrence.hpp>
#include <gradflow/tasks/json_lines.hpp>
#include <gradflow/tasks/text.hpp>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

/// What holds of every task, on tasks drawn by RapidCheck, which makes a failing one small before it prints it.
namespace gradflow {
namespace {

using Words = std::vector<Index>;
using Names = std::vector<std::string>;

/// 0..bound-1, all equally likely: a range of RapidCheck's own starts small and grows from case to case.
rc::Gen<Index> below(Index bound) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<Index>(0, bound)); }

/// `count` different numbers of 0..bound-1, in any order.
rc::Gen<Words> distinct(Index count, Index bound) {
  return rc::gen::exec([=] {
    Words left(static_cast<std::size_t>(bound)), chosen;
    std::iota(left.begin(), left.end(), Index{0});
    while (std::ssize(chosen) < count) {
      const auto place = left.begin() + *below(std::ssize(left));
      chosen.push_back(*place);
      left.erase(place);
    }
    return chosen;
  });
}

bool contains(const Words& sample, Index word) { return std::ranges::find(sample, word) != sample.end(); }

/// Up to 20 samples of 1 to 10 tokens over 3 to 11 words, of which some repeat and some stand nowhere; targets and
/// common word anywhere.
TaskData any_task() {
  const auto token_lists = [](Index words) {
    const auto sample = rc::gen::resize(10, rc::gen::container<Words>(below(words)));
    return rc::gen::scale(0.2, rc::gen::nonEmpty(rc::gen::container<std::vector<Words>>(rc::gen::nonEmpty(sample))));
  };
  TaskData data;
  data.words = 3 + *below(9).as("words - 3");
  data.tokens = *token_lists(data.words).as("tokens");
  data.labels = *rc::gen::container<std::vector<int>>(data.tokens.size(), rc::gen::element(1, -1)).as("labels");
  const Words special = *distinct(3, data.words).as("targets and common word");
  data.targets = {special[0], special[1]};
  if (*rc::gen::arbitrary<bool>().as("is there a common word?")) data.common = special[2];
  return data;
}

RC_GTEST_PROP(TaskProperties, BagsCountTheTokensInAnyOrder, ()) {
  TaskData data = any_task();
  const Task task(data);
  for (Words& sample : data.tokens) {
    Words shuffled;
    for (const Index place : *distinct(std::ssize(sample), std::ssize(sample)))
      shuffled.push_back(sample[static_cast<std::size_t>(place)]);
    sample = shuffled;
  }
  const Task reordered(data);
  std::set<Index> used;
  for (Index i = 0; i < task.samples(); ++i) {
    std::map<Index, Index> counts;  // ascending
    for (const Index token : data.tokens[static_cast<std::size_t>(i)]) ++counts[token];
    used.insert(data.tokens[static_cast<std::size_t>(i)].begin(), data.tokens[static_cast<std::size_t>(i)].end());
    for (const Bag& bag : {task.bag(i), reordered.bag(i)}) {
      std::vector<std::pair<Index, Index>> found;
      for (std::size_t k = 0; k < bag.words.size(); ++k) found.emplace_back(bag.words[k], bag.counts[k]);
      RC_ASSERT(found == (std::vector<std::pair<Index, Index>>(counts.begin(), counts.end())));
    }
    RC_ASSERT(std::reduce(task.bag(i).counts.begin(), task.bag(i).counts.end()) ==
              std::ssize(data.tokens[static_cast<std::size_t>(i)]));
  }
  RC_ASSERT(Words(task.used_words().begin(), task.used_words().end()) == Words(used.begin(), used.end()));
}

RC_GTEST_PROP(TaskProperties, ClassesAreReadOffContentAndLeaveTheRestAlone, ()) {
  TaskData data = any_task();
  const TaskData before = data;
  classify(data);
  bool any_other = false;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const bool first = contains(data.tokens[i], data.targets[0]), second = contains(data.tokens[i], data.targets[1]);
    const bool other = data.common && !contains(data.tokens[i], *data.common);
    any_other = any_other || other;
    const std::string expected = other ? "other" : first && second ? "I1" : first ? "I2" : second ? "I3" : "I4";
    RC_ASSERT(data.class_names.at(static_cast<std::size_t>(data.sample_class.at(i))) == expected);
  }
  RC_ASSERT(data.class_names == (any_other ? Names{"I1", "I2", "I3", "I4", "other"} : Names{"I1", "I2", "I3", "I4"}));
  RC_ASSERT(data.tokens == before.tokens);
  RC_ASSERT(data.labels == before.labels);
  RC_ASSERT(Task(before).data().sample_class == data.sample_class);
}

/// The message with which `call` refuses its input; empty if it does not.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

/// Makes one sample wrong, in one of five ways.
void spoil(TaskData& data, std::size_t sample) {
  Words& tokens = data.tokens[sample];
  Index& token = tokens[static_cast<std::size_t>(*below(std::ssize(tokens)).as("place of the token"))];
  const Index by = *rc::gen::arbitrary<std::uint16_t>().as("how far off");
  switch (*below(5).as("what is wrong")) {
    case 0:
      token = data.words + by;
      break;
    case 1:
      token = -1 - by;
      break;
    case 2:
      data.labels[sample] = *rc::gen::distinctFrom(rc::gen::distinctFrom(rc::gen::arbitrary<int>(), 1), -1).as("label");
      break;
    case 3:
      tokens.clear();
      break;
    default:
      data.sample_class[sample] = by % 2 == 0 ? -1 - by : std::ssize(data.class_names) + by;
  }
}

RC_GTEST_PROP(TaskProperties, AWrongSampleIsRefusedByItsNumber, ()) {
  TaskData data = any_task();
  classify(data);
  const Index sample = *below(std::ssize(data.tokens)).as("sample");
  spoil(data, static_cast<std::size_t>(sample));
  RC_ASSERT(refusal([&] { Task{data}; }).starts_with("sample " + std::to_string(sample) + " (from 0): "));
}

/// Options from which a task can be made: the paper's classes, or up to four others with any words and any shares.
CoOccurrenceOptions any_options() {
  constexpr Index nameable = 10;  // targets, common word and words of classes are some of the first ten
  CoOccurrenceOptions options;
  const Words special = *distinct(3, nameable).as("targets and common word");
  options.targets = {special[0], special[1]};
  if (!*rc::gen::arbitrary<bool>().as("is there a common word?"))
    options.common.reset();
  else
    options.common = special[2];
  options.length = 3 + *below(5).as("length - 3");
  Index shares = 6;
  if (*rc::gen::arbitrary<bool>().as("other classes than the paper's?")) {
    const auto parts = *rc::gen::nonEmpty(rc::gen::container<Words>(static_cast<std::size_t>(1 + *below(4)), below(5)))
                            .as("shares less 1");
    shares = std::accumulate(parts.begin(), parts.end(), std::ssize(parts));
    const Index factor = 1 + *below(3).as("common factor of the fractions less 1");
    for (const Index part : parts)
      options.classes.push_back({"class " + std::to_string(options.classes.size()),
                                 *distinct(*below(options.length + 1), nameable).as("words of a class"),
                                 *rc::gen::element(1, -1).as("label"),
                                 {factor * (part + 1), factor * shares}});
  }
  options.samples = shares * (1 + *below(4).as("samples / shares - 1"));
  options.fillers = *rc::gen::element(Fillers::uniform, Fillers::distinct).as("fillers (0: uniform)");
  options.words = nameable + 1 + (options.fillers == Fillers::distinct ? options.samples * options.length : *below(9));
  return options;
}

RC_GTEST_PROP(CoOccurrenceProperties, ClassesHoldTheirExactSharesAndTheirWordsOnce, ()) {
  const CoOccurrenceOptions options = any_options();
  const auto seed = *rc::gen::arbitrary<std::uint64_t>().as("seed");
  RC_ASSERT(problems(options) == Names{});
  const TaskData data = co_occurrence(options, seed);
  const auto classes = options.classes.empty() ? paper_classes(options.targets, options.common) : options.classes;
  std::set<Index> meant{options.targets[0], options.targets[1]};  // no fillers
  if (options.common) meant.insert(*options.common);
  for (const CoOccurrenceClass& c : classes) meant.insert(c.words.begin(), c.words.end());

  RC_ASSERT(std::ssize(data.tokens) == options.samples);
  RC_ASSERT(std::ranges::is_sorted(data.sample_class));
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const Index size = std::ranges::count(data.sample_class, static_cast<Index>(c));
    RC_ASSERT(size * classes[c].fraction.denominator == options.samples * classes[c].fraction.numerator);
    RC_ASSERT(data.class_names.at(c) == classes[c].name);
  }
  Words fillers;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const CoOccurrenceClass& c = classes.at(static_cast<std::size_t>(data.sample_class[i]));
    RC_ASSERT(data.labels[i] == c.label);
    RC_ASSERT(std::ssize(data.tokens[i]) == options.length);
    std::multiset<Index> words;  // those with a meaning; all others are fillers
    for (const Index word : data.tokens[i])
      if (meant.contains(word))
        words.insert(word);
      else
        fillers.push_back(word);
    RC_ASSERT(words == (std::multiset<Index>(c.words.begin(), c.words.end())));
  }
  for (const Index word : fillers) RC_ASSERT(0 <= word && word < options.words);
  if (options.fillers == Fillers::distinct)
    RC_ASSERT(std::set<Index>(fillers.begin(), fillers.end()).size() == fillers.size());
}

RC_GTEST_PROP(CoOccurrenceProperties, ItsSamplesAreATaskOfTheClassesThatTheirContentShows, ()) {
  CoOccurrenceOptions options = any_options();
  options.classes.clear();
  options.samples = 12;
  options.words = 100;  // enough for 12 x 7 distinct fillers
  const TaskData data = co_occurrence(options, *rc::gen::arbitrary<std::uint64_t>().as("seed"));
  TaskData read = data;
  classify(read);
  RC_ASSERT(read.sample_class == data.sample_class);
  RC_ASSERT(read.class_names == data.class_names);
  RC_ASSERT(Task(data).samples() == options.samples);
}

RC_GTEST_PROP(CoOccurrenceProperties, EveryBitOfTheSeedCountsForFillersAndForNothingElse, ()) {
  CoOccurrenceOptions options;  // the paper's: 160 fillers of 61 words agree by chance once in 10^285 pairs of seeds
  const auto seed = *rc::gen::arbitrary<std::uint64_t>().as("seed");
  const auto bit = *below(64).as("bit");
  const TaskData data = co_occurrence(options, seed), again = co_occurrence(options, seed);
  RC_ASSERT(again.tokens == data.tokens);
  const TaskData other = co_occurrence(options, seed ^ (std::uint64_t{1} << static_cast<unsigned>(bit)));
  RC_ASSERT(other.tokens != data.tokens);
  RC_ASSERT(other.labels == data.labels);
  RC_ASSERT(other.sample_class == data.sample_class);
  options.words = 163;
  options.fillers = Fillers::distinct;  // these are not drawn
  RC_ASSERT(co_occurrence(options, seed).tokens == co_occurrence(options, seed + 1).tokens);
}

/// One sample to a line, as different writers would put it.
Names json_lines(const TaskData& data) {
  Names lines;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string space = *rc::gen::element<std::string>("", " ", " \t ").as("space");
    std::string tokens = "\"tokens\"" + space + ":" + space + "[";
    for (std::size_t k = 0; k < data.tokens[i].size(); ++k)
      tokens += (k > 0 ? "," + space : space) + std::to_string(data.tokens[i][k]);
    const std::string label = "\"label\":" + space + std::to_string(data.labels[i]), end = space + "}" + space;
    tokens += space + "]";
    lines.push_back(space + "{" + (space.empty() ? tokens + "," + label : label + "," + space + tokens) + end);
  }
  return lines;
}

std::string joined(const Names& lines, const std::string& between) {
  std::string text;
  for (const std::string& line : lines) text += line + between;
  return text;
}

RC_GTEST_PROP(JsonLinesProperties, WhatIsWrittenIsReadBack, ()) {
  const TaskData data = Task(any_task()).data();
  const auto end = *rc::gen::element<std::string>("\n", "\r\n", "\r", "\n\n \t\n").as("end of a line");
  const TaskData read =
      from_json_lines(joined(json_lines(data), end), "a.jsonl", data.words, data.targets, data.common);
  RC_ASSERT(read.words == data.words);
  RC_ASSERT(read.tokens == data.tokens);
  RC_ASSERT(read.labels == data.labels);
  RC_ASSERT(read.targets == data.targets);
  RC_ASSERT(read.common == data.common);
  RC_ASSERT(read.sample_class == data.sample_class);
  RC_ASSERT(read.class_names == data.class_names);
  RC_ASSERT(read.word_names == data.word_names);
}

RC_GTEST_PROP(JsonLinesProperties, AWrongSampleIsRefusedByItsLineAlone, ()) {
  TaskData data = any_task();
  const auto sample = static_cast<std::size_t>(*below(std::ssize(data.tokens)).as("sample"));
  TaskData wrong = data;
  classify(wrong);
  spoil(wrong, sample);
  RC_PRE(wrong.tokens != data.tokens || wrong.labels != data.labels);  // JSON Lines hold no classes
  const std::string message = refusal(
      [&] { from_json_lines(joined(json_lines(wrong), "\n"), "a.jsonl", data.words, data.targets, data.common); });
  RC_ASSERT(message.starts_with("a.jsonl:" + std::to_string(sample + 1) + ": "));
  RC_ASSERT_FALSE(message.find('\n') != std::string::npos);
}

/// A word as it is written, and as Unicode folds it.
using Word = std::pair<std::string, std::string>;
using Unit = std::vector<Word>;

/// One or two letters or digits of three alphabets, in either case, some of which fold to two: words come again.
rc::Gen<Word> any_word() {
  static const std::vector<Word> letters{{"a", "a"},           {"A", "a"},           {"z", "z"},
                                         {"Z", "z"},           {"7", "7"},           {"\u00E9", "\u00E9"},
                                         {"\u00C9", "\u00E9"}, {"\u00DF", "ss"},     {"\uFB01", "fi"},
                                         {"\u03A3", "\u03C3"}, {"\u03C2", "\u03C3"}, {"\u0416", "\u0436"}};
  return rc::gen::exec([] {
    Word word;
    for (Index count = 1 + *below(2); count > 0; --count) {
      const auto [written, folded] = *rc::gen::elementOf(letters);
      word.first += written;
      word.second += folded;
    }
    return word;
  });
}

/// The first two units have the targets (and the common word) between them; then come any others, some without words.
std::vector<Unit> any_units(bool with_common, bool may_be_empty) {
  const Word first{"TARGET", "target"}, second{"Other", "other"}, common{"\uFF23ommon", "common"};  // a wide C
  std::vector<Unit> units{{first, second}, {first}};
  if (with_common) units[0].push_back(common);
  const auto unit = rc::gen::resize(6, rc::gen::container<Unit>(any_word()));
  for (const Unit& other : *rc::gen::scale(0.2, rc::gen::container<std::vector<Unit>>(unit)).as("other units"))
    if (may_be_empty || !other.empty()) units.push_back(other);
  return units;
}

TextOptions options_for(TextUnit unit) {
  TextOptions options;
  options.targets = {"Target", "OTHER"};
  options.unit = unit;
  return options;
}

/// A unit with punctuation and space, drawn anew each time, before, between and behind its words.
std::string punctuated(const Unit& unit, const Names& before, const Names& between) {
  std::string text = *rc::gen::elementOf(before).as("before");
  for (std::size_t k = 0; k < unit.size(); ++k)
    text += unit[k].first + *rc::gen::elementOf(between).as("behind a word");
  return text;
}

/// Words as text, sample by sample.
std::vector<Names> spelled(const TaskData& data) {
  std::vector<Names> samples;
  for (const Words& tokens : data.tokens) {
    Names& sample = samples.emplace_back();
    for (const Index word : tokens) sample.push_back(data.word_names[static_cast<std::size_t>(word)]);
  }
  return samples;
}

/// What from_text says of lines, from the words alone, rule after rule of its description.
struct Expected {
  TextReport report;
  std::vector<Names> samples;
  std::map<std::string, Index> counts;

  Expected(const std::vector<Unit>& units, const TextOptions& options, const std::set<std::string>& special) {
    for (const Unit& unit : units) {
      if (options.limit && report.units_read == *options.limit) break;
      ++report.units_read;
      if (unit.empty())
        ++report.without_words;
      else if (options.max_length && std::ssize(unit) > *options.max_length)
        ++report.too_long;
      else
        std::ranges::transform(unit, std::back_inserter(samples.emplace_back()), &Word::second);
    }
    for (const Names& sample : samples)
      for (const std::string& word : sample) ++counts[word];
    const auto is_rare = [&](const auto& entry) {
      return entry.second < options.min_count && !special.contains(entry.first);
    };
    report.rare_words = static_cast<Index>(std::erase_if(counts, is_rare));
    for (Names& sample : samples)
      std::erase_if(sample, [&](const std::string& word) { return !counts.contains(word); });
    report.only_rare_words = static_cast<Index>(std::erase_if(samples, [](const Names& s) { return s.empty(); }));
    report.units_kept = std::ssize(samples);
  }
};

RC_GTEST_PROP(TextProperties, LinesGiveBackTheirWordsWhateverStandsBetween, ()) {
  const bool with_common = *rc::gen::arbitrary<bool>().as("is there a common word?");
  const std::vector<Unit> units = any_units(with_common, true);
  TextOptions options = options_for(TextUnit::line);
  if (with_common) options.common = "common";
  options.min_count = 1 + *below(3).as("min_count - 1");
  if (const Index spare = *below(4).as("max_length - 3")) options.max_length = 3 + spare;
  if (const Index spare = *below(9).as("limit - 2")) options.limit = 2 + spare;
  // No full stop, colon or apostrophe right between two letters, no comma between two digits: these make one word.
  const Names between{" ", "\t", ", ", "; ", ". ", "! ", " - ", "-", "/", "(", "\u2026", "\u00A0", "\u2014", "\u00BB"};
  std::string text;
  for (const Unit& unit : units) text += punctuated(unit, {"* ", " \u00AB", "..."}, between) + "\n";

  const TextSamples found = from_text(text, "a.txt", options);
  const Expected expected(units, options, {"target", "other", "common"});
  RC_ASSERT(spelled(found.data) == expected.samples);
  RC_ASSERT(found.report.units_read == expected.report.units_read);
  RC_ASSERT(found.report.units_kept == expected.report.units_kept);
  RC_ASSERT(found.report.too_long == expected.report.too_long);
  RC_ASSERT(found.report.without_words == expected.report.without_words);
  RC_ASSERT(found.report.only_rare_words == expected.report.only_rare_words);
  RC_ASSERT(found.report.rare_words == expected.report.rare_words);

  RC_ASSERT(found.data.word_names.size() == expected.counts.size());
  const std::size_t special = with_common ? 3 : 2;
  RC_ASSERT(Names(found.data.word_names.begin(), found.data.word_names.begin() + static_cast<Index>(special)) ==
            (with_common ? Names{"target", "other", "common"} : Names{"target", "other"}));
  for (std::size_t k = 0; k < expected.counts.size(); ++k) {  // frequent words first, equally frequent ones by name
    const auto count = [&](std::size_t word) { return expected.counts.at(found.data.word_names[word]); };
    RC_ASSERT(found.report.word_counts.at(k) == count(k));
    if (k > special)
      RC_ASSERT(std::pair(-count(k - 1), found.data.word_names[k - 1]) <
                std::pair(-count(k), found.data.word_names[k]));
  }
  for (std::size_t i = 0; i < expected.samples.size(); ++i) {
    const auto stands = [&](const char* word) { return std::ranges::count(expected.samples[i], word) > 0; };
    RC_ASSERT(found.data.labels.at(i) == (stands("target") && stands("other") ? 1 : -1));
  }
  RC_ASSERT(Task(found.data).samples() == expected.report.units_kept);
}

RC_GTEST_PROP(TextProperties, LinesParagraphsAndSentencesOfTheSameWordsAreTheSameTask, ()) {
  const std::vector<Unit> units = any_units(false, false);
  const Names inside{" ", ", ", "-", "\u00A0("}, wrapped{" ", ", ", "-\n", "\r\n  "};
  std::string lines, paragraphs, sentences;
  for (const Unit& unit : units) {
    lines += punctuated(unit, {""}, inside) + "\n";
    paragraphs += punctuated(unit, {""}, wrapped) + "\n \n";
    sentences +=
        punctuated(unit, {""}, wrapped) + *rc::gen::element<std::string>("! ", "?\n", "!\n\n").as("sentence's end");
  }
  const auto read = [](const std::string& text, TextUnit unit) {
    return from_text(text, "a.txt", options_for(unit)).data;
  };
  const TaskData expected = read(lines, TextUnit::line);
  for (const TaskData& data : {read(paragraphs, TextUnit::paragraph), read(sentences, TextUnit::sentence)}) {
    RC_ASSERT(spelled(data) == spelled(expected));
    RC_ASSERT(data.tokens == expected.tokens);
    RC_ASSERT(data.labels == expected.labels);
  }
}

}  // namespace
}  // namespace gradflow
