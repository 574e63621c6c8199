#include "lower/parallel_loops.h"

#include <algorithm>
#include <optional>

#include "base/divide.h"
#include "lower/conv_costs.h"

namespace emulsion {

namespace {

// Which loop threads share, where that pays: the outermost with enough iterations. An inner one
// costs more: a task then ends before its weights have served all pixels.
std::optional<size_t> parallel_loop(const Nest& nest, const std::vector<LoopAround>& loops,
                                    int threads) {
  if (!pays_threads(nest)) return std::nullopt;
  for (size_t i = 0; i < loops.size(); ++i) {
    const int64_t extent = loops[i].extent;
    if (extent > 1 && (extent >= 2 * threads || extent % threads == 0)) return i;
  }
  const auto largest = std::max_element(
      loops.begin(), loops.end(),
      [](const LoopAround& a, const LoopAround& b) { return a.extent < b.extent; });
  return largest->extent > 1 ? std::optional<size_t>(largest - loops.begin()) : std::nullopt;
}

}  // namespace

std::vector<LoopAround> loops_around(const Nest& nest, const ConvTile& tile) {
  const int64_t channels = tile.co_block > 0 ? tile.co_block : int64_t{tile.lanes} * tile.vectors;
  const LoopAround n{"n", nest.n}, g{"g", nest.groups}, co{"co", divide_up(nest.co, channels)},
      y{"y", divide_up(nest.y, tile.y)}, x{"x", divide_up(nest.x, tile.x)};
  if (tile.co_block > 0) return {n, g, co};
  switch (tile.order) {
    case TileOrder::channels_weights_pixels:
      return {n, g, co};
    case TileOrder::rows_groups_pixels:
      return {n, y, co, g, x};
    case TileOrder::rows_channels_pixels:
      return {n, g, y, co, x};
    case TileOrder::rows_pixels_channels:
      return {n, g, y, x, co};
    case TileOrder::channels_rows_pixels:
      break;
  }
  return {n, g, co, y, x};
}

void add_parallel(StepText& steps, const Nest& nest, const std::vector<LoopAround>& loops,
                  int threads) {
  if (const auto i = parallel_loop(nest, loops, threads)) steps.add("parallel {}", loops[*i].name);
}

double busiest_cycles(double cycles, const Nest& nest, const ConvTile& tile, const Machine& machine,
                      int threads) {
  if (threads <= 1) return cycles;
  const std::vector<LoopAround> loops = loops_around(nest, tile);
  const std::optional<size_t> shared = parallel_loop(nest, loops, threads);
  if (!shared) return cycles;
  double starts = 1;
  for (size_t i = 0; i < *shared; ++i) starts *= static_cast<double>(loops[i].extent);
  const LoopAround& loop = loops[*shared];
  double all = static_cast<double>(loop.extent);
  double most = static_cast<double>(divide_up(loop.extent, threads));
  const int64_t vectors = divide_up(nest.co, tile.lanes);
  // (See stationary_cycles: there it is whole.)
  const bool whole = tile.order == TileOrder::channels_weights_pixels;
  if (const int64_t last = vectors % tile.vectors; !whole && loop.name == "co" && last > 0) {
    const double less = 1 - static_cast<double>(last) / tile.vectors;  // of the last tile
    all -= less;
    if (loop.extent % threads == 1) most -= less;
  }
  const double part = most / all;
  // Every thread fetches all weights for its pixels, or all inputs for its channels.
  int64_t bytes = nest.groups * weight_bytes(nest, machine);
  if (loop.name == "co") bytes = input_bytes(nest);
  if (loop.name == "g") bytes = 0;
  return starts * k_start + part * cycles +
         (1 - part) * static_cast<double>(bytes) / machine.core.far_bytes;
}

}  // namespace emulsion
