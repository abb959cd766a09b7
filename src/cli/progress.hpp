#pragma once
#include <chrono>
#include <gradflow/experiment/simulate.hpp>
#include <map>
#include <string>

namespace gradflow::cli {

/// Talks on standard error while a run goes. On a terminal progress is one line, redrawn at most ten times a second and
/// wiped before anything else is written; elsewhere it is a line every ten seconds, so that a short run shows none.
class Talk final : public Listener {
 public:
  enum class Volume { quiet, normal };  ///< quiet: not a word
  explicit Talk(Volume volume);
  ~Talk() override;
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  bool wants_progress() override;
  void progress(const Progress& progress) override;
  void crossing(const FlowEvent& event, const EventCrossing& crossing) override;
  bool interrupt() override;
  bool checkpoint() override;

  void line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  void wipe();

  Volume volume_;
  bool terminal_;
  bool drawn_ = false;  // there is a progress line on the terminal, and the cursor stands on it
  bool told_of_interrupt_ = false;
  Clock::time_point last_ = Clock::now();
  std::map<std::size_t, int> crossings_;  // told so far, by event
};

/// "t = 3.85e+05 of 1e+08 (decade 1e5)  62 %  loss 0.00123  132 steps  801 evaluations  12 s left". The time left
/// supposes that the clock's time goes on passing as fast as it has so far.
std::string progress_line(const Progress& progress);

}  // namespace gradflow::cli
