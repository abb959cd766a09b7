#pragma once
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/schema.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "storage/file.hpp"

/// What the readers of a run and of a comparison share. Every function throws FileError.
namespace gradflow::trajectory {

/// The committed rows of a growing group: it reads t first, because the writer writes it last. A kill can leave t
/// longer than what was written of it, which then is NaN; those rows are not committed.
class Grown {
 public:
  explicit Grown(storage::Group group);

  const std::vector<double>& t() const { return t_; }
  std::int64_t rows() const { return std::ssize(t_); }

  bool has(const std::string& name) const { return group_.has(name); }
  /// A column, which may have more rows than t.
  storage::Dataset open(const std::string& name) const;
  /// Of a column of scalars.
  std::vector<double> read(const std::string& name) const;
  /// [t, ...].
  Values values(const std::string& name) const;
  /// All that grows along t, in the order of the file.
  std::vector<std::string> columns() const;

 private:
  storage::Group group_;
  std::vector<double> t_;
};

/// With the names of the data set's dimensions, its shape, unit and so on.
Values described(const storage::Dataset& data, std::vector<double> values);
Dimension read_dimension(const storage::Dataset& scale);
/// The labels of a coordinate; none where it has size 0, which is stored without.
std::vector<std::string> labels(const storage::Dataset& scale);
Arrays read_arrays(const storage::Group& group);

std::string required_text(const storage::Group& group, const std::string& attribute);
double required_number(const storage::Group& group, const std::string& attribute);

/// Gives back the file's root, or the group of a run, where its layout is one that this program knows. `noun` says in
/// the error what it should be ("run").
storage::Group checked_top(storage::Group group, const std::string& noun);
/// Whether the file of that root is a comparison's.
bool holds_comparison(const storage::Group& root);

}  // namespace gradflow::trajectory
