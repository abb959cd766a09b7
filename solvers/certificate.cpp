#include <solvers/certificate.hpp>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "quad.ipp"

namespace solvers {
namespace {

template <class Real>
std::vector<StateError<Real>> state_errors(const std::vector<Block>& blocks, const std::vector<Real>& x,
                                           const std::vector<Real>& reference, const std::vector<Real>& check) {
  const auto view = [](const std::vector<Real>& state) {
    return Eigen::Map<const Eigen::Matrix<Real, Eigen::Dynamic, 1>>(state.data(), static_cast<Index>(state.size()));
  };
  std::vector<StateError<Real>> errors;
  Index first = 0;
  for (const Block& block : blocks) {
    const auto part = [&](const std::vector<Real>& state) { return view(state).segment(first, block.size()); };
    errors.push_back(
        {(part(x) - part(reference)).norm(), part(reference).norm(), (part(reference) - part(check)).norm()});
    first += block.size();
  }
  return errors;
}

template <class Real>
void describe_crossings(std::ostream& out, const Certificate<Real>& certificate) {
  const auto name = [&](const Crossing<Real>& crossing) {
    return certificate.events[static_cast<std::size_t>(crossing.event)].name + " (event " +
           std::to_string(crossing.event) + ", " + (crossing.direction > 0 ? "becomes true" : "is lost") + ")";
  };
  const auto at = [&](const Real& t) {
    std::ostringstream text;
    text.precision(10);
    text << " at t = " << t;
    return text.str();
  };
  for (const auto& c : certificate.crossings.found) {
    using std::isnan;
    if (c.holds() && !(c.uncertainty > c.bar)) continue;
    out << "\n  " << name(c.crossing) << at(c.crossing.t) << ": ";
    if (isnan(c.error))
      out << "the reference has no such crossing";
    else if (isnan(c.uncertainty))
      out << "the reference has it, " << c.error << " away, but the check does not";
    else
      out << "its error is " << c.error << " +- " << c.uncertainty << ", its bar " << c.bar
          << (c.holds() ? ", too short for this reference to judge" : "");
  }
  for (const auto& crossing : certificate.crossings.missing)
    out << "\n  " << name(crossing) << at(crossing.t) << ": the reference has it, the solution does not";
}

template <class Real>
void describe_count(std::ostream& out, const CertifiedCrossings<Real>& crossings) {
  const auto& found = crossings.found;
  out << std::count_if(found.begin(), found.end(), [](const auto& c) { return c.holds(); }) << " of " << found.size()
      << " crossings confirmed";
  Real largest = -1;
  for (const auto& c : found)
    if (c.error / c.bar > largest) largest = c.error / c.bar;
  if (largest >= 0) out << ", the largest error " << largest << " of its bar";
}

template <class Real>
void describe_largest_error(std::ostream& out, const Certificate<Real>& certificate) {
  Real largest = -1;
  std::size_t output = 0, block = 0;
  for (std::size_t i = 0; i < certificate.states.size(); ++i)
    for (std::size_t j = 0; j < certificate.states[i].size(); ++j) {
      const StateError<Real>& state = certificate.states[i][j];
      if (!(state.size > 0) || !(state.error / state.size > largest)) continue;
      largest = state.error / state.size;
      output = i, block = j;
    }
  if (largest < 0) return;  // no output, or of zeros
  const StateError<Real>& state = certificate.states[output][block];
  out << "; the largest error of " << certificate.t.size() << " outputs is " << largest << " +- "
      << state.uncertainty / state.size << " of " << certificate.blocks[block].name
      << " at t = " << certificate.t[output];
}

}  // namespace

template <class Real>
bool CertifiedCrossing<Real>::holds() const {
  using std::isnan;
  return !isnan(error) && !isnan(uncertainty) && !(bar < error - 3 * uncertainty);
}

template <class Real>
bool CertifiedCrossings<Real>::hold() const {
  return missing.empty() && std::all_of(found.begin(), found.end(), [](const auto& c) { return c.holds(); });
}

template <class Real>
CertifiedCrossings<Real> certify_crossings(const std::vector<Crossing<Real>>& crossings,
                                           const std::vector<ErrorBar<Real>>& bars,
                                           const std::vector<Crossing<Real>>& reference,
                                           const std::vector<Crossing<Real>>& check) {
  using std::abs;
  if (!bars.empty() && bars.size() != crossings.size())
    throw std::invalid_argument("certify: " + std::to_string(bars.size()) + " error bars were given for " +
                                std::to_string(crossings.size()) + " crossings");
  const Real none = std::numeric_limits<Real>::quiet_NaN();
  const auto of_crossing = match(crossings, reference), of_reference = match(reference, check);
  CertifiedCrossings<Real> result;
  std::vector<bool> taken(reference.size(), false);
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    CertifiedCrossing<Real> c{crossings[i], bars.empty() ? none : bars[i].error, none, none};
    if (const auto partner = of_crossing[i]) {
      taken[*partner] = true;
      const Real t = reference[*partner].t;
      c.error = abs(crossings[i].t - t);
      if (const auto other = of_reference[*partner]) c.uncertainty = abs(t - check[*other].t);
    }
    result.found.push_back(c);
  }
  for (std::size_t i = 0; i < reference.size(); ++i)
    if (!taken[i]) result.missing.push_back(reference[i]);
  return result;
}

