#include <hdf5_hl.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <type_traits>

#include "storage/file.hpp"

namespace gradflow::storage {

namespace {

template <class T>
hid_t memory_type() {
  return std::is_same_v<T, double> ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
}

Kind kind_of(const Place& place, hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return Kind::integer;
    case H5T_FLOAT:
      return Kind::real;
    case H5T_STRING:
      return Kind::text;
    case H5T_COMPOUND:
      place.fail("must hold numbers; it holds compound values (a complex array is stored so too)");
    case H5T_ENUM:
      place.fail("must hold numbers; it holds an enumeration (a boolean array is stored so too): save it as integers");
    default:
      place.fail("must hold numbers or text; it holds values of another type");
  }
}

// A file that a user supplies must not make the program read other files.
void check_values_are_here(const Place& place, hid_t dataset) {
  const Handle creation = place.own(H5Dget_create_plist(dataset), "read its properties");
  if (H5Pget_layout(creation.get()) == H5D_VIRTUAL || H5Pget_external_count(creation.get()) > 0)
    place.fail(
        "its values lie in other files (a virtual data set or external storage), which are not followed: copy them "
        "into this file");
}

constexpr double largest_count = 1e17;  // so that neither a number of values nor of bytes overflows

std::int64_t product(const Shape& shape, std::size_t first) {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end(), std::int64_t{1},
                         std::multiplies<>());
}

}  // namespace

Dataset::Dataset(Place where, Handle handle) : Object(std::move(where), std::move(handle)) {
  const Quiet quiet;
  const Handle type = place().own(H5Dget_type(id()), "read its type");
  kind_ = kind_of(place(), type.get());
  check_values_are_here(place(), id());
  const Handle space = place().own(H5Dget_space(id()), "read its shape");
  if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) place().fail("is empty: it has no values");
  std::vector<hsize_t> extent(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
  H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr);
  shape_.assign(extent.begin(), extent.end());
  double most = 1;  // that any product of its extents can be, those of an empty one included
  for (const hsize_t size : extent) most *= static_cast<double>(std::max<hsize_t>(size, 1));
  if (most > largest_count) place().fail("is damaged: its shape asks for more values than any file can hold");
}

std::int64_t Dataset::row_size() const { return shape_.empty() ? 1 : product(shape_, 1); }

template <class T>
void Dataset::write(std::span<const T> values) {
  const Quiet quiet;
  if (std::ssize(values) != product(shape_, 0)) place().fail("the number of values to write does not match its shape");
  place().check(H5Dwrite(id(), memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), "write");
}
template void Dataset::write<double>(std::span<const double>);
template void Dataset::write<std::int64_t>(std::span<const std::int64_t>);

void Dataset::write(std::span<const std::string> values) {
  const Quiet quiet;
  if (std::ssize(values) != product(shape_, 0)) place().fail("the number of texts to write does not match its shape");
  std::vector<const char*> texts;
  for (const std::string& value : values) texts.push_back(value.c_str());
  const Handle type = place().own(H5Dget_type(id()), "read its type");
  place().check(H5Dwrite(id(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()), "write");
}

void Dataset::write_text(std::string value) {
  const Quiet quiet;
  const Handle type = place().own(H5Dget_type(id()), "read its type");
  const std::size_t most = H5Tget_size(type.get());
  if (value.size() > most) {
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) --end;  // inside a UTF-8 sequence
    value.resize(end);
  }
  value.resize(most, '\0');
  place().check(H5Dwrite(id(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, value.data()), "write");
}

Handle Dataset::select_rows(std::int64_t first, std::int64_t count) const {
  Handle space = place().own(H5Dget_space(id()), "read its shape");
  if (shape_.empty()) return space;
  std::vector<hsize_t> start(shape_.size(), 0), size(shape_.begin(), shape_.end());
  start[0] = static_cast<hsize_t>(first);
  size[0] = static_cast<hsize_t>(count);
  place().check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr),
                "select rows");
  return space;
}

/// So many rows in memory, of the same shape as in the file: HDF5 would walk through a mere list of values one by one.
Handle Dataset::memory_rows(std::int64_t count) const {
  std::vector<hsize_t> size(shape_.begin(), shape_.end());
  if (!size.empty()) size[0] = static_cast<hsize_t>(count);
  return place().own(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), "select memory");
}

template <class T>
void Dataset::write_rows(std::int64_t first, std::span<const T> values) {
  const Quiet quiet;
  const std::int64_t count = std::ssize(values) / row_size();
  const Handle space = select_rows(first, count), memory = memory_rows(count);
  place().check(H5Dwrite(id(), memory_type<T>(), memory.get(), space.get(), H5P_DEFAULT, values.data()), "write rows");
}
template void Dataset::write_rows<double>(std::int64_t, std::span<const double>);
template void Dataset::write_rows<std::int64_t>(std::int64_t, std::span<const std::int64_t>);

void Dataset::append(std::span<const double> values) {
  const Quiet quiet;
  const std::int64_t first = rows();
  Shape longer = shape_;
  longer.front() += std::ssize(values) / row_size();
  const std::vector<hsize_t> extent(longer.begin(), longer.end());
  place().check(H5Dset_extent(id(), extent.data()), "grow");
  shape_ = longer;
  write_rows(first, values);
}

