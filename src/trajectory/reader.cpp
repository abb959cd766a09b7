#include <gradflow/trajectory/reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "storage/file.hpp"
#include "trajectory/checkpoint.hpp"
#include "trajectory/layout.hpp"
#include "trajectory/names.hpp"
#include "trajectory/reading.hpp"

namespace gradflow::trajectory {

using storage::Dataset;
using storage::Group;

namespace {

/// The root of a run: the file's, or the group of that path.
Group open_run(const storage::File& file, const std::string& group) {
  const Group root = checked_top(file.root(), "run");
  if (!group.empty()) return checked_top(root.open_group(group), "run");
  if (holds_comparison(root))
    root.place().fail(
        "is a comparison, which holds several runs: read one of them, the group flow or descents/0, descents/1, ...");
  return file.root();
}

}  // namespace

class RunReader::Implementation {
 public:
  Implementation(std::shared_ptr<const storage::File> opened, const std::string& group)
      : file(std::move(opened)), root(open_run(*file, group)), observables(open_run(*file, group)) {}

  Grown grown(const std::string& name) const { return Grown(root.open_group(name)); }

  std::shared_ptr<const storage::File> file;
  Group root;
  Grown observables;
};

RunReader::RunReader(const std::filesystem::path& path, const std::string& group)
    : RunReader(std::make_shared<const storage::File>(storage::File::open(path)), group) {}
RunReader::RunReader(std::shared_ptr<const storage::File> file, const std::string& group)
    : implementation_(std::make_unique<Implementation>(std::move(file), group)) {}
RunReader::RunReader(RunReader&&) noexcept = default;
RunReader& RunReader::operator=(RunReader&&) noexcept = default;
RunReader::~RunReader() = default;

bool RunReader::closed() const { return !implementation_->file->unclosed(); }

std::vector<Attribute> RunReader::attributes() const { return implementation_->root.attributes(); }

std::string RunReader::text_attribute(const std::string& name) const {
  return required_text(implementation_->root, name);
}

double RunReader::number_attribute(const std::string& name) const {
  return required_number(implementation_->root, name);
}

const std::vector<double>& RunReader::t() const { return implementation_->observables.t(); }

std::vector<std::string> RunReader::observables() const { return implementation_->observables.columns(); }

Values RunReader::observable(const std::string& name) const { return implementation_->observables.values(name); }

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
  for (std::size_t c = 0; c < own.size(); ++c)
    own[c] = c > names::crossing_certain && !grown.has(names::crossing[c].name)  // a file older than these
                 ? std::vector<double>(grown.t().size(), unknown)
                 : grown.read(names::crossing[c].name);
  std::vector<std::vector<double>> extra;
  for (const std::string& name : crossing_values()) extra.push_back(grown.read(name));
  std::vector<Crossing> result;
  const std::int64_t events = std::ssize(this->events());
  for (std::size_t i = 0; i < grown.t().size(); ++i) {
    const auto integer = [&](std::size_t c) {
      // Every whole number of a sound file is small; another one no integer could hold.
      if (!(std::abs(own[c][i]) < 1e15))
        grown.open(names::crossing[c].name)
            .place()
            .fail(fmt::format("is damaged: row {} (from 0) must be a number of an event, a sign or a flag; it is {}", i,
                              own[c][i]));
      return static_cast<std::int64_t>(own[c][i]);
    };
    Crossing crossing{.event = integer(0),
                      .t = grown.t()[i],
                      .t_error = own[3][i],
                      .slope = own[2][i],
                      .direction = integer(1),
                      .certain = integer(4),
                      .values = {},
                      .clock_time = own[5][i],
                      .local_error = own[6][i]};
    if (crossing.event < 0 || crossing.event >= events)
      grown.open(names::crossing[0].name)
          .place()
          .fail(fmt::format("is damaged: row {} (from 0) is of event {}, but there are the events 0 to {}", i,
                            crossing.event, events - 1));
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

std::optional<Checkpoint> RunReader::checkpoint() const { return read_checkpoint(implementation_->root); }

Steps RunReader::steps() const {
  const Grown grown = implementation_->grown("steps");
  return {grown.t(), grown.read(names::step[0].name), grown.read(names::step[1].name)};
}

RunEnd RunReader::end() const {
  const Group group = implementation_->root.open_group("run");
  const auto single = [&](const char* name) {
    Dataset data = group.open_dataset(name);
    if (!data.shape().empty()) data.place().fail("must be a single value; it is an array");
    return data;
  };
  const auto scalar = [&]<class T>(const char* name, T) { return single(name).template read<T>().front(); };
  RunEnd end;
  end.outcome = scalar("outcome", std::int64_t{});
  end.message = single("message").read_text().front();
  end.counts = group.open_dataset("counts").read<std::int64_t>();
  end.wall_seconds = scalar("wall_seconds", 0.0);
  return end;
}

std::vector<std::string> RunReader::counts() const { return labels(implementation_->root.open_dataset("run/purpose")); }

std::string RunReader::outcome(std::int64_t code) const {
  return meaning_of(implementation_->root.open_dataset("run/outcome"), code);
}

}  // namespace gradflow::trajectory
