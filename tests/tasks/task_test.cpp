#include <gtest/gtest.h>

#include <algorithm>
#include <gradflow/tasks/classify.hpp>
#include <gradflow/tasks/task.hpp>

#include "message_of.hpp"

namespace gradflow {
namespace {

using tests::message_of;
using Words = std::vector<Index>;

Words listed(std::span<const Index> values) { return {values.begin(), values.end()}; }

/// Two samples over five words, ragged, one with a repeated word.
TaskData small() {
  TaskData data;
  data.words = 5;
  data.tokens = {{4, 0, 1, 4, 4}, {2, 0}};
  data.labels = {1, -1};
  return data;
}

TEST(Task, BagsCountRepeatedWordsOfRaggedSamples) {
  const Task task(small());
  EXPECT_EQ(task.samples(), 2);
  EXPECT_EQ(task.words(), 5);
  EXPECT_EQ(listed(task.bag(0).words), (Words{0, 1, 4}));
  EXPECT_EQ(listed(task.bag(0).counts), (Words{1, 1, 3}));
  EXPECT_EQ(listed(task.bag(1).words), (Words{0, 2}));
  EXPECT_EQ(listed(task.bag(1).counts), (Words{1, 1}));
  EXPECT_EQ(task.bag(1).size(), 2);
  EXPECT_EQ(listed(task.used_words()), (Words{0, 1, 2, 4}));
  EXPECT_EQ(task.label(0), 1);
  EXPECT_EQ(task.label(1), -1);
}

TEST(Task, OrderOfTokensMeansNothing) {
  TaskData data = small();
  std::ranges::sort(data.tokens[0]);
  do {
    const Task task(data);
    ASSERT_EQ(listed(task.bag(0).words), (Words{0, 1, 4}));
    ASSERT_EQ(listed(task.bag(0).counts), (Words{1, 1, 3}));
  } while (std::ranges::next_permutation(data.tokens[0]).found);
}

TEST(Task, ACopyKeepsItsOwnBags) {
  const Task copy = [] { return Task(Task(small())); }();
  EXPECT_EQ(listed(copy.bag(0).counts), (Words{1, 1, 3}));
}

TEST(Task, FillsInNamesAndClassesThatAreNotGiven) {
  const Task task(small());
  EXPECT_EQ(task.data().word_names, (std::vector<std::string>{"mu_1", "mu_2", "mu_3", "mu_4", "mu_5"}));
  EXPECT_EQ(task.classes(), 4);
  EXPECT_EQ(task.class_of(0), 0);
  EXPECT_EQ(task.class_of(1), 1);
}

TEST(Task, RefusesWrongSamplesByNumber) {
  const auto refused = [](auto change) {
    TaskData data = small();
    classify(data);
    change(data);
    return message_of([&] { Task{data}; });
  };
  EXPECT_EQ(refused([](TaskData& data) {
              data.tokens[1] = {0, 5};
            }),
            "sample 1 (from 0): token 5 is not in the vocabulary, 0 to 4; tokens are numbered from 0");
  EXPECT_EQ(refused([](TaskData& data) { data.tokens[0] = {-1}; }),
            "sample 0 (from 0): token -1 is not in the vocabulary, 0 to 4; tokens are numbered from 0");
  EXPECT_EQ(refused([](TaskData& data) { data.tokens[1].clear(); }),
            "sample 1 (from 0): it has no tokens; leave it out");
  EXPECT_EQ(refused([](TaskData& data) { data.labels[1] = 0; }), "sample 1 (from 0): a label must be 1 or -1; given 0");
  EXPECT_EQ(refused([](TaskData& data) { data.sample_class[1] = 4; }),
            "sample 1 (from 0): class 4 does not exist; there are 4 class names");
  EXPECT_EQ(refused([](TaskData& data) { data.labels.pop_back(); }),
            "labels: one entry for each sample is needed, 2 in all; given 1");
  EXPECT_EQ(refused([](TaskData& data) { data.sample_class.push_back(0); }),
            "sample_class: one entry for each sample is needed, 2 in all; given 3");
  EXPECT_EQ(refused([](TaskData& data) { data.word_names = {"a"}; }),
            "word_names: one entry for each word is needed, 5 in all; given 1");
  EXPECT_EQ(refused([](TaskData& data) { data = TaskData{}, data.words = 2; }),
            "tokens: there are no samples; a task needs at least one");
}

TEST(Task, RefusesWrongSpecialWords) {
  const auto refused = [](std::array<Index, 2> targets, std::optional<Index> common) {
    TaskData data = small();
    data.targets = targets;
    data.common = common;
    return message_of([&] { Task{data}; });
  };
  EXPECT_EQ(refused({0, 5}, 6),
            "targets: mu_6 is not in the vocabulary, which is mu_1 to mu_5; raise words or name another word\n"
            "common: mu_7 is not in the vocabulary, which is mu_1 to mu_5; raise words or name another word");
  EXPECT_EQ(refused({-1, 1}, {}),
            "targets: mu_0 is not in the vocabulary, which is mu_1 to mu_5; raise words or name another word");
  EXPECT_EQ(refused({3, 3}, {}), "targets: the two words must differ; both are mu_4");
  EXPECT_EQ(refused({0, 1}, 1), "common: mu_2 is a target already; name another word, or none");
}

TEST(Task, RefusesAVocabularyWithoutRoomForTheTargets) {
  TaskData data = small();
  data.words = -7;
  EXPECT_EQ(message_of([&] { Task{data}; }),
            "words: the vocabulary must hold the two targets, so words >= 2; given -7");
}

TEST(Classify, ReadsClassesOffContent) {
  TaskData data;
  data.tokens = {{7, 3, 5}, {3, 5, 3}, {5, 7}, {5, 9}};
  data.targets = {3, 7};
  data.common = 5;
  classify(data);
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"I1", "I2", "I3", "I4"}));
  EXPECT_EQ(data.sample_class, (Words{0, 1, 2, 3}));
}

TEST(Classify, SamplesWithoutTheCommonWordAreOther) {
  TaskData data;
  data.tokens = {{0, 1}, {0, 2}, {9}};
  data.common = 2;
  classify(data);
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"I1", "I2", "I3", "I4", "other"}));
  EXPECT_EQ(data.sample_class, (Words{4, 1, 4}));
  data.common.reset();
  classify(data);  // a second time replaces the first
  EXPECT_EQ(data.class_names.size(), 4U);
  EXPECT_EQ(data.sample_class, (Words{0, 1, 3}));
}

}  // namespace
}  // namespace gradflow
