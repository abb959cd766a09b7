#pragma once
#include <unicode/brkiter.h>
#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

#include <functional>
#include <gradflow/tasks/text.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gradflow {

/// Cuts text into units and units into folded words, by the rules of Unicode's root locale. Texts must be UTF-8 of less
/// than 2^31 bytes. Throws std::runtime_error when ICU has no data.
class Segmenter {
 public:
  Segmenter();

  /// The words of one unit of UTF-8 text, folded, in order.
  std::vector<std::string> words(std::string_view unit);

  /// Calls `use` with the words of each unit in order, until it returns false. A unit may have no words.
  void read(std::string_view text, TextUnit unit, const std::function<bool(const std::vector<std::string>&)>& use);

 private:
  std::vector<std::string> words(const icu::UnicodeString& unit);

  std::unique_ptr<icu::BreakIterator> sentences_, words_;
  const icu::Normalizer2* folding_;
};

}  // namespace gradflow
