#pragma once
#include <gradflow/tasks/task.hpp>

namespace gradflow {

/// Sets `class_names` and `sample_class` from what each sample contains, for tasks that do not come with classes (Yang
/// et al. 2024, Definition 2.1): I1 both targets, I2 the first only, I3 the second only, I4 neither. All four are
/// always named. Where a common word is declared, samples without it form a fifth class, `other`, named only if there
/// are any. Labels are neither read nor changed.
void classify(TaskData& data);

}  // namespace gradflow
