// A kernel's check as one line of text, which is printed before the kernel is compiled, so that
// crashes can be replayed too: EMULSION_REPLAY='<line>' in the environment of the program that
// printed it makes it run that case alone.
#pragma once

#include <string>

#include "conv_harness.h"

namespace emulsion {

struct Replayable {
  KernelSpec spec;  // completed
  Delivery delivery = Delivery::jit;
};

// Everything but the values of constants, which are noise. Also other builds read it.
std::string to_line(const Replayable& c);
Result<Replayable> parse_line(const std::string& line);

// Prints the line, and checks the case that it describes.
void check_line(const std::string& line);

// The environment's line, or null.
const char* line_to_replay();

}  // namespace emulsion
