#include "cli/command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <gradflow/storage/sound_file.hpp>
#include <limits>

#include "build_info.hpp"
#include "experiment/settings_report.hpp"

namespace gradflow::cli {
namespace {

constexpr std::array<const char*, 7> commands{"simulate", "resume", "compare", "show", "phases", "certify", "plot"};

const char* const footer =
    "Examples:\n"
    "  gradflow simulate data/paper.toml                 integrate; writes paper.h5 here\n"
    "  gradflow simulate data/paper.toml -o s2.h5 --set seed=2\n"
    "  gradflow resume s2.h5                             go on after a kill or an interrupt, to the same bits\n"
    "  gradflow compare data/compare-kaiming.toml        the flow beside gradient descent\n"
    "  gradflow show paper.h5                            settings, outcome, statistics, end values\n"
    "  gradflow phases paper.h5 --json                   every event with its times, for programs\n"
    "  gradflow certify paper.h5                         how far off all of it is, by a far tighter solve\n"
    "  gradflow plot paper.h5                            the standard picture, paper.png\n"
    "\n"
    "Exit codes: 0 done; 1 the run ended before its target; 2 bad usage or settings; 3 a file cannot be read or\n"
    "written; 4 certify found an error larger than its bar; 130 interrupted (what was computed is kept). Results go\n"
    "to standard output, all else to standard error.";

std::string version_text() {
  return fmt::format(
      "gradflow {}\ncommit        {}\ncompiler      {}\nbuild type    {}\nflags         {}\narchitecture  {}",
      build_info::version, build_info::commit, build_info::compiler, build_info::build_type, build_info::flags,
      build_info::architecture);
}

/// The command comes first: looked at before CLI11 does, whose messages for a misspelt one name everything but it.
void require_command(const std::vector<std::string>& arguments) {
  const std::string list =
      fmt::format("The commands are {}; 'gradflow --help' explains them.", fmt::join(commands, ", "));
  if (arguments.empty()) throw UsageError("what is to be done? " + list);
  const std::string& first = arguments.front();
  if (std::find(commands.begin(), commands.end(), first) != commands.end()) return;
  if (first == "-h" || first == "--help" || first == "--version") return;
  if (first.starts_with('-'))
    throw UsageError(fmt::format("'{}' is no option here; a command comes first, then its options. {}{}",
                                 settings::shown(first), list, did_you_mean(first, {"--help", "--version"})));
  std::error_code ignored;
  if (std::filesystem::is_regular_file(first, ignored))
    throw UsageError(fmt::format("a command comes before the file: 'gradflow {} {}'. {}",
                                 is_hdf5(first) ? "show" : "simulate", shell_word(first), list));
  throw UsageError(fmt::format("there is no command '{}'.{} {}", settings::shown(first),
                               did_you_mean(first, {commands.begin(), commands.end()}), list));
}

/// Options of ours that CLI11 did not know are left over; the first of them decides the message.
void refuse_leftovers(const CLI::App& command) {
  const std::vector<std::string> left = command.remaining();
  if (left.empty()) return;
  const std::string see = fmt::format(" See 'gradflow {} --help'.", command.get_name());
  if (!left.front().starts_with('-') || left.front() == "--")
    throw UsageError(fmt::format("'{}' takes one file; '{}' is one argument too many.{}", command.get_name(),
                                 settings::shown(left.front()), see));
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string given = left.front().substr(0, left.front().find('='));
  throw UsageError(fmt::format("'{}' has no option '{}'.{}{}", command.get_name(), settings::shown(given),
                               did_you_mean(given, known), see));
}

int on_parse_error(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const auto chosen = app.get_subcommands();
  const std::string name = chosen.empty() ? "" : chosen.front()->get_name();
  const std::string see = fmt::format(" See 'gradflow {}--help'.", name.empty() ? "" : name + " ");
  if (!chosen.empty()) refuse_leftovers(*chosen.front());
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
    throw UsageError(fmt::format("'{0}' needs a file: gradflow {0} {1}.{2}", name,
                                 name == "simulate" || name == "compare" ? "EXPERIMENT.toml" : "RUN.h5", see));
  throw UsageError(error.what() + std::string(".") + see);
}

}  // namespace

int run(const std::vector<std::string>& arguments) {
  require_command(arguments);
  CLI::App app{"Gradient flow of a shallow transformer that learns word co-occurrence, integrated with error control.",
               "gradflow"};
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text(), "Version, commit, compiler, build type and architecture");
  app.get_formatter()->column_width(36);
  app.footer(footer);
  Action action;
  add_simulate(app, action);
  add_resume(app, action);
  add_compare(app, action);
  add_show(app, action);
  add_phases(app, action);
  add_certify(app, action);
  add_plot(app, action);
  for (CLI::App* command : app.get_subcommands({})) command->allow_extras();  // refused below, in our words
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them last one first
  } catch (const CLI::ParseError& error) {
    return on_parse_error(app, error);
  }
  refuse_leftovers(*app.get_subcommands().front());
  std::string command_line = "gradflow";
  for (const std::string& argument : arguments) command_line += " " + shell_word(argument);
  return action(command_line);
}

std::string did_you_mean(const std::string& given, const std::vector<std::string>& names) {
  std::size_t least = std::numeric_limits<std::size_t>::max();
  std::string nearest;
  for (const std::string& name : names) {
    // The start of a name is meant as often as a slip of the finger.
    const std::size_t distance = given.size() > 2 && name.starts_with(given) ? 1 : settings::edit_distance(given, name);
    if (distance < least) least = distance, nearest = name;
  }
  return least <= std::max<std::size_t>(1, given.size() / 3) ? fmt::format(" Did you mean '{}'?", nearest) : "";
}

bool is_hdf5(const std::filesystem::path& path) {
  constexpr std::array<char, 8> signature{'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  std::array<char, 8> start{};
  if (std::error_code ignored; !std::filesystem::is_regular_file(path, ignored)) return false;  // a pipe would wait
  std::ifstream file(path, std::ios::binary);
  return file.read(start.data(), start.size()) && start == signature;
}

void require_file(const std::filesystem::path& path, const std::string& what) {
  std::error_code reason;
  const auto status = std::filesystem::status(path, reason);
  if (std::filesystem::is_directory(status))
    throw FileError(fmt::format("'{}' is a folder; give the {} in it", path.string(), what));
  if (std::filesystem::is_regular_file(status)) return;
  if (std::filesystem::exists(status))
    throw FileError(fmt::format("'{}' is a pipe or a device; give a regular file, the {}", path.string(), what));
  if (reason && reason != std::errc::no_such_file_or_directory && reason != std::errc::not_a_directory)
    throw FileError(fmt::format("cannot read '{}': {}", path.string(), reason.message()));
  std::vector<std::string> names;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  for (std::filesystem::directory_iterator entry(folder, reason), end; !reason && entry != end; entry.increment(reason))
    names.push_back(entry->path().filename().string());
  std::sort(names.begin(), names.end());  // folders list their files in any order
  throw FileError(
      fmt::format("there is no file '{}'.{}", path.string(), did_you_mean(path.filename().string(), names)));
}

void require_run(const std::filesystem::path& path) {
  require_file(path, "run's file (.h5)");
  if (path.extension() == ".toml")
    throw UsageError(fmt::format(
        "'{0}' is an experiment, not a run. 'gradflow simulate {1}' makes the run, which this command then shows.",
        path.string(), shell_word(path.string())));
  require_sound(path);
}

std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c >= 0x80 ||
           std::string_view("%+,-./:=@_").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace gradflow::cli
