#include "cli/simulation_results.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "cli/command.hpp"
#include "cli/format.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {

void print_results(const std::filesystem::path& file) {
  const trajectory::RunReader run(file);
  fmt::print("{}\n{}\n", statistics_text(run), events_text(phases(file)));
  std::vector<std::vector<std::string>> rows;
  for (const char* name : {"loss", "accuracy", "margin_min", "drift_vw", "drift_kq", "energy_defect"})
    rows.push_back({name, end_value(run, name).is_number() ? fmt::format("{:.6g}", end_value(run, name).get<double>())
                                                           : "undefined"});
  fmt::print("End values, t = {:.8g}\n{}\n", run.t().empty() ? trajectory::unknown : run.t().back(), table(rows));
  fmt::print("The run is in {0}. Next: gradflow phases {1}, gradflow show {1}\n", file.string(),
             shell_word(file.string()));
}

int conclude(const RunResult& result, const std::filesystem::path& file) {
  if (!result.report.reached_target()) {
    // Where the equations themselves give out, going on ends at the same place.
    const bool goes_on = result.report.outcome != solvers::Outcome::not_finite &&
                         result.report.outcome != solvers::Outcome::step_underflow;
    fmt::print(stderr, "gradflow: the run ended before its target: {}\nWhat was computed is in {}{}.\n",
               result.report.message(), file.string(),
               goes_on ? fmt::format("; 'gradflow resume {}' goes on", shell_word(file.string())) : "");
    return result.report.outcome == solvers::Outcome::interrupted ? interrupted_run : ended_early;
  }
  if (!result.companion || result.companion->reached_target()) return done;
  fmt::print(stderr, "gradflow: the run is complete, but without error bars; the second solve ended early: {}\n",
             result.companion->message());
  return result.companion->outcome == solvers::Outcome::interrupted ? interrupted_run : done;
}

}  // namespace gradflow::cli
