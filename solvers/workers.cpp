#include <solvers/workers.hpp>

#include <stdexcept>
#include <string>
#include <utility>

namespace solvers {

Workers::Workers(int threads) {
  if (!(threads >= 1)) throw std::invalid_argument("threads: at least 1 is needed, not " + std::to_string(threads));
  for (int thread = 1; thread < threads; ++thread) helpers_.emplace_back(&Workers::help, this, thread);
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begin_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Workers::for_each(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t, int)>& work) {
  if (helpers_.empty() || count <= 1) {
    for (std::ptrdiff_t item = 0; item < count; ++item) work(item, 0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    count_ = count;
    next_ = 0;
    busy_ = helpers_.size();
    ++round_;
  }
  begin_.notify_all();
  run(0);
  std::unique_lock lock(mutex_);
  end_.wait(lock, [&] { return busy_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Workers::run(int thread) {
  try {
    for (std::ptrdiff_t item = next_++; item < count_; item = next_++) (*work_)(item, thread);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
    next_ = count_;
  }
}

void Workers::help(int thread) {
  std::unique_lock lock(mutex_);
  for (unsigned long seen = 0;;) {
    begin_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    lock.unlock();
    run(thread);
    lock.lock();
    if (--busy_ == 0) end_.notify_one();
  }
}

}  // namespace solvers
