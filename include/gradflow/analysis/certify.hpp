#pragma once
#include <gradflow/experiment/simulate.hpp>

#include <filesystem>
#include <solvers/certificate.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradflow {

/// How far one quantity of a run (an observable, a matrix of the snapshots) is off, at each of its times.
struct QuantityError {
  std::string name;
  /// |run - reference|: of an observable the largest component's, of a matrix the Frobenius norm. 0 where both are
  /// undefined, infinity where one is.
  std::vector<double> error;
  std::vector<double> size;         ///< the reference's own, in the same norm
  std::vector<double> uncertainty;  ///< of `error`: |reference - check| in the same norm

  std::size_t worst() const;  ///< the time of the largest error; 0 where there is no time
  double largest() const;     ///< the error there
  double relative() const;    ///< `largest` over the largest size
};

/// The true errors of one event's crossings.
struct EventErrors {
  std::string name;
  std::vector<solvers::CertifiedCrossing<double>> crossings;  ///< all of the run's, in order of time
  std::vector<solvers::Crossing<double>> missing;             ///< the reference's that the run does not have
  bool hold() const;
};

/// One rung of the ladder: a method at a tolerance, against the reference.
struct Rung {
  std::string method;
  double rtol, atol;
  solvers::Outcome outcome;
  solvers::Index accepted, rejected, evaluations, event_evaluations;  ///< evaluations: of the steps
  double state_error;  ///< largest over the snapshots' times and the blocks of the flow's state of |x - x_ref|_2 /
                       ///< |x_ref|_2
  double event_error;  ///< largest over the crossings that both have of |t - t_ref| / (t_ref + t0); NaN without any
  std::size_t crossings, matched;  ///< found, and of these in the reference too
};

/// What may be said of a run, and on what grounds.
struct CertifyReport {
  solvers::SolveOptions<double> run, reference, check;
  solvers::Report<double> reference_report, check_report;
  double until;                           ///< the run's target
  std::string outcome;                    ///< how it ended; "unfinished" where it has not
  double t_end;                           ///< the run's last record: nothing after it is judged
  std::vector<double> record_t, state_t;  ///< times of observables and of states
  std::vector<QuantityError> observables, states;
  std::vector<EventErrors> events;                       ///< all that apply
  std::vector<std::pair<std::string, double>> monitors;  ///< largest magnitude of each conservation law's drift, ...
  std::vector<Rung> ladder;  ///< where it was asked for; methods in their order, looser tolerances first

  /// No event's bar is shorter than its true error (less what the references leave uncertain), and run and reference
  /// have the same crossings.
  bool holds() const;
};

/// A reference that did not reach the end of the run (interrupted, say): there is nothing to hold the run against.
class NotCertified : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Re-solves a run from the task, start and settings in its file, by a method of another family at far tighter
/// tolerances (the reference: solvers::reference_options), and once more at ten times those (the check); with `ladder`
/// also by every method at 1000, 100, 10, 1 and 0.1 times the run's tolerances. Of a run that has not reached its
/// target, what it has recorded is judged. Throws FileError where the file cannot be read or is no run, and
/// NotCertified.
CertifyReport certify(const std::filesystem::path& run, bool ladder, Listener& listener);

}  // namespace gradflow
