#include "storage/driver.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <new>

namespace gradflow::storage {

namespace {

constexpr std::size_t page_size = 4096;
using Page = std::array<char, page_size>;

// HDF5 hands H5FD_t pointers about: the base comes first and belongs to it.
struct SurvivingFile : H5FD_t {
  DriverState state;
  haddr_t eoa = 0, eof = 0;
  std::map<haddr_t, Page> kept;  // pages written after the failure, by number
};

SurvivingFile& self(H5FD_t* file) { return *static_cast<SurvivingFile*>(file); }
const SurvivingFile& self(const H5FD_t* file) { return *static_cast<const SurvivingFile*>(file); }

// Beyond the end of the file all bytes are zero, as HDF5's default driver has it.
bool read_disk(int descriptor, haddr_t address, std::size_t size, char* buffer) {
  while (size > 0) {
    const ssize_t got = ::pread(descriptor, buffer, size, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) {
      std::memset(buffer, 0, size);
      return true;
    }
    buffer += got;
    address += static_cast<haddr_t>(got);
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_disk(int descriptor, haddr_t address, std::size_t size, const char* buffer) {
  while (size > 0) {
    const ssize_t put = ::pwrite(descriptor, buffer, size, static_cast<off_t>(address));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    buffer += put;
    address += static_cast<haddr_t>(put);
    size -= static_cast<std::size_t>(put);
  }
  return true;
}

/// Calls with each page that [address, address + size) touches: its number, where in it, how many bytes, how far into
/// the range.
template <class Visit>
void for_each_page(haddr_t address, std::size_t size, Visit visit) {
  for (std::size_t done = 0; done < size;) {
    const std::size_t within = (address + done) % page_size;
    const std::size_t count = std::min(page_size - within, size - done);
    visit((address + done) / page_size, within, count, done);
    done += count;
  }
}

void keep(SurvivingFile& file, haddr_t address, std::size_t size, const char* buffer) {
  for_each_page(address, size, [&](haddr_t number, std::size_t within, std::size_t count, std::size_t done) {
    const auto [page, fresh] = file.kept.try_emplace(number);
    if (fresh) read_disk(file.state.descriptor, number * page_size, page_size, page->second.data());
    std::memcpy(page->second.data() + within, buffer + done, count);
  });
}

H5FD_t* open(const char* name, unsigned flags, hid_t, haddr_t) {
  int mode = (flags & H5F_ACC_RDWR) ? O_RDWR : O_RDONLY;
  if (flags & H5F_ACC_TRUNC) mode |= O_TRUNC;
  if (flags & H5F_ACC_CREAT) mode |= O_CREAT;
  if (flags & H5F_ACC_EXCL) mode |= O_EXCL;
  const int descriptor = ::open(name, mode | O_CLOEXEC, 0666);
  if (descriptor < 0) return nullptr;
  auto file = std::make_unique<SurvivingFile>();
  file->state.descriptor = descriptor;
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) return ::close(descriptor), nullptr;
  file->eof = static_cast<haddr_t>(info.st_size);
  return file.release();
}

herr_t close(H5FD_t* file) {
  const std::unique_ptr<SurvivingFile> owned(&self(file));
  return ::close(owned->state.descriptor) == 0 ? 0 : -1;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_POSIX_COMPAT_HANDLE | H5FD_FEAT_SUPPORTS_SWMR_IO |
           H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

haddr_t get_eoa(const H5FD_t* file, H5FD_mem_t) { return self(file).eoa; }

herr_t set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  self(file).eoa = address;
  return 0;
}

haddr_t get_eof(const H5FD_t* file, H5FD_mem_t) { return self(file).eof; }

herr_t get_handle(H5FD_t* file, hid_t, void** handle) {
  *handle = &self(file).state;
  return 0;
}

herr_t read(H5FD_t* base, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* buffer) {
  const SurvivingFile& file = self(base);
  auto* bytes = static_cast<char*>(buffer);
  if (!read_disk(file.state.descriptor, address, size, bytes)) return -1;
  if (file.kept.empty()) return 0;
  for_each_page(address, size, [&](haddr_t number, std::size_t within, std::size_t count, std::size_t done) {
    if (const auto page = file.kept.find(number); page != file.kept.end())
      std::memcpy(bytes + done, page->second.data() + within, count);
  });
  return 0;
}

herr_t write(H5FD_t* base, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, const void* buffer) {
  SurvivingFile& file = self(base);
  const auto* bytes = static_cast<const char*>(buffer);
  file.eof = std::max(file.eof, address + size);
  if (file.state.failure == 0) {
    if (write_disk(file.state.descriptor, address, size, bytes)) return 0;
    file.state.failure = errno;
  }
  try {
    keep(file, address, size, bytes);
  } catch (const std::bad_alloc&) {  // must not pass through HDF5
    return -1;
  }
  return 0;
}

herr_t truncate(H5FD_t* base, hid_t, hbool_t) {
  SurvivingFile& file = self(base);
  if (file.eoa != file.eof && file.state.failure == 0 &&
      ::ftruncate(file.state.descriptor, static_cast<off_t>(file.eoa)) != 0)
    file.state.failure = errno;
  file.eof = file.eoa;
  return 0;
}

// A file system that has no locks is used without, as HDF5's default driver does.
herr_t lock(H5FD_t* file, hbool_t exclusive) {
  const int result = ::flock(self(file).state.descriptor, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  return result == 0 || errno == ENOSYS ? 0 : -1;
}

herr_t unlock(H5FD_t* file) {
  const int result = ::flock(self(file).state.descriptor, LOCK_UN);
  return result == 0 || errno == ENOSYS ? 0 : -1;
}

H5FD_class_t driver_class() {
  H5FD_class_t driver{};
  driver.name = "gradflow_surviving";
  driver.maxaddr = static_cast<haddr_t>(std::numeric_limits<off_t>::max());
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.open = open;
  driver.close = close;
  driver.query = query;
  driver.get_eoa = get_eoa;
  driver.set_eoa = set_eoa;
  driver.get_eof = get_eof;
  driver.get_handle = get_handle;
  driver.read = read;
  driver.write = write;
  driver.truncate = truncate;
  driver.lock = lock;
  driver.unlock = unlock;
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(map), std::end(map), driver.fl_map);
  return driver;
}

}  // namespace

Handle surviving_access(const Place& place) {
  static const H5FD_class_t driver = driver_class();
  const Handle id = place.own(H5FDregister(&driver), "register the file driver");
  Handle access = place.own(H5Pcreate(H5P_FILE_ACCESS), "prepare access");
  place.check(H5Pset_driver(access.get(), id.get(), nullptr), "prepare access");  // takes its own hold on the driver
  return access;
}

DriverState& driver_state(const Place& place, hid_t file) {
  void* state = nullptr;
  place.check(H5Fget_vfd_handle(file, H5P_DEFAULT, &state), "reach its descriptor");
  return *static_cast<DriverState*>(state);
}

}  // namespace gradflow::storage
