#pragma once
#include <gradflow/storage/file_error.hpp>

#include <filesystem>

namespace gradflow {

/// To be called once before a file of unknown health is read: throws FileError where reading it would give wrong
/// numbers, crash or never end. Without effect on what is no HDF5 file, which its reader refuses.
///
/// A file that gradflow has finished bears a seal behind its last byte, the CRC-32 of all before it, so that any damage
/// shows. HDF5 does not see the seal, and takes it off as soon as anybody opens the file for writing.
///
/// Any other file (one that is being written, was left by a kill, or was made by another program) is first read by a
/// child process, because HDF5 1.10 trusts what it finds in some damaged ones. What the child does not survive, within
/// 2 s of processor time and 1 s for each 10 MB, is refused. Call it before other threads of the process use HDF5.
void require_sound(const std::filesystem::path& path);

}  // namespace gradflow
