#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <gradflow/tasks/co_occurrence.hpp>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <span>

#include "message_of.hpp"

namespace gradflow {
namespace {

using tests::message_of;
using Words = std::vector<Index>;

std::map<Index, Index> class_sizes(const TaskData& data) {
  std::map<Index, Index> sizes;
  for (const Index c : data.sample_class) ++sizes[c];
  return sizes;
}

/// All tokens that are none of the first three words.
Words fillers_of(const TaskData& data) {
  Words fillers;
  for (const Words& sample : data.tokens)
    std::ranges::copy_if(sample, std::back_inserter(fillers), [](Index word) { return word > 2; });
  return fillers;
}

TEST(CoOccurrence, ThePapersTaskIsTheDefault) {
  const TaskData data = co_occurrence({}, 1);
  EXPECT_EQ(data.words, 64);
  EXPECT_EQ(data.word_names.size(), 64U);
  EXPECT_EQ(data.word_names[2], "mu_3");
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"I1", "I2", "I3", "I4"}));
  EXPECT_EQ(class_sizes(data), (std::map<Index, Index>{{0, 30}, {1, 10}, {2, 10}, {3, 10}}));
  EXPECT_TRUE(std::ranges::is_sorted(data.sample_class));
  EXPECT_EQ(std::ranges::count(data.labels, 1), 30);
  const std::vector<Words> required{{0, 1, 2}, {0, 2}, {1, 2}, {2}};
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    ASSERT_EQ(data.tokens[i].size(), 5U);
    Words special;  // exactly the words of its class, each once
    for (const Index word : data.tokens[i])
      if (word <= 2) special.push_back(word);
    EXPECT_EQ(special, required[static_cast<std::size_t>(data.sample_class[i])]);
    EXPECT_EQ(data.labels[i], data.sample_class[i] == 0 ? 1 : -1);
    EXPECT_LT(std::ranges::max(data.tokens[i]), 64);
  }
  EXPECT_EQ(Task(data).samples(), 60);
}

TEST(CoOccurrence, ASeedMeansTheSameForEver) {
  const TaskData data = co_occurrence({}, 1);
  // Golden: a change of the stream, of the distribution or of the order of draws changes what every published seed
  // means.
  EXPECT_EQ(data.tokens[0], (Words{0, 1, 2, 49, 38}));
  EXPECT_EQ(data.tokens[1], (Words{0, 1, 2, 54, 57}));
  EXPECT_EQ(data.tokens[59], (Words{2, 16, 28, 59, 23}));
  EXPECT_EQ(co_occurrence({}, 1).tokens, data.tokens);
  EXPECT_NE(co_occurrence({}, 2).tokens, data.tokens);
}

TEST(CoOccurrence, UniformFillersAreUniform) {
  CoOccurrenceOptions options;
  options.samples = 6000;
  std::map<Index, double> counts;
  for (const Index word : fillers_of(co_occurrence(options, 1))) ++counts[word];
  ASSERT_EQ(counts.size(), 61U);
  const double expected = 16000.0 / 61;  // 3000 samples with 2 places, 2000 with 3, 1000 with 4
  double chi_square = 0;
  for (const auto& [word, count] : counts) chi_square += (count - expected) * (count - expected) / expected;
  // The 0.001 and 0.999 quantiles of chi-square with 60 degrees of freedom: too uneven, and too even to be random.
  EXPECT_GT(chi_square, 31.738);
  EXPECT_LT(chi_square, 99.607);
}

TEST(CoOccurrence, FillersDoNotDependOnTheSampleBefore) {
  CoOccurrenceOptions options;
  options.samples = 6000;
  const Words fillers = fillers_of(co_occurrence(options, 1));
  // Equal neighbours among 15999 pairs over 61 words: mean 262.3, standard deviation 16.1; four of these on either
  // side.
  const auto equal = std::transform_reduce(fillers.begin() + 1, fillers.end(), fillers.begin(), Index{0}, std::plus<>(),
                                           [](Index a, Index b) { return a == b ? 1 : 0; });
  EXPECT_NEAR(static_cast<double>(equal), 262.3, 64.4);
}

TEST(CoOccurrence, DistinctFillersNeverRepeatAndTakeEveryWordThereIs) {
  CoOccurrenceOptions options;
  options.fillers = Fillers::distinct;
  options.words = 163;  // exactly enough
  const TaskData data = co_occurrence(options, 1);
  const Words fillers = fillers_of(data);
  EXPECT_EQ(fillers.size(), 160U);
  EXPECT_EQ(std::set<Index>(fillers.begin(), fillers.end()).size(), 160U);
  EXPECT_EQ(co_occurrence(options, 2).tokens, data.tokens);
  options.words = 162;
  EXPECT_EQ(problems(options),
            std::vector<std::string>{
                "fillers: distinct fillers take 160 words beside the 3 that are targets, common or named by a class, "
                "so words >= 163; given words = 162; raise words, take fewer samples, or fillers = \"uniform\""});
}

