#include <gradflow/trajectory/writer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "storage/file.hpp"
#include "trajectory/layout.hpp"
#include "trajectory/names.hpp"
#include "trajectory/table.hpp"

namespace gradflow::trajectory {

namespace {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Layout;
using Clock = std::chrono::steady_clock;

// Rows of a chunk. A commit costs about 0.1 ms a column however many rows it has, so a short run should be a few
// chunks.
constexpr std::int64_t observable_rows = 128, step_rows = 1024, crossing_rows = 64, state_rows = 1;
constexpr std::size_t message_bytes = 1000;

template <std::size_t size>
std::vector<Column> scalar_columns(const std::array<names::Variable, size>& variables) {
  std::vector<Column> columns;
  for (const names::Variable& variable : variables) columns.push_back({variable.name, {}, "1", variable.meaning, ""});
  return columns;
}

std::vector<Column> crossing_columns(const RunDescription& description) {
  std::vector<Column> columns = scalar_columns(names::crossing);
  columns.insert(columns.end(), description.crossing_values.begin(), description.crossing_values.end());
  return columns;
}

Group with_attributes(Group group, const std::vector<Attribute>& attributes) {
  group.set_attribute("schema_version", schema_version);
  set_attributes(group, attributes);
  return group;
}

void create_arrays(Group& root, const std::string& name, const Arrays& arrays) {
  Group group = root.create_group(name);
  set_attributes(group, arrays.attributes);
  create_dimensions(group, arrays.dimensions);
  for (const Array& array : arrays.arrays) create_array(group, arrays.dimensions, array);
}

Table create_table(Group& root, const std::string& name, const Series& series, std::int64_t rows,
                   const std::vector<std::string>& integers = {}) {
  Group group = root.create_group(name);
  return {group, series.dimensions, series.columns, rows, integers};
}

template <class T>
void put(Dataset& data, std::int64_t row, T value) {
  data.write_rows(row, std::span<const T>(&value, 1));
  data.flush();
}

/// A row per event, overwritten in place.
class Summary {
 public:
  Summary(Group group, const RunDescription& description) {
    std::vector<std::string> events, conditions;
    for (const EventInfo& event : description.events) {
      events.push_back(event.name);
      conditions.push_back(event.condition);
    }
    rows_ = std::ssize(events);
    create_dimensions(group, {Dimension("event", events)});
    create(group, {"condition", "the condition, in words"}, Kind::text).write(conditions);
    for (const auto& variable : names::summary_integers) integers_.push_back(create(group, variable, Kind::integer));
    describe_code(integers_.back(), "unknown", description.verdicts);
    for (const auto& variable : names::summary_reals) reals_.push_back(create(group, variable, Kind::real));
    for (std::int64_t row = 0; row < rows_; ++row) set(row, {});
  }

  void set(std::int64_t row, const EventSummary& event) {
    if (row < 0 || row >= rows_) misuse(fmt::format("there is no event {}", row));
    const std::array integers{event.applicable, event.true_at_start, event.true_at_end,
                              event.ups,        event.downs,         event.verdict};
    const std::array reals{event.for_good, event.for_good_error};
    for (std::size_t c = 0; c < integers.size(); ++c) put(integers_[c], row, integers[c]);
    for (std::size_t c = 0; c < reals.size(); ++c) put(reals_[c], row, reals[c]);
  }

  std::int64_t rows() const { return rows_; }

 private:
  Dataset create(Group& group, const names::Variable& variable, Kind kind) const {
    Dataset data = group.create_dataset(variable.name, Layout{kind, {rows_}});
    attach_dimensions(group, data, {"event"});
    describe(data, kind == Kind::text ? "" : "1", variable.meaning);
    return data;
  }

  std::int64_t rows_ = 0;
  std::vector<Dataset> integers_, reals_;
};

/// How the run ended, overwritten in place.
class End {
 public:
  End(Group group, const RunDescription& description)
      : outcome_(group.create_dataset("outcome", Layout{.kind = Kind::integer})),
        message_(group.create_dataset("message", Layout{.kind = Kind::text, .text_bytes = message_bytes})),
        counts_((create_dimensions(group, {Dimension("purpose", description.counts)}),
                 group.create_dataset("counts", Layout{Kind::integer, {std::ssize(description.counts)}}))),
        wall_seconds_(group.create_dataset("wall_seconds", Layout{Kind::real, {}})) {
    attach_dimensions(group, counts_, {"purpose"});
    describe(outcome_, "1", "how the run ended");
    describe_code(outcome_, "unfinished", description.outcomes);
    describe(message_, "", "the outcome in a sentence");
    describe(counts_, "1", "how often");
    describe(wall_seconds_, "s", "wall-clock time");
    set({-1, "", std::vector<std::int64_t>(description.counts.size(), 0), 0});
  }

  void set(const RunEnd& end) {
    if (std::ssize(end.counts) != counts_.rows())
      misuse(fmt::format("{} counts were given for {}", end.counts.size(), counts_.rows()));
    message_.write_text(end.message);
    counts_.write(std::span<const std::int64_t>(end.counts));
    wall_seconds_.write(std::span<const double>(&end.wall_seconds, 1));
    outcome_.write(std::span<const std::int64_t>(&end.outcome, 1));
    for (Dataset* data : {&message_, &counts_, &wall_seconds_, &outcome_}) data->flush();
  }

