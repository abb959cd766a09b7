#pragma once
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "storage/file.hpp"
#include "trajectory/layout.hpp"
#include "trajectory/table.hpp"

namespace gradflow::trajectory {

/// A new file that others read while it is written: the tables that grow in it, when their rows are committed, and what
/// becomes of it after a write that failed. It knows nothing of what its groups mean.
class LiveFile {
 public:
  /// `commit_every`: no row waits longer for its commit, once another row comes.
  LiveFile(const std::filesystem::path& path, bool overwrite, std::chrono::duration<double> commit_every)
      : file_(storage::File::create(path, overwrite)), commit_every_(commit_every) {}
  LiveFile(const LiveFile&) = delete;
  LiveFile& operator=(const LiveFile&) = delete;
  /// close(), but never throws.
  ~LiveFile();

  storage::Group root() const { return file_.root(); }
  /// Makes `t` and the columns in `group`, see Table; it lives as long as the file.
  Table& create_table(storage::Group& group, const Series& series, std::int64_t most_rows,
                      const std::vector<std::string>& integers = {}) {
    return tables_.emplace_back(group, series.dimensions, series.columns, most_rows, integers);
  }
  /// Gives the file its name. Everything that will ever exist in it must be there.
  void publish();

  /// Runs one change of the file. After a failure nothing more is written: the file stays as a kill would have left it.
  template <class Change>
  void change(Change apply) {
    if (failed_) throw FileError(*failed_);
    if (closed_) misuse("it is closed already");
    try {
      apply();
    } catch (const FileError& error) {
      failed_ = error.what();
      throw;
    }
  }

  /// Adds a row; commits all tables where a chunk of this one is full, or the last commit is long ago.
  template <class Row>
  void append(Table& table, double t, const Row& row) {
    table.append(t, row);
    if (table.full() || std::chrono::steady_clock::now() - last_commit_ > commit_every_) commit();
  }
  /// All gathered rows of all tables.
  void commit();
  /// Waits until the disk has what is committed.
  void sync() { file_.sync(); }
  /// Commits all, waits until the disk has it, and closes. Nothing where it is closed, or has failed.
  void close();

 private:
  storage::File file_;
  std::deque<Table> tables_;
  std::chrono::duration<double> commit_every_;
  std::chrono::steady_clock::time_point last_commit_ = std::chrono::steady_clock::now();
  std::optional<std::string> failed_;
  bool published_ = false, closed_ = false;
};

}  // namespace gradflow::trajectory
