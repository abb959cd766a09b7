#include <fmt/format.h>

#include <algorithm>

#include "experiment/settings_reader.hpp"

namespace gradflow::settings {
namespace {

std::vector<std::string> parts_of(const std::string& key) {
  std::vector<std::string> parts{""};
  for (const char c : key)
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

bool is_bare(const std::string& part) {
  return !part.empty() && part.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
                              std::string::npos;
}

// Whether the table holds the one dotted key and nothing beside it: "1\nother = 2" is a string, not two settings.
bool only_holds(const toml::table& table, const std::vector<std::string>& parts) {
  const auto* level = &table;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (level->size() != 1 || !level->contains(parts[i])) return false;
    if (i + 1 < parts.size()) level = level->get(parts[i])->as_table();
  }
  return true;
}

toml::table parse_override(const Override& setting, const std::vector<std::string>& parts, const std::string& name,
                           Report& report) {
  const auto& [key, value] = setting;
  try {
    auto table = toml::parse(std::string_view(key + " = " + value), std::string_view(name));
    if (only_holds(table, parts)) return table;
  } catch (const toml::parse_error& error) {  // not a TOML value, hence a string
    if (!value.empty() && std::string_view("[{\"'").find(value.front()) != std::string_view::npos)
      report.add_note(name, fmt::format("It was taken as a string, because as a TOML value: {}.", error.description()));
  }
  return toml::parse(std::string_view(key + " = " + toml_text(value)), std::string_view(name));
}

// Moves the one value of `from` to its place in `to`; moving keeps toml++'s note of where it came from, copying would
// not.
void move_into(toml::table& to, toml::table& from, const std::vector<std::string>& parts, const Place& place,
               Report& report) {
  auto* target = &to;
  auto* source = &from;
  std::string path;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto moved = source->find(parts[i]);
    if (i + 1 == parts.size() || !target->contains(parts[i])) {
      target->erase(parts[i]);  // with its key, which notes where it stood
      target->insert(moved->first, std::move(moved->second));
      return;
    }
    path += (i == 0 ? "" : ".") + parts[i];
    source = moved->second.as_table();
    target = target->get(parts[i])->as_table();
    if (target == nullptr) {
      report.problem_at(place, path, "is not a table, so nothing inside it can be set",
                        fmt::format("Give all of it: --set {}=...", path));
      return;
    }
  }
}

}  // namespace

std::optional<toml::table> parse_with_overrides(std::string_view text, const std::string& file,
                                                const std::vector<Override>& overrides, Report& report) {
  bool readable = true;
  toml::table table;
  try {
    table = toml::parse(text, std::string_view(file));
  } catch (const toml::parse_error& error) {
    report.problem_at(place_of(error.source()), "", "is not TOML: " + std::string(error.description()),
                      "Correct the line; nothing else in the file could be checked.");
    readable = false;
  }
  for (const auto& setting : overrides) {
    const auto& [key, value] = setting;
    const Place place{.override_name = "--set " + shown(key)};
    const auto parts = parts_of(key);
    report.add_override(place.override_name, fmt::format("{}={}", key, value));
    if (!std::all_of(parts.begin(), parts.end(), is_bare)) {
      report.problem_at(place, key, "is not the name of a key",
                        "Write --set section.key=value, such as --set solver.rtol=1e-6.");
      continue;
    }
    try {
      auto from = parse_override(setting, parts, place.override_name, report);
      move_into(table, from, parts, place, report);
    } catch (const toml::parse_error& error) {
      report.problem_at(place, key, "has a value that no TOML string can hold: " + std::string(error.description()),
                        "Use UTF-8 text.");
    }
  }
  if (!readable) return std::nullopt;
  return table;
}

}  // namespace gradflow::settings
