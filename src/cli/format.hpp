#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

/// How the command writes numbers for people. Machines get --json and the run's file.
namespace gradflow::cli {

/// A value with the digits that its error supports plus one, and the error in units of the last digit, rounded up:
/// 6.90159(3) is 6.90159 +- 0.00003; with an error larger than itself 2.3 +- 1e+01. An error below 1e-12 of the value
/// counts as that. Six digits, and no brackets, where the error is NaN.
inline std::string with_error(double value, double error) {
  if (!std::isfinite(value) || !std::isfinite(error)) return fmt::format("{:.6g}", value);
  const double size = std::max(std::abs(value), std::abs(error));
  if (size == 0) return "0";
  if (value != 0 && std::abs(error) > std::abs(value)) return fmt::format("{:.2g} +- {:.1g}", value, std::abs(error));
  const double bar = std::max(std::abs(error), 1e-12 * size);
  int last = static_cast<int>(std::floor(std::log10(bar)));  // the decade of the last digit shown
  // Less a little, because 3e-05 / 1e-05 may come out above 3.
  int digit = std::max(1, static_cast<int>(std::ceil(bar * std::pow(10.0, -last) - 1e-6)));
  if (digit > 9) digit = 1, ++last;
  const int first = static_cast<int>(std::floor(std::log10(size)));
  if (last <= 0 && first >= -3 && first < 6) return fmt::format("{:.{}f}({})", value, -last, digit);
  const int decade = std::max(first, last);
  return fmt::format("{:.{}f}({})e{:+03d}", value / std::pow(10.0, decade), decade - last, digit, decade);
}

/// A span of wall-clock time: "0.35 s", "12 s", "2 min 05 s", "3 h 04 min", "2 d 03 h".
inline std::string duration(double seconds) {
  if (!(seconds >= 0) || !(seconds < 1e10)) return "?";
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  const long whole = std::lround(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const long minutes = std::lround(seconds / 60);
  if (minutes < 24L * 60) return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  const long hours = std::lround(seconds / 3600);
  return fmt::format("{} d {:02} h", hours / 24, hours % 24);
}

/// The terminal columns that UTF-8 text takes, one a character: enough to line up words of most scripts.
inline std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// Rows of cells, lined up, two blanks between, each row ending in a newline without trailing blanks.
inline std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], columns(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) line += row[c] + std::string(widths[c] + 2 - columns(row[c]), ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace gradflow::cli
