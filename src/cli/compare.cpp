#include <fmt/format.h>

#include <cstdio>
#include <gradflow/experiment/compare.hpp>

#include "cli/comparison_run.hpp"
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

int compare(const Options& options, const std::string& command_line) {
  const settings::Experiment experiment = read_experiment(options);
  const std::string file = options.output.empty() ? experiment.name + "-compare.h5" : options.output;
  check_output(file, options.force);
  Comparison comparison(experiment);
  comparison.use_threads(options.threads);
  ComparisonResult result;
  {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    announce(comparison.experiment(), comparison.task(), comparison.flow(), comparison.t0(), comparison.text_report(),
             talk);
    announce_descents(comparison, talk);
    result = comparison.run(file, options.force, command_line, talk);
  }
  print_comparison(file, options.json);
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
