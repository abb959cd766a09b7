#pragma once

namespace gradflow::cli {

/// From now on the first SIGINT or SIGTERM only sets a flag; the next one ends the program at once, as if this were
/// never called.
void catch_interrupts();
bool interrupt_requested();

}  // namespace gradflow::cli
