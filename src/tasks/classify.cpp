#include <algorithm>
#include <gradflow/tasks/classify.hpp>

namespace gradflow {

void classify(TaskData& data) {
  constexpr Index other = 4;
  data.class_names = {"I1", "I2", "I3", "I4"};
  data.sample_class.clear();
  for (const std::vector<Index>& sample : data.tokens) {
    const auto contains = [&](Index word) { return std::ranges::find(sample, word) != sample.end(); };
    const Index by_targets = (contains(data.targets[0]) ? 0 : 2) + (contains(data.targets[1]) ? 0 : 1);
    data.sample_class.push_back(data.common && !contains(*data.common) ? other : by_targets);
  }
  if (std::ranges::find(data.sample_class, other) != data.sample_class.end()) data.class_names.emplace_back("other");
}

}  // namespace gradflow
