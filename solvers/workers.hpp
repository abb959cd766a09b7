#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace solvers {

/// Threads that wait for work, the caller being one of them. Items are handed out as they come, so a result must not
/// depend on which thread had which item: then it does not depend on the number of threads either.
class Workers {
 public:
  /// Throws std::invalid_argument unless threads >= 1. One: everything runs in the caller.
  explicit Workers(int threads = 1);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  /// work(item, thread) for every item of [0, count), thread in [0, threads()); returns when all are done. Not to be
  /// called from within `work`. The first exception is rethrown.
  void for_each(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t, int)>& work);

 private:
  void help(int thread);
  void run(int thread);

  std::vector<std::thread> helpers_;
  std::mutex mutex_;
  std::condition_variable begin_, end_;
  unsigned long round_ = 0;  // of work handed out
  std::size_t busy_ = 0;     // helpers that have not finished it
  bool stop_ = false;
  const std::function<void(std::ptrdiff_t, int)>* work_ = nullptr;
  std::ptrdiff_t count_ = 0;
  std::atomic<std::ptrdiff_t> next_ = 0;
  std::exception_ptr failure_;
};

}  // namespace solvers
