#pragma once
#include <hdf5.h>

#include <string>
#include <utility>

/// Handles and errors of the HDF5 1.10 C library, made safe.
namespace gradflow::storage {

/// While one lives, HDF5 does not print its error stack (which it does by default, once per failing call). Restores
/// what was set.
class Quiet {
 public:
  Quiet() {
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// Owns one HDF5 identifier of any kind.
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, H5I_INVALID_HID);
    }
    return *this;
  }
  ~Handle() { reset(); }
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Gives the identifier back; false where HDF5 could not.
  bool reset() noexcept;

 private:
  hid_t id_ = H5I_INVALID_HID;
};

/// Where in which file something happens: the first words of every error.
struct Place {
  std::string file;
  std::string object;  ///< path inside the file, "" for the file itself

  Place inside(const std::string& name) const;
  /// Throws FileError "FILE: OBJECT: what".
  [[noreturn]] void fail(const std::string& what) const;
  /// Throws FileError "FILE: OBJECT: cannot ACTION: HDF5's own reason", directly after a failed call.
  [[noreturn]] void fail_call(const std::string& action) const;
  /// Takes the identifier over. Throws FileError if it is none.
  Handle own(hid_t id, const char* action) const {
    if (id < 0) fail_call(action);
    return Handle(id);
  }
  void check(herr_t status, const char* action) const {
    if (status < 0) fail_call(action);
  }
};

/// The innermost reason of the error stack of the last failed call; the operating system's where it was at fault.
std::string last_reason();

}  // namespace gradflow::storage
