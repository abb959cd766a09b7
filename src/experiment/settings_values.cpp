#include "experiment/settings_values.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <numeric>
#include <sstream>
#include <type_traits>

#include "experiment/settings_report.hpp"

namespace gradflow::settings {
namespace {

template <class T>
struct IsList : std::false_type {};
template <class T>
struct IsList<std::vector<T>> : std::true_type {};

std::string with(const std::string& noun, const std::string& rule) { return rule.empty() ? noun : noun + " " + rule; }

template <class T>
std::string expected(const Rule& rule) {
  if constexpr (IsList<T>::value) {
    const auto element = expected<typename T::value_type>(rule);
    if (rule.size > 0) return fmt::format("a list of {} different values, each {}", rule.size, element);
    return fmt::format("a list{} without repetitions, each {}", rule.min_size > 0 ? " of at least one value" : "",
                       element);
  } else if constexpr (std::is_same_v<T, double>) {
    return with(rule.text.empty() ? "a finite number" : "a number", rule.text);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return with("a whole number", rule.text);
  } else if constexpr (std::is_same_v<T, bool>) {
    return "true or false";
  } else if constexpr (std::is_same_v<T, Fraction>) {
    return "a fraction > 0 and <= 1, such as \"1/6\" or 0.5";
  } else {
    return rule.names.empty() ? "a string that is not empty" : quoted_list(rule.names);
  }
}

template <class T>
Fault wrong(const Rule& rule, const std::string& given, std::string advice = {}) {
  return {fmt::format("must be {}, but is {}", expected<T>(rule), given), std::move(advice)};
}

Fault take_one(const toml::node& node, double& target, const Rule& rule) {
  const auto number = node.value<double>();
  if (!number || !node.is_number()) return wrong<double>(rule, typed(node));
  if (!std::isfinite(*number) || (rule.holds && !rule.holds(*number))) return wrong<double>(rule, toml_text(*number));
  target = *number;
  return {};
}

Fault take_one(const toml::node& node, std::int64_t& target, const Rule& rule) {
  if (const auto* real = node.as_floating_point()) {
    // Beyond 2^53 a double does not say which whole number is meant.
    const bool whole = std::abs(real->get()) < 9e15 && std::trunc(real->get()) == real->get();
    return wrong<std::int64_t>(
        rule, typed(node),
        whole ? fmt::format("Write it without point and exponent: {}.", static_cast<std::int64_t>(real->get())) : "");
  }
  const auto* number = node.as_integer();
  if (number == nullptr) return wrong<std::int64_t>(rule, typed(node));
  if (rule.holds && !rule.holds(static_cast<double>(number->get())))
    return wrong<std::int64_t>(rule, toml_text(number->get()));
  target = number->get();
  return {};
}

Fault take_one(const toml::node& node, bool& target, const Rule& rule) {
  const auto* flag = node.as_boolean();
  if (flag == nullptr) return wrong<bool>(rule, typed(node), "Write true or false without quotation marks.");
  target = flag->get();
  return {};
}

Fault take_one(const toml::node& node, std::string& target, const Rule& rule) {
  const auto* text = node.as_string();
  if (text == nullptr) return wrong<std::string>(rule, typed(node), "Write it in quotation marks.");
  const auto& given = text->get();
  if (rule.names.empty() ? given.empty() : std::find(rule.names.begin(), rule.names.end(), given) == rule.names.end()) {
    const auto nearest = std::min_element(rule.names.begin(), rule.names.end(), [&](const auto& a, const auto& b) {
      return edit_distance(a, given) < edit_distance(b, given);
    });
    return wrong<std::string>(rule, shown(toml_text(given)),
                              rule.names.empty() ? "" : "The nearest is " + toml_text(*nearest) + ".");
  }
  target = given;
  return {};
}

// "p/q" with whole p and q, and nothing else.
Fraction parsed_fraction(const std::string& text) {
  Fraction result;
  const char* end = text.data() + text.size();
  const auto top = std::from_chars(text.data(), end, result.numerator);
  if (top.ec != std::errc() || top.ptr == end || *top.ptr != '/') return {};
  const auto bottom = std::from_chars(top.ptr + 1, end, result.denominator);
  if (bottom.ec != std::errc() || bottom.ptr != end) return {};
  return result;
}

Fault take_one(const toml::node& node, Fraction& target, const Rule& rule) {
  // Common denominators of many such fractions still fit 64 bits.
  constexpr std::int64_t largest_denominator = 1'000'000;
  Fraction given;
  if (const auto* text = node.as_string())
    given = parsed_fraction(text->get());
  else if (node.is_number())
    given = nearest_fraction(*node.value<double>());
  if (given.numerator <= 0 || given.denominator <= 0 || given.numerator > given.denominator) {
    const auto* real = node.as_floating_point();
    const bool inexact = real != nullptr && real->get() > 0 && real->get() < 1;
    return wrong<Fraction>(
        rule, typed(node),
        inexact ? "It is within 1e-9 of no fraction with a denominator up to 10000: write the exact one, "
                  "such as \"1/6\"."
                : "");
  }
  const auto divisor = std::gcd(given.numerator, given.denominator);
  given = {given.numerator / divisor, given.denominator / divisor};
  if (given.denominator > largest_denominator)
    return wrong<Fraction>(rule, typed(node), "Denominators go up to 1000000.");
  target = given;
  return {};
}

template <class T>
Fault take_one(const toml::node& node, std::vector<T>& target, const Rule& rule) {
  using List = std::vector<T>;
  const auto* array = node.as_array();
  if (array == nullptr) return wrong<List>(rule, typed(node), "Write it in brackets: [...].");
  const bool wrong_size = rule.size > 0 ? array->size() != rule.size : array->size() < rule.min_size;
  if (wrong_size) return wrong<List>(rule, fmt::format("a list of {}", array->size()));
  List values;
  for (const auto& element : *array) {
    T value{};
    if (auto fault = take_one(element, value, rule)) {
      fault.what = fmt::format("value {} of the list {}", values.size() + 1, fault.what);
      return fault;
    }
    if (std::find(values.begin(), values.end(), value) != values.end())
      return wrong<List>(rule, fmt::format("a list that has {} twice", toml_text(value)), "Leave one of them out.");
    values.push_back(std::move(value));
  }
  target = std::move(values);
  return {};
}

}  // namespace

std::string quoted_list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + toml_text(names[i]);
  return text;
}

