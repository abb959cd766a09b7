#pragma once
#include <gradflow/storage/file_error.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <gradflow/trajectory/schema.hpp>
#include <gradflow/trajectory/writer.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// The file of a comparison: a run of the flow, runs of discrete descents from the same start, and how far they are
/// apart. Its groups: `flow` and `descents/0`, `descents/1`, ..., each laid out as the root of a run's own file;
/// `comparison`, which grows along t; and groups of fixed arrays whose numbers come later, such as `fits`.
namespace gradflow::trajectory {

/// Everything about a comparison that is known before it starts.
struct ComparisonDescription {
  std::vector<Attribute> attributes;  ///< of the file
  RunDescription flow;
  std::vector<RunDescription> descents;
  Series comparison;  ///< among its dimensions is `descent`, with a label for each of `descents`
  /// Further groups by their names; reals without values are unknown until ComparisonWriter::set_result() gives them.
  std::vector<std::pair<std::string, Arrays>> results;
};

/// Writes a comparison's file as RunWriter does a run's: others can read it meanwhile, a kill at any moment leaves
/// every committed row of every group readable, and errors are the same. Its destructor does what close() does, but
/// never throws. Not for use from several threads at once, its runs included.
class ComparisonWriter {
 public:
  /// Makes the file, with all its names, under a temporary name and then gives it its own; `begin` may fill it before.
  /// Throws FileError where it
  /// exists and `overwrite` is false; std::invalid_argument for a description that contradicts itself.
  ComparisonWriter(const std::filesystem::path& path, const ComparisonDescription& description, bool overwrite = false,
                   std::chrono::duration<double> commit_every = std::chrono::seconds(1),
                   const std::function<void(ComparisonWriter&)>& begin = {});
  ComparisonWriter(ComparisonWriter&&) noexcept;
  ~ComparisonWriter();

  /// The runs; they live as long as this object.
  RunGroupWriter& flow();
  /// Number `number` of ComparisonDescription::descents, from 0.
  RunGroupWriter& descent(std::int64_t number);

  /// A row of `comparison` at flow time t: the values of all columns, one after the other, each row-major.
  void compare(double t, std::span<const double> values);
  /// Replaces the values of a column in all rows that there are, [t, ...].
  void replace_column(const std::string& name, std::span<const double> values);
  /// Replaces the values of one of the arrays of reals of ComparisonDescription::results, row-major, at once.
  void set_result(const std::string& group, const std::string& name, std::span<const double> values);

  /// As those of RunGroupWriter, of the whole comparison.
  void prepare_checkpoints(const Checkpoint& like);
  void checkpoint(const Checkpoint& checkpoint);
  /// Commits all rows that are still gathered, of all runs.
  void flush();
  /// flush(), waits until the disk has the file, and closes it: readers then need nothing special.
  void close();

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// Whether a file of gradflow is a comparison's; false for any other HDF5 file. Throws FileError where it cannot be
/// read, or is not HDF5.
bool is_comparison(const std::filesystem::path& path);

/// Reads a comparison's file as RunReader does a run's: finished, still being written, or left by a writer that died.
/// Its runs are read from the file that it has open, whatever becomes of the file's name; each group shows the rows
/// that were committed when it was first read.
class ComparisonReader {
 public:
  /// Throws FileError also for a file that is not HDF5 or not a comparison, and for one of a later schema version.
  explicit ComparisonReader(const std::filesystem::path& path);
  ComparisonReader(ComparisonReader&&) noexcept;
  ~ComparisonReader();

  /// False while it is written, and for ever if its writer died.
  bool closed() const;
  std::vector<Attribute> attributes() const;
  /// Throws FileError where there is no such attribute of the file, or it is not text.
  std::string text_attribute(const std::string& name) const;
  /// The same for a number.
  double number_attribute(const std::string& name) const;

  RunReader flow() const;
  /// What each descent is called; as many as there are.
  const std::vector<std::string>& labels() const;
  std::int64_t descents() const { return std::ssize(labels()); }
  /// From 0. Throws FileError where there is no such descent.
  RunReader descent(std::int64_t number) const;

  /// Flow times of the rows of `comparison`, [t].
  const std::vector<double>& t() const;
  std::vector<std::string> columns() const;
  /// [t, ...].
  Values column(const std::string& name) const;
  /// A coordinate of `comparison`; labels, or positions as text.
  Dimension dimension(const std::string& name) const;
  /// The newest one that is whole; nothing where there is none.
  std::optional<Checkpoint> checkpoint() const;
  bool has_results(const std::string& group) const;
  /// One of ComparisonDescription::results. Throws FileError where the file has none of that name.
  Arrays results(const std::string& group) const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace gradflow::trajectory
