#pragma once
#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradflow::cli {

/// What scripts read the result of the command from.
enum ExitCode : int {
  done = 0,
  ended_early = 1,
  wrong_usage = 2,
  file_trouble = 3,
  not_certified = 4,
  interrupted_run = 130
};

/// What was typed cannot be meant; what() says why and what to type instead.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a subcommand does once the command line has been read; returns the exit code.
using Action = std::function<int(const std::string& command_line)>;

/// Each adds one subcommand, whose callback sets `action`.
void add_simulate(CLI::App& app, Action& action);
void add_resume(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_show(CLI::App& app, Action& action);
void add_phases(CLI::App& app, Action& action);
void add_certify(CLI::App& app, Action& action);
void add_plot(CLI::App& app, Action& action);

/// Reads the command line and does what it says. Throws UsageError, and whatever the subcommand throws.
int run(const std::vector<std::string>& arguments);

/// The nearest of some names, quoted in a question (" Did you mean 'show'?"), or "" where none is near.
std::string did_you_mean(const std::string& given, const std::vector<std::string>& names);

bool is_hdf5(const std::filesystem::path& path);
/// Throws FileError unless `path` is a regular file, naming the nearest file of its folder.
void require_file(const std::filesystem::path& path, const std::string& what);
/// The same for a run's file, and unless it is sound (require_sound); throws UsageError for an experiment file.
void require_run(const std::filesystem::path& path);

/// A path as one word of a shell's command line, quoted where it needs it.
std::string shell_word(const std::string& text);

}  // namespace gradflow::cli
