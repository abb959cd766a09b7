#include "storage/seal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "storage/hdf5.hpp"

namespace gradflow::storage {

namespace {

constexpr std::string_view mark = "gradflow CRC-32 ";
constexpr std::uint64_t seal_bytes = mark.size() + 8;

std::string seal_of(std::ifstream& file, std::uint64_t size) {
  uLong crc = 0;
  std::vector<char> block(1 << 20);
  for (file.seekg(0); size > 0 && file; size -= static_cast<std::uint64_t>(file.gcount())) {
    file.read(block.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(size, block.size())));
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(block.data()), static_cast<std::size_t>(file.gcount()));
  }
  return fmt::format("{}{:08x}", mark, crc);
}

/// Where HDF5 says that its own bytes end (File Format Specification 3.0, II.A, superblock of version 2 or 3); 0 where
/// it does not.
std::uint64_t end_of_hdf5(std::ifstream& file) {
  std::array<char, 36> head{};
  std::uint64_t end = 0;
  file.seekg(0);
  if (!file.read(head.data(), head.size()) || std::memcmp(head.data(), "\211HDF\r\n\032\n", 8) != 0) return 0;
  if (head[8] != 2 && head[8] != 3) return 0;
  for (std::size_t byte = 8; byte-- > 0;) end = end << 8 | static_cast<unsigned char>(head[28 + byte]);
  return end;
}

bool append(int descriptor, std::string_view text) {
  return ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(descriptor) == 0;
}

}  // namespace

void write_seal(const std::filesystem::path& path) noexcept {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) return;
  try {
    std::ifstream file(path, std::ios::binary);
    const std::uint64_t size = std::filesystem::file_size(path);
    const std::string seal = seal_of(file, size);
    // What is sealed must be on the disk before its seal is: else a power cut would leave a file that seems damaged.
    if (file && ::fsync(descriptor) == 0 && !append(descriptor, seal))
      static_cast<void>(::ftruncate(descriptor, static_cast<off_t>(size)));
  } catch (const std::exception&) {  // it stays without
  }
  ::close(descriptor);
}

bool check_seal(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::uint64_t size = std::filesystem::file_size(path);
  if (size < seal_bytes) return false;
  const std::uint64_t sealed = size - seal_bytes;
  std::string found(seal_bytes, '\0');
  file.seekg(static_cast<std::streamoff>(sealed));
  file.read(found.data(), static_cast<std::streamsize>(found.size()));
  if (!found.starts_with(mark) && end_of_hdf5(file) != sealed) return false;
  if (found != seal_of(file, sealed))
    Place{path.string(), ""}.fail(
        "is damaged: its bytes are not those with which it was finished (the checksum at its end is another). Use "
        "another copy of it, or make it again");
  return true;
}

}  // namespace gradflow::storage