TEST(CoOccurrence, WordsNamedAnywhereAreNoFillers) {
  CoOccurrenceOptions options;
  options.words = 10;
  options.samples = 300;
  options.targets = {4, 9};
  options.common = 0;
  options.classes = {{"with 7", {4, 7}, 1, {2, 3}}, {"without", {}, -1, {1, 3}}};
  const TaskData data = co_occurrence(options, 1);
  std::set<Index> seen;
  for (const Words& sample : data.tokens) seen.insert(sample.begin(), sample.end());
  EXPECT_EQ(seen, (std::set<Index>{1, 2, 3, 4, 5, 6, 7, 8}));  // neither 0 nor 9, and 4 and 7 only as named:
  for (std::size_t i = 0; i < 300; ++i)
    for (const Index word : {4, 7}) EXPECT_EQ(std::ranges::count(data.tokens[i], word), i < 200 ? 1 : 0);
}

TEST(CoOccurrence, WithoutACommonWordAndWithoutFillers) {
  CoOccurrenceOptions options;
  options.common.reset();
  EXPECT_EQ(paper_classes({5, 6}, {})[0].words, (Words{5, 6}));
  EXPECT_TRUE(paper_classes({5, 6}, {})[3].words.empty());
  options.words = 2;
  options.length = 2;
  options.samples = 2;
  options.classes = {{"both", {0, 1}, 1, {1, 1}}};
  EXPECT_EQ(co_occurrence(options, 1).tokens, (std::vector<Words>{{0, 1}, {0, 1}}));
}

TEST(CoOccurrence, FractionsAreExact) {
  CoOccurrenceOptions options;
  options.classes = {{"a", {0}, 1, {1, 10}}, {"b", {1}, -1, {2, 10}}, {"c", {2}, -1, {7, 10}}};  // 0.1 + 0.2 + 0.7 != 1
  EXPECT_EQ(class_sizes(co_occurrence(options, 1)), (std::map<Index, Index>{{0, 6}, {1, 12}, {2, 42}}));
  options.samples = 61;
  EXPECT_EQ(problems(options), std::vector<std::string>{
                                   "samples: every class must hold a whole number of samples, so their number must be "
                                   "a multiple of 10; given 61; the nearest are 60 and 70"});
  options.classes[2].fraction = {699'999'999'999, 1'000'000'000'000};
  EXPECT_EQ(problems(options)[0],
            "class: the fractions must sum to 1 exactly; 1/10 + 1/5 + 699999999999/1000000000000 = "
            "999999999999/1000000000000; write them as ratios, such as \"1/6\"");
}

TEST(CoOccurrence, NamesTheNearestSampleCounts) {
  CoOccurrenceOptions options;
  options.samples = 5;
  const std::string rule =
      "samples: every class must hold a whole number of samples, so their number must be a multiple of ";
  EXPECT_EQ(message_of([&] { co_occurrence(options, 1); }), rule + "6; given 5; the nearest is 6");
  options.samples = 59;
  EXPECT_EQ(message_of([&] { co_occurrence(options, 1); }), rule + "6; given 59; the nearest are 54 and 60");
  // Denominators whose common multiple is beyond 64 bits.
  constexpr Index huge = std::numeric_limits<Index>::max();
  options.classes = {{"a", {}, 1, {1, huge}}, {"b", {}, -1, {1, huge - 1}}};
  const std::vector<std::string> found = problems(options);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1], rule +
                          "85070591730234615838173535747377725442; given 59; the nearest is "
                          "85070591730234615838173535747377725442");
}

TEST(CoOccurrence, ReportsAllProblemsAtOnce) {
  CoOccurrenceOptions options;
  options.samples = 0;
  options.length = 2;
  options.targets = {0, 64};
  options.common = 0;
  options.classes = {{"a", {0, 0}, 2, {1, 3}}, {"a", {1, 2, 3}, 1, {2, 3}}, {"", {70}, 1, {0, 0}}};
  EXPECT_EQ(
      problems(options),
      (std::vector<std::string>{
          "targets: mu_65 is not in the vocabulary, which is mu_1 to mu_64; raise words or name another word",
          "common: mu_1 is a target already; name another word, or none", "samples: at least 1 is needed; given 0",
          "class \"a\": it names mu_1 twice; name each word once", "class \"a\": label must be 1 or -1; given 2",
          "class \"a\": two classes have this name; rename one",
          "class \"a\": it names 3 words, but length = 2; raise length or name fewer words",
          "class \"\": mu_71 is not in the vocabulary, which is mu_1 to mu_64", "class \"\": a class needs a name",
          "class \"\": fraction must lie above 0 and be at most 1; given 0/0"}));
  EXPECT_THROW(co_occurrence(options, 1), std::invalid_argument);
}

