#pragma once
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gradflow::trajectory {

class LiveFile;

/// Writes one run into its group of a file so that others can read it meanwhile (HDF5's SWMR mode) and so that a kill
/// at any moment leaves every committed row readable.
///
/// Rows are gathered and committed in blocks: when a chunk of them is full, when flush() is called, and when a row
/// comes more than `commit_every` after the file's last commit. Within each group `t` is written last, so that its
/// length is the number of committed rows of all columns.
///
/// Every function throws FileError when the file cannot be written (no space, no permission, name or folder gone). What
/// was committed stays readable; nothing more is written, and every later call but close() throws again, whichever run
/// of the file it is for. Misuse (a wrong number of values, an event that is not there, a file that is closed) throws
/// std::invalid_argument. Not for use from several threads at once, nor are two runs of one file.
class RunGroupWriter {
 public:
  RunGroupWriter(RunGroupWriter&&) noexcept;
  ~RunGroupWriter();

  /// A row of observables at flow time t: the values of all columns, one after the other, each row-major.
  void record(double t, std::span<const double> values);
  /// The state at flow time t: for each column of RunDescription::states its values, row-major. From 4 MiB on
  /// they are committed, with all that is gathered.
  void snapshot(double t, std::span<const std::span<const double>> values);
  /// An accepted step that ends at flow time t: its length in the clock's time, and its error ratio (accepted: at most
  /// 1).
  void step(double t, double clock_step, double error_ratio);
  /// Returns the crossing's number, from 0.
  std::int64_t crossing(const Crossing& crossing);

  /// These replace what is there, at once.
  void set_crossing_error(std::int64_t crossing, double t_error, std::int64_t certain);
  void set_summary(std::int64_t event, const EventSummary& summary);
  void set_run(const RunEnd& end);

  /// Makes room for checkpoints of as many numbers as this one has; only in `begin`, before the file has its name.
  void prepare_checkpoints(const Checkpoint& like);
  /// Commits everything and waits until the disk has it; then keeps this beside it, with how many rows there are, so
  /// that the run can go on from here (RunReader::checkpoint).
  void checkpoint(const Checkpoint& checkpoint);
  /// Commits all rows that are still gathered, those of the file's other runs too.
  void flush();

 protected:
  friend class ComparisonWriter;
  /// Makes the group of that path ("": the root), with all its names, in a file that is not published yet.
  RunGroupWriter(std::shared_ptr<LiveFile> file, const std::string& group, const RunDescription& description);
  LiveFile& file();
  /// Of records, snapshots, crossings and steps.
  std::vector<std::int64_t> rows() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// A run's own file: the run stands at the root. Its destructor does what close() does, but never throws.
class RunWriter : public RunGroupWriter {
 public:
  /// Makes the file, with all its names, under a temporary name and then gives it its own: no half-made file ever bears
  /// it. `begin` may fill it before it has. Throws FileError where it exists and `overwrite` is false, and where
  /// another process is writing it; std::invalid_argument for a description that contradicts itself.
  RunWriter(const std::filesystem::path& path, const RunDescription& description, bool overwrite = false,
            std::chrono::duration<double> commit_every = std::chrono::seconds(1),
            const std::function<void(RunGroupWriter&)>& begin = {});

  /// flush(), waits until the disk has the file, and closes it: readers then need nothing special.
  void close();
};

}  // namespace gradflow::trajectory
