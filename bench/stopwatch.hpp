#pragma once
#include <chrono>
#include <ctime>
#include <fstream>
#include <string>

namespace bench {

/// The largest memory that the process has had so far; 0 where the system does not tell. (getrusage also counts the
/// program that started this one.)
inline long peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (long kilobytes = 0; word == "VmHWM:" && status >> kilobytes) return 1024 * kilobytes;
  return 0;
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
