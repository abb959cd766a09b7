#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// The settings of one experiment, as an experiment file (TOML) states them. Words are numbered from 1 here, as in the
/// paper. Every type compares by value.
namespace gradflow::settings {

/// One class of the co-occurrence task: which words its samples must contain (Yang et al. 2024, Definition 2.1).
struct TaskClass {
  std::string name;
  std::vector<std::int64_t> words;              ///< from 1
  int label = 1;                                ///< -1 or +1
  std::int64_t numerator = 0, denominator = 1;  ///< fraction of the training set, exact, in lowest terms
  bool operator==(const TaskClass&) const = default;
};

enum class Fillers { uniform, distinct };

struct CoOccurrenceTask {
  std::int64_t samples = 60, length = 5, words = 64;  ///< n, L, d
  Fillers fillers = Fillers::uniform;
  std::array<std::int64_t, 2> targets{1, 2};
  std::optional<std::int64_t> common = 3;    ///< absent where the settings give targets and no common word
  std::vector<TaskClass> classes;            ///< `read` fills in the paper's four classes unless given
  std::optional<std::int64_t> test_samples;  ///< fresh samples for loss_test and accuracy_test; none unless given
  bool operator==(const CoOccurrenceTask&) const = default;
};

/// Samples in a file: HDF5 (`tokens`, `labels`, attribute `words`) or JSON Lines.
struct FileTask {
  std::filesystem::path path;         ///< resolved against the experiment's folder
  std::optional<std::int64_t> words;  ///< d; required for JSON Lines
  std::array<std::int64_t, 2> targets{1, 2};
  std::optional<std::int64_t> common = 3;  ///< absent where the settings give targets and no common word
  bool operator==(const FileTask&) const = default;
};

/// Sentences (or lines, paragraphs) of a UTF-8 text as bags of words; label +1 where both target words occur.
struct TextTask {
  std::filesystem::path path;
  std::array<std::string, 2> targets;
  std::optional<std::string> common;
  std::string unit = "sentence";           ///< "sentence", "line" or "paragraph"
  std::int64_t min_count = 1;              ///< rarer words are left out (targets and common word never)
  std::optional<std::int64_t> max_length;  ///< units with more words are left out
  std::optional<std::int64_t> limit;       ///< at most so many units, from the start of the text
  std::optional<double> test_share;        ///< of the units, held back as test samples; none unless given
  bool operator==(const TextTask&) const = default;
};

enum class StartKind { kaiming_normal, kaiming_uniform, linear_default, gaussian, orthogonal, limit, file };

struct Start {
  StartKind kind = StartKind::kaiming_normal;
  double W = 0, W_V = 0, W_K = 0, W_Q = 0;  ///< standard deviations, for gaussian, orthogonal and limit
  std::filesystem::path path;               ///< for file: a start file or a run
  std::optional<std::int64_t> snapshot;     ///< for file: a run's snapshot, from 0; its start where absent
  bool operator==(const Start&) const = default;
};

struct Model {
  std::optional<std::int64_t> width, hidden;  ///< m, m1; 128 and 256 unless given, but absent where the start is a file
  Start start;
  bool operator==(const Model&) const = default;
};

enum class Formulation { full, reduced, coupled };

/// As the settings write it.
constexpr std::string_view name(Formulation formulation) {
  return std::array<std::string_view, 3>{"full", "reduced", "coupled"}.at(static_cast<std::size_t>(formulation));
}

struct Flow {
  Formulation formulation = Formulation::reduced;
  std::array<double, 4> rates{1, 1, 1, 1};  ///< of W, W_V, W_K, W_Q, each >= 0
  bool operator==(const Flow&) const = default;
};

enum class ClockKind { linear, log };

struct Solver {
  std::string method = "dopri5";
  double rtol = 1e-8, atol = 1e-10;
  double until = 300;  ///< flow time
  ClockKind clock = ClockKind::log;
  std::optional<double> t0;  ///< of the log clock; the flow's own first time scale unless given
  bool error_bars = true;
  std::int64_t max_steps = 1'000'000, max_rejections = 10'000;
  std::optional<double> max_wall_seconds;
  std::optional<double> initial_step, max_step;  ///< in the clock's time
  bool operator==(const Solver&) const = default;
};

struct Save {
  std::int64_t records = 400;
  std::optional<std::int64_t> states;              ///< 20, or as many as fit into 256 MB, unless given
  std::optional<std::vector<std::int64_t>> words;  ///< tracked words, from 1; targets and common word unless given
  double checkpoint_seconds = 30;
  std::vector<std::string> observables;  ///< recorded beside those that always are
  bool operator==(const Save&) const = default;
};

/// Inputs of the standard events and of the phases report (lists give one event per value).
struct Phases {
  std::vector<double> aligned{0.0};  ///< c of `aligned`
  std::vector<double> bracket{0.1};  ///< C of `bracket`
  std::vector<double> attention_moves{1e-4, 1e-3, 1e-2};
  std::vector<double> loss_below{1e-1, 1e-2, 1e-4};
  double T1_constant = 1;    ///< C of the theory's T1(C) = C / (s1^2 m m1)
  std::optional<double> T2;  ///< end of Phase 2; the end of the run unless given
  bool operator==(const Phases&) const = default;
};

/// One user's event: a scalar observable crosses a level. `quantity` may index: "G[3]", "loss_class[I2]", "B[2,1]".
struct Event {
  std::string name, quantity;
  double crosses = 0;
  int direction = +1;  ///< the side on which the condition holds: +1 above, -1 below
  bool stop = false;
  std::string where;  ///< "file.toml:12:1" or "--set event", for messages of later checks; never compared
  bool operator==(const Event& other) const {
    return name == other.name && quantity == other.quantity && crosses == other.crosses &&
           direction == other.direction && stop == other.stop;
  }
};

/// Discrete descents from the same start, beside the flow: every method at every rate, methods first.
struct Descent {
  std::vector<std::string> methods{"gd"};  ///< gd, heavy-ball, nesterov, adam, rmsprop, sign, sgd
  std::vector<double> rates{0.1, 0.05,
                            0.025};    ///< eta > 0: one step is eta (heavy-ball: eta / (1 - beta)) of flow time
  double momentum = 0.9;               ///< beta of heavy-ball and nesterov
  std::int64_t batch = 16;             ///< samples in a minibatch of sgd
  std::vector<std::int64_t> modified;  ///< orders of the modified flows set beside gd (2, 3) and heavy-ball (2)
  std::int64_t curvature = 25;         ///< samples of the Hessian's spectrum along the flow; 0: none
  std::vector<double> eps;             ///< relative distances in parameters for which the largest rate is looked for
  bool operator==(const Descent&) const = default;
};

struct Experiment {
  std::string name;  ///< the file's name without .toml unless given; the run is called NAME.h5 unless -o says otherwise
  std::filesystem::path source;
  std::uint64_t seed = 1;  ///< at most 2^63 - 1, the largest whole number of TOML
  std::variant<CoOccurrenceTask, FileTask, TextTask> task;
  Model model;
  Flow flow;
  Solver solver;
  Save save;
  Phases phases;
  std::vector<Event> events;
  std::optional<Descent> descent;
  bool operator==(const Experiment&) const = default;
};

/// Thrown with every problem of an experiment at once; what() lists them, one to a paragraph: file:line:column, key,
/// rule, given value and what to do.
class Error : public std::runtime_error {
 public:
  explicit Error(std::vector<std::string> problems);
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::vector<std::string> problems_;
};

/// One `--set section.key=value`: the value in TOML, or else taken as a string.
using Override = std::pair<std::string, std::string>;

/// Reads and checks an experiment file; the overrides are applied in their order, before any check. `methods` are the
/// names that solver.method may have. Relative paths in it are taken from the file's folder and become absolute. Throws
/// Error for wrong settings, all problems at once in the order of the file, and std::system_error when the file cannot
/// be read.
Experiment read(const std::filesystem::path& file, const std::vector<Override>& overrides,
                const std::vector<std::string>& methods);

/// The same for TOML text that is at hand, such as the settings kept in a run's file; `source` stands for the file in
/// the messages, and gives the name (where the text gives none) and the folder of relative paths.
Experiment parse(std::string_view text, const std::filesystem::path& source, const std::vector<Override>& overrides,
                 const std::vector<std::string>& methods);

/// The effective settings, every default written out, as TOML that `parse` turns into an equal Experiment: what a run's
/// file keeps. Numbers are in shortest round-trip form, paths absolute. What is absent (an optional without a value) is
/// left out.
std::string to_toml(const Experiment& experiment);

}  // namespace gradflow::settings
