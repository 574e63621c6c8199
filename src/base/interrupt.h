// Ctrl-C and SIGTERM as a flag that long work asks for, so that it can stop with the best so far
// saved.
#pragma once

namespace emulsion {

// From here on SIGINT and SIGTERM set the flag; a second one ends the process at once.
void catch_interrupts();
bool interrupted();

}  // namespace emulsion
