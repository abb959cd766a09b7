// Files of runs and comparisons: any bytes are refused with FileError, or every part that can be read has its shape.
#include <functional>
#include <gradflow/trajectory/comparison.hpp>
#include <gradflow/trajectory/reader.hpp>
#include <numeric>

#include "fuzz/hdf5_edits.hpp"

namespace {

using gradflow::fuzz::require;
using gradflow::trajectory::ComparisonReader;
using gradflow::trajectory::RunReader;
using gradflow::trajectory::Values;

template <class Work>
void refused_or(Work work) {
  try {
    work();
  } catch (const gradflow::FileError&) {
  }
}

void check(const Values& values) {
  const auto size = std::accumulate(values.shape.begin(), values.shape.end(), std::int64_t{1}, std::multiplies<>());
  require(size == std::ssize(values.values), "an observable has its shape");
  require(values.dimensions.size() == values.shape.size(), "every dimension has a name, if an empty one");
}

void read(const RunReader& run) {
  for (const std::string& name : run.observables()) refused_or([&] { check(run.observable(name)); });
  refused_or([&] { run.attributes(); });
  refused_or([&] { run.text_attribute("settings"); });
  refused_or([&] { run.number_attribute("t0"); });
  refused_or([&] { run.dimension("word"); });
  refused_or([&] { run.task(); });
  refused_or([&] { run.start(); });
  refused_or([&] {
    for (const std::string& name : run.states())
      refused_or([&] { check(run.state(name, std::ssize(run.state_t()) - 1)); });
  });
  refused_or([&] { require(run.summary().size() == run.events().size(), "a summary for each event"); });
  refused_or([&] { run.verdict(run.summary().empty() ? 0 : run.summary().front().verdict); });
  refused_or([&] {
    for (const auto& crossing : run.crossings())
      require(crossing.values.size() == run.crossing_values().size(), "a crossing has all values");
  });
  refused_or([&] {
    if (const auto checkpoint = run.checkpoint())
      require(!checkpoint->reals.empty() || checkpoint->integers.empty(), "a checkpoint is whole");
  });
  refused_or([&] { require(run.steps().t.size() == run.steps().clock_step.size(), "steps have all their columns"); });
  refused_or([&] { run.outcome(run.end().outcome); });
  refused_or([&] { run.counts(); });
}

void read(const ComparisonReader& comparison) {
  for (const std::string& name : comparison.columns()) refused_or([&] { check(comparison.column(name)); });
  for (const char* group : {"fits", "curvature", "learning_rate"})
    if (comparison.has_results(group)) refused_or([&] { comparison.results(group); });
  refused_or([&] { read(comparison.flow()); });
  for (std::int64_t k = 0; k < std::min<std::int64_t>(2, comparison.descents()); ++k)
    refused_or([&] { read(comparison.descent(k)); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const gradflow::fuzz::ScratchFile scratch("run.h5");
  static const gradflow::fuzz::SoundFile sound(GRADFLOW_CORPUS "/runs/run_new.h5");
  sound.spoil(scratch, data, size);
  refused_or([&] {
    if (gradflow::trajectory::is_comparison(scratch.path()))
      read(ComparisonReader(scratch.path()));
    else
      read(RunReader(scratch.path()));
  });
  return 0;
}
