// Which loop around a conv's tile its threads share, and what that costs. No Halide.
#pragma once

#include <string>
#include <vector>

#include "lower/conv_templates.h"

namespace emulsion {

struct LoopAround {
  std::string name;
  int64_t extent = 1;
};

// From the outermost, those that threads may share.
std::vector<LoopAround> loops_around(const Nest& nest, const ConvTile& tile);

// The step that has so many threads share one of these loops, where that pays.
void add_parallel(StepText& steps, const Nest& nest, const std::vector<LoopAround>& loops,
                  int threads);

// Cycles of the busiest of so many threads; cycles: of one that does all.
double busiest_cycles(double cycles, const Nest& nest, const ConvTile& tile, const Machine& machine,
                      int threads);

}  // namespace emulsion
