// TOML settings: any bytes are refused with settings::Error, or are an experiment that survives being written and read.
#include <gradflow/experiment/settings.hpp>

#include "fuzz/target.hpp"

namespace settings = gradflow::settings;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> methods{"dopri5", "fehlberg78", "cash-karp54"};
  const std::string_view input = gradflow::fuzz::text_of(data, size);
  // After a NUL: one --set key=value.
  const std::string_view text = input.substr(0, input.find('\0'));
  std::vector<settings::Override> overrides;
  if (text.size() < input.size()) {
    const std::string_view given = input.substr(text.size() + 1);
    const std::size_t equals = std::min(given.find('='), given.size());
    overrides.emplace_back(given.substr(0, equals), given.substr(std::min(equals + 1, given.size())));
  }
  settings::Experiment experiment;
  try {
    experiment = settings::parse(text, "folder/experiment.toml", overrides, methods);
  } catch (const settings::Error& error) {
    gradflow::fuzz::require(!error.problems().empty() && *error.what() != '\0', "an error says what is wrong");
    return 0;
  }
  const settings::Experiment again =
      settings::parse(settings::to_toml(experiment), "folder/experiment.toml", {}, methods);
  // Where an event was written differs, and NaN equals nothing; what is written twice is the same.
  gradflow::fuzz::require(settings::to_toml(again) == settings::to_toml(experiment),
                          "written settings read back equal");
  return 0;
}