TEST(CoOccurrence, ThePapersClassesDoNotRepeatWhatIsWrongWithTheTargets) {
  CoOccurrenceOptions options;
  options.targets = {0, 0};
  options.length = 0;
  EXPECT_EQ(problems(options).size(), 6U);  // targets, length, and four classes that do not fit into 0 places
  options.length = 5;
  EXPECT_EQ(problems(options), std::vector<std::string>{"targets: the two words must differ; both are mu_1"});
}

TEST(CoOccurrence, ManyWordsAreCheckedWithoutBeingListed) {
  CoOccurrenceOptions options;
  options.words = options.samples = std::numeric_limits<Index>::max() - 1;  // a multiple of 6
  options.fillers = Fillers::distinct;
  EXPECT_EQ(problems(options).size(), 1U);  // 8/3 of a filler for each sample do not fit
  options.fillers = Fillers::uniform;
  EXPECT_TRUE(problems(options).empty());
  options.words = 3;
  EXPECT_EQ(problems(options),
            std::vector<std::string>{"fillers: they are drawn from the words beside the 3 that are targets, common or "
                                     "named by a class, so words >= 4; given words = 3; raise words"});
}

TEST(CoOccurrenceTestSamples, AreFreshSamplesOfTheSameDistribution) {
  const TaskData train = co_occurrence({}, 1), test = co_occurrence_test({}, 6000, 1);
  EXPECT_EQ(test.words, train.words);
  EXPECT_EQ(test.targets, train.targets);
  EXPECT_EQ(test.common, train.common);
  EXPECT_EQ(test.class_names, train.class_names);
  EXPECT_EQ(test.word_names, train.word_names);
  EXPECT_EQ(class_sizes(test), (std::map<Index, Index>{{0, 3000}, {1, 1000}, {2, 1000}, {3, 1000}}));
  const std::vector<Words> required{{0, 1, 2}, {0, 2}, {1, 2}, {2}};
  for (std::size_t i = 0; i < test.tokens.size(); ++i) {
    ASSERT_EQ(test.tokens[i].size(), 5U);
    const Words& words = required[static_cast<std::size_t>(test.sample_class[i])];
    EXPECT_TRUE(std::ranges::equal(words, std::span(test.tokens[i]).first(words.size())));
    EXPECT_EQ(test.labels[i], test.sample_class[i] == 0 ? 1 : -1);
  }
  const Words fillers = fillers_of(test);
  EXPECT_EQ(fillers.size(), 3000U * 2 + 2000U * 3 + 1000U * 4);
  for (Index word = 3; word < 64; ++word)  // 262 each: the standard deviation is 16
    EXPECT_NEAR(static_cast<double>(std::ranges::count(fillers, word)), 16000.0 / 61, 80) << word;
}

TEST(CoOccurrenceTestSamples, HaveAStreamOfTheirOwn) {
  CoOccurrenceOptions distinct;
  distinct.samples = 6;
  distinct.fillers = Fillers::distinct;
  CoOccurrenceOptions uniform = distinct;
  uniform.fillers = Fillers::uniform;
  const TaskData test = co_occurrence_test(uniform, 6, 1);
  EXPECT_NE(test.tokens, co_occurrence(uniform, 1).tokens);
  EXPECT_NE(test.tokens, co_occurrence_test(uniform, 6, 2).tokens);
  EXPECT_EQ(test.tokens, co_occurrence_test(distinct, 6, 1).tokens);  // whatever the training set's fillers are
  uniform.samples = 60;
  EXPECT_EQ(test.tokens, co_occurrence_test(uniform, 6, 1).tokens);  // and however many samples it has
  // Golden, as the training set's.
  EXPECT_EQ(test.tokens[0], (Words{0, 1, 2, 14, 53}));
}

TEST(CoOccurrenceTestSamples, ClassesShareByTheirLargestRemainders) {
  const auto sizes = [](Index samples) { return class_sizes(co_occurrence_test({}, samples, 1)); };
  using Sizes = std::map<Index, Index>;
  EXPECT_EQ(sizes(1), (Sizes{{0, 1}}));                          // 1/2, 1/6, 1/6, 1/6
  EXPECT_EQ(sizes(2), (Sizes{{0, 1}, {1, 1}}));                  // 1, 1/3, 1/3, 1/3: the first of equals
  EXPECT_EQ(sizes(4), (Sizes{{0, 2}, {1, 1}, {2, 1}}));          // 2, 2/3, 2/3, 2/3
  EXPECT_EQ(sizes(5), (Sizes{{0, 2}, {1, 1}, {2, 1}, {3, 1}}));  // 5/2, 5/6, 5/6, 5/6
  EXPECT_EQ(sizes(61), (Sizes{{0, 31}, {1, 10}, {2, 10}, {3, 10}}));
  EXPECT_EQ(message_of([] { co_occurrence_test({}, 0, 1); }), "test samples: at least 1 is needed; given 0");
  CoOccurrenceOptions wrong;
  wrong.samples = 61;
  EXPECT_EQ(message_of([&] { co_occurrence_test(wrong, 6, 1); }), message_of([&] { co_occurrence(wrong, 1); }));
}

}  // namespace
}  // namespace gradflow
