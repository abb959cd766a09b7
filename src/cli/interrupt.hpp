#pragma once

namespace gradflow::cli {

/// From now on the first SIGINT or SIGTERM only sets a flag; the next one ends the program at once, as if this were
/// never called.
void catch_interrupts();
bool interrupt_requested();

/// And SIGUSR1, by which batch systems warn, asks for a checkpoint. True once for each.
bool checkpoint_requested();

}  // namespace gradflow::cli
