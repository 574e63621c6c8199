#include "lower/conv_costs.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/divide.h"
#include "lower/padding_taps.h"

namespace emulsion {

namespace {

// Two tiles' weights, in bytes, stay in the second level cache together.
constexpr double k_most_streamed_tile = 512 << 10;

// A tile's pixels beyond those that the first level cache holds at once because they lie a multiple
// of a page apart, so that they compete for the same few lines.
int64_t conflicting_pixels(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  const int64_t apart = 4 * nest.groups * nest.ci * nest.stride[1];
  const int64_t alike = tile.y * tile.x / (k_page_bytes / std::gcd(k_page_bytes, apart));
  return std::max<int64_t>(0, alike - machine.l1_bytes / k_page_bytes);
}

// Cycles of a step: every sum of the tile is advanced by one FMA.
double step_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine, bool near) {
  // Measured: each load delays multiplications a little, less where several input channels are a
  // step, and so do weights and inputs that come from the second level cache.
  constexpr double k_delay_byte = 0.0095;
  const auto taps = static_cast<double>(nest.ky * nest.kx);
  const double delay = tile.unroll_ci >= 4 ? 0.03 : tile.unroll_ci >= 2 ? 0.09 : 0.17;
  const double sums = tile.vectors * tile.y * tile.x;
  const double loads = tile.vectors + tile.y * tile.x;
  const double weights = near ? 0 : 1.0 * machine.weight_bytes * tile.vectors * tile.lanes;
  const double inputs = taps > 1 ? 4.0 * static_cast<double>(read_pixels(nest, tile)) / taps : 0;
  // Measured of 1x1 with 32 registers and two multiply-adds a cycle: fewer than 20 sums leave
  // multiplications waiting.
  constexpr double k_missing_sum = 0.12;
  const double enough_sums = std::min(10 * machine.core.fmas, machine.registers - 4);
  const double waiting = taps > 1 ? 0 : k_missing_sum * std::max(0.0, enough_sums - sums);
  const double busy =
      std::max(sum_cycles(sums, tile.lanes, machine),
               load_cycles(tile.vectors, loads - tile.vectors, tile.lanes, machine));
  const double delayed = machine.core.delay * (delay * loads + k_delay_byte * (weights + inputs));
  return machine.core.unit * (busy + delayed + waiting +
                              machine.core.conflict *
                                  static_cast<double>(conflicting_pixels(nest, tile, machine))) +
         conversion_cycles(tile.vectors, machine);
}

// The same where the taps of a row share what they load, in the mean of these taps.
double shared_step_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  // Measured: an iteration costs a quarter of a cycle a load beyond the first few, and a little
  // more where one input channel is all of it. So 16 sums reach 85 to 92 % of two FMAs a cycle,
  // where the other kind stays below 84 %.
  constexpr double k_load = 0.25, k_free_loads = 5.6, k_iteration = 0.8;
  const auto taps = static_cast<double>(nest.kx);
  const double sums = tile.vectors * tile.y * tile.x;
  const double loads =
      taps * tile.vectors + static_cast<double>(tile.y * columns_of(nest, tile).read);
  const double busy =
      std::max(taps * sum_cycles(sums, tile.lanes, machine),
               load_cycles(taps * tile.vectors, loads - taps * tile.vectors, tile.lanes, machine));
  const double loop =
      k_load * std::max(0.0, loads - k_free_loads) + (tile.unroll_ci == 1 ? k_iteration : 0);
  return machine.core.unit * (busy + machine.core.delay * loop) / taps +
         conversion_cycles(tile.vectors, machine);
}

// The part of a tile's steps that does not only read padding.
double kept_part(const Nest& nest, const ConvTile& tile) {
  const KeptTaps kept = kept_taps(nest, {tile.y, tile.x, tile.unroll_kx});
  return kept.rows * kept.columns;
}

double pixel_passes(const Nest& nest, const ConvTile& tile) {
  return static_cast<double>(nest.n * divide_up(nest.y, tile.y) * divide_up(nest.x, tile.x));
}

// Expected cycles of one tile of channels, whose weights are read anew for each pixel tile. A step
// is one input channel at one tap.
double channel_tile_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  const double bytes = 1.0 * machine.weight_bytes * tile.vectors * tile.lanes;
  const auto steps = static_cast<double>(nest.ci * nest.ky * nest.kx);
  const double tile_weights = steps * bytes;
  const bool all_again = tile.order == TileOrder::rows_pixels_channels;
  const double block =
      tile.co_block > 0 ? static_cast<double>(tile.co_block) / static_cast<double>(nest.co) : 1;
  const double again_weights =
      all_again ? block * static_cast<double>(weight_bytes(nest, machine)) : tile_weights;
  double again = tile.taps_within
                     ? shared_step_cycles(nest, tile, machine)
                     : step_cycles(nest, tile, machine, again_weights <= machine.l1_bytes);
  if (tile_weights > static_cast<double>(machine.l1_bytes))
    again = std::max(again, bytes / machine.core.near_bytes);
  // Weights that the second level cache does not hold come from beyond it each time.
  if (again_weights > static_cast<double>(machine.core.l2_bytes))
    again = std::max(again, bytes / machine.core.far_bytes);
  // Channels outside pixels read the inputs again for each tile of channels.
  if (nest.ky * nest.kx == 1 && tile.order == TileOrder::channels_rows_pixels &&
      input_bytes(nest) > machine.l1_bytes)
    again += 2.0 * tile.y * tile.x / machine.core.near_bytes;
  const double passes = pixel_passes(nest, tile);
  double first = again;
  // Measured: a stream of the next tile's weights, spread over all readings of this one, costs less
  // the fewer loads there are beside it.
  double stream = bytes;
  if (passes > 1 && tile.vectors > 1 && tile_weights <= k_most_streamed_tile && !all_again) {
    if (nest.ky * nest.kx == 1)
      stream /= 4;
    else if (tile.taps_within && nest.stride[1] == 1)
      stream /= 2;
  }
  if (nest.groups * weight_bytes(nest, machine) > machine.l2_bytes / 2)
    first = streamed_step(again, stream / machine.core.far_bytes, passes > 1, machine);
  // Each tile starts and ends with its sums in memory.
  const double sums = tile.vectors * tile.y * tile.x;
  return steps * (first + (passes - 1) * again) * kept_part(nest, tile) + passes * 2 * sums;
}

}  // namespace

