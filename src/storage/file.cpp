#include "storage/file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>

#include "storage/driver.hpp"
#include "storage/seal.hpp"

namespace gradflow::storage {

namespace {

namespace fs = std::filesystem;

constexpr hsize_t memory_page = 4096;

std::string system_reason() { return std::strerror(errno); }

/// Where the new file will stand, if it may stand there.
fs::path checked_target(const fs::path& target, bool overwrite) {
  const Place place{target.string(), ""};
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (!fs::exists(status)) {
    const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
    if (!fs::is_directory(folder, error)) place.fail("cannot be created: there is no folder " + folder.string());
    return target;
  }
  if (!fs::is_regular_file(status)) place.fail("cannot be overwritten: it is not a regular file");
  if (!overwrite)
    place.fail("exists already and is not overwritten: choose another name or ask for overwriting (--force)");
  constexpr auto any_write = fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;
  if ((status.permissions() & any_write) == fs::perms::none) place.fail("cannot be overwritten: it is read-only");
  return fs::canonical(target);  // a link is kept, the file it leads to replaced
}

/// What writers of this file have left that were killed before it had its name: whoever has the lock is the only one.
void remove_leftovers(const fs::path& path) {
  const std::string prefix = fmt::format(".{}.", path.filename().string());
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.size() == prefix.size() + 13 && name.starts_with(prefix) && name.ends_with(".part"))
      fs::remove(entry.path(), ignored);
  }
}

Handle create_plain(const Place& place, const fs::path& name) {
  const Handle access = surviving_access(place);
  place.check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), "create it");
  place.check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "create it");
  // Else every small data set gets 64 kB to gather its writes in, zeroed, for the one write that fills it.
  place.check(H5Pset_sieve_buf_size(access.get(), memory_page), "create it");
  const Handle creation = place.own(H5Pcreate(H5P_FILE_CREATE), "create it");
  constexpr unsigned tracked = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
  place.check(H5Pset_link_creation_order(creation.get(), tracked), "create it");
  place.check(H5Pset_attr_creation_order(creation.get(), tracked), "create it");
  place.check(H5Pset_obj_track_times(creation.get(), false), "create it");
  // A kill can cut a write short, but only between two pages of memory: where none of HDF5's own structures lies across
  // such a border, none is ever half written.
  place.check(H5Pset_file_space_strategy(creation.get(), H5F_FSPACE_STRATEGY_PAGE, false, 1), "create it");
  place.check(H5Pset_file_space_page_size(creation.get(), memory_page), "create it");
  errno = 0;
  Handle file(H5Fcreate(name.c_str(), H5F_ACC_EXCL, creation.get(), access.get()));
  if (!file) place.fail("cannot be created: " + (errno != 0 ? system_reason() : last_reason()));
  return file;
}

/// Gives `from` the name `to`; never replaces a file unless `overwrite`, whatever others do meanwhile.
bool rename_onto(const fs::path& from, const fs::path& to, bool overwrite) {
  if (overwrite) return ::rename(from.c_str(), to.c_str()) == 0;
  if (::link(from.c_str(), to.c_str()) == 0) return ::unlink(from.c_str()) == 0;
  if (errno == EEXIST) return false;
  // A file system without hard links.
  if (::access(to.c_str(), F_OK) == 0) return errno = EEXIST, false;
  return ::rename(from.c_str(), to.c_str()) == 0;
}

/// Whether a SWMR writer has the file open, or died with it open: bits 0 and 2 of byte 11 of a superblock of version 3
/// (HDF5 File Format Specification 3.0, II.A).
bool marked_open(const fs::path& path) {
  std::array<char, 12> head{};
  std::ifstream(path, std::ios::binary).read(head.data(), head.size());
  return std::memcmp(head.data(), "\211HDF\r\n\032\n\003", 9) == 0 && (head[11] & 5) == 5;
}

}  // namespace

