#include "experiment/settings_keys.hpp"

#include <fmt/format.h>

namespace gradflow::settings {

Rule above(double low) {
  return {.text = fmt::format("> {}", low), .holds = [=](double x) { return x > low; }};
}

Rule at_least(double low) {
  return {.text = fmt::format(">= {}", low), .holds = [=](double x) { return x >= low; }};
}

Rule from_to(double low, double high) {
  return {.text = fmt::format("from {} to {}", low, high), .holds = [=](double x) { return x >= low && x <= high; }};
}

Rule inside(double low, double high) {
  return {.text = fmt::format("> {} and < {}", low, high), .holds = [=](double x) { return x > low && x < high; }};
}

Rule from_to(std::int64_t low, std::int64_t high) {
  return {.text = fmt::format("from {} to {}", low, high),
          .holds = [=](double x) { return x >= static_cast<double>(low) && x <= static_cast<double>(high); }};
}

Rule one_of(std::vector<std::string> names) { return {.names = std::move(names)}; }

std::string toml_text(double value) {
  auto text = fmt::format("{}", value);
  // A whole value keeps its point: it stays a floating-point number of TOML.
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

std::string toml_text(std::int64_t value) { return fmt::format("{}", value); }

std::string toml_text(bool value) { return value ? "true" : "false"; }

std::string toml_text(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      text += {'\\', c};
    else if (byte < 0x20 || byte == 0x7f)
      text += fmt::format("\\u{:04x}", byte);
    else
      text += c;
  }
  return text + '"';
}

std::string toml_text(const Fraction& value) { return fmt::format("\"{}/{}\"", value.numerator, value.denominator); }

}  // namespace gradflow::settings
