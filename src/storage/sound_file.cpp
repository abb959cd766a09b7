#include <gradflow/storage/sound_file.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>

#include "storage/file.hpp"
#include "storage/seal.hpp"

namespace gradflow {

namespace {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Place;

/// An error is for the reader to tell, who may not even come by here.
template <class Work>
void attempt(Work work) {
  try {
    work();
  } catch (const std::exception&) {
  }
}

void read_all(const Dataset& data) {
  attempt([&] { data.attributes(); });
  attempt([&] { data.is_scale(); });
  attempt([&] { data.dimensions(); });
  if (data.kind() == Kind::text) return attempt([&] { data.read_text(); });
  constexpr std::int64_t values_at_once = 1 << 22;
  const std::int64_t rows = std::max<std::int64_t>(1, values_at_once / std::max<std::int64_t>(1, data.row_size()));
  for (std::int64_t first = 0; first < data.rows(); first += rows)
    data.read<double>(first, std::min(rows, data.rows() - first));
}

void read_all(const Group& group, std::set<haddr_t>& seen) {
  H5O_info_t info;
  if (H5Oget_info2(group.id(), &info, H5O_INFO_BASIC) < 0 || !seen.insert(info.addr).second) return;
  attempt([&] { group.attributes(); });
  attempt([&] {
    for (const std::string& name : group.names())
      attempt([&] {
        if (group.has_dataset(name))
          read_all(group.open_dataset(name));
        else
          read_all(group.open_group(name), seen);
      });
  });
}

/// What the child does. Whatever it finds, it is silent.
[[noreturn]] void read_and_exit(const std::filesystem::path& path) {
  const int nowhere = ::open("/dev/null", O_RDWR);
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(nowhere, STDERR_FILENO);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, SIG_DFL);
  const struct rlimit no_core { 0, 0 };
  ::setrlimit(RLIMIT_CORE, &no_core);
  std::error_code unknown;
  constexpr rlim_t seconds = 2, bytes_a_second = 10'000'000;
  const rlim_t most = seconds + std::filesystem::file_size(path, unknown) / bytes_a_second;
  const struct rlimit processor_time { most, most };
  ::setrlimit(RLIMIT_CPU, &processor_time);
  attempt([&] {
    const storage::Quiet quiet;
    constexpr unsigned attempts = 1;  // what a writer changes meanwhile is for the reader to wait for
    const storage::File file = storage::File::open(path, attempts);
    std::set<haddr_t> seen;
    read_all(file.root(), seen);
  });
  ::_exit(0);
}

}  // namespace

void require_sound(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || storage::check_seal(path)) return;
  {
    const storage::Quiet quiet;
    if (H5Fis_hdf5(path.c_str()) <= 0) return;
  }
  const Place place{path.string(), ""};
  const pid_t child = ::fork();
  if (child == 0) read_and_exit(path);
  if (child < 0) place.fail(std::string("cannot be tried out in a process of its own: ") + std::strerror(errno));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) place.fail(std::string("cannot be tried out: ") + std::strerror(errno));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const bool endless = WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
  place.fail(std::string("is damaged: the HDF5 library ") + (endless ? "comes to no end with it" : "crashes on it") +
             ", tried out in a process of its own. Use another copy of it, or make it again");
}

}  // namespace gradflow
