#include "cli/comparison_run.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "cli/command.hpp"
#include "cli/comparison_results.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {

void announce_descents(const Comparison& comparison, Talk& talk) {
  const double until = comparison.experiment().solver.until;
  for (std::size_t d = 0; d < comparison.updates().size(); ++d) {
    const Update& update = comparison.updates()[d];
    talk.line(fmt::format("{}: {} steps to {} = {:.6g}", comparison.labels()[d], update.steps_until(until),
                          update.rule().flow_time ? "t" : "steps x rate", update.time(update.steps_until(until))));
  }
}

void print_comparison(const std::string& file, bool json) {
  const trajectory::ComparisonReader reader(file);
  if (json) {
    nlohmann::ordered_json all{{"file", file}};
    all.update(comparison_json(reader));
    fmt::print("{}", document(all));
  } else {
    fmt::print("{}\nThe comparison is in {}. Next: gradflow phases {}, gradflow show {}\n", comparison_text(reader),
               file, shell_word(file), shell_word(file));
  }
}

int conclude(const ComparisonResult& result, const std::string& file) {
  for (const ModifiedResult& modified : result.modified)
    if (!modified.report.reached_target())
      fmt::print(stderr, "gradflow: the modified flow of order {} of {} ended before its target: {}\n", modified.order,
                 result.descents[modified.descent].label, modified.report.message());
  if (result.interrupted) {
    fmt::print(stderr, "gradflow: interrupted; what was computed is in {}; 'gradflow resume {}' goes on.\n", file,
               shell_word(file));
    return interrupted_run;
  }
  if (result.flow.report.reached_target()) return done;
  fmt::print(stderr, "gradflow: the flow ended before its target: {}\nWhat was computed is in {}.\n",
             result.flow.report.message(), file);
  return ended_early;
}

}  // namespace gradflow::cli
