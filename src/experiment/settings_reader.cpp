#include "experiment/settings_reader.hpp"

#include <fmt/format.h>

#include <limits>

#include "experiment/settings_values.hpp"

namespace gradflow::settings {
namespace {

std::string last_part(const std::string& path) { return path.substr(path.find_last_of('.') + 1); }

std::string without_positions(std::string path) {
  for (auto open = path.find('['); open != std::string::npos; open = path.find('['))
    path.erase(open, path.find(']', open) - open + 1);
  return path;
}

}  // namespace

Place place_of(const toml::source_region& source) {
  Place place{.line = source.begin.line, .column = source.begin.column};
  if (source.path && source.path->starts_with("--set ")) place.override_name = *source.path;
  return place;
}

void KeyNames::value(const char* key, Value, const Rule&) { add(key); }

void KeyNames::section(const char* key, const Body& body, const std::vector<std::pair<std::string, Body>>& others) {
  add(key);
  KeyNames inside(path_ + key + ".", names_);
  body(inside);
  for (const auto& other : others) other.second(inside);
}

bool KeyNames::present(const char* key, bool) { return add(key), true; }

std::size_t KeyNames::items(const char* key, std::size_t) { return add(key), 1; }

void KeyNames::item(const char* key, std::size_t, const Body& body) {
  KeyNames inside(path_ + key + ".", names_);
  body(inside);
}

const toml::node* Reader::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  const auto found = table_.find(key);
  if (found == table_.end()) return nullptr;
  report_.locate(path_ + key, place_of(found->second.source()));
  return &found->second;
}

void Reader::value(const char* key, Value target, const Rule& rule) {
  const auto* node = find(key);
  const auto name = path_ + key;
  if (node == nullptr && rule.required)
    report_.problem(name, kind_.empty() ? "is missing" : "is missing, and kind " + toml_text(kind_) + " needs it",
                    fmt::format("Give {} = {}.", name, expectation(target, rule)));
  if (node != nullptr) {
    const auto unless_given = std::visit([](const auto* value) { return toml_text(*value); }, target);
    const auto way_out = rule.required      ? "Correct it."
                         : optional_ == key ? "Correct it, or leave the key out."
                                            : fmt::format("Correct it, or leave the key out for {}.", unless_given);
    if (auto fault = take(*node, target, rule)) {
      const auto separate = [](const std::string& text) { return text.empty() ? "" : text + " "; };
      report_.problem(name, fault.what, separate(rule.why) + separate(fault.advice) + way_out);
    }
  }
  if (std::string_view(key) == "kind")
    if (const auto* text = std::get_if<std::string*>(&target)) kind_ = **text;
}

void Reader::section(const char* key, const Body& body, const std::vector<std::pair<std::string, Body>>& others) {
  static const toml::table nothing;
  const auto* node = find(key);
  const auto name = path_ + key;
  if (node != nullptr && !node->is_table()) {
    report_.problem(name, "must be a table, but is " + typed(*node),
                    fmt::format("Write [{}] on a line of its own and its keys below it.", name));
    return;
  }
  Reader inside(node == nullptr ? nothing : *node->as_table(), name + ".", all_names_, report_);
  body(inside);
  inside.finish(others);
}

bool Reader::present(const char* key, bool) {
  optional_ = key;
  return find(key) != nullptr;
}

std::size_t Reader::items(const char* key, std::size_t) {
  const auto* node = find(key);
  if (node == nullptr) return 0;
  const auto* array = node->as_array();
  if (array != nullptr) return array->size();
  report_.problem(path_ + key, "must be an array of tables, but is " + typed(*node),
                  fmt::format("Write [[{}]] above each of them.", path_ + key));
  return 0;
}

void Reader::item(const char* key, std::size_t index, const Body& body) {
  const auto& node = (*table_.find(key)->second.as_array())[index];
  const auto name = fmt::format("{}{}[{}]", path_, key, index + 1);
  report_.locate(name, place_of(node.source()));
  if (!node.is_table()) {
    report_.problem(name, "must be a table, but is " + typed(node),
                    fmt::format("Write [[{}]] above its keys.", path_ + key));
    return;
  }
  Reader inside(*node.as_table(), name + ".", all_names_, report_);
  body(inside);
  inside.finish({});
}

void Reader::position(std::string& where) { where = report_.position(path_.substr(0, path_.size() - 1)); }

void Reader::finish(const std::vector<std::pair<std::string, Body>>& others) {
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    std::vector<std::string> owners;
    for (const auto& [kind, body] : others) {
      std::vector<std::string> theirs;
      KeyNames keys("", theirs);
      body(keys);
      if (std::find(theirs.begin(), theirs.end(), name) != theirs.end()) owners.push_back(kind);
    }
    if (owners.empty()) {
      report_unknown(key);
    } else if (report_.sound(path_ + "kind")) {  // else nobody knows which kind was meant
      report_.problem_at(place_of(key.source()), path_ + name,
                         fmt::format("belongs to kind {}, but the kind is {}", quoted_list(owners), toml_text(kind_)),
                         fmt::format("Leave it out, or set {}kind to {}.", path_, quoted_list(owners)));
    }
  }
}

void Reader::report_unknown(const toml::key& key) {
  const std::string name(key.str());
  const auto here = without_positions(path_);
  std::string nearest, valid;
  std::size_t smallest = std::numeric_limits<std::size_t>::max();
  const auto consider = [&](const std::string& candidate, std::size_t distance) {
    if (distance < smallest) {
      nearest = candidate;
      smallest = distance;
    }
  };
  for (const auto& own : known_) {
    consider(path_ + own, edit_distance(name, own));
    valid += (valid.empty() ? "" : ", ") + own;
  }
  // A key of another table only where it is spelled alike: it stands in the wrong place.
  for (const auto& candidate : all_names_)
    if ((here.empty() ? candidate.find('.') != std::string::npos : !candidate.starts_with(here)) &&
        last_part(candidate) == name)
      consider(candidate, 0);
  const auto table = here.empty() ? "Valid at the top" : fmt::format("Valid in [{}]", here.substr(0, here.size() - 1));
  report_.problem_at(place_of(key.source()), path_ + name, "is not a setting",
                     fmt::format("The nearest valid key is '{}'. {}: {}.", nearest, table, valid));
}

}  // namespace gradflow::settings
