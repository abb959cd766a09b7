#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <gradflow/tasks/text.hpp>
#include <iterator>
#include <numeric>
#include <set>

#include "message_of.hpp"

namespace gradflow {
namespace {

using tests::message_of;
using Words = std::vector<Index>;
using Names = std::vector<std::string>;

TextOptions options(std::string first, std::string second, TextUnit unit = TextUnit::sentence) {
  TextOptions result;
  result.targets = {std::move(first), std::move(second)};
  result.unit = unit;
  return result;
}

/// The words of each sample, as text.
std::vector<Names> spelled(const TaskData& data) {
  std::vector<Names> samples;
  for (const Words& tokens : data.tokens) {
    Names& sample = samples.emplace_back();
    for (const Index word : tokens) sample.push_back(data.word_names[static_cast<std::size_t>(word)]);
  }
  return samples;
}

std::vector<Names> lines(const std::string& text, const std::string& first, const std::string& second) {
  return spelled(from_text(text, "a.txt", options(first, second, TextUnit::line)).data);
}

TEST(Text, SentencesBecomeLabelledBags) {
  const TextSamples samples =
      from_text("The cat saw the dog.  A cat! Is it a DOG? Nothing, the end.", "a.txt", options("Cat", "dog"));
  const TaskData& data = samples.data;
  EXPECT_EQ(data.word_names, (Names{"cat", "dog", "the", "a", "end", "is", "it", "nothing", "saw"}));
  EXPECT_EQ(samples.report.word_counts, (Words{2, 2, 3, 2, 1, 1, 1, 1, 1}));
  EXPECT_EQ(
      spelled(data),
      (std::vector<Names>{
          {"the", "cat", "saw", "the", "dog"}, {"a", "cat"}, {"is", "it", "a", "dog"}, {"nothing", "the", "end"}}));
  EXPECT_EQ(data.labels, (std::vector<int>{1, -1, -1, -1}));
  EXPECT_EQ(data.sample_class, (Words{0, 1, 2, 3}));
  EXPECT_EQ(samples.report.class_sizes, (Words{1, 1, 1, 1}));
  EXPECT_EQ(data.targets, (std::array<Index, 2>{0, 1}));
  EXPECT_FALSE(data.common);
  EXPECT_EQ(Task(data).words(), 9);
}

TEST(Text, TheCommonWordIsTheThirdAndSamplesWithoutItAreOther) {
  TextOptions with_common = options("b", "a", TextUnit::line);
  with_common.common = "THE";
  const TextSamples samples = from_text("the a b\nx a b\nthe x\nthe a", "a.txt", with_common);
  EXPECT_EQ(samples.data.word_names, (Names{"b", "a", "the", "x"}));
  EXPECT_EQ(samples.data.common, 2);
  EXPECT_EQ(samples.data.class_names.back(), "other");
  EXPECT_EQ(samples.data.sample_class, (Words{0, 4, 3, 2}));
  EXPECT_EQ(samples.data.labels, (std::vector<int>{1, 1, -1, -1}));
  EXPECT_EQ(samples.report.class_sizes, (Words{1, 0, 1, 1, 1}));
}

TEST(Text, UnitsThatAreLeftOutAreAccountedFor) {
  TextOptions strict = options("a", "b", TextUnit::line);
  strict.min_count = 2;
  strict.max_length = 3;
  strict.limit = 7;
  const TextSamples samples =
      from_text("a b x\n* * *\nx a\nrare words\n\na b x x x\ny y\nb once\na b beyond the limit", "a.txt", strict);
  const TextReport& report = samples.report;
  EXPECT_EQ(report.units_read, 7);
  EXPECT_EQ(report.units_kept, 4);
  EXPECT_EQ(report.without_words, 1);
  EXPECT_EQ(report.too_long, 1);
  EXPECT_EQ(report.only_rare_words, 1);
  EXPECT_EQ(report.rare_words, 3);  // rare, words, once
  EXPECT_EQ(spelled(samples.data), (std::vector<Names>{{"a", "b", "x"}, {"x", "a"}, {"y", "y"}, {"b"}}));
  EXPECT_EQ(samples.data.word_names, (Names{"a", "b", "x", "y"}));
  EXPECT_EQ(report.word_counts, (Words{2, 2, 2, 2}));
}

TEST(Text, TargetsAreKeptHoweverRare) {
  TextOptions strict = options("a", "b", TextUnit::line);
  strict.min_count = 3;
  EXPECT_EQ(spelled(from_text("a b x\nx\nx", "a.txt", strict).data),
            (std::vector<Names>{{"a", "b", "x"}, {"x"}, {"x"}}));
}

TEST(Text, AHardWrappedSentenceIsOneUnitAndABlankLineEndsIt) {
  const std::string wrapped = "  A cat\n  sees\r\n  no dog\n \u00A0\t\nA cat\n\n\n\na dog";
  const std::vector<Names> expected{{"a", "cat", "sees", "no", "dog"}, {"a", "cat"}, {"a", "dog"}};
  for (const TextUnit unit : {TextUnit::sentence, TextUnit::paragraph})
    EXPECT_EQ(spelled(from_text(wrapped, "a.txt", options("cat", "dog", unit)).data), expected);
  EXPECT_EQ(from_text("A cat. A dog.\nA dog and a cat.\n\nX", "a.txt", options("cat", "dog", TextUnit::paragraph))
                .report.units_kept,
            2);
}

TEST(Text, LinesEndAsOnAnySystemAndAByteOrderMarkIsNoWord) {
  const std::vector<Names> expected{{"a", "b"}, {"a"}, {"b"}};
  for (const std::string end : {"\n", "\r\n", "\r"})
    EXPECT_EQ(lines("\uFEFF"
                    "a b" +
                        end + "a" + end + end + "b" + end,
                    "a", "b"),
              expected);
  const TextSamples samples = from_text("\uFEFF\na b\na", "a.txt", options("a", "b", TextUnit::line));
  EXPECT_EQ(samples.report.units_read, 2);
}

TEST(Text, FoldsCaseAndForm) {
  EXPECT_EQ(lines("Stra\u00DFe STRASSE a\nx", "stra\u00DFe", "A"),
            (std::vector<Names>{{"strasse", "strasse", "a"}, {"x"}}));
  EXPECT_EQ(lines("\uFF21\uFF22 \uFB01le a\nx", "ab", "file"), (std::vector<Names>{{"ab", "file", "a"}, {"x"}}));
  // Composed and decomposed accents; the final sigma; a soft hyphen.
  EXPECT_EQ(lines("CAFE\u0301 a\nx", "caf\u00E9", "a")[0][0], "caf\u00E9");
  EXPECT_EQ(lines("\u039F\u0394\u039F\u03A3 a\nx", "\u03BF\u03B4\u03BF\u03C2", "a")[0][0], "\u03BF\u03B4\u03BF\u03C3");
  EXPECT_EQ(lines("soft\u00ADware a\nx", "Software", "a")[0][0], "software");
}

TEST(Text, TurkishDotlessIStaysALetterOfItsOwn) {
  // Unicode's default folding: I becomes i, dotless \u0131 stays, dotted \u0130 becomes i with a combining dot.
  EXPECT_EQ(lines("\u0131l\u0131k ILIK \u0130L\u0130K a\nx", "\u0131l\u0131k", "ilik"),
            (std::vector<Names>{{"\u0131l\u0131k", "ilik", "i\u0307li\u0307k", "a"}, {"x"}}));
}

TEST(Text, WordsAreLettersAndNumbersNotPunctuation) {
  EXPECT_EQ(lines("\u00ABdon't\u00BB \u2014 3.14, e-mail; \u2026 a_b!\nx", "a_b", "3.14"),
            (std::vector<Names>{{"don't", "3.14", "e", "mail", "a_b"}, {"x"}}));
  EXPECT_EQ(lines("\u0441\u0432\u043E\u0431\u043E\u0434\u0430 \u0414\u0430\n\u0434\u0430", "\u0414\u0410",
                  "\u0421\u0412\u041E\u0411\u041E\u0414\u0410")
                .size(),
            2U);
}

TEST(Text, AWordThatFoldsToNothingIsNone) {
  // The Hangul filler is a letter that nobody sees, and folding removes it.
  EXPECT_EQ(lines("\u3164 a b\nx", "a", "b"), (std::vector<Names>{{"a", "b"}, {"x"}}));
}

TEST(Text, ChineseAndJapaneseAreSegmentedByDictionary) {
  // "I like free software. Software is good. Freedom is good."
  const TextSamples chinese = from_text("我喜欢自由软件。软件很好。自由很好。", "a.txt", options("自由", "软件"));
  EXPECT_EQ(spelled(chinese.data),
            (std::vector<Names>{{"我", "喜欢", "自由", "软件"}, {"软件", "很好"}, {"自由", "很好"}}));
  EXPECT_EQ(chinese.data.labels, (std::vector<int>{1, -1, -1}));
  // "Software is free. It is free.", wrapped within a word.
  const TextSamples japanese = from_text("ソフト\nウェアは自由だ。自由だ。", "a.txt", options("ソフトウェア", "自由"));
  EXPECT_EQ(japanese.data.labels, (std::vector<int>{1, -1}));
}

TEST(Text, AKoreanLineBreakIsASpace) {
  EXPECT_EQ(spelled(from_text("자유\n소프트웨어\n\n자유", "a.txt", options("자유", "소프트웨어")).data),
            (std::vector<Names>{{"자유", "소프트웨어"}, {"자유"}}));
}

TEST(Text, ReadsARealHardWrappedLicense) {
  std::ifstream file("/usr/share/common-licenses/GPL-3");
  if (!file) GTEST_SKIP() << "the GNU GPL, version 3, is not where Debian keeps it";
  const std::string gpl{std::istreambuf_iterator<char>(file), {}};
  // Every number counted a second time, with regular expressions in Python.
  const auto check = [&](TextUnit unit, Index units, const Words& classes) {
    const TextSamples samples = from_text(gpl, "GPL-3", options("License", "program", unit));
    EXPECT_EQ(samples.report.units_kept, units);
    EXPECT_EQ(samples.report.units_read, units);
    EXPECT_EQ(samples.report.class_sizes, classes);
    EXPECT_EQ(samples.data.words, 1030);
    EXPECT_EQ(std::reduce(samples.report.word_counts.begin(), samples.report.word_counts.end()), 5680);
    EXPECT_EQ(Names(samples.data.word_names.begin(), samples.data.word_names.begin() + 4),
              (Names{"license", "program", "the", "of"}));
    EXPECT_EQ(Words(samples.report.word_counts.begin(), samples.report.word_counts.begin() + 4),
              (Words{102, 49, 345, 221}));
  };
  check(TextUnit::line, 553, {4, 94, 44, 411});
  check(TextUnit::paragraph, 122, {17, 33, 13, 59});
  TextOptions frequent = options("license", "program", TextUnit::paragraph);
  frequent.min_count = 2;
  const TextSamples samples = from_text(gpl, "GPL-3", frequent);
  EXPECT_EQ(samples.report.rare_words, 518);
  EXPECT_EQ(samples.data.words, 1030 - 518);

  // The preamble's second sentence, over three lines, ends neither at a line's end nor runs over the paragraph's.
  const std::vector<Names> sentences = spelled(from_text(gpl, "GPL-3", options("license", "program")).data);
  const Names sentence{"the",     "gnu", "general",  "public", "license", "is",    "a",  "free", "copyleft",
                       "license", "for", "software", "and",    "other",   "kinds", "of", "works"};
  EXPECT_EQ(std::ranges::count(sentences, sentence), 1);
}

TEST(Text, RefusesTextThatIsNotUtf8) {
  const std::string advice = ", which is not; convert it, for example with iconv -f LATIN1 -t UTF-8";
  EXPECT_EQ(message_of([] { from_text("a\r\nb\rc\n caf\xE9 a", "a.txt", options("a", "b")); }),
            "a.txt:4: the text must be UTF-8; byte 11 (from 0) is 0xE9" + advice);
  // Overlong form, surrogate, cut off at the end.
  for (const std::string broken : {"\xC0\x80", "\xED\xA0\x80", "\xE2\x82"})
    EXPECT_EQ(
        message_of([&] { from_text(broken, "a.txt", options("a", "b")); }).find("a.txt:1: the text must be UTF-8"), 0U);
  EXPECT_EQ(message_of([] { from_text("a b", "a.txt", options("\xFF", "b")); }),
            "targets:1: the text must be UTF-8; byte 0 (from 0) is 0xFF" + advice);
}

TEST(Text, RefusesTargetsThatAreNotOneWordEach) {
  TextOptions wrong = options("free  Software", "...");
  wrong.common = "x";
  EXPECT_EQ(message_of([&] { from_text("a b", "a.txt", wrong); }),
            "targets: one word is needed; \"free  Software\" is read as 2 words: free, software; choose one\n"
            "targets: one word is needed; \"...\" has no letter or digit");
  wrong = options("Stra\u00DFe", "STRASSE");
  EXPECT_EQ(message_of([&] { from_text("a b", "a.txt", wrong); }),
            "targets: the words must differ; two of them are \"strasse\" once case and form are folded");
  wrong = options("a", "b");
  wrong.common = "B";
  EXPECT_EQ(message_of([&] { from_text("a b", "a.txt", wrong); }),
            "common: the words must differ; two of them are \"b\" once case and form are folded");
}

TEST(Text, RefusesImpossibleNumbers) {
  TextOptions wrong = options("a", "b");
  wrong.min_count = 0;
  wrong.max_length = -1;
  wrong.limit = 0;
  EXPECT_EQ(message_of([&] { from_text("a b", "a.txt", wrong); }),
            "min_count: at least 1 is needed; given 0\nmax_length: at least 1 is needed; given -1\n"
            "limit: at least 1 is needed; given 0");
}

TEST(Text, NamesTheNearestWordsOfTheText) {
  TextOptions wrong = options("licence", "programm", TextUnit::line);
  wrong.max_length = 5;
  EXPECT_EQ(message_of([&] {
              from_text("License, license: licensed\nlicensee program\nprograms\nlicence a b c d e", "a.txt", wrong);
            }),
            "a.txt: targets: the word \"licence\" stands in none of the 3 lines kept (left out as longer than "
            "max_length: 1); the "
            "nearest that do are \"license\" (count 2), \"licensed\" (count 1), \"licensee\" (count 1)\n"
            "a.txt: targets: the word \"programm\" stands in none of the 3 lines kept (left out as longer than "
            "max_length: 1); the "
            "nearest that do are \"program\" (count 1), \"programs\" (count 1), \"license\" (count 2)");
  // One replacement is nearer than two insertions, however frequent.
  EXPECT_EQ(message_of([] { from_text("a coats coats cat", "a.txt", options("cot", "a")); }),
            "a.txt: targets: the word \"cot\" stands in none of the 1 sentences kept; the nearest that do are "
            "\"cat\" (count 1), \"coats\" (count 2), \"a\" (count 1)");
  wrong = options("a", "b");
  wrong.common = "the";
  EXPECT_EQ(message_of([&] { from_text("a b. A.", "a.txt", wrong); }),
            "a.txt: common: the word \"the\" stands in none of the 2 sentences kept; the nearest that do are "
            "\"a\" (count 2), \"b\" (count 1)");
}

TEST(Text, RefusesATaskWithOneLabelOnly) {
  EXPECT_EQ(message_of([] { from_text("a x\nb\na", "a.txt", options("a", "b", TextUnit::line)); }),
            "a.txt: targets: there must be lines with both targets and lines without; of the 3 lines kept, 2 contain "
            "\"a\", 1 contain \"b\", 0 contain both; choose other targets or another unit");
  // The paragraph without targets has rare words only, so it is not left.
  TextOptions frequent = options("a", "b", TextUnit::paragraph);
  frequent.min_count = 2;
  EXPECT_EQ(message_of([&] { from_text("a b\n\nx\n\nb a a", "a.txt", frequent); }),
            "a.txt: targets: there must be paragraphs with both targets and paragraphs without; of the 2 paragraphs "
            "kept, 2 contain \"a\", 2 contain \"b\", 2 contain both; choose other targets or another unit");
}

TEST(Text, RefusesTextWithoutWords) {
  const std::string rest = " are longer than max_length; give another text or raise max_length";
  EXPECT_EQ(message_of([] { from_text("", "a.txt", options("a", "b")); }),
            "a.txt: no sentences are left to learn from: of 0 read, 0 have no words and 0" + rest);
  TextOptions brief = options("a", "b", TextUnit::line);
  brief.max_length = 1;
  EXPECT_EQ(message_of([&] { from_text("a b\n--\nc d", "a.txt", brief); }),
            "a.txt: no lines are left to learn from: of 3 read, 1 have no words and 2" + rest);
}

/// 20 lines of a text, every fourth with both targets, each with a word of its own.
std::string twenty_lines() {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += (i % 4 == 0   ? "both now "
             : i % 4 == 1 ? "both "
             : i % 4 == 2 ? "now "
                          : "") +
            std::string("w") + std::to_string(i) + "\n";
  return text;
}

TEST(Text, AShareIsHeldBackAsTestSamples) {
  TextOptions some = options("both", "now", TextUnit::line);
  const TextSamples all = from_text(twenty_lines(), "a.txt", some);
  EXPECT_FALSE(all.test);
  for (const double share : {0.01, 0.2, 0.37}) {
    some.test_share = share;
    const TextSamples parts = from_text(twenty_lines(), "a.txt", some);
    ASSERT_TRUE(parts.test);
    // 0.01 of 20 is none, but one there must be; 0.37 of 20 is 7.4.
    EXPECT_EQ(parts.test->labels.size(), share == 0.01 ? 1U : share == 0.2 ? 4U : 7U);
    EXPECT_EQ(parts.report.units_kept, 20);
    EXPECT_EQ(parts.report.class_sizes, all.report.class_sizes);
    // Both keep the order of the text and the vocabulary; together they are all samples, each once with its label.
    std::vector<std::pair<Names, std::pair<int, Index>>> merged, expected;
    for (const TaskData* data : {&parts.data, &*parts.test}) {
      EXPECT_EQ(data->word_names, all.data.word_names);
      EXPECT_EQ(data->class_names, all.data.class_names);
      EXPECT_EQ(data->targets, all.data.targets);
      EXPECT_EQ(Task(*data).samples(), std::ssize(data->labels));
      for (std::size_t i = 0; i < data->labels.size(); ++i)
        merged.emplace_back(spelled(*data)[i], std::pair(data->labels[i], data->sample_class[i]));
    }
    for (std::size_t i = 0; i < all.data.labels.size(); ++i)
      expected.emplace_back(spelled(all.data)[i], std::pair(all.data.labels[i], all.data.sample_class[i]));
    EXPECT_TRUE(std::ranges::is_permutation(merged, expected));
    const auto number = [](const Names& sample) { return std::stoi(sample.back().substr(1)); };
    for (const auto& part : {spelled(parts.data), spelled(*parts.test)})
      EXPECT_TRUE(std::ranges::is_sorted(part, {}, number));
  }
}

TEST(Text, TheSeedSpreadsTheTestSamples) {
  TextOptions some = options("both", "now", TextUnit::line);
  some.test_share = 0.2;
  std::vector<int> chosen(20);
  constexpr int seeds = 400;
  for (int seed = 1; seed <= seeds; ++seed) {
    some.seed = static_cast<std::uint64_t>(seed);
    const TextSamples first = from_text(twenty_lines(), "a.txt", some);
    EXPECT_EQ(first.test->tokens, from_text(twenty_lines(), "a.txt", some).test->tokens);
    for (const Names& sample : spelled(*first.test))
      ++chosen[static_cast<std::size_t>(std::stoi(sample.back().substr(1)))];
  }
  for (const int count : chosen) EXPECT_NEAR(count, 0.2 * seeds, 40);  // five standard deviations of 8
}

TEST(Text, HeldBackSamplesLeaveSomethingToLearn) {
  TextOptions some = options("both", "now", TextUnit::line);
  const std::string one_of_a_kind = "both now\nboth\nnow\nnothing";
  some.test_share = 0.75;
  std::set<std::string> messages;
  for (some.seed = 1; some.seed < 20; ++some.seed)
    messages.insert(message_of([&] { from_text(one_of_a_kind, "a.txt", some); }));
  EXPECT_EQ(messages, (std::set<std::string>{
                          "a.txt: test_share: with 3 of 4 samples held back all 1 that are left to train on contain "
                          "both targets; hold back fewer, or choose another seed",
                          "a.txt: test_share: with 3 of 4 samples held back all 1 that are left to train on do not "
                          "contain both targets; hold back fewer, or choose another seed"}));
  for (const double wrong : {0.0, 1.0, -0.2, std::nan("")}) {
    some.test_share = wrong;
    EXPECT_EQ(message_of([&] { from_text(one_of_a_kind, "a.txt", some); }).substr(0, 43),
              "test_share: must lie above 0 and below 1; g");
  }
}

}  // namespace
}  // namespace gradflow