int64_t weight_bytes(const Nest& nest, const Machine& machine) {
  return machine.weight_bytes * nest.co * nest.ci * nest.ky * nest.kx;
}

int64_t input_bytes(const Nest& nest) {
  return 4 * nest.n * nest.groups * nest.ci * nest.y * nest.stride[0] * nest.x * nest.stride[1];
}

int64_t read_pixels(const Nest& nest, const ConvTile& tile) {
  const int64_t rows = (tile.y - 1) * nest.stride[0] + (nest.ky - 1) * nest.dilation[0] + 1;
  const int64_t columns = (tile.x - 1) * nest.stride[1] + (nest.kx - 1) * nest.dilation[1] + 1;
  return rows * columns;
}

Columns columns_of(const Nest& nest, const ConvTile& tile) {
  std::map<int64_t, int> taps;
  for (int x = 0; x < tile.x; ++x)
    for (int kx = 0; kx < nest.kx; ++kx) ++taps[x * nest.stride[1] + kx * nest.dilation[1]];
  Columns columns;
  for (const auto& [column, count] : taps) {
    ++columns.read;
    if (count > 1) ++columns.shared;
  }
  return columns;
}

double expected_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  constexpr double k_mixed = 1.02;  // measured: of tiles of two kinds
  const int64_t vectors = divide_up(nest.co, tile.lanes), whole = vectors / tile.vectors;
  ConvTile last = tile;
  last.vectors = static_cast<int>(vectors % tile.vectors);
  double cycles = static_cast<double>(whole) * channel_tile_cycles(nest, tile, machine);
  if (last.vectors > 0) cycles = k_mixed * (cycles + channel_tile_cycles(nest, last, machine));
  // Measured: where the first tile of channels fetches inputs from afar and the others find them
  // near, that one waits for them.
  if (nest.ky * nest.kx == 1 && input_bytes(nest) > machine.l2_bytes && vectors > tile.vectors)
    cycles += machine.core.unit * 4 * static_cast<double>(nest.n * nest.y * nest.x * nest.ci) /
              machine.core.far_bytes;
  return static_cast<double>(nest.groups) * cycles;
}

double stationary_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  // Measured: what taking the weights in parts costs, and parts that overflow the first level
  // cache.
  const double parts = tile.taps_within ? 1.02 : 1.1;
  // Streams are slower beside inputs that stay in registers.
  const double far_bytes = tile.taps_within ? 0.7 * machine.core.far_bytes : machine.core.far_bytes;
  const double passes = pixel_passes(nest, tile);
  // The last tile of channels is whole, though the layer may need fewer of its vectors.
  const auto channel_tiles =
      static_cast<double>(divide_up(divide_up(nest.co, tile.lanes), tile.vectors));
  const int64_t tile_bytes = int64_t{machine.weight_bytes} * tile.vectors * tile.lanes;
  const int64_t part_taps = tile.taps_within ? nest.kx : 1;
  double again = tile.taps_within ? shared_step_cycles(nest, tile, machine)
                                  : step_cycles(nest, tile, machine, false);
  if (tile_bytes * tile.ci_block * part_taps > machine.l1_bytes) again *= parts;
  const double sums = tile.vectors * tile.y * tile.x;
  const bool near = nest.n * nest.y * nest.x * tile_bytes <= machine.l1_bytes / 2;
  const double around = (near ? 2.5 : 16) * sums / static_cast<double>(tile.ci_block * part_taps);
  const auto steps = static_cast<double>(nest.groups * nest.ci * nest.ky * nest.kx);
  return steps * channel_tiles *
         std::max(parts * passes * (kept_part(nest, tile) * again + around),
                  static_cast<double>(tile_bytes) / far_bytes);
}

double prologue_cycles(double values, const Machine& machine) {
  constexpr double k_vector = 5;  // measured, of 16 floats
  return k_vector * values / machine.vector;
}

namespace {

// How many times as many narrow vectors' operations as wide ones' a core does.
double narrow_rate(int lanes, const Machine& machine) {
  return machine.core.zen4 && 2 * lanes <= machine.vector ? 2 : 1;
}

}  // namespace

double sum_cycles(double sums, int lanes, const Machine& machine) {
  const double fmas = machine.core.fmas * narrow_rate(lanes, machine);
  return std::max(sums, 5 * fmas) / fmas;
}

double load_cycles(double vectors, double floats, int lanes, const Machine& machine) {
  return vectors / (machine.core.vector_loads * narrow_rate(lanes, machine)) + floats / k_loads;
}

double conversion_cycles(int vectors, const Machine& machine) {
  return machine.weight_bytes < 4 ? 0.5 * vectors : 0;
}

double streamed_step(double cycles, double streaming, bool again, const Machine& machine) {
  return again ? cycles + streaming
               : std::max(cycles, streaming) + machine.core.apart * std::min(cycles, streaming);
}

}  // namespace emulsion
