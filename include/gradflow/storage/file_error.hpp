#pragma once
#include <stdexcept>

namespace gradflow {

/// A file cannot be read or written: missing, not HDF5, damaged, of the wrong shape or type, no space, no permission.
/// what() names the file, the object in it, the rule, what was found and, where there is one, the remedy.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace gradflow
