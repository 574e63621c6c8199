// Schedules of convs from a few integers, in text form, best guess first. No Halide.
#pragma once

#include <string>
#include <vector>

#include "lower/algorithm.h"
#include "lower/conv_tile.h"
#include "lower/machine.h"
#include "lower/products_schedule.h"
#include "nest/nest.h"

namespace emulsion {

// Adds a schedule that is not there.
void add_schedule(std::vector<CostedSchedule>& schedules, double cycles, const std::string& steps);
std::vector<std::string> steps_of(const std::vector<CostedSchedule>& schedules);

// The steps of a tile on a conv's unscheduled nest, for so many threads to share where that pays;
// 0: without a parallel loop.
std::string conv_steps(const Nest& nest, const ConvTile& tile, int threads);
// What a schedule is for: a kernel of its own, whose loops so many threads share, or some rows that
// a chain of convs computes at a time, which one thread does, channels outside pixels (inside for
// depthwise).
enum class ScheduleUse { kernel, rows };
inline constexpr size_t k_most_schedules = 24;
// Copies of a statement that templates make at most.
inline constexpr int64_t k_most_copies = 256;
// Alternatives worth measuring (k_most_schedules at most), default first.
std::vector<CostedSchedule> conv_schedules(const Nest& nest, const Machine& machine, int threads,
                                           ScheduleUse use = ScheduleUse::kernel);

// Schedules with the cycles of a prologue added, whose values some compute again for each tile of
// channels; fastest first. packed: groups of the conv in each of the nest's.
std::vector<CostedSchedule> with_prologue(const std::vector<CostedSchedule>& schedules,
                                          const Nest& nest, int64_t packed, const Machine& machine,
                                          int threads);
// The same for a 1x1 conv of one group that has a prologue.
std::vector<CostedSchedule> pointwise_prologue_schedules(const Nest& nest, const Machine& machine,
                                                         int threads);

// Whether so many groups in a vector get their inputs by shuffles, for which the input channels of
// a group are unrolled; two are loaded one by one.
constexpr bool packing_shuffles(int64_t packed) {
  return packed > 2;
}
// The same for packed_view's nest, with so many groups in a vector.
std::vector<CostedSchedule> packed_schedules(const Nest& nest, int64_t packed,
                                             const Machine& machine, int threads);

// The same for groups = ci = co, where vectors run over the channels g.
std::vector<CostedSchedule> depthwise_schedules(const Nest& nest, const Machine& machine,
                                                int threads, ScheduleUse use = ScheduleUse::kernel);

// What the threads of products (products_schedule.h) share. Tiles: each transforms its own inputs.
// Channels: each transforms all inputs for itself, which costs less than fetching what another one
// wrote.
enum class ProductsThreads { nothing, tiles, channels };

// The integers of their template: `tiles` tiles and `channels` output channels are transformed
// at a time, sums of `vectors` vectors of channels by `x` tiles stay in registers.
struct ProductsTile {
  int64_t tiles = 1, channels = 1;
  int lanes = 1, vectors = 1, x = 1;
  ProductsThreads threads = ProductsThreads::nothing;
};
// Scratch of a block lies on the stack, in bytes at most.
inline constexpr int64_t k_most_products_scratch = 1 << 20;
std::string products_steps(const Nest& products, const ProductsTile& tile);
// Channels that a vector of the input transform holds.
int products_input_lanes(int64_t channels, int vector);
// Of the products of a conv's nest, with or without a prologue, on so many threads.
std::vector<CostedSchedule> products_schedules(const Nest& conv, const ProductsShape& shape,
                                               bool prologue, const Machine& machine, int threads);

// Whether other threads have started before the kernel is over.
inline bool pays_threads(const Nest& nest) {
  return nest.multiplies() >= 1 << 20;
}

// The text of a list of steps.
class StepText {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (!text_.empty()) text_ += "; ";
    text_ += fmt::format(format, std::forward<Args>(args)...);
  }
  std::string text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace emulsion
