#include <fmt/format.h>

#include <cstdio>
#include <gradflow/experiment/compare.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include "cli/command.hpp"
#include "cli/comparison_run.hpp"
#include "cli/experiment_options.hpp"
#include "cli/interrupt.hpp"
#include "cli/results.hpp"
#include "cli/simulation_results.hpp"

namespace gradflow::cli {
namespace {

struct Options {
  std::string run;
  std::optional<double> until;
  int threads = 1;
  bool quiet = false;
};

const char* const footer =
    "Examples:\n"
    "  gradflow resume paper.h5                  after a kill, an interrupt, a full disk, the end of an allowance\n"
    "  gradflow resume paper.h5 --until 1e4      extends a finished run\n"
    "  gradflow resume paper-compare.h5          a comparison, which cannot be extended\n"
    "\n"
    "Goes on from the last checkpoint (save.checkpoint_seconds; SIGUSR1 writes one at once) with the settings, task "
    "and\n"
    "start in the file, and ends with the bits that there would have been without the interruption.";

int resume_run(const Options& options, const std::string& command_line) {
  std::optional<Simulation> simulation;
  try {
    simulation.emplace(Simulation::of_run(options.run, options.until));
  } catch (const std::invalid_argument& problem) {
    throw UsageError(fmt::format("--until: {}", problem.what()));
  }
  simulation->use_threads(options.threads);
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

int resume_comparison(const Options& options, const std::string& command_line) {
  if (options.until)
    throw UsageError(
        fmt::format("'{}' is a comparison, which cannot be extended; leave out --until, or compare again "
                    "with --set solver.until={:g}",
                    options.run, *options.until));
  Comparison comparison = Comparison::of_file(options.run);
  comparison.use_threads(options.threads);
  ComparisonResult result;
  {
    Talk talk(options.quiet ? Talk::Volume::quiet : Talk::Volume::normal);
    catch_interrupts();
    announce(comparison.experiment(), comparison.task(), comparison.flow(), comparison.t0(), {}, talk);
    announce_descents(comparison, talk);
    result = comparison.resume(command_line, talk);
  }
  print_comparison(options.run, false);
  return conclude(result, options.run);
}

int resume(const Options& options, const std::string& command_line) {
  require_run(options.run);
  if (!options.until && is_complete(options.run)) {
    fmt::print("{} is complete: there is nothing to go on with.{}\n", options.run,
               trajectory::is_comparison(options.run) ? "" : " --until T extends it.");
    return done;
  }
  if (const std::string builds = other_build(options.run); !builds.empty())
    fmt::print(stderr, "gradflow: the bits may differ from those of an unbroken run: {}\n", builds);
  return trajectory::is_comparison(options.run) ? resume_comparison(options, command_line)
                                                : resume_run(options, command_line);
}

}  // namespace

void add_resume(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "resume", "Go on with a run from its last checkpoint, to the bits of an unbroken one; or extend it");
  command->add_option("RUN.h5", options->run, "the run's file, which is replaced")->required()->type_name("");
  command->add_option("--until", options->until, "extend the run to this flow time")->type_name("T");
  add_threads(*command, options->threads);
  command->add_flag("--quiet", options->quiet, "no progress and no events");
  command->footer(footer);
  command->callback([options, &action] {
    action = [options](const std::string& command_line) { return resume(*options, command_line); };
  });
}

}  // namespace gradflow::cli
