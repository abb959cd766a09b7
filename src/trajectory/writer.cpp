#include <gradflow/trajectory/writer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "storage/file.hpp"
#include "trajectory/checkpoint.hpp"
#include "trajectory/layout.hpp"
#include "trajectory/live_file.hpp"
#include "trajectory/names.hpp"
#include "trajectory/table.hpp"

namespace gradflow::trajectory {

namespace {

using storage::Dataset;
using storage::Group;
using storage::Kind;
using storage::Layout;

// Rows of a chunk. A commit costs about 0.02 ms a column however many rows it has, so a short run should be a few
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

class RunGroupWriter::Implementation {
 public:
  Implementation(std::shared_ptr<LiveFile> live, const std::string& group, const RunDescription& run)
      : file(std::move(live)),
        root(create_top(group.empty() ? file->root() : file->root().create_group(group), run.attributes)),
        observables(file->create_table(root, run.observables, observable_rows)),
        states((create_arrays(root, "task", run.task), create_arrays(root, "start", run.start),
                create_table("states", run.states, state_rows))),
        summary((root.create_group("events"), root.create_group("events/summary")), run),
        crossings(create_table("events/crossings", {{}, crossing_columns(run)}, crossing_rows,
                               {"event", "direction", "certain"})),
        steps(create_table("steps", {{}, scalar_columns(names::step)}, step_rows)),
        end(root.create_group("run"), run) {}

  Table& create_table(const std::string& name, const Series& series, std::int64_t rows,
                      const std::vector<std::string>& integers = {}) {
    Group group = root.create_group(name);
    return file->create_table(group, series, rows, integers);
  }

  std::shared_ptr<LiveFile> file;
  Group root;
  Table &observables, &states;
  Summary summary;
  Table &crossings, &steps;
  End end;
  std::optional<CheckpointSlots> slots;
};

RunGroupWriter::RunGroupWriter(std::shared_ptr<LiveFile> file, const std::string& group,
                               const RunDescription& description)
    : implementation_(std::make_unique<Implementation>(std::move(file), group, description)) {}

RunGroupWriter::RunGroupWriter(RunGroupWriter&&) noexcept = default;
RunGroupWriter::~RunGroupWriter() = default;

LiveFile& RunGroupWriter::file() { return *implementation_->file; }

void RunGroupWriter::record(double t, std::span<const double> values) {
  file().change([&] { file().append(implementation_->observables, t, values); });
}

void RunGroupWriter::snapshot(double t, std::span<const std::span<const double>> values) {
  file().change([&] { file().append(implementation_->states, t, values); });
}

void RunGroupWriter::step(double t, double clock_step, double error_ratio) {
  file().change([&] { file().append(implementation_->steps, t, std::array{clock_step, error_ratio}); });
}

std::int64_t RunGroupWriter::crossing(const Crossing& crossing) {
  const std::int64_t number = implementation_->crossings.rows();
  file().change([&] {
    if (crossing.event < 0 || crossing.event >= implementation_->summary.rows())
      misuse(fmt::format("there is no event {}", crossing.event));
    std::vector<double> row{static_cast<double>(crossing.event),
                            static_cast<double>(crossing.direction),
                            crossing.slope,
                            crossing.t_error,
                            static_cast<double>(crossing.certain),
                            crossing.clock_time,
                            crossing.local_error};
    row.insert(row.end(), crossing.values.begin(), crossing.values.end());
    file().append(implementation_->crossings, crossing.t, row);
  });
  return number;
}

void RunGroupWriter::set_crossing_error(std::int64_t crossing, double t_error, std::int64_t certain) {
  file().change([&] {
    implementation_->crossings.replace(names::crossing_t_error, crossing, t_error);
    implementation_->crossings.replace(names::crossing_certain, crossing, static_cast<double>(certain));
  });
}

void RunGroupWriter::set_summary(std::int64_t event, const EventSummary& summary) {
  file().change([&] { implementation_->summary.set(event, summary); });
}

void RunGroupWriter::set_run(const RunEnd& end) {
  file().change([&] { implementation_->end.set(end); });
}

std::vector<std::int64_t> RunGroupWriter::rows() const {
  const Implementation& run = *implementation_;
  return {run.observables.rows(), run.states.rows(), run.crossings.rows(), run.steps.rows()};
}

void RunGroupWriter::prepare_checkpoints(const Checkpoint& like) {
  implementation_->slots.emplace(implementation_->root, std::ssize(like.reals), std::ssize(like.integers),
                                 std::ssize(rows()));
}

void RunGroupWriter::checkpoint(const Checkpoint& checkpoint) {
  file().change([&] {
    if (!implementation_->slots) misuse("no room was made for checkpoints");
    file().commit();
    implementation_->slots->write({checkpoint.reals, checkpoint.integers, rows()}, [&] { file().sync(); });
  });
}

void RunGroupWriter::flush() {
  file().change([&] { file().commit(); });
}

RunWriter::RunWriter(const std::filesystem::path& path, const RunDescription& description, bool overwrite,
                     std::chrono::duration<double> commit_every, const std::function<void(RunGroupWriter&)>& begin)
    : RunGroupWriter(std::make_shared<LiveFile>(path, overwrite, commit_every), "", description) {
  if (begin) begin(*this);
  file().publish();
}

void RunWriter::close() { file().close(); }

}  // namespace gradflow::trajectory
