#include <gradflow/trajectory/reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/file.hpp"
#include "trajectory/layout.hpp"
#include "trajectory/names.hpp"

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;
using storage::Kind;

namespace {

/// The committed rows of a growing group: it reads t first, because the writer writes it last.
class Grown {
 public:
  explicit Grown(Group group) : group_(std::move(group)), t_(group_.open_dataset("t").read<double>()) {}

  const std::vector<double>& t() const { return t_; }
  std::int64_t rows() const { return std::ssize(t_); }

  Dataset open(const std::string& name) const {
    Dataset column = group_.open_dataset(name);
    if (column.shape().empty() || column.rows() < rows())
      column.place().fail(fmt::format("is damaged: it has fewer rows than t, which has {}", rows()));
    return column;
  }
  std::vector<double> read(const std::string& name) const {
    const Dataset column = open(name);
    if (column.row_size() != 1) column.place().fail("must have one value a row; it has more");
    return column.read<double>(0, rows());
  }
  /// All that grows along t, in the order of the file.
  std::vector<std::string> columns() const {
    std::vector<std::string> result;
    for (const std::string& name : group_.names()) {
      if (name == "t" || !group_.has_dataset(name)) continue;
      const auto dimensions = group_.open_dataset(name).dimensions();
      if (!dimensions.empty() && dimensions.front() == "t") result.push_back(name);
    }
    return result;
  }

 private:
  Group group_;
  std::vector<double> t_;
};

Values described(const Dataset& data, std::vector<double> values) {
  return {data.dimensions(),
          data.shape(),
          std::move(values),
          data.text_attribute("units"),
          data.text_attribute("long_name"),
          data.text_attribute("source")};
}

Dimension read_dimension(const Dataset& scale) {
  const std::string name = scale.place().object.substr(scale.place().object.rfind('/') + 1);
  if (scale.kind() == Kind::text) return {name, scale.read_text()};
  return {name, scale.rows()};
}

/// The labels of a coordinate; none where it has size 0, which is stored without.
std::vector<std::string> labels(const Dataset& scale) {
  return scale.rows() == 0 ? std::vector<std::string>{} : scale.read_text();
}

Arrays read_arrays(const Group& group) {
  Arrays result{group.attributes(), {}, {}};
  for (const std::string& name : group.names()) {
    const Dataset data = group.open_dataset(name);
    if (data.is_scale()) {
      result.dimensions.push_back(read_dimension(data));
      continue;
    }
    Array array{name, data.dimensions(), {}, data.text_attribute("units"), data.text_attribute("long_name")};
    if (data.kind() == Kind::integer)
      array.values = data.read<std::int64_t>();
    else
      array.values = data.read<double>();
    result.arrays.push_back(std::move(array));
  }
  return result;
}

/// The root of a file that is a run of a layout that this program knows.
Group checked_root(const storage::File& file) {
  Group root = file.root();
  const auto version = root.attribute("schema_version");
  if (!version) root.place().fail("is not a run of gradflow: its root has no attribute schema_version");
  const auto* number = std::get_if<std::int64_t>(&*version);
  if (!number) root.place().fail("is damaged: the attribute schema_version must be an integer");
  if (*number > schema_version)
    root.place().fail(fmt::format("has layout version {}; this program reads versions up to {}: use a newer gradflow",
                                  *number, schema_version));
  return root;
}

}  // namespace

class RunReader::Implementation {
 public:
  explicit Implementation(const std::filesystem::path& path)
      : file(storage::File::open(path)), root(checked_root(file)), observables(file.root()) {}

  Grown grown(const std::string& name) const { return Grown(root.open_group(name)); }

  storage::File file;
  Group root;
  Grown observables;
};

RunReader::RunReader(const std::filesystem::path& path) : implementation_(std::make_unique<Implementation>(path)) {}
RunReader::RunReader(RunReader&&) noexcept = default;
RunReader& RunReader::operator=(RunReader&&) noexcept = default;
RunReader::~RunReader() = default;

bool RunReader::closed() const { return !implementation_->file.unclosed(); }

std::vector<Attribute> RunReader::attributes() const { return implementation_->root.attributes(); }

std::string RunReader::text_attribute(const std::string& name) const {
  if (!implementation_->root.attribute(name))
    implementation_->root.place().fail("the attribute " + name + " is missing");
  return implementation_->root.text_attribute(name);
}

double RunReader::number_attribute(const std::string& name) const {
  const auto value = implementation_->root.attribute(name);
  if (!value || std::holds_alternative<std::string>(*value))
    implementation_->root.place().fail("the attribute " + name + " must be a number; it is " +
                                       (value ? "text" : "missing"));
  const auto* integer = std::get_if<std::int64_t>(&*value);
  return integer ? static_cast<double>(*integer) : std::get<double>(*value);
}

const std::vector<double>& RunReader::t() const { return implementation_->observables.t(); }

std::vector<std::string> RunReader::observables() const { return implementation_->observables.columns(); }

Values RunReader::observable(const std::string& name) const {
  const Dataset data = implementation_->observables.open(name);
  const std::int64_t rows = implementation_->observables.rows();
  Values values = described(data, data.read<double>(0, rows));
  values.shape.front() = rows;
  return values;
}

