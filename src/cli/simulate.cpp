#include <fmt/format.h>

#include <cstdio>
#include <gradflow/experiment/simulate.hpp>

#include "cli/experiment_options.hpp"
#include "cli/format.hpp"
#include "cli/interrupt.hpp"
#include "cli/simulation_results.hpp"

namespace gradflow::cli {
namespace {

namespace fs = std::filesystem;

std::string footer() {
  std::vector<std::vector<std::string>> rows{
      {"  name", "order", "error", "evaluations a step", "dense output", "use it for", "source"}};
  for (const solvers::Method& method : solvers::methods())
    rows.push_back({fmt::format("  {}", method.name), fmt::format("{}", method.order),
                    fmt::format("{}", method.error_order),
                    method.evaluations == 0 ? "as stability asks" : fmt::format("{}", method.evaluations),
                    !method.dense_output           ? "by a real step"
                    : method.dense_evaluations > 0 ? fmt::format("{} more", method.dense_evaluations)
                                                   : "free",
                    std::string(method.use), std::string(method.source)});
  return "Methods (solver.method; order of the solution, order of its error estimate, evaluations of the gradient for "
         "each\n"
         "step, and what values between steps cost):\n" +
         table(rows) +
         "\nExamples:\n"
         "  gradflow simulate data/paper.toml                        writes paper.h5 here\n"
         "  gradflow simulate data/paper.toml -o long.h5 --set solver.until=1e8 --set solver.method=fehlberg78\n"
         "  gradflow simulate data/paper.toml --force --set 'save.words=[1,2,3,4]'\n"
         "\n"
         "--set takes a value as TOML has it, or else as text. Progress and events go to standard error.";
}

int simulate(const ExperimentOptions& options, const std::string& command_line) {
  const settings::Experiment experiment = read_experiment(options);
  const fs::path file = options.output.empty() ? experiment.name + ".h5" : options.output;
  check_output(file, options.force);
  Simulation simulation(experiment);
  simulation.use_threads(options.threads);
  RunResult result;
  {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    announce(simulation.experiment(), simulation.task(), simulation.flow(), simulation.t0(), simulation.text_report(),
             talk);
    result = simulation.run(file, options.force, command_line, talk);
  }
  print_results(file);
  return conclude(result, file);
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ExperimentOptions>();
  CLI::App* command = app.add_subcommand("simulate", "Integrate the gradient flow of an experiment");
  add_experiment_options(*command, *options, "RUN.h5", "NAME.h5");
  command->footer(footer());
  command->callback([options, &action] {
    action = [options](const std::string& command_line) { return simulate(*options, command_line); };
  });
}

}  // namespace gradflow::cli
