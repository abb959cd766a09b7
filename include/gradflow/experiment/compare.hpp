#pragma once
#include <gradflow/descent/descent.hpp>
#include <gradflow/experiment/simulate.hpp>

namespace gradflow {

/// How one descent of a comparison went.
struct DescentResult {
  std::string label;  ///< "gd 0.1"
  Update update;
  DescentReport report;
  /// In order of time; t_error is half a step, and nothing checks them (certain = -1).
  std::vector<EventCrossing> crossings;
};

/// The solve of a modified flow beside one of the descents.
struct ModifiedResult {
  std::size_t descent;  ///< into ComparisonResult::descents
  int order;            ///< 2 or 3
  solvers::Report<double> report;
};

/// By which power of its rate a method's distance from a flow falls: the slope of log(distance) against log(rate) by
/// least squares, where distance is the largest relative one in parameters, over the times at which all descents of
/// the method have one. Descents that diverged do not count, nor do those whose time is no flow time.
struct OrderFit {
  std::string method;
  std::string reference;  ///< "flow", "order 2", "order 3"
  double order;           ///< NaN with fewer than two rates
  double order_error;     ///< its standard error; NaN with fewer than three
  double confidence;      ///< half the width of its 95 % interval (Student's t); NaN with fewer than three
  std::size_t rates;      ///< how many it rests on
};

/// How small a method's rate must be for it to stay within a relative distance eps of the flow: a bracket, by trial.
/// Each trial is a descent beside the flow over the whole time, compared at the flow's records (each moved down to a
/// whole step). The distance need not grow with the rate everywhere; between the two it goes through eps.
struct RateSearch {
  std::string method;
  double eps = 0;
  /// The largest rate found that stays within, and its distance.
  std::optional<double> largest, largest_distance;
  /// The smallest one found that does not, and how far it was when it was given up.
  std::optional<double> too_large, too_large_distance;
  Index trials = 0;
};

struct ComparisonResult {
  RunResult flow;
  std::vector<DescentResult> descents;
  std::vector<ModifiedResult> modified;
  std::vector<OrderFit> fits;
  std::vector<RateSearch> rates;  ///< of each rule that follows the flow, for each settings::Descent::eps
  bool interrupted = false;       ///< by the listener, in whichever part
};

/// The gradient flow of an experiment beside discrete descents from the same start, made ready: everything checked,
/// nothing written yet. Every method of settings::Descent at every rate, methods first.
class Comparison {
 public:
  /// Throws as Simulation does, and settings::Error also for an experiment without weights (the coupled flow, a limit
  /// start) and for a rate whose steps do not fit into solver.until.
  explicit Comparison(settings::Experiment experiment);
  ~Comparison();
  Comparison(Comparison&&) noexcept;

  /// The comparison that a file holds, made ready to go on with. Throws as Simulation::of_run does.
  static Comparison of_file(const std::filesystem::path& file);

  const settings::Experiment& experiment() const;
  const Task& task() const;
  const std::optional<TextReport>& text_report() const;
  const Flow<double>& flow() const;
  /// Of the flow's derivatives from now on; the numbers do not depend on it. Throws std::invalid_argument below 1.
  void use_threads(int threads);
  const std::vector<FlowEvent>& events() const;
  double t0() const;                               ///< of the log clock; 0 where the clock is linear
  const std::vector<Update>& updates() const;      ///< one a descent
  const std::vector<std::string>& labels() const;  ///< one a descent: "gd 0.1"

  /// Solves the flow as Simulation::run does; all descents go along with it, each with its own events, and are compared
  /// with it as it passes. Then each modified flow, beside its descent once more, and the searches for rates.
  /// Everything goes to `file` as it comes (contract: the file of compare). A descent that diverges is a result. The
  /// listener hears of the flow's crossings, and of everybody's progress. Throws FileError when the file cannot be
  /// written (also when it exists and not `overwrite`).
  ///
  /// The times of comparison are those of the flow's records, each moved down to the last whole step of the descent
  /// whose steps are longest. A descent that has no step there is compared with the flow at its own last step before.
  /// One whose rule has no flow time is compared at equal loss as well: at its first step whose loss is no larger than
  /// the flow's at the row.
  /// Descents whose rules look at single entries run at full width. Where the flow is stopped by an event, the descents
  /// go on to their own end; where it fails, they end with it. settings::Solver::max_wall_seconds counts the descents'
  /// time too, as far as they go along with the flow.
  ComparisonResult run(const std::filesystem::path& file, bool overwrite, const std::string& command_line,
                       Listener& listener);

  /// Of a comparison made by of_file: as Simulation::resume. Checkpoints are written between the flow's steps; modified
  /// flows, the companion solve and the searches for rates begin anew.
  ComparisonResult resume(const std::string& command_line, Listener& listener);

 private:
  struct Parts;
  explicit Comparison(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace gradflow
