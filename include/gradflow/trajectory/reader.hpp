#pragma once
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gradflow::storage {
class File;
}

namespace gradflow::trajectory {

/// A numeric variable as it stands in the file, row-major.
struct Values {
  std::vector<std::string> dimensions;  ///< one a dimension; "" where it has no name
  std::vector<std::int64_t> shape;
  std::vector<double> values;
  std::string unit, long_name, source;
};

/// Accepted steps, one element each.
struct Steps {
  std::vector<double> t, clock_step,
      error_ratio;  ///< flow time at the end, length in the clock's time, error over tolerance
};

/// Reads a run from its file, or from one of the groups of a comparison's: finished, still being written, or left by a
/// writer that died. Of what grows it gives the committed rows as of the moment of construction or later, never a part
/// of a row; to see later rows, make another once no reader of this file is left in the process, since HDF5 shares
/// among them what it has read. Every function throws FileError for what is missing, damaged, or of another shape or
/// type than the schema says.
class RunReader {
 public:
  /// `group` is "" for a run's own file; "flow" or "descents/0", "descents/1", ... in a comparison's. Throws FileError
  /// also for a file that is not HDF5 or not a run, and for one of a later schema version.
  explicit RunReader(const std::filesystem::path& path, const std::string& group = "");
  RunReader(RunReader&&) noexcept;
  RunReader& operator=(RunReader&&) noexcept;
  ~RunReader();

  /// False while the file is written, and for ever if its writer died.
  bool closed() const;
  /// Of the run: the root's, or its group's.
  std::vector<Attribute> attributes() const;
  /// Throws FileError where there is no such attribute of the run, or it is not text.
  std::string text_attribute(const std::string& name) const;
  /// The same for a number.
  double number_attribute(const std::string& name) const;

  /// Flow times of the records, [t].
  const std::vector<double>& t() const;
  std::vector<std::string> observables() const;
  /// [t, ...].
  Values observable(const std::string& name) const;
  /// A coordinate of observables; labels, or positions as text.
  Dimension dimension(const std::string& name) const;

  Arrays task() const;
  Arrays start() const;

  /// Flow times of the snapshots.
  std::vector<double> state_t() const;
  std::vector<std::string> states() const;
  /// One snapshot, from 0, of one column, without the dimension t. Throws FileError where there is no such snapshot.
  Values state(const std::string& name, std::int64_t snapshot) const;

  std::vector<EventInfo> events() const;
  std::vector<EventSummary> summary() const;
  /// The word for EventSummary::verdict; "unknown" for -1.
  std::string verdict(std::int64_t code) const;
  std::vector<Crossing> crossings() const;
  /// Names of Crossing::values.
  std::vector<std::string> crossing_values() const;

  /// The newest one that is whole; nothing where there is none.
  std::optional<Checkpoint> checkpoint() const;

  Steps steps() const;
  RunEnd end() const;
  std::vector<std::string> counts() const;
  /// The word for RunEnd::outcome; "unfinished" for -1.
  std::string outcome(std::int64_t code) const;

 private:
  friend class ComparisonReader;
  RunReader(std::shared_ptr<const storage::File> file, const std::string& group);

  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace gradflow::trajectory
