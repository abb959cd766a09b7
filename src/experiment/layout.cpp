#include "experiment/layout.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <build_info.hpp>

#include <ctime>

namespace gradflow {

std::vector<trajectory::Attribute> provenance() {
  return {{"program", "gradflow"},
          {"version", std::string(build_info::version)},
          {"commit", std::string(build_info::commit)},
          {"build", fmt::format("{}, {}, {}, {}", build_info::compiler, build_info::build_type, build_info::flags,
                                build_info::architecture)},
          {"created", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))}};
}

std::vector<trajectory::Attribute> solver_attributes(const solvers::SolveOptions<double>& options) {
  return {{"method", options.method},
          {"rtol", options.tolerances.rtol},
          {"atol", options.tolerances.atol},
          {"error_norm", solvers::ErrorNorm<double>::description()},
          {"clock", options.clock.is_log() ? "log: tau = ln(1 + t/t0)" : "linear: tau = t"},
          {"t0", options.clock.t0()}};
}

trajectory::RunDescription solve_description() {
  trajectory::RunDescription description;
  description.verdicts = {"not_applicable",
                          "never",
                          "at_start_and_for_good",
                          "crossed_once_and_for_good",
                          "crossings_holds_at_the_end",
                          "crossings_does_not_hold_at_the_end"};
  for (int outcome = 0; outcome <= static_cast<int>(solvers::Outcome::interrupted); ++outcome)
    description.outcomes.emplace_back(solvers::name(static_cast<solvers::Outcome>(outcome)));
  description.counts = {"accepted",           "rejected_error",       "rejected_not_finite", "evaluations_start",
                        "evaluations_steps",  "evaluations_outputs",  "evaluations_events",  "event_calls",
                        "companion_accepted", "companion_evaluations"};
  return description;
}

trajectory::EventSummary summarize(bool applicable, int sign_at_start, int sign_at_end,
                                   std::span<const trajectory::Crossing> crossings) {
  trajectory::EventSummary summary{.applicable = applicable,
                                   .true_at_start = sign_at_start > 0,
                                   .true_at_end = sign_at_end > 0,
                                   .ups = 0,
                                   .downs = 0};
  for (const trajectory::Crossing& crossing : crossings) {
    ++(crossing.direction > 0 ? summary.ups : summary.downs);
    if (crossing.direction > 0 && sign_at_end > 0)
      summary.for_good = crossing.t, summary.for_good_error = crossing.t_error;
  }
  const auto verdict = applicable ? solvers::verdict(sign_at_start > 0, sign_at_end > 0, crossings.size())
                                  : solvers::Verdict::not_applicable;
  summary.verdict = static_cast<std::int64_t>(verdict);
  return summary;
}

void write_summaries(trajectory::RunGroupWriter& writer, const std::vector<FlowEvent>& events,
                     std::span<const EventCrossing> crossings, std::span<const int> signs_at_start,
                     std::span<const int> signs_at_end) {
  std::size_t applying = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    std::vector<trajectory::Crossing> own;
    for (const EventCrossing& c : crossings)
      if (c.event == i) own.push_back({.t = c.t, .t_error = c.t_error, .direction = c.direction, .values = {}});
    const bool applies = events[i].applicable;
    const int at_start = applies ? signs_at_start[applying] : 0, at_end = applies ? signs_at_end[applying] : 0;
    applying += applies ? 1 : 0;
    writer.set_summary(static_cast<std::int64_t>(i), summarize(applies, at_start, at_end, own));
  }
}

trajectory::RunEnd run_end(const solvers::Report<double>& report,
                           const std::optional<solvers::Report<double>>& companion) {
  const solvers::Counts& c = report.counts;
  const auto second = companion.value_or(solvers::Report<double>{});
  return {static_cast<std::int64_t>(report.outcome),
          report.message(),
          {c.accepted, c.rejected_error, c.rejected_not_finite, c.for_start, c.for_steps, c.for_outputs, c.for_events,
           c.event_calls, second.counts.accepted, second.counts.evaluations()},
          report.wall_seconds + second.wall_seconds};
}

}  // namespace gradflow
