#pragma once
#include "storage/hdf5.hpp"

/// A file driver for HDF5 that survives a full disk.
///
/// When a write fails under HDF5 1.10, its objects cannot be closed: each attempt writes again, and the second one on
/// the same data set, at the latest the library's own at exit, is a segmentation fault. This driver reads and writes
/// like HDF5's default one
/// ("sec2"), but keeps a failure to itself: it notes the first one and from then on writes into memory instead of the
/// file. So HDF5 stays whole and closes, the file stays as a kill at that moment would have left it, and whoever writes
/// asks for the failure.
namespace gradflow::storage {

/// What H5Fget_vfd_handle gives for a file of this driver; HDF5 demands that the descriptor comes first.
struct DriverState {
  int descriptor = -1;
  int failure = 0;  ///< errno of the first write that failed
};

/// File access properties with this driver.
Handle surviving_access(const Place& place);

/// The state of an open file's driver.
DriverState& driver_state(const Place& place, hid_t file);

}  // namespace gradflow::storage
