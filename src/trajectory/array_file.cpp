#include <gradflow/trajectory/array_file.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "storage/file.hpp"

namespace gradflow::trajectory {

using storage::Dataset;

namespace {

void check_rank(const Dataset& data, std::size_t rank) {
  if (data.shape().size() == rank) return;
  data.place().fail(fmt::format("must have {} dimension{}; its shape is [{}]", rank, rank == 1 ? "" : "s",
                                fmt::join(data.shape(), ", ")));
}

/// "[3, 7]": the position of element `index` of a row-major array.
std::string position(const std::vector<std::int64_t>& shape, std::int64_t index) {
  std::vector<std::int64_t> at(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; index /= shape[axis]) at[axis] = index % shape[axis];
  return fmt::format("[{}]", fmt::join(at, ", "));
}

void check_finite(const Dataset& data, const NumericArray<double>& array) {
  const auto bad = std::ranges::find_if(array.values, [](double value) { return !std::isfinite(value); });
  if (bad != array.values.end())
    data.place().fail(fmt::format("must be finite; element {} (from 0) is {}",
                                  position(array.shape, bad - array.values.begin()), *bad));
}

}  // namespace

class ArrayFile::Implementation {
 public:
  explicit Implementation(const std::filesystem::path& path) : file(storage::File::open(path)), root(file.root()) {}

  template <class T>
  NumericArray<T> read(const std::string& name, std::size_t rank) const {
    const Dataset data = root.open_dataset(name);
    check_rank(data, rank);
    NumericArray<T> array{data.shape(), data.read<T>()};
    if constexpr (std::is_same_v<T, double>) check_finite(data, array);
    return array;
  }

  NumericArray<double> read_snapshot(const std::string& name, std::size_t rank, std::int64_t snapshot) const {
    const std::int64_t committed = root.open_dataset("states/t").rows();
    const Dataset data = root.open_dataset(name);
    check_rank(data, rank + 1);
    if (snapshot < 0 || snapshot >= committed)
      data.place().fail(fmt::format("has snapshots 0 to {}; snapshot {} is asked for", committed - 1, snapshot));
    NumericArray<double> array{{data.shape().begin() + 1, data.shape().end()}, data.read<double>(snapshot, 1)};
    check_finite(data, array);
    return array;
  }

  storage::File file;
  storage::Group root;
};

ArrayFile::ArrayFile(const std::filesystem::path& path) : implementation_(std::make_unique<Implementation>(path)) {}
ArrayFile::ArrayFile(ArrayFile&&) noexcept = default;
ArrayFile::~ArrayFile() = default;

bool ArrayFile::has(const std::string& name) const { return implementation_->root.has(name); }

NumericArray<double> ArrayFile::reals(const std::string& name, std::size_t rank) const {
  return implementation_->read<double>(name, rank);
}

NumericArray<std::int64_t> ArrayFile::integers(const std::string& name, std::size_t rank) const {
  return implementation_->read<std::int64_t>(name, rank);
}

std::optional<std::int64_t> ArrayFile::integer_attribute(const std::string& name, const std::string& group) const {
  const storage::Group& root = implementation_->root;
  const auto value = group.empty() ? root.attribute(name) : root.open_group(group).attribute(name);
  if (!value) return {};
  if (const auto* integer = std::get_if<std::int64_t>(&*value)) return *integer;
  root.place()
      .inside(group.empty() ? "@" + name : group + "/@" + name)
      .fail("the attribute must be an integer; it is another type");
}

std::string ArrayFile::find_start(const std::string& name, std::optional<std::int64_t> snapshot) const {
  for (const std::string run : {"", "flow/"}) {
    const std::string at_start = run + "start/" + name;
    for (const std::string& path : {snapshot ? run + "states/" + name : at_start, snapshot ? at_start : run + name})
      if (has(path)) return path;
  }
  return {};
}

NumericArray<double> ArrayFile::start(const std::string& name, std::size_t rank,
                                      std::optional<std::int64_t> snapshot) const {
  const std::string path = find_start(name, snapshot);
  if (path.empty())
    implementation_->root.place().inside(name).fail(
        snapshot ? "there is no such data set in the groups states and start: only a run has snapshots"
                 : "there is no such data set, neither at the root nor in the group start");
  return path.starts_with("states/") ? implementation_->read_snapshot(path, rank, *snapshot) : reals(path, rank);
}

}  // namespace gradflow::trajectory
