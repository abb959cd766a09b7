#include "utf8.hpp"

#include <fmt/format.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <stdexcept>

namespace gradflow {
namespace {

// ICU's macro narrows an int; the warning is ICU's, but lands where the macro is used.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
/// The character at `next`, which moves behind it; negative where the bytes are not UTF-8.
UChar32 take_character(std::string_view text, std::size_t& next) {
  UChar32 character = 0;
  U8_NEXT(text.data(), next, text.size(), character);
  return character;
}
#pragma GCC diagnostic pop

}  // namespace

void require_utf8(std::string_view text, std::string_view name) {
  std::size_t line = 1;
  for (std::size_t next = 0; next < text.size();) {
    const std::size_t start = next;
    const UChar32 character = take_character(text, next);
    if (character < 0)
      throw std::invalid_argument(fmt::format(
          "{}:{}: the text must be UTF-8; byte {} (from 0) is 0x{:02X}, which is not; convert it, for example with "
          "iconv -f LATIN1 -t UTF-8",
          name, line, start, static_cast<unsigned char>(text[start])));
    if (character == '\n' || (character == '\r' && !text.substr(next).starts_with('\n'))) ++line;
  }
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  return text.starts_with(mark) ? text.substr(mark.size()) : text;
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  text.remove_prefix(text.starts_with("\r\n") ? 2 : std::min<std::size_t>(text.size(), 1));
  return line;
}

std::string shortened(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  while (bytes > 0 && U8_IS_TRAIL(text[bytes])) --bytes;
  return std::string(text.substr(0, bytes)) + "...";
}

}  // namespace gradflow
