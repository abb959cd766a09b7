#pragma once
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

/// What the fuzz targets share. Each is one file of targets/ and defines LLVMFuzzerTestOneInput, which reads any bytes
/// as one kind of input; whatever it does but return 0 (a crash, an exception that is not the documented one, a broken
/// promise, an endless loop, memory without bound) is a bug.
namespace gradflow::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the program, as libFuzzer wants it, where a promise is broken.
inline void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

inline std::vector<std::uint8_t> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  require(file.is_open(), "the file can be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The input as a file, for readers that take a path; in memory where the system has /dev/shm.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& name) {
    std::string folder = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
    folder += "/gradflow-fuzz-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr, "there is a place for files");
    folder_ = folder;
    path_ = folder_ / name;
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void write(const std::uint8_t* data, std::size_t size) const {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file << text_of(data, size) << std::flush;
    require(file.good(), "the input can be written");
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path folder_, path_;
};

}  // namespace gradflow::fuzz
