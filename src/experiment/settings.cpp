#include "gradflow/experiment/settings.hpp"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

#include "experiment/settings_checks.hpp"
#include "experiment/settings_reader.hpp"

namespace gradflow::settings {
namespace {

std::string joined(const std::vector<std::string>& problems) {
  std::string text;
  for (const auto& problem : problems) text += (text.empty() ? "" : "\n\n") + problem;
  return text;
}

std::string contents(const std::filesystem::path& file) {
  const auto refuse = [&](int reason) {
    throw std::system_error(reason, std::generic_category(), "cannot read the experiment file '" + file.string() + "'");
  };
  if (std::filesystem::is_directory(file)) refuse(EISDIR);  // it would open, and fail only when it is read
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) refuse(errno);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) refuse(EIO);
  return text;
}

void resolve(std::filesystem::path& path, const std::filesystem::path& folder) {
  if (!path.empty()) path = std::filesystem::absolute(folder / path).lexically_normal();
}

}  // namespace

Error::Error(std::vector<std::string> problems)
    : std::runtime_error(joined(problems)), problems_(std::move(problems)) {}

Experiment parse(std::string_view text, const std::filesystem::path& source, const std::vector<Override>& overrides,
                 const std::vector<std::string>& methods) {
  Report report(source.string(), text);
  const auto table = parse_with_overrides(text, source.string(), overrides, report);
  if (!table) throw Error(report.messages());

  std::vector<std::string> all_names;
  KeyNames names("", all_names);
  Experiment scratch;
  describe(names, scratch, methods);

  Experiment experiment;
  experiment.name = source.stem().string();
  experiment.source = source;
  Reader reader(*table, "", all_names, report);
  describe(reader, experiment, methods);
  reader.finish({});
  complete(experiment, report);
  check(experiment, report);
  if (!report.empty()) throw Error(report.messages());

  if (auto* task = std::get_if<FileTask>(&experiment.task)) resolve(task->path, source.parent_path());
  if (auto* task = std::get_if<TextTask>(&experiment.task)) resolve(task->path, source.parent_path());
  resolve(experiment.model.start.path, source.parent_path());
  return experiment;
}

Experiment read(const std::filesystem::path& file, const std::vector<Override>& overrides,
                const std::vector<std::string>& methods) {
  return parse(contents(file), file, overrides, methods);
}

}  // namespace gradflow::settings
