#pragma once
#include <toml++/toml.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiment/settings_keys.hpp"
#include "experiment/settings_report.hpp"

namespace gradflow::settings {

/// The TOML text with every --set applied to it, in their order. What is malformed goes to the report; text that is no
/// TOML gives nothing.
std::optional<toml::table> parse_with_overrides(std::string_view text, const std::string& file,
                                                const std::vector<Override>& overrides, Report& report);

/// Where something stands, as toml++ says it.
Place place_of(const toml::source_region& source);

/// The full name of every key that a description knows, those of all kinds included.
class KeyNames : public Keys {
 public:
  KeyNames(std::string path, std::vector<std::string>& names) : path_(std::move(path)), names_(names) {}
  void value(const char* key, Value target, const Rule& rule) override;
  void section(const char* key, const Body& body, const std::vector<std::pair<std::string, Body>>& others) override;
  bool present(const char* key, bool has_value) override;
  std::size_t items(const char* key, std::size_t current) override;
  void item(const char* key, std::size_t index, const Body& body) override;
  void position(std::string&) override {}

 private:
  void add(const std::string& key) { names_.push_back(path_ + key); }
  std::string path_;  // "" or "solver."
  std::vector<std::string>& names_;
};

/// Reads one TOML table. A key with a problem goes to the report and leaves its target as it was.
class Reader : public Keys {
 public:
  /// `path` is "" or "solver."; `all_names` are the valid keys of the whole file.
  Reader(const toml::table& table, std::string path, const std::vector<std::string>& all_names, Report& report)
      : table_(table), path_(std::move(path)), all_names_(all_names), report_(report) {}

  void value(const char* key, Value target, const Rule& rule) override;
  void section(const char* key, const Body& body, const std::vector<std::pair<std::string, Body>>& others) override;
  bool present(const char* key, bool has_value) override;
  std::size_t items(const char* key, std::size_t current) override;
  void item(const char* key, std::size_t index, const Body& body) override;
  void position(std::string& where) override;

  /// Reports the keys that nobody asked for.
  void finish(const std::vector<std::pair<std::string, Body>>& others);

 private:
  const toml::node* find(const std::string& key);
  void report_unknown(const toml::key& key);

  const toml::table& table_;
  std::string path_;
  const std::vector<std::string>& all_names_;
  Report& report_;
  std::vector<std::string> known_;
  std::string optional_;  // the last key that was asked for and may be absent
  std::string kind_;      // the value of the key `kind`, once it is read
};

}  // namespace gradflow::settings
