#include "cli/interrupt.hpp"

#include <array>
#include <csignal>

namespace gradflow::cli {
namespace {

volatile std::sig_atomic_t requested = 0, checkpoint = 0;
constexpr std::array signals{SIGINT, SIGTERM};

extern "C" void on_signal(int) {
  requested = 1;
  for (const int signal : signals) std::signal(signal, SIG_DFL);
}

extern "C" void on_warning(int) { checkpoint = 1; }

}  // namespace

void catch_interrupts() {
  std::signal(SIGUSR1, on_warning);
  for (const int signal : signals) {
    // What the parent told us to ignore (nohup, a shell's background job) stays ignored.
    if (std::signal(signal, on_signal) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

bool interrupt_requested() { return requested != 0; }

bool checkpoint_requested() {
  const bool asked = checkpoint != 0;
  checkpoint = 0;
  return asked;
}

}  // namespace gradflow::cli
