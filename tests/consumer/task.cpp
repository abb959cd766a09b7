#include <cstdlib>
#include <gradflow/tasks/task.hpp>

int main() {
  const gradflow::Task task({.words = 3,
                             .tokens = {{0, 1, 2, 0}, {2, 2}},
                             .labels = {1, -1},
                             .common = 2,
                             .sample_class = {0, 1},
                             .class_names = {"both", "neither"},
                             .word_names = {"one", "two", "three"}});
  return task.samples() == 2 && task.bag(0).counts[0] == 2 && task.used_words().size() == 3 ? EXIT_SUCCESS
                                                                                            : EXIT_FAILURE;
}
