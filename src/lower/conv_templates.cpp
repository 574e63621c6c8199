#include "lower/conv_templates.h"

#include <algorithm>

#include "base/divide.h"
#include "lower/conv_costs.h"
#include "lower/parallel_loops.h"
#include "lower/schedule.h"

namespace emulsion {

namespace {

constexpr int64_t k_line_bytes = 64;
constexpr size_t k_most_tiles = 6;  // of a kind
// Sums that wait in a cache between two parts of the weights: 32 KB.
constexpr int64_t k_most_waiting_sums = 8 << 10;
constexpr int64_t k_most_packed_copies = 384;  // as k_most_copies

bool fits(const ConvTile& tile, const Machine& machine) {
  return tile.vectors * tile.y * tile.x + tile.vectors + 1 <= machine.registers;
}

// The tile with its taps within, if they share any input and registers suffice for what is shared.
// Where sums leave half of them, compilers manage though not all inputs of a row fit, unless they
// have to spare some.
std::optional<ConvTile> with_taps_within(const Nest& nest, ConvTile tile, const Machine& machine,
                                         int spare) {
  const Columns columns = columns_of(nest, tile);
  const int64_t sums = int64_t{tile.vectors} * tile.y * tile.x;
  const bool few = sums <= machine.registers / 2 && spare == 0;
  const bool fits =
      few ? sums + tile.y * columns.read <= machine.registers + 8
          : sums + tile.y * columns.shared + tile.vectors + 1 <= machine.registers - spare;
  if (columns.shared == 0 || !fits || sums * nest.kx > k_most_copies) return std::nullopt;
  tile.taps_within = true;
  tile.unroll_kx = static_cast<int>(nest.kx);
  // Measured: two input channels an iteration gain up to 9 %, four 2 to 6 % of strided rows. Where
  // the weights are taken in parts, two are enough, and too many beside more sums.
  const bool in_parts = tile.order == TileOrder::channels_weights_pixels;
  int most = tile.y == 1 && nest.stride[1] > 1 ? 4 : 2;
  if (in_parts) most = few ? 2 : 1;
  const int64_t channels = in_parts ? tile.ci_block : nest.ci;
  for (tile.unroll_ci = 1; tile.unroll_ci < most; tile.unroll_ci *= 2)
    if (channels % (2 * tile.unroll_ci) != 0 || 2 * tile.unroll_ci * sums * nest.kx > k_most_copies)
      break;
  return tile;
}

using ScoredTiles = std::vector<std::pair<double, ConvTile>>;

void keep_fastest(ScoredTiles& scored, size_t count) {
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  if (scored.size() > count) scored.resize(count);
}

struct TileLimits {
  TileOrder order = TileOrder::channels_rows_pixels;
  int threads = 1;
  int spare = 0;   // registers
  int most_y = 4;  // rows
  int unroll_ci = 1;
};

// The fastest tiles of both kinds.
ScoredTiles tiles_by_speed(const Nest& nest, const Machine& machine, const TileLimits& limits) {
  ScoredTiles scored, within;
  const int lanes = lanes_for(nest.co, machine.vector);
  const int most_vectors = static_cast<int>(divide_up(nest.co, lanes));
  for (int vectors = 1; vectors <= std::min(4, most_vectors); ++vectors)
    for (int y = 1; y <= std::min<int64_t>(limits.most_y, nest.y); ++y)
      for (int x = 1; x <= std::min<int64_t>(machine.registers, nest.x); ++x) {
        if (y > 1 && nest.x % x != 0 && x % 4 != 0 && x != 3) continue;
        ConvTile tile{lanes, vectors, y, x};
        tile.order = limits.order;
        tile.unroll_ci = limits.unroll_ci;
        // Compilers load the inputs of unrolled steps early, which needs registers that large
        // tiles leave none of.
        const bool few = nest.ci <= k_few_channels;
        if (!fits(tile, machine) || (few && vectors * y * x > machine.registers / 2)) continue;
        const auto add = [&](ScoredTiles& tiles, const ConvTile& t) {
          const double cycles = expected_cycles(nest, t, machine);
          tiles.emplace_back(busiest_cycles(cycles, nest, t, machine, limits.threads), t);
        };
        add(scored, tile);
        if (const auto shared = with_taps_within(nest, tile, machine, limits.spare))
          add(within, *shared);
      }
  keep_fastest(scored, k_most_tiles);
  keep_fastest(within, k_most_tiles);
  scored.insert(scored.end(), within.begin(), within.end());
  keep_fastest(scored, scored.size());
  return scored;
}

// Input channels, whole steps of them, whose part of a tile's inputs stays in the first level cache
// for all taps; 0: all.
int near_channels(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  if (nest.ky * nest.kx == 1) return 0;
  const auto bytes = [&](int64_t channels) { return 4 * read_pixels(nest, tile) * channels; };
  const int64_t near = machine.l1_bytes * 6 / 10;
  int64_t channels = nest.ci;
  const int64_t step = tile.unroll_ci;
  while (channels % (2 * step) == 0 && channels > 32 && bytes(channels) > near) channels /= 2;
  return channels < nest.ci ? static_cast<int>(channels) : 0;
}

// Input channels, whole steps of them, of which all are a multiple: those next to a few sizes.
std::vector<int> ci_blocks(const Nest& nest, int step) {
  std::vector<int> blocks;
  for (const int size : {64, 128, 256}) {
    int best = 0;
    for (int block = divide_up(2 * size, 3); block <= size * 4 / 3; ++block)
      if (nest.ci % block == 0 && block % step == 0 && block < nest.ci &&
          std::abs(block - size) < std::abs(best - size))
        best = block;
    if (best > 0) blocks.push_back(best);
  }
  return blocks;
}

// Tiles whose weights are worth keeping near while all pixels pass, fastest first.
ScoredTiles stationary_tiles(const Nest& nest, const Machine& machine, int threads) {
  ScoredTiles scored;
  if (nest.groups * weight_bytes(nest, machine) <= machine.l2_bytes / 2 || nest.n > 1)
    return scored;
  const int lanes = lanes_for(nest.co, machine.vector);
  // Measured: two input channels an iteration gain 3 to 8 % of a 1x1 conv.
  const int unroll_ci = nest.ky * nest.kx == 1 ? 2 : 1;
  for (int vectors = 1; vectors <= std::min<int64_t>(4, divide_up(nest.co, lanes)); ++vectors)
    for (int y = 1; y <= std::min<int64_t>(4, nest.y); ++y)
      for (int x = 1; x <= std::min<int64_t>(machine.registers, nest.x); ++x)
        for (const int ci_block : ci_blocks(nest, unroll_ci)) {
          const int64_t sums = nest.y * nest.x * lanes * vectors;
          if (nest.y % y != 0 || nest.x % x != 0 || sums > k_most_waiting_sums ||
              (y == nest.y && x == nest.x))
            continue;
          const ConvTile tile{lanes,     vectors, y,        x,
                              unroll_ci, 1,       ci_block, TileOrder::channels_weights_pixels};
          if (!fits(tile, machine)) continue;
          const auto add = [&](const ConvTile& t) {
            const double cycles = stationary_cycles(nest, t, machine);
            scored.emplace_back(busiest_cycles(cycles, nest, t, machine, threads), t);
          };
          add(tile);
          if (const auto shared = with_taps_within(nest, tile, machine, 0)) add(*shared);
        }
  keep_fastest(scored, k_most_tiles);
  return scored;
}

}  // namespace

void add_schedule(std::vector<CostedSchedule>& schedules, double cycles, const std::string& steps) {
  const bool there = std::any_of(schedules.begin(), schedules.end(),
                                 [&](const CostedSchedule& s) { return s.steps == steps; });
  if (!there) schedules.push_back({cycles, steps});
}

std::vector<std::string> steps_of(const std::vector<CostedSchedule>& schedules) {
  std::vector<std::string> result;
  for (const CostedSchedule& schedule : schedules) result.push_back(schedule.steps);
  return result;
}

std::string conv_steps(const Nest& nest, const ConvTile& tile, int threads) {
  StepText steps;
  // Channels inside pixels: an input is loaded once and needs no register after its vectors of
  // channels.
  if (tile.y > 1) steps.add("tile y {}", tile.y);
  if (tile.x > 1) steps.add("tile x {}", tile.x);
  if (tile.co_block > 0) steps.add("split co {}", tile.co_block);
  const std::string co = tile.co_block > 0 ? "coi" : "co";
  steps.add("tile {} {}", co, tile.lanes * tile.vectors);
  if (tile.lanes > 1) steps.add("vectorize {}i {}", co, tile.lanes);
  if (tile.vectors > 1) steps.add("unroll {}i", co);
  if (tile.y > 1) steps.add("unroll yi");
  if (tile.x > 1) steps.add("unroll xi");
  // The taps outside the input channels (ky, kx, ci), or between two parts of them (ci, ky, kx,
  // cii) so that the inputs of one part stay in the first level cache for all taps.
  const bool taps = nest.kx > 1 || nest.ky > 1;
  const bool stationary = tile.order == TileOrder::channels_weights_pixels;
  std::string innermost = "ci";
  if (stationary) {
    // From y x ci cii ky kx to ci ky kx y x cii, or to ci ky y x cii kx.
    steps.add("split ci {}", tile.ci_block);
    steps.add("interchange y ci");
    if (taps) steps.add("interchange x ky");
    if (tile.taps_within) {
      steps.add("interchange cii x");
    } else if (taps) {
      steps.add("interchange y kx");
      steps.add("interchange cii y");
    }
    innermost = "cii";
  } else if (taps && tile.ci_block > 0 && tile.ci_block < nest.ci) {
    steps.add("split ci {}", tile.ci_block);
    innermost = "cii";
  }
  if (tile.taps_within && !stationary) {
    steps.add("interchange {} ky", innermost);
  } else if (taps && !stationary) {
    steps.add("interchange {} kx", innermost);
    steps.add("interchange kx ky");
  }
  if (tile.unroll_ci > 1) {
    const int64_t whole = innermost == "ci" ? nest.ci : tile.ci_block;
    if (tile.unroll_ci < whole) {
      steps.add("split {} {}", innermost, tile.unroll_ci);
      innermost += "i";
    }
    steps.add("unroll {}", innermost);
  }
  if (tile.unroll_kx > 1) steps.add("unroll kx");
  if (tile.order == TileOrder::rows_groups_pixels) {
    steps.add("interchange g y");
  } else if (tile.order != TileOrder::channels_rows_pixels && !stationary) {
    steps.add("interchange {} y", co);
  }
  if (tile.order == TileOrder::rows_pixels_channels) steps.add("interchange {} x", co);
  if (threads > 0) add_parallel(steps, nest, loops_around(nest, tile), threads);
  return steps.text();
}

std::vector<CostedSchedule> conv_schedules(const Nest& nest, const Machine& machine, int threads,
                                           ScheduleUse use) {
  std::vector<CostedSchedule> schedules;
  const bool taps = nest.ky * nest.kx > 1;
  using enum TileOrder;
  std::vector<TileOrder> orders{taps ? rows_channels_pixels : rows_pixels_channels,
                                channels_rows_pixels};
  // Measured: where each pixel's outputs are a page, whole pixels are written faster.
  const bool wide = !taps && 4 * nest.co >= k_page_bytes;
  if (weight_bytes(nest, machine) > machine.l2_bytes / (wide ? 1 : 2))
    std::swap(orders[0], orders[1]);
  // Groups that begin within a cache line share it with the one before.
  if (nest.groups > 1 && nest.ci * 4 % k_line_bytes != 0)
    orders.insert(orders.begin(), rows_groups_pixels);
  const bool rows = use == ScheduleUse::rows;
  // Input channels a step: all of a few; otherwise some, so that they share the loop's cost.
  std::vector<int> unrolls{taps && nest.ci % 4 == 0 ? 4 : 2, 1};
  if (nest.ci <= k_few_channels) unrolls = {static_cast<int>(nest.ci), 1};
  TileLimits limits;
  if (nest.ci > k_few_channels && nest.ci % unrolls[0] == 0) limits.unroll_ci = unrolls[0];
  Machine registers = machine;
  if (rows) {
    threads = 0;
    orders = {channels_rows_pixels};
    // A chain's other convs keep a few registers: constants of activations, and what loops share.
    registers.registers -= machine.registers / 8;
    limits.most_y = 1;
  }
  limits.order = orders[0];
  limits.threads = std::max(threads, 1);
  const ScoredTiles tiles = tiles_by_speed(nest, registers, limits);
  const ScoredTiles stationary = rows ? ScoredTiles() : stationary_tiles(nest, machine, threads);
  const bool better = !stationary.empty() && stationary.front().first < tiles.front().first;
  const auto add_stationary = [&] {
    for (const auto& [cycles, tile] : stationary)
      add_schedule(schedules, cycles, conv_steps(nest, tile, threads));
  };
  if (better) add_stationary();
  for (const TileOrder order : orders)
    for (const int unroll : unrolls)
      for (auto [cycles, tile] : tiles) {
        if (nest.ci % unroll != 0) continue;
        // Measured: tiles with their taps within do better with channels outside while a good part
        // of the inputs stays in the second level cache.
        const bool near = tile.taps_within && order == rows_channels_pixels &&
                          input_bytes(nest) * 4 <= machine.l2_bytes;
        tile.order = near ? channels_rows_pixels : order;
        if (!tile.taps_within) tile.unroll_ci = unroll;
        tile.ci_block = near_channels(nest, tile, machine);
        const int64_t copies = int64_t{tile.vectors} * tile.y * tile.x * tile.unroll_ci;
        if (tile.unroll_ci == nest.ci && copies * nest.kx <= k_most_copies)
          tile.unroll_kx = static_cast<int>(nest.kx);
        if (schedules.size() < k_most_schedules)
          add_schedule(schedules, cycles, conv_steps(nest, tile, threads));
      }
  if (!better && schedules.size() + stationary.size() <= k_most_schedules) add_stationary();
  return schedules;
}

std::vector<CostedSchedule> with_prologue(const std::vector<CostedSchedule>& schedules,
                                          const Nest& nest, int64_t packed, const Machine& machine,
                                          int threads) {
  std::vector<CostedSchedule> result;
  for (const CostedSchedule& costed : schedules) {
    const auto schedule = conv_schedule(nest, costed.steps, {"co", true});
    EMULSION_CHECK(schedule.ok());
    const double values = prologue_values(*schedule, packed, threads);
    result.push_back({costed.cycles + prologue_cycles(values, machine), costed.steps});
  }
  std::stable_sort(
      result.begin(), result.end(),
      [](const CostedSchedule& a, const CostedSchedule& b) { return a.cycles < b.cycles; });
  return result;
}

namespace {

// The least number of equal parts of the output channels, at least so many and each a multiple of a
// tile's.
std::optional<int64_t> parts_of_channels(const Nest& nest, const ConvTile& tile, int64_t least) {
  const int64_t channels = int64_t{tile.lanes} * tile.vectors;
  for (int64_t parts = least; parts * channels <= nest.co; ++parts)
    if (nest.co % parts == 0 && nest.co / parts % channels == 0) return parts;
  return std::nullopt;
}

// The same tile with the output channels in parts, so that the values of a prologue are computed
// once for each part; or, channels inside pixels, so that a part's weights stay near.
std::optional<ConvTile> in_parts(const Nest& nest, ConvTile tile, const Machine& machine,
                                 int threads) {
  int64_t least = std::max(2, threads);
  if (tile.order == TileOrder::rows_pixels_channels) {
    const int64_t bytes = weight_bytes(nest, machine);
    if (bytes <= machine.core.l2_bytes) return std::nullopt;
    least = divide_up(bytes, machine.core.l2_bytes * 3 / 4);
  }
  const auto parts = parts_of_channels(nest, tile, least);
  if (!parts) return std::nullopt;
  tile.co_block = static_cast<int>(nest.co / *parts);
  return tile;
}

}  // namespace

std::vector<CostedSchedule> pointwise_prologue_schedules(const Nest& nest, const Machine& machine,
                                                         int threads) {
  std::vector<CostedSchedule> schedules;
  const auto add = [&](const ConvTile& tile) {
    const bool stationary = tile.order == TileOrder::channels_weights_pixels;
    const double cycles =
        stationary ? stationary_cycles(nest, tile, machine) : expected_cycles(nest, tile, machine);
    add_schedule(schedules, busiest_cycles(cycles, nest, tile, machine, threads),
                 conv_steps(nest, tile, threads));
  };
  const auto add_both = [&](const ConvTile& tile) {
    add(tile);
    if (const auto parts = in_parts(nest, tile, machine, threads)) add(*parts);
  };
  TileLimits limits;
  limits.threads = threads;
  if (nest.ci % 2 == 0) limits.unroll_ci = 2;
  if (nest.ci <= k_few_channels) limits.unroll_ci = static_cast<int>(nest.ci);
  for (const TileOrder order : {TileOrder::rows_pixels_channels, TileOrder::channels_rows_pixels}) {
    limits.order = order;
    for (const auto& [cycles, tile] : tiles_by_speed(nest, machine, limits)) add_both(tile);
  }
  for (const auto& [cycles, tile] : stationary_tiles(nest, machine, threads)) add_both(tile);
  schedules = with_prologue(schedules, nest, 1, machine, threads);
  if (schedules.size() > k_most_schedules) schedules.resize(k_most_schedules);
  return schedules;
}

std::vector<CostedSchedule> packed_schedules(const Nest& nest, int64_t packed,
                                             const Machine& machine, int threads) {
  // Measured: shuffles take turns with multiplications; each serves all taps of a row.
  const double slower = nest.kx > 1 ? (packing_shuffles(packed) ? 1.25 : 1.4) : 2;
  std::vector<CostedSchedule> schedules;
  const auto add = [&](double cycles, ConvTile tile) {
    tile.order = TileOrder::rows_groups_pixels;
    if (packing_shuffles(packed)) tile.unroll_ci = static_cast<int>(nest.ci);
    const int64_t sums = int64_t{tile.vectors} * tile.y * tile.x;
    if (sums * tile.unroll_ci * tile.unroll_kx <= k_most_packed_copies)
      add_schedule(schedules, slower * cycles, conv_steps(nest, tile, threads));
  };
  TileLimits limits;
  limits.order = TileOrder::rows_groups_pixels;
  limits.threads = threads;
  limits.spare = packing_shuffles(packed) ? 6 : 1;
  limits.most_y = 1;
  for (const auto& [cycles, tile] : tiles_by_speed(nest, machine, limits)) add(cycles, tile);
  const ConvTile smallest{lanes_for(nest.co, machine.vector)};
  if (schedules.empty()) {
    const double cycles = expected_cycles(nest, smallest, machine);
    add(busiest_cycles(cycles, nest, smallest, machine, threads), smallest);
  }
  return schedules;
}

}  // namespace emulsion
