#pragma once
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradflow::support {

struct Finished {
  int code = -1;   ///< exit code; -1 where a signal ended it
  int signal = 0;  ///< that ended it; 0 where none did
  std::string out, err;
};

/// A program that runs in a folder of the caller's choice, its input empty, its output and error caught. Its standard
/// error can be a terminal of 100 columns. Killed after a minute, so that no test waits for ever.
class Process {
 public:
  explicit Process(std::vector<std::string> command, const std::filesystem::path& folder, bool terminal = false) {
    std::array<int, 2> out{}, err{};
    winsize size{.ws_row = 30, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::pipe2(out.data(), O_CLOEXEC) != 0 ||
        (terminal ? ::openpty(&err[0], &err[1], nullptr, nullptr, &size) : ::pipe2(err.data(), O_CLOEXEC)) != 0)
      throw std::runtime_error("cannot make a pipe or a terminal");
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    child_ = ::fork();
    if (child_ < 0) throw std::runtime_error("cannot fork");
    if (child_ == 0) {
      if (::chdir(folder.c_str()) != 0) ::_exit(126);
      // Tests may themselves run where these are ignored: in the background of a shell, under nohup.
      for (const int signal : {SIGINT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_DFL);
      ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
      ::dup2(out[1], 1);
      ::dup2(err[1], 2);
      if (terminal) ::close(err[0]), ::close(err[1]), ::setenv("TERM", "xterm", 1);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(out[1]);
    ::close(err[1]);
    pipes_ = {out[0], err[0]};
  }
  ~Process() {
    if (child_ > 0) finish();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Until its standard error has said so; false when it ends without.
  bool says(const std::string& text) {
    while (result_.err.find(text) == std::string::npos)
      if (!pump()) return result_.err.find(text) != std::string::npos;
    return true;
  }
  void send(int signal) const { ::kill(child_, signal); }

  Finished finish() {
    while (pump()) {
    }
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = 0;
    if (WIFEXITED(status)) result_.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
    return result_;
  }

 private:
  /// Takes what has been written meanwhile; false when both ends are closed.
  bool pump() {
    std::array<pollfd, 2> ends{pollfd{pipes_[0], POLLIN, 0}, pollfd{pipes_[1], POLLIN, 0}};
    if (::poll(ends.data(), ends.size(), 100) < 0 && errno != EINTR) throw std::runtime_error("cannot poll");
    if (std::chrono::steady_clock::now() > deadline_) send(SIGKILL);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].revents == 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t count =
          ::read(pipes_[i], buffer.data(), buffer.size());  // a terminal whose other end is closed fails
      if (count > 0) {
        (i == 0 ? result_.out : result_.err).append(buffer.data(), static_cast<std::size_t>(count));
      } else {
        ::close(pipes_[i]);
        pipes_[i] = -1;
      }
    }
    return pipes_[0] >= 0 || pipes_[1] >= 0;
  }

  pid_t child_ = 0;
  std::array<int, 2> pipes_{-1, -1};
  Finished result_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + std::chrono::minutes(1);
};

/// A folder of its own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gradflow-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace gradflow::support
