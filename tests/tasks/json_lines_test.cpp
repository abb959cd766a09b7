#include <gtest/gtest.h>

#include <algorithm>
#include <gradflow/tasks/json_lines.hpp>

#include "message_of.hpp"

namespace gradflow {
namespace {

using tests::message_of;
using Words = std::vector<Index>;

TaskData read(std::string_view text) { return from_json_lines(text, "a.jsonl", 64, {0, 1}, 2); }

std::string refusal(std::string_view text) {
  return message_of([&] { read(text); });
}

TEST(JsonLines, ReadsRaggedSamplesWithRepeatedWords) {
  const TaskData data = read(
      "\xEF\xBB\xBF\n{\"tokens\": [1, 0, 2, 63, 63], \"label\": 1}\r\n\r\n"
      "  { \"label\" : -1 , \"tokens\" : [ 2 ] }  \n\t\n{\"tokens\":[0,0,2],\"label\":-1}");
  EXPECT_EQ(data.words, 64);
  EXPECT_EQ(data.tokens, (std::vector<Words>{{1, 0, 2, 63, 63}, {2}, {0, 0, 2}}));
  EXPECT_EQ(data.labels, (std::vector<int>{1, -1, -1}));
  EXPECT_EQ(data.common, 2);
  EXPECT_EQ(data.class_names, (std::vector<std::string>{"I1", "I2", "I3", "I4"}));
  EXPECT_EQ(data.sample_class, (Words{0, 3, 1}));
  EXPECT_EQ(data.word_names[63], "mu_64");
  EXPECT_EQ(Task(data).samples(), 3);
}

TEST(JsonLines, NamesFileAndLineOfEachProblem) {
  const std::string token = "must be a word's number, an integer from 0 to 63 (words = 64); given ";
  EXPECT_EQ(refusal("\n{\"tokens\": [1, 64], \"label\": 1}\n{\"tokens\": [-1], \"label\": 1}\r\n"
                    "{\"tokens\": [1.0], \"label\": 1}\n{\"tokens\": [18446744073709551616], \"label\": 1}\n"
                    "{\"tokens\": [18446744073709551615], \"label\": 1}\n{\"tokens\": [\"1\"], \"label\": 1}\n"
                    "{\"tokens\": [[1]], \"label\": 1}"),
            "a.jsonl:2: tokens[1] " + token +
                "64; tokens are numbered from 0\n"
                "a.jsonl:3: tokens[0] " +
                token +
                "-1; tokens are numbered from 0\n"
                "a.jsonl:4: tokens[0] " +
                token +
                "1.0; tokens are numbered from 0\n"
                "a.jsonl:5: tokens[0] " +
                token +
                "1.8446744073709552e+19; tokens are numbered from 0\n"
                "a.jsonl:6: tokens[0] " +
                token +
                "18446744073709551615; tokens are numbered from 0\n"
                "a.jsonl:7: tokens[0] " +
                token +
                "\"1\"; tokens are numbered from 0\n"
                "a.jsonl:8: tokens[0] " +
                token + "an array; tokens are numbered from 0");
}

TEST(JsonLines, RefusesWrongKeysAndTypes) {
  EXPECT_EQ(refusal("{\"tokens\": [1], \"lable\": 1}"),
            "a.jsonl:1: unknown key \"lable\"; only \"tokens\" and \"label\" are known; remove it");
  EXPECT_EQ(refusal("{\"tokens\": [1]}"),
            "a.jsonl:1: the key \"label\" is missing; a sample needs \"tokens\" and \"label\"");
  EXPECT_EQ(refusal("{\"label\": 1}"),
            "a.jsonl:1: the key \"tokens\" is missing; a sample needs \"tokens\" and \"label\"");
  EXPECT_EQ(refusal("{\"tokens\": [1], \"label\": 1, \"tokens\": [2]}"),
            "a.jsonl:1: the key \"tokens\" stands twice; keep one");
  EXPECT_EQ(refusal("{\"tokens\": {}, \"label\": 1}"),
            "a.jsonl:1: tokens must be an array of integers; given an object");
  EXPECT_EQ(refusal("{\"tokens\": [], \"label\": 1}"),
            "a.jsonl:1: tokens is empty; a sample needs at least one token; remove the line");
  EXPECT_EQ(refusal("[1, 2]"), "a.jsonl:1: a sample is written {\"tokens\": [0, 1, 7], \"label\": 1}; given an array");
  for (const std::string label : {"0", "true", "1.0", "\"1\"", "null", "2"})
    EXPECT_EQ(refusal("{\"tokens\": [1], \"label\": " + label + "}"),
              "a.jsonl:1: label must be 1 or -1; given " + label);
}

TEST(JsonLines, RefusesBrokenText) {
  EXPECT_EQ(refusal("{\"tokens\": [1], \"label\": 1"),
            "a.jsonl:1: not valid JSON: column 27: syntax error while parsing object - unexpected end of input; "
            "expected '}'; a sample is written {\"tokens\": [0, 1, 7], \"label\": 1}, on one line");
  EXPECT_EQ(refusal("{\"tokens\": [1], \"label\": 1e400}"),
            "a.jsonl:1: not valid JSON: number overflow parsing '1e400'; a sample is written {\"tokens\": [0, 1, 7], "
            "\"label\": 1}, on one line");
  EXPECT_EQ(refusal("{\"tokens\": [1], \"label\": 1}\n{\"\xE9\": 1}"),
            "a.jsonl:2: the text must be UTF-8; byte 30 (from 0) is 0xE9, which is not; convert it, for example with "
            "iconv -f LATIN1 -t UTF-8");
  EXPECT_EQ(refusal("\n \n"),
            "a.jsonl: there are no samples; write one to a line, {\"tokens\": [0, 1, 7], \"label\": 1}");
  EXPECT_EQ(refusal(""), refusal("\n \n"));
}

TEST(JsonLines, MessagesStayShortWhateverIsGiven) {
  const std::string deep(200'000, '['), digits(200'000, '9');
  EXPECT_LT(refusal("{\"tokens\": " + deep + ", \"label\": 1}").size(), 400U);
  EXPECT_LT(refusal("{\"tokens\": " + deep + std::string(200'000, ']') + ", \"label\": 1}").size(), 400U);
  EXPECT_LT(refusal("{\"tokens\": [" + digits + "], \"label\": 1}").size(), 400U);
  EXPECT_LT(refusal("{\"" + digits + "\": 1}").size(), 400U);
  // A quotation is cut between characters, so a message is UTF-8 like the text: 59 bytes, then characters of two.
  std::string accents;
  for (int k = 0; k < 100; ++k) accents += "\u00E9";
  EXPECT_EQ(refusal("{\"a" + accents + "\": 1}").find("unknown key \"a" + accents.substr(0, 58) + "...\""),
            std::string("a.jsonl:1: ").size());
}

TEST(JsonLines, RefusesALineThatWouldTakeTheMemory) {
  const std::string sample = "{\"tokens\": [1], \"label\": 1}\n";
  EXPECT_EQ(refusal(sample + std::string((std::size_t{1} << 26) + 1, ' ') + "1"),
            "a.jsonl:2: a line may have 67108864 bytes; this one has 67108866; write one sample to a line");
}

TEST(JsonLines, StopsAfterTenProblems) {
  std::string text;
  for (int k = 0; k < 12; ++k) text += "{}\n";
  const std::string message = refusal(text);
  EXPECT_EQ(std::ranges::count(message, '\n'), 10);
  EXPECT_TRUE(message.ends_with("\na.jsonl: reading ended after 10 problems; later lines may hold more")) << message;
}

TEST(JsonLines, RefusesSpecialWordsOutsideTheVocabulary) {
  EXPECT_EQ(message_of([] {
              from_json_lines("{}", "a.jsonl", 2, {0, 1}, 2);
            }),
            "common: mu_3 is not in the vocabulary, which is mu_1 to mu_2; raise words or name another word");
}

}  // namespace
}  // namespace gradflow
