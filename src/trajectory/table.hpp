#pragma once
#include <gradflow/trajectory/schema.hpp>

#include <cstdint>
#include <span>
#include <vector>

#include "storage/file.hpp"

namespace gradflow::trajectory {

/// The columns of one group that grow along its coordinate `t`. Rows are gathered in memory and written in two parts,
/// the columns and then `t`, between which the file must be flushed: whoever reads counts the rows of `t`.
class Table {
 public:
  /// Makes `t` and the columns. Names in `integers` are stored as such. A chunk has at most `most_rows` rows, fewer
  /// where a row is long.
  Table(storage::Group& group, const std::vector<Dimension>& dimensions, const std::vector<Column>& columns,
        std::int64_t most_rows, const std::vector<std::string>& integers = {});

  /// All columns, one after the other.
  void append(double t, std::span<const double> row);
  void append(double t, std::span<const std::span<const double>> row);
  /// Whether the gathered rows fill a chunk or, where each row is one, so many bytes.
  bool full() const {
    return std::ssize(gathered_t_) >= chunk_rows_ && (chunk_rows_ > 1 || gathered_bytes_ >= bytes_at_once);
  }
  static constexpr std::size_t bytes_at_once = std::size_t{4} << 20;
  /// Committed and gathered.
  std::int64_t rows() const { return t_.rows() + std::ssize(gathered_t_); }
  void write_columns();
  void write_t();
  /// Replaces one value of a column of scalars, committed or not.
  void replace(std::size_t column, std::int64_t row, double value);
  /// All values of a column in place, [rows, ...], once all rows are written.
  void replace(std::size_t column, std::span<const double> values);

 private:
  struct Stored {
    storage::Dataset data;
    std::vector<double> gathered;
  };

  std::int64_t chunk_rows_;
  storage::Dataset t_;
  std::vector<double> gathered_t_;
  std::size_t gathered_bytes_ = 0;
  std::vector<Stored> columns_;
};

}  // namespace gradflow::trajectory
