#include <fmt/format.h>

#include <cstdio>
#include <gradflow/experiment/compare.hpp>

#include "cli/comparison_results.hpp"
#include "cli/experiment_options.hpp"
#include "cli/format.hpp"
#include "cli/interrupt.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

struct Options : ExperimentOptions {
  bool json = false;
};

std::string footer() {
  std::vector<std::vector<std::string>> rows;
  for (const UpdateRule& rule : update_rules())
    rows.push_back(
        {fmt::format("  {}", rule.name), rule.flow_time ? "flow time" : "steps x rate", std::string(rule.description)});
  return "Methods (descent.methods; what its time is; g = -dL/dtheta):\n" + table(rows) +
         "\nEvery method runs at every rate of descent.rates. descent.momentum is the beta of heavy-ball and "
         "nesterov,\n"
         "descent.batch the minibatch of sgd; descent.modified = [2, 3] adds the modified flows that gd follows to "
         "order 2\nand 3 in its rate, and heavy-ball to order 2; descent.eps = [0.01] looks for the largest rate that "
         "stays within\n1 % of the flow; descent.curvature is the number of times at which the Hessian's ends are "
         "taken (25; 0: none).\n"
         "\nExamples:\n"
         "  gradflow compare data/compare-linear-default.toml\n"
         "  gradflow compare data/paper.toml -o gd.h5 --set 'descent.rates=[0.01, 0.005]' --set "
         "'descent.modified=[2]'\n"
         "  gradflow phases gd.h5 --descent 1\n"
         "\nA descent that diverges is a result: the exit code is 0.";
}

void announce_descents(const Comparison& comparison, Talk& talk) {
  const double until = comparison.experiment().solver.until;
  for (std::size_t d = 0; d < comparison.updates().size(); ++d) {
    const Update& update = comparison.updates()[d];
    talk.line(fmt::format("{}: {} steps to {} = {:.6g}", comparison.labels()[d], update.steps_until(until),
                          update.rule().flow_time ? "t" : "steps x rate", update.time(update.steps_until(until))));
  }
}

/// Why this is not simply done, on standard error; the exit code.
int conclude(const ComparisonResult& result, const std::string& file) {
  for (const ModifiedResult& modified : result.modified)
    if (!modified.report.reached_target())
      fmt::print(stderr, "gradflow: the modified flow of order {} of {} ended before its target: {}\n", modified.order,
                 result.descents[modified.descent].label, modified.report.message());
  if (result.interrupted) {
    fmt::print(stderr, "gradflow: interrupted; what was computed is in {}.\n", file);
    return interrupted_run;
  }
  if (result.flow.report.reached_target()) return done;
  fmt::print(stderr, "gradflow: the flow ended before its target: {}\nWhat was computed is in {}.\n",
             result.flow.report.message(), file);
  return ended_early;
}

int compare(const Options& options, const std::string& command_line) {
  const settings::Experiment experiment = read_experiment(options);
  const std::string file = options.output.empty() ? experiment.name + "-compare.h5" : options.output;
  check_output(file, options.force);
  Comparison comparison(experiment);
  ComparisonResult result;
  {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    announce(comparison.experiment(), comparison.task(), comparison.flow(), comparison.t0(), comparison.text_report(),
             talk);
    announce_descents(comparison, talk);
    result = comparison.run(file, options.force, command_line, talk);
  }
  const trajectory::ComparisonReader reader(file);
  if (options.json) {
    nlohmann::ordered_json json{{"file", file}};
    json.update(comparison_json(reader));
    fmt::print("{}", document(json));
  } else {
    fmt::print("{}\nThe comparison is in {}. Next: gradflow phases {}, gradflow show {}\n", comparison_text(reader),
               file, shell_word(file), shell_word(file));
  }
  return conclude(result, file);
}

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("compare", "The flow of an experiment beside discrete descents from the same start");
  add_experiment_options(*command, *options, "CMP.h5", "NAME-compare.h5");
  command->add_flag("--json", options->json, "one JSON document and nothing else");
  command->footer(footer());
  command->callback([options, &action] {
    action = [options](const std::string& command_line) { return compare(*options, command_line); };
  });
}

}  // namespace gradflow::cli
