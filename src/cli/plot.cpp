#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <gradflow/storage/file_error.hpp>
#include <system_error>

#include "cli/command.hpp"

namespace gradflow::cli {
namespace {

namespace fs = std::filesystem;

const char* const footer =
    "Examples:\n"
    "  gradflow plot paper.h5                            writes paper.png here\n"
    "  gradflow plot linear-default-compare.h5 -o figure.pdf\n"
    "\n"
    "A run: loss of each class, values G, attention scores, margins and events in log time. A comparison: losses, and\n"
    "the distance of each descent from the flow. Drawn by the Python module gradflow with h5py, xarray, pandas and\n"
    "matplotlib; GRADFLOW_PYTHON names the interpreter that has them, /usr/bin/python3 unless given.";

/// The folder that holds the Python module: of the installation that this program belongs to, or of the source tree
/// that it was built from. Throws FileError.
fs::path module_folder() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  const fs::path installed = program.parent_path().parent_path() / GRADFLOW_PYTHON_INSTALL_DIR;
  for (const fs::path& folder : {installed, fs::path(GRADFLOW_PYTHON_SOURCE_DIR)})
    if (fs::exists(folder / "gradflow/__main__.py", ignored)) return folder;
  throw FileError(
      fmt::format("the Python module gradflow, which draws, is neither in '{}' nor in '{}'; 'cmake --install' puts it "
                  "into the first",
                  installed.string(), GRADFLOW_PYTHON_SOURCE_DIR));
}

/// This process becomes the module's. Throws FileError where it cannot.
[[noreturn]] void become_python(const std::vector<std::string>& arguments) {
  const char* const named = std::getenv("GRADFLOW_PYTHON");
  const std::string interpreter = named != nullptr && *named != '\0' ? named : "/usr/bin/python3";
  const fs::path folder = module_folder();
  const char* const path = std::getenv("PYTHONPATH");
  ::setenv("PYTHONPATH", (folder.string() + (path != nullptr && *path != '\0' ? fmt::format(":{}", path) : "")).c_str(),
           1);
  ::setenv("PYTHONSAFEPATH", "1", 1);  // nothing of the current folder is taken for a module

  std::vector<std::string> words{interpreter, (folder / "gradflow/__main__.py").string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(nullptr);
  ::execvp(interpreter.c_str(), argv.data());
  throw FileError(fmt::format(
      "cannot run the Python interpreter '{}': {}. GRADFLOW_PYTHON names another; on Debian: apt-get install python3",
      interpreter, std::generic_category().message(errno)));
}

}  // namespace

void add_plot(CLI::App& app, Action& action) {
  struct Options {
    std::string run, output;
    bool force = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plot", "The standard picture of a run or a comparison");
  command->add_option("RUN.h5", options->run, "the file of a run or a comparison")->required()->type_name("");
  command
      ->add_option("-o,--output", options->output,
                   "the picture: .png, .svg, .pdf; RUN.png in the current folder unless given")
      ->type_name("FIGURE");
  command->add_flag("--force", options->force, "replace FIGURE if it exists");
  command->footer(footer);
  command->callback([options, &action] {
    action = [options](const std::string&) -> int {
      require_run(options->run);
      std::vector<std::string> arguments{"plot"};
      if (!options->output.empty()) arguments.push_back("--output=" + options->output);
      if (options->force) arguments.emplace_back("--force");
      arguments.insert(arguments.end(), {"--", options->run});
      become_python(arguments);
    };
  });
}

}  // namespace gradflow::cli
