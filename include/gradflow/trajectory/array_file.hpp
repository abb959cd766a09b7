#pragma once
#include <gradflow/storage/file_error.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gradflow::trajectory {

template <class T>
struct NumericArray {
  std::vector<std::int64_t> shape;
  std::vector<T> values;  ///< row-major
};

/// Numeric arrays of any HDF5 file that a user supplies (a task, a start), a run's included. Links into other files,
/// virtual data sets and external storage are refused. Every function throws FileError, which names the data set, what
/// it must be and what it is.
class ArrayFile {
 public:
  explicit ArrayFile(const std::filesystem::path& path);
  ArrayFile(ArrayFile&&) noexcept;
  ~ArrayFile();

  /// Whether there is such a data set or group; `name` may be a path ("task/tokens").
  bool has(const std::string& name) const;
  /// Floating-point numbers or integers, all finite, of just so many dimensions.
  NumericArray<double> reals(const std::string& name, std::size_t rank) const;
  /// Integers, of just so many dimensions.
  NumericArray<std::int64_t> integers(const std::string& name, std::size_t rank) const;
  /// An attribute of the root, or of the group of that path; nothing where it is absent.
  std::optional<std::int64_t> integer_attribute(const std::string& name, const std::string& group = "") const;

  /// The path of a start's array (W, W_V, ...). Without a snapshot: start/NAME, as in a run, or else NAME at the root.
  /// With one (of a run, from 0): states/NAME, or start/NAME for what no snapshot holds because it does not move. Of a
  /// comparison those of its flow. "" where there is none.
  std::string find_start(const std::string& name, std::optional<std::int64_t> snapshot) const;
  /// That array, of just so many dimensions (the snapshot's does not count).
  NumericArray<double> start(const std::string& name, std::size_t rank, std::optional<std::int64_t> snapshot) const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace gradflow::trajectory
