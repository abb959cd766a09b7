#include "segmentation.hpp"

#include <fmt/format.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <stdexcept>

#include "utf8.hpp"

namespace gradflow {
namespace {

void check(UErrorCode status) {
  if (U_FAILURE(status)) throw std::runtime_error(fmt::format("ICU cannot segment text: {}", u_errorName(status)));
}

icu::UnicodeString decoded(std::string_view text) {
  return icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
}

/// Unlike icu::UnicodeString::trim, which leaves no-break spaces.
icu::UnicodeString trimmed(const icu::UnicodeString& line) {
  std::int32_t begin = 0, end = line.length();
  while (begin < end && u_isUWhiteSpace(line.char32At(begin))) ++begin;
  while (end > begin && u_isUWhiteSpace(line.char32At(end - 1))) --end;
  return {line, begin, end - begin};
}

/// Is this a character of East Asian writing without spaces, where a line break may stand within a word?
bool needs_no_space(UChar32 character) {
  UErrorCode status = U_ZERO_ERROR;
  const auto width = u_getIntPropertyValue(character, UCHAR_EAST_ASIAN_WIDTH);
  return (width == U_EA_WIDE || width == U_EA_FULLWIDTH || width == U_EA_HALFWIDTH) &&
         uscript_getScript(character, &status) != USCRIPT_HANGUL;
}

/// Appends a line to a hard-wrapped paragraph (the rule of CSS Text for line breaks in the source).
void append_line(icu::UnicodeString& paragraph, const icu::UnicodeString& line) {
  const bool no_space = paragraph.isEmpty() || (needs_no_space(paragraph.char32At(paragraph.length() - 1)) &&
                                                needs_no_space(line.char32At(0)));
  if (!no_space) paragraph.append(u' ');
  paragraph.append(line);
}

}  // namespace

Segmenter::Segmenter() {
  UErrorCode status = U_ZERO_ERROR;
  sentences_.reset(icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(), status));
  check(status);
  words_.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), status));
  check(status);
  folding_ = icu::Normalizer2::getNFKCCasefoldInstance(status);
  check(status);
}

std::vector<std::string> Segmenter::words(std::string_view unit) { return words(decoded(unit)); }

std::vector<std::string> Segmenter::words(const icu::UnicodeString& unit) {
  std::vector<std::string> result;
  words_->setText(unit);
  std::int32_t begin = words_->first();
  for (std::int32_t end = words_->next(); end != icu::BreakIterator::DONE; begin = end, end = words_->next()) {
    // Below this limit: spaces and punctuation. Above: numbers, letters, kana, ideographs.
    if (words_->getRuleStatus() < UBRK_WORD_NONE_LIMIT) continue;
    UErrorCode status = U_ZERO_ERROR;
    std::string word;
    folding_->normalize(unit.tempSubStringBetween(begin, end), status).toUTF8String(word);
    check(status);
    if (!word.empty())
      result.push_back(std::move(word));  // folding removes invisible characters, and some words are nothing else
  }
  return result;
}

void Segmenter::read(std::string_view text, TextUnit unit,
                     const std::function<bool(const std::vector<std::string>&)>& use) {
  const auto use_paragraph = [&](const icu::UnicodeString& paragraph) {
    if (unit != TextUnit::sentence) return use(words(paragraph));
    sentences_->setText(paragraph);
    std::int32_t begin = sentences_->first();
    for (std::int32_t end = sentences_->next(); end != icu::BreakIterator::DONE; begin = end, end = sentences_->next())
      if (!use(words(paragraph.tempSubStringBetween(begin, end)))) return false;
    return true;
  };
  icu::UnicodeString paragraph;
  while (!text.empty()) {
    const icu::UnicodeString line = trimmed(decoded(take_line(text)));
    if (!line.isEmpty()) append_line(paragraph, line);
    const bool ends = line.isEmpty() || unit == TextUnit::line || text.empty();
    if (!ends || paragraph.isEmpty()) continue;
    if (!use_paragraph(paragraph)) return;
    paragraph.remove();
  }
}

}  // namespace gradflow
