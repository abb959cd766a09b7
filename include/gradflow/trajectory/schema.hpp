#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// What a run's file holds, in plain arrays and names. Arrays are row-major; positions in files count from 0.
namespace gradflow::trajectory {

/// Version of the layout, the attribute `schema_version` of a file's root and of every group that is a run. A reader
/// refuses files of a later one.
inline constexpr std::int64_t schema_version = 1;

using Attribute = std::pair<std::string, std::variant<std::string, double, std::int64_t>>;

/// A named dimension and its coordinate: labels, or positions 0..size-1 where there are none.
struct Dimension {
  std::string name;
  std::int64_t size = 0;
  std::vector<std::string> labels;  ///< [size], or empty

  Dimension(std::string dimension, std::int64_t count) : name(std::move(dimension)), size(count) {}
  Dimension(std::string dimension, std::vector<std::string> names)
      : name(std::move(dimension)), size(static_cast<std::int64_t>(names.size())), labels(std::move(names)) {}
};

/// A quantity of which a row is kept at many times. No dimension name may stand twice in it.
struct Column {
  std::string name;
  std::vector<std::string> dimensions;  ///< of one row; none for a scalar
  std::string unit = "1";
  std::string long_name;
  std::string source;  ///< paper and equation, or how it is computed
};

/// Quantities that share their times `t`.
struct Series {
  std::vector<Dimension> dimensions;
  std::vector<Column> columns;
};

/// A fixed array: the shape follows from the dimensions of its group.
struct Array {
  std::string name;
  std::vector<std::string> dimensions;
  std::variant<std::vector<double>, std::vector<std::int64_t>> values;
  std::string unit = "1";
  std::string long_name;
};

/// Fixed arrays that share dimensions.
struct Arrays {
  std::vector<Attribute> attributes;
  std::vector<Dimension> dimensions;
  std::vector<Array> arrays;
};

struct EventInfo {
  std::string name, condition;
};

/// Everything about a run that is known before it starts.
struct RunDescription {
  std::vector<Attribute> attributes;  ///< of its file or group: version, settings, error norm, t0, ...
  Series observables;                 ///< at the root of its file or group
  Arrays task, start;                 ///< groups of these names
  Series states;                      ///< one row per snapshot: matrices and a few scalars
  std::vector<EventInfo> events;
  std::vector<Column> crossing_values;  ///< scalars kept per crossing beside its own
  std::vector<std::string> verdicts;    ///< meanings of EventSummary::verdict, from 0
  std::vector<std::string> outcomes;    ///< meanings of RunEnd::outcome, from 0
  std::vector<std::string> counts;      ///< what RunEnd::counts count
};

inline constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// What has become of one event up to now; -1 is not known yet. Times are flow times.
struct EventSummary {
  std::int64_t applicable = -1, true_at_start = -1, true_at_end = -1;  ///< 0 or 1
  std::int64_t ups = -1, downs = -1;                                   ///< crossings into and out of the condition
  std::int64_t verdict = -1;
  double for_good = unknown, for_good_error = unknown;  ///< the last crossing into it, where it holds at the end
};

struct Crossing {
  std::int64_t event = 0;  ///< its row in the summary
  double t = 0;            ///< flow time
  double t_error = unknown;
  double slope = 0;              ///< of the event's function, per unit of flow time
  std::int64_t direction = 0;    ///< +1: the condition becomes true; -1: false
  std::int64_t certain = -1;     ///< 1: a companion solve finds it too; 0: it does not; -1: not checked
  std::vector<double> values;    ///< of RunDescription::crossing_values
  double clock_time = unknown;   ///< t on the clock of the solve
  double local_error = unknown;  ///< what the method's own estimate of the error of its last step makes of t
};

/// How a run ended; outcome -1 while it has not.
struct RunEnd {
  std::int64_t outcome = -1;
  std::string message;               ///< at most 1000 bytes are kept
  std::vector<std::int64_t> counts;  ///< of RunDescription::counts
  double wall_seconds = 0;
};

/// All that the next step depends on, in the order that its owner chose; and how many rows of everything that grows
/// were there: of a run its records, snapshots, crossings and steps; of a comparison those of the flow, its own, those
/// of each descent.
struct Checkpoint {
  std::vector<double> reals;
  std::vector<std::int64_t> integers;
  std::vector<std::int64_t> rows;
};

}  // namespace gradflow::trajectory
