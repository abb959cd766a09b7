#pragma once
#include <array>

/// The fixed names of a run's file, which writer and reader share.
namespace gradflow::trajectory::names {

struct Variable {
  const char* name;
  const char* meaning;
};

/// events/summary, in the order of EventSummary.
inline constexpr std::array<Variable, 6> summary_integers{
    {{"applicable", "whether the condition means anything here"},
     {"true_at_start", "whether the condition holds at the start"},
     {"true_at_end", "whether the condition holds at the end"},
     {"ups", "crossings into the condition"},
     {"downs", "crossings out of the condition"},
     {"verdict", "what the crossings come to"}}};
inline constexpr std::array<Variable, 2> summary_reals{
    {{"for_good", "flow time of the last crossing into the condition, where it holds at the end"},
     {"for_good_error", "error of for_good"}}};

/// events/crossings beside `t`, in the order of Crossing.
inline constexpr std::array<Variable, 7> crossing{
    {{"event", "row of the event in events/summary, from 0"},
     {"direction", "+1: the condition becomes true; -1: false"},
     {"slope",
      "derivative by flow time of the event's function (for overtaken and bracket: differences over "
      "|G'(3)| + max(|G'(1)|, |G'(2)|))"},
     {"t_error",
      "error bar of t: three times the distance to the same crossing in a solve at ten times the tolerances, at "
      "least the method's own estimate of the error of its last step, the clock's resolution and the rounding of the "
      "event's function"},
     {"certain",
      "1: a solve at ten times the tolerances finds it too; 0: it does not, or not clear of the event's next "
      "crossing; -1: not checked"},
     {"clock_time", "t on the clock of the solve"},
     {"local_error", "what the method's own estimate of the error of its last step makes of t"}}};
inline constexpr std::size_t crossing_t_error = 3, crossing_certain = 4;

/// steps, beside `t`.
inline constexpr std::array<Variable, 2> step{
    {{"clock_step", "length in the clock's time of the accepted step that ends at t"},
     {"error_ratio", "estimated error over tolerance"}}};

}  // namespace gradflow::trajectory::names