void Dataset::flush() {
  const Quiet quiet;
  place().check(H5Dflush(id()), "write");
}

void Dataset::check_size(std::int64_t count) const {
  // No shape may make the program allocate what the file cannot hold: deflate, the strongest filter in use, packs 1032
  // to 1 at best. HDF5 itself allocates whole chunks.
  constexpr double largest_packing = 1100, slack_bytes = 1 << 20;
  const hsize_t stored = H5Dget_storage_size(id());
  const double most = slack_bytes + largest_packing * static_cast<double>(stored);
  const Handle type = place().own(H5Dget_type(id()), "read its type");
  const double bytes = std::max(8.0, static_cast<double>(H5Tget_size(type.get())));
  double claimed = static_cast<double>(count);
  for (std::size_t axis = 1; axis < shape_.size(); ++axis) claimed *= static_cast<double>(shape_[axis]);
  if (bytes * claimed > most)
    place().fail("its shape asks for " + std::to_string(static_cast<std::int64_t>(claimed)) +
                 " values, but the file stores only " + std::to_string(stored) + " bytes for it");
  const Handle creation = place().own(H5Dget_create_plist(id()), "read its properties");
  if (H5Pget_layout(creation.get()) != H5D_CHUNKED) return;
  std::vector<hsize_t> chunk(shape_.size());
  place().check(H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()), "read its chunks");
  double chunk_bytes = bytes;
  for (const hsize_t size : chunk) chunk_bytes *= static_cast<double>(size);
  if (stored > 0 && chunk_bytes > most)
    place().fail("its chunks are of " + std::to_string(static_cast<std::int64_t>(std::min(chunk_bytes, 9e18))) +
                 " bytes, but the file stores only " + std::to_string(stored) + " for it: write it in smaller chunks");
}

template <class T>
std::vector<T> Dataset::read(std::int64_t first, std::int64_t count) const {
  const Quiet quiet;
  if (kind_ == Kind::text) place().fail("must hold numbers; it holds text");
  if (std::is_same_v<T, std::int64_t> && kind_ != Kind::integer)
    place().fail("must hold integers; it holds floating-point numbers");
  if (first < 0 || count < 0 || first + count > rows())
    place().fail("has " + std::to_string(rows()) + " rows; row " + std::to_string(first + count - 1) + " is asked for");
  check_size(count);
  std::vector<T> values(static_cast<std::size_t>(count * row_size()));
  if (values.empty()) return values;
  const Handle space = select_rows(first, count), memory = memory_rows(count);
  place().check(H5Dread(id(), memory_type<T>(), memory.get(), space.get(), H5P_DEFAULT, values.data()), "read");
  return values;
}
template std::vector<double> Dataset::read<double>(std::int64_t, std::int64_t) const;
template std::vector<std::int64_t> Dataset::read<std::int64_t>(std::int64_t, std::int64_t) const;

std::vector<std::string> Dataset::read_text() const {
  const Quiet quiet;
  if (kind_ != Kind::text) place().fail("must hold text; it holds numbers");
  check_size(rows());
  const auto count = static_cast<std::size_t>(product(shape_, 0));
  const Handle type = place().own(H5Dget_type(id()), "read its type");
  std::vector<std::string> result;
  if (H5Tis_variable_str(type.get()) > 0) {
    std::vector<char*> texts(count, nullptr);
    place().check(H5Dread(id(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()), "read");
    for (char* text : texts) {
      result.emplace_back(text ? text : "");
      H5free_memory(text);
    }
  } else {
    const std::size_t width = H5Tget_size(type.get());
    std::vector<char> texts(count * width);
    place().check(H5Dread(id(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.data()), "read");
    for (std::size_t i = 0; i < count; ++i) result.emplace_back(&texts[i * width], strnlen(&texts[i * width], width));
  }
  return result;
}

void Dataset::make_scale(const std::string& dimension) {
  const Quiet quiet;
  place().check(H5DSset_scale(id(), dimension.c_str()), "make it a dimension scale");
}

void Dataset::attach_scale(const Dataset& scale, std::size_t axis) {
  const Quiet quiet;
  place().check(H5DSattach_scale(id(), scale.id(), static_cast<unsigned>(axis)), "attach a dimension scale");
}

bool Dataset::is_scale() const {
  const Quiet quiet;
  return H5DSis_scale(id()) > 0;
}

std::vector<std::string> Dataset::dimensions() const {
  const Quiet quiet;
  const auto first_name = [](hid_t, unsigned, hid_t scale, void* data) -> herr_t {
    std::string name(static_cast<std::size_t>(std::max<ssize_t>(H5DSget_scale_name(scale, nullptr, 0), 0)), '\0');
    H5DSget_scale_name(scale, name.data(), name.size() + 1);
    *static_cast<std::string*>(data) = name;
    return 1;
  };
  std::vector<std::string> names(shape_.size());
  for (unsigned axis = 0; axis < shape_.size(); ++axis)
    place().check(H5DSiterate_scales(id(), axis, nullptr, first_name, &names[axis]), "read its dimensions");
  return names;
}

}  // namespace gradflow::storage
