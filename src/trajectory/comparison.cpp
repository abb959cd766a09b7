#include <gradflow/trajectory/comparison.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "storage/file.hpp"
#include "trajectory/checkpoint.hpp"
#include "trajectory/layout.hpp"
#include "trajectory/live_file.hpp"
#include "trajectory/reading.hpp"

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;
using storage::Kind;

namespace {

constexpr std::int64_t comparison_rows = 128;

std::string group_of(std::int64_t descent) { return fmt::format("descents/{}", descent); }

void check_labels(const ComparisonDescription& description) {
  const auto found = std::ranges::find(description.comparison.dimensions, "descent", &Dimension::name);
  if (found == description.comparison.dimensions.end() || found->labels.size() != description.descents.size())
    misuse(fmt::format("the group comparison must have a dimension descent, with {} labels: one for each descent",
                       description.descents.size()));
}

/// Reals that have no values yet are unknown.
Arrays filled(Arrays arrays) {
  for (Array& array : arrays.arrays) {
    const storage::Shape shape = shape_of(arrays.dimensions, array.dimensions, array.name);
    const auto size = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    auto* values = std::get_if<std::vector<double>>(&array.values);
    if (values && values->empty()) values->assign(static_cast<std::size_t>(size), unknown);
  }
  return arrays;
}

/// The arrays that can be given other values, by group and name.
using Results = std::map<std::pair<std::string, std::string>, Dataset>;

Results create_results(Group& root, const ComparisonDescription& description) {
  Results results;
  for (const auto& [name, arrays] : description.results) {
    const Group group = create_arrays(root, name, filled(arrays));
    for (const Array& array : arrays.arrays) {
      Dataset data = group.open_dataset(array.name);
      if (data.kind() == Kind::real) results.emplace(std::pair(name, array.name), std::move(data));
    }
  }
  return results;
}

}  // namespace

class ComparisonWriter::Implementation {
 public:
  Implementation(const std::filesystem::path& path, const ComparisonDescription& description, bool overwrite,
                 std::chrono::duration<double> commit_every)
      : file(std::make_shared<LiveFile>(path, overwrite, commit_every)),
        root(create_top(file->root(), description.attributes)),
        flow(file, "flow", description.flow),
        descents(create_descents(description.descents)),
        comparison(create_comparison(description)),
        results(create_results(root, description)),
        columns(description.comparison.columns) {}

  std::vector<std::int64_t> rows() const {
    std::vector<std::int64_t> result = flow.rows();
    result.push_back(comparison.rows());
    for (const RunGroupWriter& descent : descents)
      for (const std::int64_t count : descent.rows()) result.push_back(count);
    return result;
  }

  std::vector<RunGroupWriter> create_descents(const std::vector<RunDescription>& descriptions) {
    root.create_group("descents");
    std::vector<RunGroupWriter> result;
    for (const RunDescription& description : descriptions)
      result.push_back(RunGroupWriter(file, group_of(std::ssize(result)), description));
    return result;
  }

  Table& create_comparison(const ComparisonDescription& description) {
    check_labels(description);
    Group group = root.create_group("comparison");
    return file->create_table(group, description.comparison, comparison_rows);
  }

  std::shared_ptr<LiveFile> file;
  Group root;
  RunGroupWriter flow;
  std::vector<RunGroupWriter> descents;
  Table& comparison;
  Results results;
  std::vector<Column> columns;  // of comparison
  std::optional<CheckpointSlots> slots;
};

ComparisonWriter::ComparisonWriter(const std::filesystem::path& path, const ComparisonDescription& description,
                                   bool overwrite, std::chrono::duration<double> commit_every,
                                   const std::function<void(ComparisonWriter&)>& begin)
    : implementation_(std::make_unique<Implementation>(path, description, overwrite, commit_every)) {
  if (begin) begin(*this);
  implementation_->file->publish();
}

ComparisonWriter::ComparisonWriter(ComparisonWriter&&) noexcept = default;
ComparisonWriter::~ComparisonWriter() = default;

RunGroupWriter& ComparisonWriter::flow() { return implementation_->flow; }

RunGroupWriter& ComparisonWriter::descent(std::int64_t number) {
  std::vector<RunGroupWriter>& descents = implementation_->descents;
  if (number < 0 || number >= std::ssize(descents))
    misuse(fmt::format("there is no descent {}; there are {}", number, descents.size()));
  return descents[static_cast<std::size_t>(number)];
}

void ComparisonWriter::compare(double t, std::span<const double> values) {
  LiveFile& file = *implementation_->file;
  file.change([&] { file.append(implementation_->comparison, t, values); });
}

