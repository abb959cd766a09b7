#include <fmt/format.h>

#include <cstdio>
#include <gradflow/experiment/simulate.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/interrupt.hpp"
#include "cli/results.hpp"
#include "cli/simulation_results.hpp"

namespace gradflow::cli {
namespace {

struct Options {
  std::string run;
  std::optional<double> until;
  bool quiet = false;
};

const char* const footer =
    "Examples:\n"
    "  gradflow resume paper.h5                  after a kill, an interrupt, a full disk, or the end of a time "
    "allowance\n"
    "  gradflow resume paper.h5 --until 1e4      extends a finished run\n"
    "\n"
    "The run goes on from its last checkpoint (save.checkpoint_seconds; SIGUSR1 writes one at once) with the settings, "
    "task\n"
    "and start in its file, and ends with the bits that it would have had without the interruption. A comparison "
    "cannot be\n"
    "resumed yet.";

int resume(const Options& options, const std::string& command_line) {
  require_run(options.run);
  if (is_hdf5(options.run) && trajectory::is_comparison(options.run))
    throw UsageError(
        fmt::format("'{}' is a comparison, which cannot be resumed yet; run 'gradflow compare' again", options.run));
  if (!options.until && is_complete(options.run)) {
    fmt::print("{} is complete: there is nothing to go on with. --until T extends it.\n", options.run);
    return done;
  }
  if (const std::string builds = other_build(options.run); !builds.empty())
    fmt::print(stderr, "gradflow: the bits may differ from those of an unbroken run: {}\n", builds);
  std::optional<Simulation> simulation;
  try {
    simulation.emplace(Simulation::of_run(options.run, options.until));
  } catch (const std::invalid_argument& problem) {
    throw UsageError(fmt::format("--until: {}", problem.what()));
  }
  RunResult result;
  {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    announce(simulation->experiment(), simulation->task(), simulation->flow(), simulation->t0(), {}, talk);
    result = simulation->resume(command_line, talk);
  }
  print_results(options.run);
  return conclude(result, options.run);
}

}  // namespace

void add_resume(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "resume", "Go on with a run from its last checkpoint, to the bits of an unbroken one; or extend it");
  command->add_option("RUN.h5", options->run, "the run's file, which is replaced")->required()->type_name("");
  command->add_option("--until", options->until, "extend the run to this flow time")->type_name("T");
  command->add_flag("--quiet", options->quiet, "no progress and no events");
  command->footer(footer);
  command->callback([options, &action] {
    action = [options](const std::string& command_line) { return resume(*options, command_line); };
  });
}

}  // namespace gradflow::cli
