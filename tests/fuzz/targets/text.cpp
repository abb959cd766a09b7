// Texts: any bytes are refused with std::invalid_argument, or are a task whose units are all accounted for.
#include <gradflow/tasks/text.hpp>
#include <stdexcept>

#include "fuzz/target.hpp"

// The first byte chooses the options, the rest is the text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gradflow::TextUnit;
  if (size == 0) return 0;
  const unsigned choice = data[0];
  gradflow::TextOptions options{
      .targets = {"the", "\u5927"}, .common = {}, .max_length = {}, .limit = {}, .test_share = {}};
  options.unit = std::array{TextUnit::sentence, TextUnit::line, TextUnit::paragraph}[choice % 3];
  if (choice & 4) options.common = "a";
  if (choice & 8) options.min_count = 2;
  if (choice & 16) options.max_length = 5;
  if (choice & 32) options.limit = 9;
  if (choice & 64) options.test_share = 0.3;
  if (choice & 128) options.targets = {"the", "words"};
  gradflow::TextSamples samples;
  try {
    samples = gradflow::from_text(gradflow::fuzz::text_of(data + 1, size - 1), "any.txt", options);
  } catch (const std::invalid_argument& refusal) {
    gradflow::fuzz::require(*refusal.what() != '\0', "an error says what is wrong");
    return 0;
  }
  const gradflow::TextReport& report = samples.report;
  gradflow::fuzz::require(
      report.units_read == report.units_kept + report.too_long + report.without_words + report.only_rare_words,
      "every unit is accounted for");
  const gradflow::Index tested = samples.test ? gradflow::Task(*samples.test).samples() : 0;
  gradflow::fuzz::require(gradflow::Task(samples.data).samples() + tested == report.units_kept,
                          "every unit kept is a sample");
  return 0;
}
