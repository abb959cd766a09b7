#include "experiment/settings_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <tuple>
#include <utility>

namespace gradflow::settings {
namespace {

// A line or a value longer than this is cut: a message is read on a terminal.
constexpr std::size_t longest_shown = 100;

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

}  // namespace

Report::Report(std::string file, std::string_view text) : file_(std::move(file)) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) lines_.push_back(line);
}

bool Report::sound(std::string_view key) const {
  return std::none_of(problems_.begin(), problems_.end(), [&](const Problem& problem) {
    if (!problem.key.starts_with(key)) return false;
    return problem.key.size() == key.size() || problem.key[key.size()] == '.' || problem.key[key.size()] == '[';
  });
}

Place Report::nearest_place(std::string key) const {
  while (!key.empty()) {
    if (const auto found = places_.find(key); found != places_.end()) return found->second;
    const auto cut = key.find_last_of(".[");
    key.erase(cut == std::string::npos ? 0 : cut);
  }
  return {};
}

std::string Report::position(const Place& place) const {
  if (!place.override_name.empty()) return place.override_name;
  return fmt::format("{}:{}:{}", file_, place.line, place.column);
}

std::string Report::excerpt(const Place& place) const {
  if (const auto found = overrides_.find(place.override_name); found != overrides_.end())
    return "--set " + shown(found->second.text);
  if (!place.override_name.empty() || place.line > lines_.size()) return {};
  return shown(trimmed(lines_[place.line - 1]));
}

void Report::problem(const std::string& key, const std::string& what, const std::string& advice) {
  problem_at(nearest_place(key), key, what, advice);
}

void Report::problem_at(const Place& place, const std::string& key, const std::string& what,
                        const std::string& advice) {
  std::string message = position(place) + ": ";
  if (!key.empty()) message += fmt::format("key '{}': ", shown(key));
  message += what;
  if (const auto line = excerpt(place); !line.empty()) message += "\n    " + line;
  if (!advice.empty()) message += "\n  " + advice;
  if (const auto found = overrides_.find(place.override_name); found != overrides_.end() && !found->second.note.empty())
    message += "\n  " + found->second.note;
  problems_.push_back({place, key, message});
}

std::vector<std::string> Report::messages() const {
  auto sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    const auto order = [](const Place& place) {
      return std::tuple(!place.override_name.empty(), place.line, place.column);
    };
    return order(a.place) < order(b.place);
  });
  std::vector<std::string> messages;
  messages.reserve(sorted.size());
  for (const auto& problem : sorted) messages.push_back(problem.message);
  return messages;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before = std::exchange(previous, current);
  }
  return previous[b.size()];
}

std::string shown(std::string_view text) {
  std::size_t end = std::min(text.size(), longest_shown);
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;  // never inside a UTF-8 character
  std::string result;
  for (const char c : text.substr(0, end)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return end < text.size() ? result + "..." : result;
}

}  // namespace gradflow::settings
