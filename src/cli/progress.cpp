#include "cli/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "cli/format.hpp"
#include "cli/interrupt.hpp"

namespace gradflow::cli {
namespace {

constexpr int crossings_told = 6;  // of one event; the report at the end counts the others

bool is_terminal() {
  const char* const kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

std::string progress_line(const Progress& p) {
  std::string line = *p.solve != '\0' ? fmt::format("{}: ", p.solve) : "";
  line += fmt::format("t = {:.3g} of {:.6g}", p.t, p.until);
  if (p.t > 0) line += fmt::format(" (decade 1e{})", static_cast<int>(std::floor(std::log10(p.t))));
  line += fmt::format("  {:.0f} %", std::floor(100 * p.clock_fraction));
  if (!std::isnan(p.loss)) line += fmt::format("  loss {:.3g}", p.loss);
  line += fmt::format("  {} steps  {} evaluations", p.steps, p.evaluations);
  if (p.clock_fraction > 0) line += fmt::format("  {} left", duration(p.wall_seconds * (1 / p.clock_fraction - 1)));
  return line;
}

Talk::Talk(Volume volume) : volume_(volume), terminal_(is_terminal()) {}
Talk::~Talk() { wipe(); }

bool Talk::wants_progress() {
  if (volume_ == Volume::quiet) return false;
  return Clock::now() - last_ >= (terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(10));
}

void Talk::progress(const Progress& progress) {
  last_ = Clock::now();
  if (!terminal_) return line(progress_line(progress));
  // One column less than there are: a full line would wrap, and its first half could not be redrawn.
  fmt::print(stderr, "\r{}\x1b[K", progress_line(progress).substr(0, terminal_columns() - 1));
  std::fflush(stderr);
  drawn_ = true;
}

void Talk::crossing(const FlowEvent& event, const EventCrossing& crossing) {
  const int told = ++crossings_[crossing.event];
  if (told > crossings_told) return;
  line(fmt::format("t = {:<12.5g} {} {}{}", crossing.t, event.name, crossing.direction > 0 ? "becomes true" : "is lost",
                   told == crossings_told ? " (its further crossings: see the end)" : ""));
}

bool Talk::interrupt() {
  if (!interrupt_requested()) return false;
  if (!told_of_interrupt_) line("interrupted: closing the file (a second interrupt ends the program at once)");
  told_of_interrupt_ = true;
  return true;
}

bool Talk::checkpoint() {
  if (!checkpoint_requested()) return false;
  line("SIGUSR1: writing a checkpoint");
  return true;
}

void Talk::line(const std::string& text) {
  if (volume_ == Volume::quiet) return;
  wipe();
  fmt::print(stderr, "{}\n", text);
}

void Talk::wipe() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace gradflow::cli
