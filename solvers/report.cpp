#include <solvers/integrate.hpp>

#include <array>
#include <sstream>

#include "quad.ipp"

namespace solvers {
namespace {

struct OutcomeText {
  std::string_view name, sentence;
};

constexpr std::array<OutcomeText, 8> outcomes{{
    {"reached_end", "the integration reached its end"},
    {"stopped_by_event", "a requested event stopped the integration"},
    {"step_limit", "the budget of accepted steps is used up"},
    {"rejection_limit", "the budget of rejected steps is used up"},
    {"step_underflow",
     "the step became too small for the clock to move: the tolerance is too tight for this precision, or the "
     "solution is about to break down"},
    {"not_finite", "the solution or its derivative is not finite, however small the step"},
    {"wall_clock", "the budget of wall-clock time is used up"},
    {"interrupted", "the integration was interrupted"},
}};

const OutcomeText& text(Outcome outcome) { return outcomes.at(static_cast<std::size_t>(outcome)); }

}  // namespace

std::string_view sentence(Outcome outcome) { return text(outcome).sentence; }
std::string_view name(Outcome outcome) { return text(outcome).name; }

template <class Real>
std::string Report<Real>::message() const {
  std::ostringstream out;
  out << sentence(outcome) << " (t = " << t << ", " << counts.accepted << " steps, " << counts.rejected_error
      << " rejected for their error, " << counts.rejected_not_finite << " not finite)";
  if (!worst.empty()) {
    out << "; the last trial, of length " << failed_step << " in the clock's time, had error ratio " << failed_ratio
        << "; its worst components (arrays count from 0):";
    for (const Component<Real>& c : worst)
      out << "\n  " << c.name << " = " << c.value << ", error " << c.error << ", " << c.share << " of its tolerance";
  }
  return out.str();
}

template struct Report<double>;
template struct Report<Quad>;

}  // namespace solvers
