// JSON Lines: any bytes are refused with std::invalid_argument, or are a task.
#include <gradflow/tasks/json_lines.hpp>
#include <stdexcept>

#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gradflow::TaskData task;
  try {
    task = gradflow::from_json_lines(gradflow::fuzz::text_of(data, size), "samples.jsonl", 64, {0, 1}, 2);
  } catch (const std::invalid_argument& refusal) {
    // Ten problems and the remark that there may be more, however long the lines.
    gradflow::fuzz::require(std::string_view(refusal.what()).size() < 11 * 500, "messages stay short");
    return 0;
  }
  gradflow::fuzz::require(gradflow::Task(task).samples() > 0, "what is read is a task");
  return 0;
}
