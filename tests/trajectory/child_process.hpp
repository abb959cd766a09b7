#pragma once
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

namespace gradflow::trajectory::example {

/// Runs `work` in a process of its own, which ends with it; returns the process.
template <class Work>
pid_t in_child(Work work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 1;
  try {
    code = work();
  } catch (...) {
  }
  // Through exit handlers, HDF5's own among them: they must survive too.
  std::exit(code);
}

/// Its exit code, or minus the signal that ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct Output {
  int code;
  std::string text;
};

/// Runs a Python script of this folder; its standard output and error.
inline Output python(const std::string& script, const std::string& arguments) {
  const std::filesystem::path folder = std::filesystem::path(__FILE__).parent_path();
  const std::string command =
      std::string(GRADFLOW_PYTHON) + " '" + (folder / script).string() + "' " + arguments + " 2>&1";
  Output output{-1, ""};
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return output;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.text.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

}  // namespace gradflow::trajectory::example
