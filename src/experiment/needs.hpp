#pragma once
#include <gradflow/experiment/settings.hpp>
#include <gradflow/tasks/task.hpp>

#include <filesystem>
#include <string>
#include <vector>

/// What a run takes of memory and disk, estimated before anything large is drawn or written. Sizes and bytes are real
/// numbers here, which no settings overflow.
namespace gradflow {

/// A certificate keeps, of a run and of its two solves, every record and snapshot.
enum class Undertaking { simulation, comparison, certificate };

/// What of a problem decides how much room it takes.
struct ProblemSizes {
  double words = 0;              ///< d
  double used = 0;               ///< of which so many stand in a training sample
  double held = 0;               ///< and so many in any sample, or are tracked: those of the coupled flow
  double samples = 0;            ///< test samples included, as in all that follows
  double tokens = 0;             ///< in all samples
  double sample_pairs = 0;       ///< the squared numbers of distinct words, summed over the samples
  double width = 0, hidden = 0;  ///< m, m1; 0 where a start's file has yet to say
};

/// From the settings alone; of uniformly drawn fillers the expected number of distinct ones.
ProblemSizes expected_sizes(const settings::Experiment& experiment, const settings::CoOccurrenceTask& task);
/// Of samples that are there; `test` may be null.
ProblemSizes sizes_of(const settings::Experiment& experiment, const Task& task, const TaskData* test);

/// A part of the room that a run takes.
struct Need {
  std::string what;
  double bytes = 0;
  std::string remedy;  ///< which settings to change for less of it
};

double total(const std::vector<Need>& needs);

/// At the peak of the run; parts that need none are left out. Of fifteen runs from 30 to 650 MB the sum was between
/// 0.96 and 1.6 times the peak that was measured.
std::vector<Need> memory_needs(const settings::Experiment& experiment, Undertaking undertaking,
                               const ProblemSizes& sizes);
/// In the run's file at its end, but for what only the run can say: its steps and crossings.
std::vector<Need> disk_needs(const settings::Experiment& experiment, Undertaking undertaking,
                             const ProblemSizes& sizes);

/// Bytes that this process can still take without swapping: the least of MemAvailable (/proc/meminfo) and what the
/// limits of its control groups leave (versions 1 and 2; file pages do not count as taken, the kernel gives them back).
/// Infinity where nothing says. `root`: where /proc and /sys stand.
double available_memory(const std::filesystem::path& root = "/");

/// Throws settings::Error with the figures, the largest parts and what to change where a run needs more than there is.
void require_memory(const settings::Experiment& experiment, Undertaking undertaking, const ProblemSizes& sizes,
                    double available = available_memory());
/// The same for what goes on with, or solves again, a run that is there, and whose settings stand.
void require_memory_again(const settings::Experiment& experiment, Undertaking undertaking, const ProblemSizes& sizes,
                          double available = available_memory());
/// The same for the disk on which `file` is to be written. Without complaint where its folder does not say how much
/// room there is.
void require_disk(const settings::Experiment& experiment, Undertaking undertaking, const ProblemSizes& sizes,
                  const std::filesystem::path& file);

}  // namespace gradflow
