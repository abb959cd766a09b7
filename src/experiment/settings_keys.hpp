#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gradflow/experiment/settings.hpp"

namespace gradflow::settings {

/// What a value must satisfy beyond its type; in a list, what each of its elements must.
struct Rule {
  std::string text{};                   ///< after "must be a number": "> 0"
  std::function<bool(double)> holds{};  ///< of a number; never asked about NaN and infinities, which are always refused
  std::vector<std::string> names{};     ///< of a string: the names to choose from, if not free
  std::size_t size = 0, min_size = 0;   ///< of a list: its exact (where not 0) and its smallest size
  bool required = false;                ///< there is no default
  std::string why{};                    ///< a reason to show with the message
  Rule needed() && { return required = true, std::move(*this); }
  Rule because(std::string reason) && { return why = std::move(reason), std::move(*this); }
  Rule exactly(std::size_t count) && { return size = count, std::move(*this); }
  Rule with_at_least_one() && { return min_size = 1, std::move(*this); }
};

Rule above(double low);                 ///< > low
Rule at_least(double low);              ///< >= low
Rule from_to(double low, double high);  ///< closed interval
Rule inside(double low, double high);   ///< open interval
Rule from_to(std::int64_t low, std::int64_t high);
Rule one_of(std::vector<std::string> names);

/// A positive rational number in lowest terms.
struct Fraction {
  std::int64_t numerator = 0, denominator = 1;
  bool operator==(const Fraction&) const = default;
};

using Value = std::variant<double*, std::int64_t*, bool*, std::string*, Fraction*, std::vector<double>*,
                           std::vector<std::int64_t>*, std::vector<std::string>*>;

/// What the schema talks to. One description of the settings (`describe`) serves the reader, the writer and the list of
/// valid keys, so a new key is one line.
class Keys {
 public:
  using Body = std::function<void(Keys&)>;

  virtual ~Keys() = default;
  virtual void value(const char* key, Value target, const Rule& rule = {}) = 0;
  /// A table of its own. `others` describe the table for every value of its key `kind`, so that a key of another kind
  /// can be told from an unknown one. Comes after the plain values of the table around it, as TOML wants it.
  virtual void section(const char* key, const Body& body,
                       const std::vector<std::pair<std::string, Body>>& others = {}) = 0;
  /// Whether an optional key is there to be read or written.
  virtual bool present(const char* key, bool has_value) = 0;
  /// The number of tables in an array of tables, and one of them.
  virtual std::size_t items(const char* key, std::size_t current) = 0;
  virtual void item(const char* key, std::size_t index, const Body& body) = 0;
  /// Where this table stands, for messages of later checks.
  virtual void position(std::string& where) = 0;

  template <class T>
  void optional(const char* key, std::optional<T>& target, const Rule& rule = {}) {
    if (!present(key, target.has_value())) return;
    if (!target) target.emplace();
    value(key, &*target, rule);
  }
  /// An enumeration whose members stand in the order of `names`.
  template <class E>
  void choice(const char* key, E& target, const std::vector<std::string>& names) {
    std::string name = names[static_cast<std::size_t>(target)];
    value(key, &name, one_of(names));
    target = static_cast<E>(std::find(names.begin(), names.end(), name) - names.begin());
  }
  template <class T>
  void pair(const char* key, std::array<T, 2>& target, Rule rule) {
    std::vector<T> both(target.begin(), target.end());
    value(key, &both, std::move(rule).exactly(2));
    std::copy_n(both.begin(), 2, target.begin());
  }
  template <class T, class Describe>
  void list(const char* key, std::vector<T>& target, const Describe& describe_one) {
    target.resize(items(key, target.size()));
    for (std::size_t i = 0; i < target.size(); ++i) item(key, i, [&](Keys& keys) { describe_one(keys, target[i]); });
  }
};

/// The schema: every key of an experiment file with its rule.
void describe(Keys& keys, Experiment& experiment, const std::vector<std::string>& methods);

/// A value as TOML text; numbers in shortest round-trip form, strings escaped.
std::string toml_text(double value);
std::string toml_text(std::int64_t value);
std::string toml_text(bool value);
std::string toml_text(const std::string& value);
std::string toml_text(const Fraction& value);
template <class T>
std::string toml_text(const std::vector<T>& values) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + toml_text(value);
  return text + "]";
}

}  // namespace gradflow::settings
