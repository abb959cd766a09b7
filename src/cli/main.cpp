#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <gradflow/experiment/settings.hpp>
#include <gradflow/storage/file_error.hpp>
#include <new>
#include <system_error>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "cli/command.hpp"

namespace {

int fail(int code, const std::string& message) {
  fmt::print(stderr, "gradflow: {}\n", message);
  return code;
}

int run(int argc, char** argv) {
  using namespace gradflow;
  try {
    const int code = cli::run({argv + 1, argv + argc});
    // Results that could not be written (a full disk, say) were not delivered.
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      return fail(cli::file_trouble, "cannot write to standard output: " + std::generic_category().message(errno));
    return code;
  } catch (const cli::UsageError& error) {
    return fail(cli::wrong_usage, error.what());
  } catch (const settings::Error& error) {
    std::string all = error.problems().size() == 1
                          ? "the experiment has 1 problem; nothing was started"
                          : fmt::format("the experiment has {} problems; nothing was started", error.problems().size());
    for (const std::string& problem : error.problems()) all += "\n\n" + problem;
    return fail(cli::wrong_usage, all);
  } catch (const FileError& error) {
    return fail(cli::file_trouble, error.what());
  } catch (const std::system_error& error) {  // std::filesystem's among them
    return fail(cli::file_trouble, error.what());
  } catch (const std::bad_alloc&) {
    return fail(cli::ended_early, "out of memory; a smaller task, model or save.states needs less");
  } catch (const std::exception& error) {
    return fail(cli::ended_early, fmt::format("an error inside the program: {}", error.what()));
  }
}

}  // namespace

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // Vectors as large as the state come and go with every record; fresh pages each time would cost more than filling
  // them.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
#endif
  std::signal(SIGXFSZ, SIG_IGN);  // beyond `ulimit -f` a write then fails as on a full disk, instead of killing us
  return run(argc, argv);
}
