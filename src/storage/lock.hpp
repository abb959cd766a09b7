#pragma once
#include <filesystem>

namespace gradflow::storage {

/// Held by whoever writes a file, so that two writers never meet: HDF5 lets go of its own lock as soon as readers may
/// follow. It is a lock on a file of its own, `.NAME.lock` beside the written one, which the system gives up when the
/// process ends, however it ends; what is left of it after a kill means nothing.
class WriterLock {
 public:
  /// Throws FileError where another process has it, with its number. Without effect where the file system has no locks.
  explicit WriterLock(const std::filesystem::path& written);
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  ~WriterLock();
  /// False where there are no locks.
  bool held() const { return held_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  bool held_ = false;
};

/// False where nobody writes the file. What a kill has left of a lock says true as well.
bool may_be_written(const std::filesystem::path& file);

}  // namespace gradflow::storage
