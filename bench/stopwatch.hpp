#pragma once
#include <sys/resource.h>
#include <chrono>
#include <ctime>

namespace bench {

/// The largest memory that the process has had so far.
inline long peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024 * usage.ru_maxrss;
}

/// Seconds on the wall, and of the processor, which others on the machine do not take from us. From its making on.
class Stopwatch {
 public:
  struct Seconds {
    double wall, processor;
  };
  Seconds read() const {
    return {std::chrono::duration<double>(Wall::now() - wall_).count(),
            static_cast<double>(std::clock() - processor_) / CLOCKS_PER_SEC};
  }

 private:
  using Wall = std::chrono::steady_clock;
  Wall::time_point wall_ = Wall::now();
  std::clock_t processor_ = std::clock();
};

}  // namespace bench
