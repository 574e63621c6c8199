#include <algorithm>
#include <map>

#include "base/divide.h"
#include "lower/conv_costs.h"
#include "lower/conv_templates.h"

namespace emulsion {

int products_input_lanes(int64_t channels, int vector) {
  while (vector > channels) vector /= 2;
  return vector;
}

std::string products_steps(const Nest& nest, const ProductsTile& tile) {
  StepText steps;
  const bool tiles_split = tile.tiles < nest.x, channels_split = tile.channels < nest.co;
  // From n g co y x ci: blocks of tiles and channels outside y, the rest of both within.
  std::string x = "x", co = "co";
  if (tiles_split) {
    steps.add("split x {}", tile.tiles);
    x = "xi";
  }
  if (channels_split) {
    steps.add("split co {}", tile.channels);
    co = "coi";
  }
  if (tiles_split) steps.add("interchange co x");
  if (!tiles_split && !channels_split) steps.add("interchange co y");
  if (channels_split) steps.add("interchange coi {}", tiles_split ? "co" : "y");
  // Channels inside tiles: an input is loaded once and needs no register after its vectors of
  // channels.
  if (tile.x > 1) steps.add("tile {} {}", x, tile.x);
  steps.add("tile {} {}", co, tile.lanes * tile.vectors);
  if (tile.lanes > 1) steps.add("vectorize {}i {}", co, tile.lanes);
  if (tile.vectors > 1) steps.add("unroll {}i", co);
  if (tile.x > 1) steps.add("unroll {}i", x);
  if (tile.threads == ProductsThreads::tiles) steps.add("parallel x");
  if (tile.threads == ProductsThreads::channels) steps.add("parallel co");
  return steps.text();
}

namespace {

int64_t padded_channels(const ProductsTile& tile) {
  const int64_t vector_tile = int64_t{tile.lanes} * tile.vectors;
  return round_up(tile.channels, vector_tile);
}

int64_t scratch_bytes(const Nest& nest, const ProductsTile& tile) {
  return 4 * nest.y * tile.tiles * (nest.ci + padded_channels(tile));
}

// Of a tile, for a channel of a product.
struct TileValues {
  int64_t prologue = 0;  // of a prologue, computed before the transform
  int64_t outputs = 1;
};

struct ProductsCycles {
  double input = 0, others = 0;  // of transforming the inputs; of products and outputs
};

// Expected cycles on the target's core, but for a common factor (see conv_costs.h for the matrix
// product's part).
ProductsCycles expected_cycles(const Nest& nest, const ProductsTile& tile, const TileValues& values,
                               const Machine& machine, double far_bytes) {
  // Cycles of a transform, a vector of channels at a place; more where scratch takes a part of the
  // second level cache, and more again where streamed weights drive it from there.
  constexpr double k_input = 1.4, k_output = 0.5, k_scratch = 6, k_driven_out = 12;
  // Cycles to store a vector of outputs, which lie here and there; to load a line of transformed
  // inputs from the second level cache; and to start and end the sums of a register tile.
  constexpr double k_store = 8, k_line = 2, k_start_sums = 15;
  // Measured on Zen 4: where a few input channels are all of it, register tiles overlap; what costs
  // then is to end many sums at once.
  constexpr double k_start_few_sums = 2, k_end_sum = 1.4, k_few_sums = 4;
  constexpr double k_step = 0.92;  // of what a step of the products would take, measured
  const double sums = tile.vectors * tile.x;
  const bool few = machine.core.zen4 && nest.ci <= k_few_channels;
  const double start =
      few ? k_start_few_sums + k_end_sum * std::max(0.0, sums - k_few_sums) : k_start_sums;
  const double multiplying_sums =
      few ? sums / machine.core.fmas : 0.9 + sum_cycles(sums, tile.lanes, machine);
  const double step =
      k_step * std::max(multiplying_sums,
                        load_cycles(tile.vectors, tile.x, tile.lanes, machine) + (few ? 0 : 0.9)) +
      conversion_cycles(tile.vectors, machine);
  const double bytes = 1.0 * machine.weight_bytes * tile.vectors * tile.lanes;
  const auto channels = static_cast<double>(nest.ci);
  const int64_t blocks_of_channels = divide_up(nest.co, tile.channels);
  const auto blocks = static_cast<double>(divide_up(nest.x, tile.tiles));
  const auto channel_tiles = static_cast<double>(
      blocks_of_channels * (padded_channels(tile) / (int64_t{tile.lanes} * tile.vectors)));
  const auto places = static_cast<double>(nest.y);
  // Each register tile's weights are read from afar for the first tile of a block, then from near.
  const double weight_bytes =
      1.0 * machine.weight_bytes * places * channels * static_cast<double>(nest.co);
  const auto passes = static_cast<double>(divide_up(tile.tiles, tile.x));
  const double tile_weights = bytes * channels;
  const double near = std::max(step, bytes / machine.core.near_bytes);
  const double again = tile_weights >= static_cast<double>(machine.l1_bytes) ? near : step;
  const double interruption = nest.groups > 1 ? machine.core.interruption / weight_bytes : 0;
  const double streaming = (1 + interruption) * bytes / far_bytes;
  double far = streamed_step(step, streaming, false, machine);
  // Measured: less of a stream overlaps where each place's weights serve a single register tile.
  if (passes == 1 && blocks == 1) far += machine.core.apart * std::min(step, streaming);
  const bool resident = weight_bytes < 0.85 * static_cast<double>(machine.l2_bytes);
  // Measured: a stream that is spread over several register tiles overlaps with them while their
  // inputs leave it room in the first level cache.
  const int64_t slab_bytes = 4 * tile.tiles * nest.ci;
  const double multiplying = (passes > 1 ? near : step) + (passes - 1) * again;
  const bool slab_stays = slab_bytes <= machine.l1_bytes;
  const bool spread = passes > 1 && 8 * slab_bytes <= 7 * machine.l1_bytes;
  const double one =
      spread ? std::max(multiplying, streaming) + 0.15 * std::min(multiplying, streaming)
             : far + (passes - 1) * again;
  const double all_blocks = one + (blocks - 1) * (resident ? near + (passes - 1) * again : one);
  // A place's transformed inputs come from afar once a block of channels, or for each register tile
  // where they do not stay near.
  const double slab_lines = static_cast<double>(tile.tiles * nest.ci) / 16;
  const double slab_loads = slab_stays ? static_cast<double>(blocks_of_channels) : channel_tiles;
  const double products =
      places * (channel_tiles * (channels * all_blocks + blocks * passes * start) +
                blocks * slab_loads * slab_lines * k_line);
  const int64_t product_bytes = 4 * nest.y * tile.tiles * padded_channels(tile);
  const double place_cycles =
      k_scratch * static_cast<double>(scratch_bytes(nest, tile)) /
          static_cast<double>(machine.l2_bytes) +
      (!resident && product_bytes > machine.l2_bytes / 6 ? k_driven_out : 0);
  const auto tiles = blocks * static_cast<double>(tile.tiles);
  const int input_lanes = products_input_lanes(nest.ci, machine.vector);
  const double input =
      tiles *
      (places * (k_input + place_cycles) * static_cast<double>(divide_up(nest.ci, input_lanes)) +
       prologue_cycles(static_cast<double>(values.prologue * nest.ci), machine));
  const double output =
      tiles * (places * (k_output + place_cycles) + k_store * static_cast<double>(values.outputs)) *
      static_cast<double>(divide_up(nest.co, tile.lanes));
  const auto images = static_cast<double>(nest.n * nest.groups);
  return {images * input, images * (products + output)};
}

// The same of the busiest of so many threads.
double expected_cycles(Nest nest, const ProductsTile& tile, const TileValues& values,
                       int64_t input_bytes, const Machine& machine, int threads) {
  // Measured with two threads: to each come so many times as many bytes of weights that both read,
  // because they fetch them for one another.
  constexpr double k_together = 1.1;
  if (threads == 1 || tile.threads == ProductsThreads::nothing) {
    const ProductsCycles cycles =
        expected_cycles(nest, tile, values, machine, machine.core.far_bytes);
    return cycles.input + cycles.others;
  }
  // Measured: where each thread reads all inputs, those that others wrote come from their caches at
  // so many cycles a byte.
  constexpr double k_others = 1.3;
  double others_inputs = 0;
  int64_t transforms = 1, starts = 1;
  double far_bytes = machine.core.far_bytes;
  if (tile.threads == ProductsThreads::tiles) {
    far_bytes *= k_together;
    nest.x = divide_up(divide_up(nest.x, tile.tiles), threads) * tile.tiles;
  } else {
    starts = divide_up(nest.x, tile.tiles);
    others_inputs = k_others * (1 - 1.0 / threads) * static_cast<double>(input_bytes);
    transforms = divide_up(divide_up(nest.co, tile.channels), threads);
    nest.co = transforms * tile.channels;
  }
  const ProductsCycles cycles = expected_cycles(nest, tile, values, machine, far_bytes);
  return others_inputs + k_start * static_cast<double>(starts) +
         static_cast<double>(transforms) * cycles.input + cycles.others;
}

}  // namespace

std::vector<CostedSchedule> products_schedules(const Nest& conv, const ProductsShape& shape,
                                               bool prologue, const Machine& machine, int threads) {
  const Nest nest = products_nest(conv, shape);
  const TileValues values{prologue ? shape.inputs : 0, shape.outputs};
  const int64_t rows = shape.rows;
  std::vector<int64_t> blocks;
  for (int64_t r = 1; r <= rows; ++r)
    if (divide_up(rows, r) * r * 6 <= rows * 7) blocks.push_back(r * shape.columns);
  const int lanes = lanes_for(nest.co, machine.vector);
  const auto cycles_of = [&](const ProductsTile& tile) {
    return expected_cycles(nest, tile, values, input_bytes(conv), machine, threads);
  };
  std::vector<std::pair<double, ProductsTile>> scored;
  for (const int64_t tiles : blocks)
    for (int vectors = 1; vectors <= std::min<int64_t>(4, divide_up(nest.co, lanes)); ++vectors)
      for (int x = 1; x <= std::min<int64_t>(tiles, machine.registers); ++x) {
        if (vectors * x + vectors + 1 > machine.registers) continue;
        if (tiles < nest.x && tiles % x != 0) continue;
        const int64_t vector_tile = int64_t{lanes} * vectors;
        for (const int64_t factor : {1, 2, 4, 8, 0, -1}) {
          const int64_t part = round_up(divide_up(nest.co, threads), vector_tile);
          const int64_t channels = factor == 0    ? nest.co
                                   : factor == -1 ? part
                                                  : factor * vector_tile;
          if (factor != 0 && channels >= nest.co) continue;
          ProductsTile tile{tiles, channels, lanes, vectors, x, ProductsThreads::nothing};
          if (scratch_bytes(nest, tile) > k_most_products_scratch) continue;
          const bool pays = pays_threads(nest);
          if (pays && tiles < nest.x) tile.threads = ProductsThreads::tiles;
          scored.emplace_back(cycles_of(tile), tile);
          if (!pays || threads == 1 || channels >= nest.co) continue;
          tile.threads = ProductsThreads::channels;
          scored.emplace_back(cycles_of(tile), tile);
        }
      }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // Tiles of one block size, or of one register tile, do not fill the list.
  std::vector<CostedSchedule> schedules;
  std::map<std::pair<int64_t, int64_t>, int> of_block;
  for (const auto& [cycles, tile] : scored) {
    if (schedules.size() >= k_most_schedules || ++of_block[{tile.tiles, tile.channels}] > 4)
      continue;
    add_schedule(schedules, cycles, products_steps(nest, tile));
  }
  return schedules;
}

}  // namespace emulsion
