#include "gradflow/experiment/settings.hpp"

#include <fmt/format.h>
#include <gradflow/storage/file_error.hpp>

#include <cerrno>
#include <fstream>
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
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (std::filesystem::is_directory(status)) refuse(EISDIR);
  if (!std::filesystem::exists(status)) refuse(error.value());
  // What is no regular file may never end, or wait for ever.
  if (!std::filesystem::is_regular_file(status))
    throw FileError(fmt::format("'{}' is a pipe or a device; an experiment is read from a regular file: save it as one",
                                file.string()));
  constexpr std::uintmax_t most_bytes = 16 << 20;
  const std::uintmax_t size = std::filesystem::file_size(file);
  if (size > most_bytes)
    throw FileError(
        fmt::format("'{}' has {} bytes, and an experiment may have {} (16 MiB): is it the file that you mean?",
                    file.string(), size, most_bytes));
  std::string text(size, '\0');
  errno = 0;
  if (!std::ifstream(file, std::ios::binary).read(text.data(), std::ssize(text))) refuse(errno != 0 ? errno : EIO);
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