 private:
  Dataset outcome_, message_, counts_, wall_seconds_;
};

}  // namespace

class RunWriter::Implementation {
 public:
  Implementation(const std::filesystem::path& path, const RunDescription& run, bool overwrite,
                 std::chrono::duration<double> commit_every)
      : file_(storage::File::create(path, overwrite)),
        root_(with_attributes(file_.root(), run.attributes)),
        observables_(root_, run.observables.dimensions, run.observables.columns, observable_rows),
        states_((create_arrays(root_, "task", run.task), create_arrays(root_, "start", run.start),
                 create_table(root_, "states", run.states, state_rows))),
        summary_((root_.create_group("events"), root_.create_group("events/summary")), run),
        crossings_(create_table(root_, "events/crossings", {{}, crossing_columns(run)}, crossing_rows,
                                {"event", "direction", "certain"})),
        steps_(create_table(root_, "steps", {{}, scalar_columns(names::step)}, step_rows)),
        end_(root_.create_group("run"), run),
        commit_every_(commit_every) {
    file_.publish();
  }

  /// Runs one change of the file. After a failure nothing more is written: the file stays as a kill would have left it.
  template <class Change>
  void change(Change apply) {
    if (failed_) throw FileError(*failed_);
    if (closed_) misuse("it is closed already");
    try {
      apply();
    } catch (const FileError& error) {
      failed_ = error.what();
      throw;
    }
  }

  void gathered(Table& table) {
    if (Clock::now() - last_commit_ > commit_every_) {
      commit_all();
    } else if (table.full()) {
      commit(table);
    }
  }

  void commit(Table& table) {
    table.commit();
    file_.flush();
  }

  void commit_all() {
    for (Table* table : {&observables_, &states_, &crossings_, &steps_}) table->commit();
    file_.flush();
    file_.check_in_place();
    last_commit_ = Clock::now();
  }

  void close() {
    if (closed_ || failed_) return;
    change([&] {
      commit_all();
      file_.sync();
      file_.close();
    });
    closed_ = true;
  }

  storage::File file_;
  Group root_;
  Table observables_, states_;
  Summary summary_;
  Table crossings_, steps_;
  End end_;
  std::chrono::duration<double> commit_every_;
  Clock::time_point last_commit_ = Clock::now();
  std::optional<std::string> failed_;
  bool closed_ = false;
};

RunWriter::RunWriter(const std::filesystem::path& path, const RunDescription& description, bool overwrite,
                     std::chrono::duration<double> commit_every)
    : implementation_(std::make_unique<Implementation>(path, description, overwrite, commit_every)) {}

RunWriter::RunWriter(RunWriter&&) noexcept = default;

RunWriter::~RunWriter() {
  try {
    if (implementation_) implementation_->close();
  } catch (const std::exception&) {  // a destructor has nobody to tell
  }
}

void RunWriter::record(double t, std::span<const double> values) {
  implementation_->change([&] {
    implementation_->observables_.append(t, values);
    implementation_->gathered(implementation_->observables_);
  });
}

void RunWriter::snapshot(double t, std::span<const std::span<const double>> values) {
  implementation_->change([&] {
    implementation_->states_.append(t, values);
    implementation_->commit(implementation_->states_);
  });
}

void RunWriter::step(double t, double clock_step, double error_ratio) {
  implementation_->change([&] {
    implementation_->steps_.append(t, std::array{clock_step, error_ratio});
    implementation_->gathered(implementation_->steps_);
  });
}

std::int64_t RunWriter::crossing(const Crossing& crossing) {
  const std::int64_t number = implementation_->crossings_.rows();
  implementation_->change([&] {
    if (crossing.event < 0 || crossing.event >= implementation_->summary_.rows())
      misuse(fmt::format("there is no event {}", crossing.event));
    std::vector<double> row{static_cast<double>(crossing.event), static_cast<double>(crossing.direction),
                            crossing.slope, crossing.t_error, static_cast<double>(crossing.certain)};
    row.insert(row.end(), crossing.values.begin(), crossing.values.end());
    implementation_->crossings_.append(crossing.t, row);
    implementation_->gathered(implementation_->crossings_);
  });
  return number;
}

void RunWriter::set_crossing_error(std::int64_t crossing, double t_error, std::int64_t certain) {
  implementation_->change([&] {
    implementation_->crossings_.replace(names::crossing_t_error, crossing, t_error);
    implementation_->crossings_.replace(names::crossing_certain, crossing, static_cast<double>(certain));
  });
}

void RunWriter::set_summary(std::int64_t event, const EventSummary& summary) {
  implementation_->change([&] { implementation_->summary_.set(event, summary); });
}

void RunWriter::set_run(const RunEnd& end) {
  implementation_->change([&] { implementation_->end_.set(end); });
}

void RunWriter::flush() {
  implementation_->change([&] { implementation_->commit_all(); });
}

void RunWriter::close() { implementation_->close(); }

}  // namespace gradflow::trajectory
