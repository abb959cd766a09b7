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
inline constexpr std::array<Variable, 5> crossing{
    {{"event", "row of the event in events/summary, from 0"},
     {"direction", "+1: the condition becomes true; -1: false"},
     {"slope", "derivative of the event's function by flow time"},
     {"t_error", "error of t"},
     {"certain", "1: a companion solve finds it too; 0: it does not; -1: not checked"}}};
inline constexpr std::size_t crossing_t_error = 3, crossing_certain = 4;

/// steps, beside `t`.
inline constexpr std::array<Variable, 2> step{
    {{"clock_step", "length in the clock's time of the accepted step that ends at t"},
     {"error_ratio", "estimated error over tolerance"}}};

}  // namespace gradflow::trajectory::names