void ComparisonWriter::set_result(const std::string& group, const std::string& name, std::span<const double> values) {
  implementation_->file->change([&] {
    const auto found = implementation_->results.find({group, name});
    if (found == implementation_->results.end())
      misuse(fmt::format("the group {} has no array of reals {}", group, name));
    Dataset& data = found->second;
    if (std::ssize(values) != data.rows() * data.row_size())
      misuse(fmt::format("{} values were given for {}, which has {}", values.size(), data.place().object,
                         data.rows() * data.row_size()));
    data.write(values);
    data.flush();
  });
}

void ComparisonWriter::replace_column(const std::string& name, std::span<const double> values) {
  Implementation& all = *implementation_;
  all.file->change([&] {
    const auto column = std::ranges::find(all.columns, name, &Column::name);
    if (column == all.columns.end()) misuse("the group comparison has no column " + name);
    all.file->commit();
    all.comparison.replace(static_cast<std::size_t>(column - all.columns.begin()), values);
  });
}

void ComparisonWriter::prepare_checkpoints(const Checkpoint& like) {
  Implementation& all = *implementation_;
  all.slots.emplace(all.root, std::ssize(like.reals), std::ssize(like.integers), std::ssize(all.rows()));
}

void ComparisonWriter::checkpoint(const Checkpoint& checkpoint) {
  Implementation& all = *implementation_;
  all.file->change([&] {
    if (!all.slots) misuse("no room was made for checkpoints");
    all.file->commit();
    all.slots->write({checkpoint.reals, checkpoint.integers, all.rows()}, [&] { all.file->sync(); });
  });
}

void ComparisonWriter::flush() { implementation_->flow.flush(); }

void ComparisonWriter::close() { implementation_->file->close(); }

bool is_comparison(const std::filesystem::path& path) {
  const storage::File file = storage::File::open(path);
  return file.root().attribute("schema_version") && holds_comparison(file.root());
}

class ComparisonReader::Implementation {
 public:
  explicit Implementation(const std::filesystem::path& path)
      : file(std::make_shared<const storage::File>(storage::File::open(path))),
        root(checked_top(file->root(), "comparison")),
        comparison(open_comparison()),
        labels(trajectory::labels(root.open_dataset("comparison/descent"))) {}

  Group open_comparison() const {
    if (!holds_comparison(root))
      root.place().fail("is a run, not a comparison: it has no group comparison ('gradflow compare' makes it)");
    return root.open_group("comparison");
  }

  std::shared_ptr<const storage::File> file;
  Group root;
  Grown comparison;
  std::vector<std::string> labels;
};

ComparisonReader::ComparisonReader(const std::filesystem::path& path)
    : implementation_(std::make_unique<Implementation>(path)) {}
ComparisonReader::ComparisonReader(ComparisonReader&&) noexcept = default;
ComparisonReader::~ComparisonReader() = default;

bool ComparisonReader::closed() const { return !implementation_->file->unclosed(); }
std::vector<Attribute> ComparisonReader::attributes() const { return implementation_->root.attributes(); }

std::string ComparisonReader::text_attribute(const std::string& name) const {
  return required_text(implementation_->root, name);
}

double ComparisonReader::number_attribute(const std::string& name) const {
  return required_number(implementation_->root, name);
}

RunReader ComparisonReader::flow() const { return {implementation_->file, "flow"}; }

const std::vector<std::string>& ComparisonReader::labels() const { return implementation_->labels; }

RunReader ComparisonReader::descent(std::int64_t number) const {
  if (number < 0 || number >= descents())
    implementation_->root.place().fail(
        fmt::format("has {} descents; descent {} (from 0) is asked for", descents(), number));
  return {implementation_->file, group_of(number)};
}

const std::vector<double>& ComparisonReader::t() const { return implementation_->comparison.t(); }
std::vector<std::string> ComparisonReader::columns() const { return implementation_->comparison.columns(); }
Values ComparisonReader::column(const std::string& name) const { return implementation_->comparison.values(name); }

Dimension ComparisonReader::dimension(const std::string& name) const {
  return read_dimension(implementation_->root.open_dataset("comparison/" + name));
}

std::optional<Checkpoint> ComparisonReader::checkpoint() const { return read_checkpoint(implementation_->root); }

bool ComparisonReader::has_results(const std::string& group) const { return implementation_->root.has(group); }

Arrays ComparisonReader::results(const std::string& group) const {
  return read_arrays(implementation_->root.open_group(group));
}

}  // namespace gradflow::trajectory
