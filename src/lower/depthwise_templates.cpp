#include "base/divide.h"
#include "lower/conv_templates.h"
#include "lower/parallel_loops.h"

namespace emulsion {

namespace {

// Whether what a tile of a depthwise conv's pixels reads and writes of all channels stays in the
// first level cache, so that the next tile finds the columns there that both read.
bool pixels_stay(const Nest& nest, int64_t x, const Machine& machine) {
  const int64_t columns = (x - 1) * nest.stride[1] + (nest.kx - 1) * nest.dilation[1] + 1;
  return 4 * nest.groups * (nest.ky * columns + nest.ky * nest.kx + x) <= machine.l1_bytes;
}

}  // namespace

std::vector<CostedSchedule> depthwise_schedules(const Nest& nest, const Machine& machine,
                                                int threads, ScheduleUse use) {
  int lanes = 1;
  while (lanes * 2 <= nest.groups && lanes < machine.vector) lanes *= 2;
  std::vector<CostedSchedule> schedules;
  // Little more than one multiplication a cycle: most inputs and all weights come from memory.
  const auto cycles = static_cast<double>(nest.multiplies()) / lanes;
  // Whole pixels: all channels of a tile of pixels, then the next. They are read as they lie.
  const auto add = [&](double expected, int vectors, int64_t x, bool whole_pixels) {
    StepText steps;
    const int channels = lanes * vectors;
    if (channels > nest.groups || x > nest.x) return;
    if (channels > 1) steps.add("tile g {}", channels);
    if (x > 1) steps.add("tile x {}", x);
    if (lanes > 1) steps.add("vectorize gi {}", lanes);
    if (vectors > 1) steps.add("unroll gi");
    if (x > 1) steps.add("unroll xi");
    // Taps are unrolled: neighbouring pixels share most of their inputs.
    const int64_t copies = vectors * x * nest.kx;
    if (copies <= k_most_copies) steps.add("unroll kx");
    if (copies * nest.ky <= k_most_copies) steps.add("unroll ky");
    steps.add("interchange g y");
    if (whole_pixels) steps.add("interchange g x");
    if (use == ScheduleUse::kernel)
      add_parallel(steps, nest,
                   {{"n", nest.n},
                    {"y", nest.y},
                    {"x", divide_up(nest.x, x)},
                    {"g", divide_up(nest.groups, channels)}},
                   threads);
    add_schedule(schedules, expected, steps.text());
  };
  // Whether there are registers, and more than such a part of the tiles' pixels is the image's.
  const auto fits = [&](int vectors, int64_t x, double part) {
    return vectors * x + 4 <= machine.registers &&
           static_cast<double>(nest.x) > part * static_cast<double>(divide_up(nest.x, x) * x);
  };
  // Measured on 21 layers, cold and inside a network, with AVX-512; on narrower images whole pixels
  // gained nothing. The rows of a chain, which takes them so always, are near anyway.
  constexpr double k_whole_pixels = 0.8;
  constexpr int64_t k_pixels = 4, k_least_columns = 28;
  const bool rows = use == ScheduleUse::rows;
  if (!rows && nest.groups > lanes && nest.x >= k_least_columns &&
      pixels_stay(nest, k_pixels, machine))
    for (const int vectors : {2, 1})
      if (fits(vectors, k_pixels, 0.9)) add(k_whole_pixels * cycles, vectors, k_pixels, true);
  // All channels of a narrow image at once, so that whole pixels are read and written.
  const bool narrow = nest.groups <= 2 * lanes;
  for (const int vectors : {narrow ? 2 : 1, narrow ? 1 : 2})
    for (const int64_t x : {narrow ? 4 : 8, 7, narrow ? 8 : 4, 14, 2, 1})
      if (fits(vectors, x, 0.8)) add(cycles, vectors, x, rows);
  if (schedules.empty()) add(cycles, 1, 1, rows);
  return schedules;
}

}  // namespace emulsion
