#pragma once
#include <filesystem>

/// The last bytes of a finished file, behind those of HDF5: "gradflow CRC-32 " and the checksum of all before them, in
/// eight hexadecimal digits.
namespace gradflow::storage {

/// Of a file that HDF5 has closed. Where the disk is full it stays without, and is read with more care.
void write_seal(const std::filesystem::path& path) noexcept;

/// Whether the file has one. Throws FileError where it is not that of the file's bytes.
bool check_seal(const std::filesystem::path& path);

}  // namespace gradflow::storage
