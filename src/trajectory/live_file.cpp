#include "trajectory/live_file.hpp"

namespace gradflow::trajectory {

LiveFile::~LiveFile() {
  try {
    if (published_) close();
  } catch (const std::exception&) {  // a destructor has nobody to tell
  }
}

void LiveFile::publish() {
  file_.publish();
  published_ = true;
}

// Two flushes of the file cost less than one of each data set, which looks through all of HDF5's cache, and there are
// hundreds of data sets in a comparison.
void LiveFile::commit() {
  for (Table& table : tables_) table.write_columns();
  file_.flush();
  for (Table& table : tables_) table.write_t();
  file_.flush();
  if (published_) file_.check_in_place();
  last_commit_ = std::chrono::steady_clock::now();
}

void LiveFile::close() {
  if (closed_ || failed_) return;
  change([&] {
    commit();
    file_.sync();
    file_.close();
  });
  closed_ = true;
}

}  // namespace gradflow::trajectory
