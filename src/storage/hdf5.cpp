#include "storage/hdf5.hpp"

#include <gradflow/storage/file_error.hpp>

namespace gradflow::storage {

bool Handle::reset() noexcept {
  if (id_ < 0) return true;
  const Quiet quiet;
  return H5Idec_ref(std::exchange(id_, H5I_INVALID_HID)) >= 0;
}

Place Place::inside(const std::string& name) const { return {file, object.empty() ? name : object + "/" + name}; }

void Place::fail(const std::string& what) const {
  throw FileError(file + ": " + (object.empty() ? "" : object + ": ") + what);
}

void Place::fail_call(const std::string& action) const { fail("cannot " + action + ": " + last_reason()); }

std::string last_reason() {
  std::string reason;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* data) -> herr_t {
        auto& text = *static_cast<std::string*>(data);
        // The first entry is the innermost; a later one is better only if it quotes the operating system.
        const std::string entry = error->desc ? error->desc : "";
        const std::string mark = "error message = '";
        if (const auto at = entry.find(mark); at != std::string::npos) {
          text = entry.substr(at + mark.size(), entry.find('\'', at + mark.size()) - at - mark.size());
          return 1;
        }
        if (text.empty()) text = entry;
        return 0;
      },
      &reason);
  return reason.empty() ? "HDF5 gives no reason" : reason;
}

}  // namespace gradflow::storage