template <class Real>
bool Certificate<Real>::holds() const {
  return reference_report.reached_target() && check_report.reached_target() && crossings.hold();
}

template <class Real>
std::string Certificate<Real>::message() const {
  std::ostringstream out;
  out.precision(3);
  out << (holds() ? "holds" : "does not hold") << " against " << reference.method << " at rtol "
      << reference.tolerances.rtol << ", atol " << reference.tolerances.atol << ": ";
  describe_count(out, crossings);
  describe_largest_error(out, *this);
  describe_crossings(out, *this);
  if (!reference_report.reached_target()) out << "\n  the reference: " << reference_report.message();
  if (!check_report.reached_target()) out << "\n  the check: " << check_report.message();
  return out.str();
}

template <class Real>
SolveOptions<Real> reference_options(const SolveOptions<Real>& options) {
  const Method& own = find_method(options.method);
  const Method& other = find_method(other_family(options.method));
  const Real least = 50 * std::numeric_limits<Real>::epsilon(), rtol = options.tolerances.rtol;
  const Real tighter = Real(1) / (other.order < own.order ? 100'000 : 1000);
  const Real factor = std::min(Real(1), std::max(tighter, rtol > 0 ? Real(least / rtol) : Real(0)));
  SolveOptions<Real> reference = loosened(options, factor);
  reference.tolerances.rtol = std::max(reference.tolerances.rtol, least);
  reference.method = other.name;
  return reference;
}

template <class Real>
Certificate<Real> certify(const System<Real>& system, const std::vector<Real>& x0, const Solution<Real>& solution,
                          const Schedule<Real>& schedule, const SolveOptions<Real>& options) {
  Certificate<Real> result;
  result.reference = reference_options(options);
  result.check = loosened(result.reference, Real(10));
  result.blocks = system.blocks();
  result.events = system.events();
  const Schedule<Real> same{solution.report.reached_target() ? schedule.end : solution.report.t, solution.t};
  const Solution<Real> reference = solve(system, x0, same, result.reference),
                       check = solve(system, x0, same, result.check);
  result.reference_report = reference.report;
  result.check_report = check.report;
  // All three solves report a beginning of the same schedule.
  const std::size_t common = std::min({solution.x.size(), reference.x.size(), check.x.size()});
  for (std::size_t i = 0; i < common; ++i) {
    result.t.push_back(solution.t[i]);
    result.states.push_back(state_errors(result.blocks, solution.x[i], reference.x[i], check.x[i]));
  }
  result.crossings = certify_crossings(solution.crossings, solution.error_bars, reference.crossings, check.crossings);
  return result;
}

template struct CertifiedCrossing<double>;
template struct CertifiedCrossing<Quad>;
template struct CertifiedCrossings<double>;
template struct CertifiedCrossings<Quad>;
template struct Certificate<double>;
template struct Certificate<Quad>;
template CertifiedCrossings<double> certify_crossings(const std::vector<Crossing<double>>&,
                                                      const std::vector<ErrorBar<double>>&,
                                                      const std::vector<Crossing<double>>&,
                                                      const std::vector<Crossing<double>>&);
template CertifiedCrossings<Quad> certify_crossings(const std::vector<Crossing<Quad>>&,
                                                    const std::vector<ErrorBar<Quad>>&,
                                                    const std::vector<Crossing<Quad>>&,
                                                    const std::vector<Crossing<Quad>>&);
template SolveOptions<double> reference_options(const SolveOptions<double>&);
template SolveOptions<Quad> reference_options(const SolveOptions<Quad>&);
template Certificate<double> certify(const System<double>&, const std::vector<double>&, const Solution<double>&,
                                     const Schedule<double>&, const SolveOptions<double>&);
template Certificate<Quad> certify(const System<Quad>&, const std::vector<Quad>&, const Solution<Quad>&,
                                   const Schedule<Quad>&, const SolveOptions<Quad>&);

}  // namespace solvers