Dimension RunReader::dimension(const std::string& name) const {
  return read_dimension(implementation_->root.open_dataset(name));
}

Arrays RunReader::task() const { return read_arrays(implementation_->root.open_group("task")); }
Arrays RunReader::start() const { return read_arrays(implementation_->root.open_group("start")); }

std::vector<double> RunReader::state_t() const { return implementation_->grown("states").t(); }
std::vector<std::string> RunReader::states() const { return implementation_->grown("states").columns(); }

Values RunReader::state(const std::string& name, std::int64_t snapshot) const {
  const Grown states = implementation_->grown("states");
  const Dataset data = states.open(name);
  if (snapshot < 0 || snapshot >= states.rows())
    data.place().fail(fmt::format("has snapshots 0 to {}; snapshot {} is asked for", states.rows() - 1, snapshot));
  Values values = described(data, data.read<double>(snapshot, 1));
  values.dimensions.erase(values.dimensions.begin());
  values.shape.erase(values.shape.begin());
  return values;
}

std::vector<EventInfo> RunReader::events() const {
  const Group group = implementation_->root.open_group("events/summary");
  const std::vector<std::string> events = labels(group.open_dataset("event"));
  const std::vector<std::string> conditions = group.open_dataset("condition").read_text();
  std::vector<EventInfo> result;
  for (std::size_t i = 0; i < std::min(events.size(), conditions.size()); ++i)
    result.push_back({events[i], conditions[i]});
  return result;
}

std::vector<EventSummary> RunReader::summary() const {
  const Group group = implementation_->root.open_group("events/summary");
  std::vector<EventSummary> result(events().size());
  const auto fill = [&]<class T>(const char* name, T EventSummary::*member) {
    const Dataset data = group.open_dataset(name);
    const std::vector<T> values = data.read<T>();
    if (values.size() != result.size()) data.place().fail("is damaged: it must have a row for each event");
    for (std::size_t i = 0; i < values.size(); ++i) result[i].*member = values[i];
  };
  constexpr std::array integers{&EventSummary::applicable, &EventSummary::true_at_start, &EventSummary::true_at_end,
                                &EventSummary::ups,        &EventSummary::downs,         &EventSummary::verdict};
  constexpr std::array reals{&EventSummary::for_good, &EventSummary::for_good_error};
  for (std::size_t c = 0; c < integers.size(); ++c) fill(names::summary_integers[c].name, integers[c]);
  for (std::size_t c = 0; c < reals.size(); ++c) fill(names::summary_reals[c].name, reals[c]);
  return result;
}

std::string RunReader::verdict(std::int64_t code) const {
  return meaning_of(implementation_->root.open_dataset("events/summary/verdict"), code);
}

std::vector<Crossing> RunReader::crossings() const {
  const Grown grown = implementation_->grown("events/crossings");
  std::array<std::vector<double>, names::crossing.size()> own;
  for (std::size_t c = 0; c < own.size(); ++c) own[c] = grown.read(names::crossing[c].name);
  std::vector<std::vector<double>> extra;
  for (const std::string& name : crossing_values()) extra.push_back(grown.read(name));
  std::vector<Crossing> result;
  for (std::size_t i = 0; i < grown.t().size(); ++i) {
    const auto integer = [&](std::size_t c) { return static_cast<std::int64_t>(own[c][i]); };
    Crossing crossing{integer(0), grown.t()[i], own[3][i], own[2][i], integer(1), integer(4), {}};
    for (const auto& values : extra) crossing.values.push_back(values[i]);
    result.push_back(std::move(crossing));
  }
  return result;
}

std::vector<std::string> RunReader::crossing_values() const {
  std::vector<std::string> columns = implementation_->grown("events/crossings").columns();
  std::erase_if(columns, [](const std::string& name) {
    return std::ranges::any_of(names::crossing, [&](const names::Variable& own) { return name == own.name; });
  });
  return columns;
}

Steps RunReader::steps() const {
  const Grown grown = implementation_->grown("steps");
  return {grown.t(), grown.read(names::step[0].name), grown.read(names::step[1].name)};
}

RunEnd RunReader::end() const {
  const Group group = implementation_->root.open_group("run");
  const auto scalar = [&]<class T>(const char* name, T) {
    const Dataset data = group.open_dataset(name);
    if (!data.shape().empty()) data.place().fail("must be a single value; it is an array");
    return data.read<T>().front();
  };
  RunEnd end;
  end.outcome = scalar("outcome", std::int64_t{});
  end.message = group.open_dataset("message").read_text().front();
  end.counts = group.open_dataset("counts").read<std::int64_t>();
  end.wall_seconds = scalar("wall_seconds", 0.0);
  return end;
}

std::vector<std::string> RunReader::counts() const { return labels(implementation_->root.open_dataset("run/purpose")); }

std::string RunReader::outcome(std::int64_t code) const {
  return meaning_of(implementation_->root.open_dataset("run/outcome"), code);
}

}  // namespace gradflow::trajectory
