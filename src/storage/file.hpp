#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/hdf5.hpp"
#include "storage/lock.hpp"

/// Groups, data sets and attributes of one HDF5 file, read with checks and written for readers that follow (SWMR).
/// Every function throws FileError.
namespace gradflow::storage {

using Value = std::variant<std::string, double, std::int64_t>;
using Shape = std::vector<std::int64_t>;
enum class Kind { real, integer, text };  ///< float64, int64, UTF-8 text of any length

/// What has attributes.
class Object {
 public:
  Object(Place place, Handle handle) : place_(std::move(place)), handle_(std::move(handle)) {}
  const Place& place() const { return place_; }
  hid_t id() const { return handle_.get(); }

  void set_attribute(const std::string& name, const Value& value);
  void set_attribute(const std::string& name, std::span<const std::int64_t> values);
  /// Nothing where there is no such attribute. Throws if it is neither a number nor text, or an array.
  std::optional<Value> attribute(const std::string& name) const;
  /// "" where there is no such attribute.
  std::string text_attribute(const std::string& name) const;
  /// All that are one number or one text, by name; those that HDF5 keeps for dimension scales are left out.
  std::vector<std::pair<std::string, Value>> attributes() const;

 private:
  Handle create_attribute(const std::string& name, hid_t type, hid_t space);

  Place place_;
  Handle handle_;
};

/// How a data set is made. `chunk_rows` > 0: it grows along its first dimension, in chunks of so many whole rows.
struct Layout {
  Kind kind = Kind::real;
  Shape shape = {};
  std::int64_t chunk_rows = 0;
  bool checksum = false;       ///< of every chunk; only for chunks that are written once, see Table
  std::size_t text_bytes = 0;  ///< > 0: a text takes just so many bytes, and so can be overwritten in place
};

class Dataset : public Object {
 public:
  /// Opens. Throws where its values lie in another file, or are neither numbers nor text.
  Dataset(Place place, Handle handle);

  Kind kind() const { return kind_; }
  /// [rows, ...] when it was opened, and after every append.
  const Shape& shape() const { return shape_; }
  std::int64_t rows() const { return shape_.empty() ? 1 : shape_.front(); }
  std::int64_t row_size() const;

  /// T: double or std::int64_t. All values, row-major.
  template <class T>
  void write(std::span<const T> values);
  void write(std::span<const std::string> values);
  /// One text of fixed length, cut off (between characters) where it is too long.
  void write_text(std::string value);
  /// Overwrites whole rows in place.
  template <class T>
  void write_rows(std::int64_t first, std::span<const T> values);
  /// Adds whole rows at the end.
  void append(std::span<const double> values);
  /// Makes what was written visible to readers that follow.
  void flush();

  /// Rows [first, first + count), row-major; double also reads integers. Throws, before it allocates, where the data
  /// set claims far more values than it can have stored.
  template <class T>
  std::vector<T> read(std::int64_t first, std::int64_t count) const;
  template <class T>
  std::vector<T> read() const {
    return read<T>(0, rows());
  }
  std::vector<std::string> read_text() const;

  /// Makes it the scale (the coordinate) of a dimension that bears its name.
  void make_scale(const std::string& dimension);
  void attach_scale(const Dataset& scale, std::size_t axis);
  bool is_scale() const;
  /// The names of the scales of each dimension; "" where it has none.
  std::vector<std::string> dimensions() const;

 private:
  Handle select_rows(std::int64_t first, std::int64_t count) const;
  Handle memory_rows(std::int64_t count) const;
  void check_size(std::int64_t count) const;

  Kind kind_ = Kind::real;
  Shape shape_;
};

class Group : public Object {
 public:
  using Object::Object;
  /// `name` may be a path. Links to other files are not followed and count as missing.
  bool has(const std::string& name) const;
  bool has_dataset(const std::string& name) const;
  Group create_group(const std::string& name);
  Group open_group(const std::string& name) const;
  Dataset create_dataset(const std::string& name, const Layout& layout);
  Dataset open_dataset(const std::string& name) const;
  /// In the order of creation where the file keeps it, else by name.
  std::vector<std::string> names() const;

 private:
  Handle open_any(const std::string& name) const;
  Handle open_object(const std::string& name, H5I_type_t type, const char* noun) const;
};

/// A file that is being read, or is being written by this object alone.
class File {
 public:
  /// A new file under a temporary name beside `target`, until publish(). Throws where `target` exists and is not to be
  /// overwritten, or is read-only, or another process is writing it, or its folder is missing or cannot be written.
  static File create(const std::filesystem::path& target, bool overwrite);
  /// For reading: a closed file, one that a writer has open (readable from publish() on), or one whose writer died.
  /// `attempts`: how often it then reads what does not seem whole. HDF5 doubles the pause after each, from 1 ns: 30 are
  /// 2 s, its own 100 are for ever.
  static File open(const std::filesystem::path& path, unsigned attempts = 30);
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  /// Closes; what was not published is removed.
  ~File();

  Group root() const;
  /// Whether a writer had it open when it was opened for reading, or died with it open.
  bool unclosed() const { return unclosed_; }
  /// From here on readers can follow and a kill cannot damage the file: gives it its name. No object or attribute may
  /// be added later.
  void publish();
  /// After the first write that failed nothing more reaches the file, which stays as a kill at that moment would have
  /// left it; this, and all that follow, then throw. Group and Dataset do not notice.
  void check_written() const;
  void flush();
  /// flush(), and waits until the disk has it.
  void sync();
  /// Throws if the file's name no longer leads to this file: what is written now would be lost.
  void check_in_place() const;
  /// Seals what was published (seal.hpp), and lets go of it.
  void close();

 private:
  File(Place place, Handle handle) : place_(std::move(place)), handle_(std::move(handle)) {}

  Place place_;
  std::unique_ptr<WriterLock> lock_;  // of a file that is written
  Handle handle_;
  std::filesystem::path path_, temporary_;
  bool overwrite_ = false, unclosed_ = false;
};

}  // namespace gradflow::storage