File File::create(const fs::path& target, bool overwrite) {
  const Quiet quiet;
  const Place place{target.string(), ""};
  const fs::path path = checked_target(target, overwrite);
  auto lock = std::make_unique<WriterLock>(path);
  if (lock->held()) remove_leftovers(path);
  const fs::path temporary =
      path.parent_path() / fmt::format(".{}.{:08x}.part", path.filename().string(), std::random_device{}());
  File file(place, create_plain(place, temporary));
  file.lock_ = std::move(lock);
  file.path_ = path;
  file.temporary_ = temporary;
  file.overwrite_ = overwrite;
  return file;
}

File File::open(const fs::path& path, unsigned attempts) {
  const Quiet quiet;
  const Place place{path.string(), ""};
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) place.fail("there is no such file");
  if (fs::is_directory(status)) place.fail("is a folder, not a file");
  if (!fs::is_regular_file(status)) place.fail("is not a regular file: HDF5 cannot read a pipe or a device");
  if (std::ifstream probe(path); !probe) place.fail("cannot be opened: " + system_reason());
  if (H5Fis_hdf5(path.c_str()) <= 0) place.fail("is not an HDF5 file, or its first bytes are damaged");
  const Handle access = place.own(H5Pcreate(H5P_FILE_ACCESS), "open it");
  place.check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "open it");
  const bool unclosed = marked_open(path);
  // Where nobody writes, what cannot be read once is damaged.
  if (unclosed)
    place.check(H5Pset_metadata_read_attempts(access.get(), may_be_written(path) ? attempts : 1), "open it");
  const unsigned mode = H5F_ACC_RDONLY | (unclosed ? H5F_ACC_SWMR_READ : 0U);
  File file(place, place.own(H5Fopen(path.c_str(), mode, access.get()), "open it as HDF5"));
  file.unclosed_ = unclosed;
  return file;
}

File::File(File&& other) noexcept
    : place_(std::move(other.place_)),
      lock_(std::move(other.lock_)),
      handle_(std::move(other.handle_)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      overwrite_(other.overwrite_),
      unclosed_(other.unclosed_) {}

File::~File() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  handle_.reset();
}

Group File::root() const {
  const Quiet quiet;
  return {place_, place_.own(H5Gopen2(handle_.get(), "/", H5P_DEFAULT), "open its root")};
}

void File::publish() {
  const Quiet quiet;
  place_.check(H5Fstart_swmr_write(handle_.get()), "begin to write for readers that follow");
  sync();
  if (!rename_onto(temporary_, path_, overwrite_)) {
    if (errno == EEXIST) place_.fail("exists already: it appeared meanwhile, and is not overwritten");
    place_.fail("cannot be given its name: " + system_reason());
  }
  temporary_.clear();
}

void File::check_written() const {
  if (const int failure = driver_state(place_, handle_.get()).failure)
    place_.fail(std::string("cannot be written: ") + std::strerror(failure));
}

void File::flush() {
  const Quiet quiet;
  place_.check(H5Fflush(handle_.get(), H5F_SCOPE_GLOBAL), "write");
  check_written();
}

void File::sync() {
  const Quiet quiet;
  flush();
  if (::fsync(driver_state(place_, handle_.get()).descriptor) != 0)
    place_.fail("cannot be written to the disk: " + system_reason());
}

void File::check_in_place() const {
  const Quiet quiet;
  struct stat named {
  }, ours{};
  if (::fstat(driver_state(place_, handle_.get()).descriptor, &ours) != 0)
    place_.fail("cannot be reached: " + system_reason());
  if (::stat(path_.c_str(), &named) != 0) place_.fail("was removed while it was being written: " + system_reason());
  if (named.st_ino != ours.st_ino || named.st_dev != ours.st_dev)
    place_.fail("was replaced by another file while it was being written");
}

void File::close() {
  const Quiet quiet;
  flush();
  if (!handle_.reset()) place_.fail_call("close it");
  if (temporary_.empty()) write_seal(path_);
  lock_.reset();
}

}  // namespace gradflow::storage