std::string typed(const toml::node& node) {
  if (const auto* text = node.as_string()) return "the string " + shown(toml_text(text->get()));
  if (const auto* whole = node.as_integer()) return "the whole number " + toml_text(whole->get());
  if (const auto* real = node.as_floating_point()) return "the number " + toml_text(real->get());
  if (const auto* flag = node.as_boolean()) return "the boolean " + toml_text(flag->get());
  if (node.is_table()) return "a table";
  if (const auto* array = node.as_array()) return fmt::format("a list of {}", array->size());
  return "a date or time";
}

std::string expectation(Value target, const Rule& rule) {
  return std::visit([&](const auto* value) { return expected<std::remove_cvref_t<decltype(*value)>>(rule); }, target);
}

Fault take(const toml::node& node, Value target, const Rule& rule) {
  return std::visit([&](auto* value) { return take_one(node, *value, rule); }, target);
}

Fraction nearest_fraction(double x) {
  constexpr double tolerance = 1e-9, largest_denominator = 10'000;
  if (!(x > 0 && x <= 1)) return {};
  // Convergents p/q of the continued fraction: each is the best approximation among all denominators up to its own.
  double p_before = 0, q_before = 1, p = 1, q = 0, rest = x;
  while (true) {
    const double digit = std::floor(rest);
    p_before = std::exchange(p, digit * p + p_before);
    q_before = std::exchange(q, digit * q + q_before);
    if (q > largest_denominator) return {};
    if (std::abs(x - p / q) <= tolerance) return {static_cast<std::int64_t>(p), static_cast<std::int64_t>(q)};
    rest = 1 / (rest - digit);
  }
}

}  // namespace gradflow::settings
