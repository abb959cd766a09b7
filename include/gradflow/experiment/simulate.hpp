#pragma once
#include <gradflow/experiment/settings.hpp>
#include <gradflow/observables/events.hpp>
#include <gradflow/tasks/text.hpp>

#include <filesystem>
#include <memory>
#include <solvers/integrate.hpp>

namespace gradflow {

/// A located crossing of one of the run's events, with its error bar.
struct EventCrossing {
  std::size_t event = 0;  ///< into Simulation::events()
  double t = 0;           ///< flow time
  /// Error bar of t: three times the distance to the same crossing in the companion solve, at least the method's own
  /// estimate of its last step's error; NaN where the companion does not find it, or was not asked for.
  double t_error = 0;
  double slope = 0;   ///< d(event's function)/dt
  int direction = 0;  ///< +1: the condition becomes true; -1: it is lost
  int certain = -1;   ///< 1: the companion solve finds it too; 0: it does not; -1: not checked
};

/// Where a run stands, for whoever shows progress.
struct Progress {
  double t, until;        ///< flow time
  double clock_fraction;  ///< of the way in the clock's time, 0..1
  double loss;
  solvers::Index steps, evaluations;
  double wall_seconds;
  const char* solve;  ///< which of several: "" for the run itself, "error bars" for its companion
};

/// Who looks on while a run goes; the default looks away. Called between steps, from the thread that runs.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual bool wants_progress() {
    return false;
  }  ///< asked after every step; progress() is told only if true (it costs a loss)
  virtual void progress(const Progress&) {}
  virtual void crossing(const FlowEvent&, const EventCrossing&) {}  ///< as found, without its error
  virtual bool interrupt() { return false; }
  virtual bool checkpoint() { return false; }  ///< asked after every step: true writes one at once
};

/// How a run went.
struct RunResult {
  solvers::Report<double> report;
  std::vector<EventCrossing> crossings;              ///< in order of time
  std::optional<solvers::Report<double>> companion;  ///< of the solve at ten times the tolerances
};

/// An experiment made ready: task, start, flow, observables and events in memory, everything checked, nothing written
/// yet.
class Simulation {
 public:
  /// Reads what the experiment refers to. Throws settings::Error for settings that only show to be wrong here (an
  /// event's quantity, shapes that do not fit, words not in a text), FileError for files that cannot be read.
  explicit Simulation(settings::Experiment experiment);
  ~Simulation();
  Simulation(Simulation&&) noexcept;

  const settings::Experiment& experiment() const;
  const Task& task() const;
  const std::optional<TextReport>& text_report() const;
  const Flow<double>& flow() const;
  /// Of the flow's derivatives from now on; the numbers do not depend on it. Throws std::invalid_argument below 1.
  void use_threads(int threads);
  const std::vector<FlowEvent>& events() const;
  double t0() const;  ///< of the log clock; 0 where the clock is linear

  /// The run that a file holds, made ready to go on with: task, start and settings are the file's. `until`: to a later
  /// end than its settings say. Throws FileError for what cannot be read or holds no such run (a comparison, another
  /// flow's solution), std::invalid_argument for an end that does not lie after the run's.
  static Simulation of_run(const std::filesystem::path& run, std::optional<double> until = {});

  /// Integrates to the experiment's end and writes everything to `file` as it goes (contract: the run's file). Whatever
  /// the outcome, the file holds all that was computed. Throws FileError when it cannot be written (also when it exists
  /// and not `overwrite`).
  RunResult run(const std::filesystem::path& file, bool overwrite, const std::string& command_line, Listener& listener);

  /// Of a simulation made by of_run: goes on from the newest checkpoint of that file, or from the start where it has
  /// none. In the end it holds what a run without interruption would have written, bit for bit: states, observables,
  /// events and steps (by the same build on the same instruction set; wall-clock times aside; a run that is extended
  /// has had a step that ends at its former end). What is there is copied up to the checkpoint into a new file, which
  /// then takes the old one's name: nothing is lost at any moment. Budgets (max_steps, max_rejections) that ended the
  /// run are given once more. Throws FileError, also where another process is writing the file.
  RunResult resume(const std::string& command_line, Listener& listener);

 private:
  struct Parts;
  explicit Simulation(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Whether a run has come to its end, error bars included, so that there is nothing to go on with.
bool is_complete(const std::filesystem::path& run);
/// The builds of this program and of the one that made the run, where they differ; "" else.
std::string other_build(const std::filesystem::path& run);

/// The experiment's task and start, by themselves. Same exceptions.
TaskData make_task(const settings::Experiment& experiment, std::optional<TextReport>& text_report);
Weights<double> make_start(const settings::Experiment& experiment, const Task& task);

}  // namespace gradflow
