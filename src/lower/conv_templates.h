// Schedules of convs from a few integers, in text form, best guess first. No Halide.
#pragma once

#include <string>
#include <vector>

#include "lower/algorithm.h"
#include "lower/machine.h"
#include "nest/nest.h"

namespace emulsion {

// Adds a schedule that is not there.
void add_schedule(std::vector<CostedSchedule>& schedules, double cycles, const std::string& steps);
std::vector<std::string> steps_of(const std::vector<CostedSchedule>& schedules);

// Which loop lies where around a tile. What is inside is read again for each iteration of what is
// outside.
enum class TileOrder {
  channels_rows_pixels,  // co y x: the weights of a tile of channels are read once from afar
  rows_channels_pixels,  // y co x: a row of inputs is used for all channels
  rows_pixels_channels,  // y x co: a tile's inputs are used for all channels
  rows_groups_pixels,    // y g x: the cache lines of a row of inputs are used for all groups
  // co, then ci ky kx (or ci ky, where taps are within) outside y x: a part of the weights is read
  // once for all pixels, whose sums wait in the first level cache
  channels_weights_pixels,
};

// The integers of a conv's template: sums of `vectors` vectors of channels by y by x pixels stay in
// registers.
struct ConvTile {
  int lanes = 1;      // channels in a vector
  int vectors = 1;    // of channels
  int y = 1, x = 1;   // pixels
  int unroll_ci = 1;  // input channels a step
  int unroll_kx = 1;  // 1, or all of kx
  int ci_block = 0;   // input channels between which all taps (and pixels) are visited; 0: all
  TileOrder order = TileOrder::channels_rows_pixels;
  // All taps of a row at each input channel, so that neighbouring pixels' inputs are loaded once.
  bool taps_within = false;
  bool parallel = true;  // where there is work for threads
};

// The steps of a tile on a conv's unscheduled nest.
std::string conv_steps(const Nest& nest, const ConvTile& tile);
// What a schedule is for: a kernel of its own, or some rows that a chain of convs computes at a
// time, which one thread does, channels outside pixels.
enum class ScheduleUse { kernel, rows };
// Alternatives worth measuring (24 at most), default first.
std::vector<CostedSchedule> conv_schedules(const Nest& nest, const Machine& machine,
                                           ScheduleUse use = ScheduleUse::kernel);

// Whether so many groups in a vector get their inputs by shuffles, for which the input channels of
// a group are unrolled; two are loaded one by one.
bool packing_shuffles(int64_t packed);
// The same for packed_view's nest, with so many groups in a vector.
std::vector<CostedSchedule> packed_schedules(const Nest& nest, int64_t packed,
                                             const Machine& machine);

// The same for groups = ci = co, where vectors run over the channels g.
std::vector<CostedSchedule> depthwise_schedules(const Nest& nest, const Machine& machine,
                                                ScheduleUse use = ScheduleUse::kernel);

// What Winograd's threads share. Tiles: each transforms its own inputs. Channels: each transforms
// all inputs for itself, which costs less than fetching what another one wrote.
enum class WinogradThreads { nothing, tiles, channels };

// The integers of Winograd's template: `tiles` tiles and `channels` output channels are transformed
// at a time, sums of `vectors` vectors of channels by `x` tiles stay in registers.
struct WinogradTile {
  int64_t tiles = 1, channels = 1;
  int lanes = 1, vectors = 1, x = 1;
  WinogradThreads threads = WinogradThreads::nothing;
};
// Scratch of a block lies on the stack, in bytes at most.
inline constexpr int64_t k_most_winograd_scratch = 1 << 20;
std::string winograd_steps(const Nest& products, const WinogradTile& tile);
// For the nest of products (y: the places of a tile, x: tiles), of images `columns` tiles wide, on
// so many threads.
std::vector<CostedSchedule> winograd_schedules(const Nest& products, int64_t columns,
                                               const Machine& machine, int threads);

// The narrowest vector that holds all channels, or the widest there is.
int lanes_for(int64_t channels, int vector);
// Bytes a cycle of weights from beyond the second level cache.
inline constexpr double k_far_bytes = 6.5;
// Cycles of a step that streams so many bytes of weights from there. Loads that miss the first
// level cache share its few outstanding misses with the stream; so if the step's other loads do,
// because its weights are read again and again, streaming overlaps with nothing.
double streamed_step(double cycles, double bytes, bool again);
// Cycles that converting so many vectors of stored weights takes from the multiplications.
double conversion_cycles(int vectors, const Machine& machine);
// Below this many multiply-adds a kernel is over before other threads have started.
inline constexpr int64_t k_parallel_multiplies = 1 << 20;

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
