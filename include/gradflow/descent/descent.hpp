#pragma once
#include <gradflow/descent/update_rules.hpp>
#include <gradflow/flows/flow.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gradflow {

class Batches;

/// All that a descent goes on from.
struct DescentState {
  std::vector<double> x, first, second;  ///< the state, and the rule's moments as far as it has them
  Index steps = 0, gradients = 0;
};

/// Discrete training beside the flow: steps of an update rule on the flow's own state, by the flow's own gradient.
///
/// A matrix's rate (Rates) multiplies its step: the rule sees -dL/dW_V, and W_V moves by rate rho_V times its answer.
/// In a reduced state the rule acts on W all the same: since a_j = +-1, all that it does to row j is a_j times what it
/// does to p = W_V gV = u' / (rho_W M), and u moves by rho_W M times that. The rules that look at single entries (not
/// UpdateRule::rotates) need a state in the coordinates of the weights (Coordinates::full_width).
///
/// The state's last component, the integrated power of a flow, holds the fall of the loss as far as the gradients tell
/// it: the sum over all steps of -(dL/dtheta) . (change of theta), for gd sum of eta |L'|^2; for minibatches L is the
/// batch's. For gd it approaches the integrated power as eta -> 0, and what it lacks to L(0) - L is the effect of
/// curvature in finite steps.
class Descent {
 public:
  /// At rest at the flow's initial state. `seed`: of the order of samples. The flow must outlive the descent. Throws
  /// std::invalid_argument where the flow's state has no weights (coupled), or not those entries that the rule needs.
  Descent(const Flow<double>& flow, Update update, std::uint64_t seed = 1);
  ~Descent();
  Descent(Descent&&) noexcept;

  /// Forgets everything and stands at rest at x, at step 0 and at the beginning of the first epoch. Throws
  /// std::invalid_argument when x does not have the flow's dimension or is not finite.
  void start(std::span<const double> x);

  DescentState save() const;
  /// Goes on as the descent that was saved, to the last bit: of the same flow, update and seed. Throws as `start` does,
  /// and where the moments are not those of the rule.
  void restore(const DescentState& state);

  /// One step, at the price of one gradient. False: its end is not finite; the state is still the last finite one, and
  /// nothing is left but `start`.
  bool step();

  const Update& update() const { return update_; }
  std::span<const double> state() const { return {x_.data(), static_cast<std::size_t>(x_.size())}; }
  Index steps() const { return steps_; }                ///< taken
  double time() const { return update_.time(steps_); }  ///< Update::time
  Index gradients() const { return gradients_; }        ///< taken in all, of the whole task or of batches

 private:
  /// A stretch of the state, short enough to stay in the first-level cache, within one matrix.
  struct Stretch {
    Index begin, size;
    double scale;  ///< the flow's derivative over -dL/dtheta: rho, and for u rho M
  };

  double move(const Stretch& stretch);

  const Flow<double>& flow_;
  Update update_;
  std::uint64_t seed_;
  std::vector<Stretch> stretches_;  // all of the state but its last component
  // Eigen's own memory, which it aligns: where its loops begin and end, and with that the last bits, never depend on
  // where the arrays stand.
  Eigen::ArrayXd x_, next_;           // the state; the flow's derivative there, which becomes the next state
  Eigen::ArrayXd first_, second_;     // moments of the gradient, as far as the rule has them
  std::unique_ptr<Batches> batches_;  // of sgd
  Index steps_ = 0, gradients_ = 0;
};

/// One zero of an event's function, between two steps.
struct StepCrossing {
  Index event;          ///< into System::events()
  Index before, after;  ///< the two steps; the condition has its new side at `after`
  double t;             ///< linear in the function's value between their times
  double slope;         ///< of that line
  int direction;        ///< +1: the condition becomes true; -1: it is lost
};

/// Why a descent ended.
enum class DescentOutcome { reached_end, stopped_by_event, diverged, interrupted };

/// One sentence on what the outcome means.
std::string_view sentence(DescentOutcome outcome);
/// The enumerator's own name, for files.
std::string_view name(DescentOutcome outcome);

/// How a descent went.
struct DescentReport {
  DescentOutcome outcome = DescentOutcome::reached_end;
  Index steps = 0;        ///< where it stands: the last finite state's
  double t = 0;           ///< Update::time of that step
  Index gradients = 0;    ///< taken by this call
  Index event_calls = 0;  ///< of System::event_values
  double wall_seconds = 0;
  std::optional<Index> stopped_by;              ///< the event that asked for it
  std::vector<int> sign_at_start, sign_at_end;  ///< of each event: +1 holds, -1 does not, 0 not known

  std::string message() const;  ///< the outcome's sentence with the figures that belong to it
};

/// What looks on; the default looks away.
class DescentObserver {
 public:
  virtual ~DescentObserver() = default;
  virtual void output(std::size_t /*index into the schedule*/, Index /*step*/, double /*t*/,
                      std::span<const double> /*x*/) {}
  virtual void crossing(const StepCrossing&, std::span<const double> /*x at the step after*/) {}
  virtual void step(Index /*step*/, double /*t*/, std::span<const double> /*x at its end*/) {}
  /// Always called once, last, with the last finite state, whatever the outcome.
  virtual void finish(Index /*step*/, double /*t*/, std::span<const double> /*x*/) {}
  virtual bool interrupt() { return false; }  ///< asked after every step
};

/// When to stop and where to look: steps counted from the descent's start, ascending, from its present one to the end.
struct DescentSchedule {
  Index end;
  std::vector<Index> outputs;
};

/// Steps until schedule.end. `watched`: whose events watch the descent, a system on the same state (WatchedFlow, or the
/// flow itself for none).
///
/// The contract. After each step the observer hears of its crossings in order of time (at equal times in that of the
/// events), then of the output that is due there, then of the step. Signs are compared between neighbouring steps: an
/// exact zero takes the sign that follows, at the start without a crossing, later with one exactly if the sign before
/// was the opposite; a NaN means that the function is not defined, and no crossing is reported across it. The descent
/// ends with the first step in which a stopping event becomes true. Outcomes have this priority: diverged,
/// stopped_by_event, reached_end, interrupted. Misuse (an end before the present step, outputs out of order or range,
/// another dimension) throws std::invalid_argument.
DescentReport descend(Descent& descent, const solvers::System<double>& watched, const DescentSchedule& schedule,
                      DescentObserver& observer);

}  // namespace gradflow
