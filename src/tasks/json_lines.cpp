#include <fmt/format.h>

#include <algorithm>
#include <gradflow/tasks/classify.hpp>
#include <gradflow/tasks/json_lines.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

#include "checks.hpp"
#include "utf8.hpp"

namespace gradflow {
namespace {

using nlohmann::json;

constexpr std::size_t largest_line = std::size_t{1} << 26;  // parsed, it takes up to ten times the memory

struct Sample {
  std::vector<Index> tokens;
  int label = 0;
};

[[noreturn]] void fail(const std::string& what) { throw std::invalid_argument(what); }

/// A value as the message quotes it. An array or object only by its kind: it may be of any size and depth.
std::string quoted(const json& value) {
  if (value.is_structured()) return fmt::format("an {}", value.type_name());
  return shortened(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

/// Parses one line. The parser itself takes the last of equal keys without a word, which would drop data.
json parse_object(std::string_view line) {
  std::set<std::string> keys;
  const auto refuse_duplicates = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second)
      fail(fmt::format("the key \"{}\" stands twice; keep one", shortened(parsed.get<std::string>())));
    return true;
  };
  json object;
  try {
    object = json::parse(line, refuse_duplicates);
  } catch (const json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 9: syntax ...": that line is counted within our
    // line.
    std::string_view what = error.what();
    what.remove_prefix(std::min(what.find("] ") + 2, what.size()));
    constexpr std::string_view position = "parse error at line 1, ";
    if (what.starts_with(position)) what.remove_prefix(position.size());
    fail(fmt::format("not valid JSON: {}; a sample is written {{\"tokens\": [0, 1, 7], \"label\": 1}}, on one line",
                     shortened(what, 200)));
  }
  if (!object.is_object())
    fail(fmt::format("a sample is written {{\"tokens\": [0, 1, 7], \"label\": 1}}; given {}", quoted(object)));
  return object;
}

const json& value_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end())
    fail(fmt::format("the key \"{}\" is missing; a sample needs \"tokens\" and \"label\"", key));
  return *found;
}

Index token_of(const json& value, std::size_t position, Index words) {
  // Unsigned is the parser's type for everything from 0 to 2^64 - 1; what is larger becomes a floating-point number.
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(words))
    fail(
        fmt::format("tokens[{}] must be a word's number, an integer from 0 to {} (words = {}); given {}; tokens are "
                    "numbered from 0",
                    position, words - 1, words, quoted(value)));
  return value.get<Index>();
}

Sample parse_sample(std::string_view line, Index words) {
  if (line.size() > largest_line)
    fail(fmt::format("a line may have {} bytes; this one has {}; write one sample to a line", largest_line,
                     line.size()));
  const json object = parse_object(line);
  for (const auto& [key, value] : object.items())
    if (key != "tokens" && key != "label")
      fail(fmt::format("unknown key \"{}\"; only \"tokens\" and \"label\" are known; remove it", shortened(key)));

  const json& tokens = value_of(object, "tokens");
  if (!tokens.is_array()) fail(fmt::format("tokens must be an array of integers; given {}", quoted(tokens)));
  if (tokens.empty()) fail("tokens is empty; a sample needs at least one token; remove the line");
  Sample sample;
  for (const json& token : tokens) sample.tokens.push_back(token_of(token, sample.tokens.size(), words));

  const json& label = value_of(object, "label");
  if (!label.is_number_integer() || (label != 1 && label != -1))
    fail(fmt::format("label must be 1 or -1; given {}", quoted(label)));
  sample.label = label.get<int>();
  return sample;
}

}  // namespace

TaskData from_json_lines(std::string_view text, std::string_view name, Index words, const std::array<Index, 2>& targets,
                         const std::optional<Index>& common) {
  constexpr std::size_t reported = 10;
  throw_if_any(vocabulary_problems(words, targets, common));
  require_utf8(text, name);
  TaskData data;
  data.words = words;
  data.targets = targets;
  data.common = common;

  std::vector<std::string> problems;
  text = without_byte_order_mark(text);
  for (std::size_t number = 1; !text.empty() && problems.size() < reported; ++number) {
    const std::string_view line = take_line(text);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    try {
      Sample sample = parse_sample(line, words);
      data.tokens.push_back(std::move(sample.tokens));
      data.labels.push_back(sample.label);
    } catch (const std::invalid_argument& problem) {
      problems.push_back(fmt::format("{}:{}: {}", name, number, problem.what()));
    }
  }
  if (problems.size() == reported && !text.empty())
    problems.push_back(fmt::format("{}: reading ended after {} problems; later lines may hold more", name, reported));
  if (problems.empty() && data.tokens.empty())
    problems.push_back(
        fmt::format("{}: there are no samples; write one to a line, {{\"tokens\": [0, 1, 7], \"label\": 1}}", name));
  throw_if_any(problems);

  data.word_names = default_word_names(words);
  classify(data);
  return data;
}

}  // namespace gradflow
