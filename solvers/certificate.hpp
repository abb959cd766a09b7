#pragma once
#include <solvers/solve.hpp>

/// A solution held against better ones: its true errors, as far as better solves can tell them.
namespace solvers {

/// One crossing beside the same crossing in two better solves, the reference and the check (the same at ten times the
/// reference's tolerances). Times in units of t.
template <class Real>
struct CertifiedCrossing {
  Crossing<Real> crossing;
  Real bar;          ///< its error bar; NaN where it has none
  Real error;        ///< |t - t_reference|; NaN: the reference has no such crossing
  Real uncertainty;  ///< of `error`: |t_reference - t_check|, of which the reference's own error is as a rule a tenth;
                     ///< NaN: one of the two has no such crossing
  /// Both have it, and its bar, where it has one, is not shorter than error - 3 uncertainty (the factor of the error
  /// bars, for the same reason). Of a bar shorter than the uncertainty that says little.
  bool holds() const;
};

template <class Real>
struct CertifiedCrossings {
  std::vector<CertifiedCrossing<Real>> found;  ///< all of the solution's, in its order
  std::vector<Crossing<Real>> missing;         ///< the reference's that the solution does not have
  bool hold() const;                           ///< each of those found does, and none is missing
};

/// `bars`: one a crossing, or none at all. `reference` and `check`: the crossings of two better solves of the same
/// problem.
template <class Real>
CertifiedCrossings<Real> certify_crossings(const std::vector<Crossing<Real>>& crossings,
                                           const std::vector<ErrorBar<Real>>& bars,
                                           const std::vector<Crossing<Real>>& reference,
                                           const std::vector<Crossing<Real>>& check);

/// One block of the state at one time.
template <class Real>
struct StateError {
  Real error;        ///< |x - x_reference|_2
  Real size;         ///< |x_reference|_2
  Real uncertainty;  ///< of `error`: |x_reference - x_check|_2, of which the reference's own error is as a rule a tenth
};

/// What may be said of a solution, and on what grounds.
template <class Real>
struct Certificate {
  SolveOptions<Real> reference, check;
  Report<Real> reference_report, check_report;
  std::vector<Block> blocks;                          ///< of the system
  std::vector<Event> events;                          ///< of the system
  std::vector<Real> t;                                ///< the outputs that all three solves reached
  std::vector<std::vector<StateError<Real>>> states;  ///< [t][block]
  CertifiedCrossings<Real> crossings;

  /// The two better solves reached what the solution reached, and the crossings hold. Of the states it says nothing:
  /// they carry no bars.
  bool holds() const;
  /// A sentence to cite, with the reference, the count of crossings and the largest error of a block; then a line for
  /// every crossing that does not hold, or whose bar is shorter than the uncertainty.
  std::string message() const;
};

/// The options of the reference: another family of methods, a thousandth of the tolerances, but rtol at least 50
/// epsilon, which is about what rounding leaves of a step. Where the other family is of lower order it is a hundred
/// thousandth: long steps of a high order may well be a hundred times better than their tolerance. Near rounding the
/// reference is hardly better than the solution; it is never looser, but for that least rtol.
template <class Real>
SolveOptions<Real> reference_options(const SolveOptions<Real>& options);

/// Solves twice more, by reference_options and at ten times their tolerances, to the end of the schedule or to where
/// the solution ended, if it did not reach its target. `solution` is what solve() made of the other arguments. What all
/// three solves make alike stays unknown: an error of the system itself, or of events that none of them sees.
template <class Real>
Certificate<Real> certify(const System<Real>& system, const std::vector<Real>& x0, const Solution<Real>& solution,
                          const Schedule<Real>& schedule, const SolveOptions<Real>& options);

}  // namespace solvers
