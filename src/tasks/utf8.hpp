#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace gradflow {

/// Throws std::invalid_argument that begins with "name:line:" and names the byte, unless the text is UTF-8.
void require_utf8(std::string_view text, std::string_view name);

/// The text without the byte order mark that some editors put before it.
std::string_view without_byte_order_mark(std::string_view text);

/// Cuts the first line off the text; lines end with \n, \r\n or \r, which is not part of the line.
std::string_view take_line(std::string_view& text);

/// At most `bytes` bytes of a text from outside, cut between characters, for messages.
std::string shortened(std::string_view text, std::size_t bytes = 60);

}  // namespace gradflow
