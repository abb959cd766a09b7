#include "storage/lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "storage/hdf5.hpp"

namespace gradflow::storage {

namespace {

/// Whether the name still leads to the file that is open: a writer that ends removes it.
bool in_place(int descriptor, const std::filesystem::path& path) {
  struct stat ours {
  }, named{};
  return ::fstat(descriptor, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
         ours.st_dev == named.st_dev;
}

std::filesystem::path lock_of(const std::filesystem::path& written) {
  return written.parent_path() / fmt::format(".{}.lock", written.filename().string());
}

std::string holder(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "unknown";
}

}  // namespace

WriterLock::WriterLock(const std::filesystem::path& written) : path_(lock_of(written)) {
  for (;;) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) return;  // then the written file cannot be made either, and says why
    held_ = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
    if (!held_ && errno == EWOULDBLOCK) {
      const std::string process = holder(descriptor_);
      ::close(descriptor_);
      Place{written.string(), ""}.fail(
          fmt::format("is being written by another process ({}): wait for it, or stop it first", process));
    }
    if (in_place(descriptor_, path_)) break;
    ::close(descriptor_);
  }
  const std::string process = std::to_string(::getpid());
  if (::ftruncate(descriptor_, 0) == 0) [[maybe_unused]]
    const ssize_t put = ::pwrite(descriptor_, process.data(), process.size(), 0);
}

WriterLock::~WriterLock() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

bool may_be_written(const std::filesystem::path& file) {
  std::error_code unknown;
  const std::filesystem::path lock = lock_of(std::filesystem::canonical(file, unknown));
  return unknown || std::filesystem::exists(lock, unknown) || unknown;
}

}  // namespace gradflow::storage
