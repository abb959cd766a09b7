#include "trajectory/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "trajectory/layout.hpp"

namespace gradflow::trajectory {

namespace {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Layout;

// About 1 MiB a chunk at most, which fits into the chunk cache of HDF5, and long rows do not wait in memory for others.
std::int64_t rows_of_chunk(const std::vector<Dimension>& dimensions, const std::vector<Column>& columns,
                           std::int64_t most) {
  std::int64_t longest = 1;
  for (const Column& column : columns) {
    std::int64_t size = 1;
    for (const std::int64_t extent : shape_of(dimensions, column.dimensions, column.name)) size *= extent;
    longest = std::max(longest, size);
  }
  return std::clamp<std::int64_t>((std::int64_t{1} << 17) / longest, 1, most);
}

Dataset create_time(Group& group, std::int64_t chunk_rows) {
  Dataset t = group.create_dataset("t", Layout{Kind::real, {0}, chunk_rows});
  t.make_scale("t");
  describe(t, "1", "flow time");
  return t;
}

Dataset create_column(Group& group, const Dataset& t, const std::vector<Dimension>& dimensions, const Column& column,
                      Kind kind, std::int64_t chunk_rows) {
  if (group.has(column.name)) misuse(fmt::format("the name {} is given twice", column.name));
  storage::Shape shape = shape_of(dimensions, column.dimensions, column.name);
  shape.insert(shape.begin(), 0);
  // A chunk of several rows is written again, in place, as it fills up. A kill in the middle of that changes none of
  // the bytes that were committed, but would leave a checksum that does not match and so lose them all. A chunk of one
  // row is written once.
  const bool checksum = chunk_rows == 1;
  Dataset data = group.create_dataset(column.name, Layout{kind, shape, chunk_rows, checksum});
  data.attach_scale(t, 0);
  attach_dimensions(group, data, column.dimensions, 1);
  describe(data, column.unit, column.long_name, column.source);
  return data;
}

}  // namespace

Table::Table(Group& group, const std::vector<Dimension>& dimensions, const std::vector<Column>& columns,
             std::int64_t most_rows, const std::vector<std::string>& integers)
    : chunk_rows_(rows_of_chunk(dimensions, columns, most_rows)), t_(create_time(group, chunk_rows_)) {
  create_dimensions(group, dimensions);
  for (const Column& column : columns) {
    const Kind kind = std::ranges::count(integers, column.name) ? Kind::integer : Kind::real;
    columns_.push_back({create_column(group, t_, dimensions, column, kind, chunk_rows_), {}});
  }
}

void Table::append(double t, std::span<const double> row) {
  std::vector<std::span<const double>> parts;
  std::size_t begin = 0;
  for (const Stored& column : columns_) {
    const auto size = static_cast<std::size_t>(column.data.row_size());
    if (begin + size > row.size()) break;
    parts.push_back(row.subspan(begin, size));
    begin += size;
  }
  if (parts.size() != columns_.size() || begin != row.size())
    misuse(fmt::format("{} values were given for a row; its columns do not add up to that", row.size()));
  append(t, parts);
}

void Table::append(double t, std::span<const std::span<const double>> row) {
  if (row.size() != columns_.size())
    misuse(fmt::format("{} columns were given where there are {}", row.size(), columns_.size()));
  for (std::size_t c = 0; c < row.size(); ++c)
    if (std::ssize(row[c]) != columns_[c].data.row_size())
      misuse(fmt::format("{} values were given for a row of {}, which has {}", row[c].size(),
                         columns_[c].data.place().object, columns_[c].data.row_size()));
  for (std::size_t c = 0; c < row.size(); ++c) {
    columns_[c].gathered.insert(columns_[c].gathered.end(), row[c].begin(), row[c].end());
    gathered_bytes_ += row[c].size_bytes();
  }
  gathered_t_.push_back(t);
}

void Table::write_columns() {
  for (Stored& column : columns_) {
    if (!gathered_t_.empty()) column.data.append(column.gathered);
    column.gathered.clear();
  }
}

void Table::write_t() {
  if (!gathered_t_.empty()) t_.append(gathered_t_);
  gathered_t_.clear();
  gathered_bytes_ = 0;
}

void Table::replace(std::size_t column, std::int64_t row, double value) {
  Stored& stored = columns_.at(column);
  if (row < 0 || row >= rows()) misuse(fmt::format("{} has no row {}", stored.data.place().object, row));
  if (row >= t_.rows()) {
    stored.gathered[static_cast<std::size_t>(row - t_.rows())] = value;
  } else {
    stored.data.write_rows(row, std::span<const double>(&value, 1));
    stored.data.flush();
  }
}

void Table::replace(std::size_t column, std::span<const double> values) {
  Stored& stored = columns_.at(column);
  if (!stored.gathered.empty() || std::ssize(values) != rows() * stored.data.row_size())
    misuse(
        fmt::format("{} values were given for all {} rows of {}", values.size(), rows(), stored.data.place().object));
  if (values.empty()) return;
  stored.data.write_rows(0, values);
  stored.data.flush();
}

}  // namespace gradflow::trajectory
