#include "lower/conv_templates.h"

#include <algorithm>
#include <cmath>

namespace emulsion {

namespace {

// Below this many multiply-adds a kernel is over before other threads have started.
constexpr int64_t k_parallel_multiplies = 1 << 20;
constexpr size_t k_most_schedules = 24;

int64_t tiles(int64_t extent, int64_t tile) {
  return (extent + tile - 1) / tile;
}

// Share of the work that is not done twice or on padding.
double used(int64_t extent, int64_t tile) {
  return static_cast<double>(extent) / static_cast<double>(tiles(extent, tile) * tile);
}

// The widest vector that wastes no more than the channels' rounding to a power of two.
int lanes_for(int64_t channels, int vector) {
  int lanes = 1;
  while (lanes < channels && lanes < vector) lanes *= 2;
  return lanes;
}

// Relative speed expected of a tile, 1 at best: what is left after waste, waiting for sums, and
// loads.
double expected_speed(const Nest& nest, const ConvTile& tile, const Machine& machine) {
  const double sums = tile.vectors * tile.y * tile.x;
  const double waste = used(nest.co, int64_t{tile.lanes} * tile.vectors) * used(nest.y, tile.y) *
                       used(nest.x, tile.x);
  // Two FMAs a cycle with a latency of four: fewer than eight sums leave units idle.
  const double latency = std::min(1.0, sums / 8.0);
  // A step loads each vector of weights and each pixel once; two loads a cycle go along with two
  // FMAs.
  const double loads = tile.vectors + tile.y * tile.x;
  const double load_bound = std::min(1.0, sums / loads);
  // Weights come from the second level, pixels mostly from the first: wide tiles of pixels hide it.
  const double streaming = 1.0 - 0.35 / (tile.y * tile.x);
  return waste * latency * load_bound * streaming * tile.lanes / machine.vector;
}

bool fits(const ConvTile& tile, const Machine& machine) {
  return tile.vectors * tile.y * tile.x + tile.vectors + 1 <= machine.registers;
}

std::vector<ConvTile> tiles_by_speed(const Nest& nest, const Machine& machine) {
  std::vector<std::pair<double, ConvTile>> scored;
  const int lanes = lanes_for(nest.co, machine.vector);
  const int most_vectors = static_cast<int>(tiles(nest.co, lanes));
  for (int vectors = 1; vectors <= std::min(4, most_vectors); ++vectors)
    for (int y = 1; y <= std::min<int64_t>(4, nest.y); ++y)
      for (int x = 1; x <= std::min<int64_t>(machine.registers, nest.x); ++x) {
        if (y > 1 && x < nest.x && x % 4 != 0) continue;
        const ConvTile tile{lanes, vectors, y, x};
        if (fits(tile, machine)) scored.emplace_back(expected_speed(nest, tile, machine), tile);
      }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<ConvTile> result;
  for (const auto& [speed, tile] : scored) result.push_back(tile);
  return result;
}

int64_t weight_bytes(const Nest& nest) {
  return 4 * nest.co * nest.ci * nest.ky * nest.kx;
}

// The outermost loop with enough iterations to share among threads.
std::string parallel_loop(const std::vector<std::pair<std::string, int64_t>>& loops) {
  for (const auto& [name, extent] : loops)
    if (extent >= 4) return name;
  const auto largest = std::max_element(
      loops.begin(), loops.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return largest->second > 1 ? largest->first : "";
}

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

}  // namespace

std::string conv_steps(const Nest& nest, const ConvTile& tile) {
  StepText steps;
  // Channels inside pixels: an input is loaded once and needs no register after its vectors of
  // channels.
  if (tile.y > 1) steps.add("tile y {}", tile.y);
  if (tile.x > 1) steps.add("tile x {}", tile.x);
  steps.add("tile co {}", tile.lanes * tile.vectors);
  if (tile.lanes > 1) steps.add("vectorize coi {}", tile.lanes);
  if (tile.vectors > 1) steps.add("unroll coi");
  if (tile.y > 1) steps.add("unroll yi");
  if (tile.x > 1) steps.add("unroll xi");
  // The taps outside the input channels (ky, kx, ci), or between two parts of them (ci, ky, kx,
  // cii) so that the inputs of one part stay in the first level cache for all taps.
  const bool taps = nest.kx > 1 || nest.ky > 1;
  std::string innermost = "ci";
  if (taps && tile.ci_block > 0 && tile.ci_block < nest.ci) {
    steps.add("split ci {}", tile.ci_block);
    innermost = "cii";
  }
  if (taps) {
    steps.add("interchange {} kx", innermost);
    steps.add("interchange kx ky");
  }
  if (tile.unroll_ci > 1) {
    steps.add("split {} {}", innermost, tile.unroll_ci);
    steps.add("unroll {}i", innermost);
  }
  const int64_t channel_tiles = tiles(nest.co, int64_t{tile.lanes} * tile.vectors);
  const int64_t row_tiles = tiles(nest.y, tile.y);
  if (!tile.channels_outside) steps.add("interchange co y");
  if (nest.multiplies() >= k_parallel_multiplies) {
    const std::string loop = tile.channels_outside ? parallel_loop({{"n", nest.n},
                                                                    {"g", nest.groups},
                                                                    {"co", channel_tiles},
                                                                    {"y", row_tiles},
                                                                    {"x", tiles(nest.x, tile.x)}})
                                                   : parallel_loop({{"n", nest.n},
                                                                    {"g", nest.groups},
                                                                    {"y", row_tiles},
                                                                    {"co", channel_tiles},
                                                                    {"x", tiles(nest.x, tile.x)}});
    if (!loop.empty()) steps.add("parallel {}", loop);
  }
  return steps.text();
}

std::vector<std::string> conv_schedules(const Nest& nest, const Machine& machine) {
  const bool channels_outside = weight_bytes(nest) > machine.l2_bytes / 2;
  std::vector<std::string> schedules;
  const auto add = [&](const ConvTile& tile) {
    const std::string text = conv_steps(nest, tile);
    if (schedules.size() < k_most_schedules &&
        std::find(schedules.begin(), schedules.end(), text) == schedules.end())
      schedules.push_back(text);
  };
  std::vector<ConvTile> tiles = tiles_by_speed(nest, machine);
  if (tiles.size() > 6) tiles.resize(6);
  const int unroll = nest.ci % 2 == 0 ? 2 : 1;
  for (const bool outside : {channels_outside, !channels_outside})
    for (const int ci : {1, unroll})
      for (ConvTile tile : tiles) {
        tile.channels_outside = outside;
        tile.unroll_ci = ci;
        add(tile);
      }
  return schedules;
}

std::vector<std::string> depthwise_schedules(const Nest& nest, const Machine& machine) {
  int lanes = 1;
  while (lanes * 2 <= nest.groups && lanes < machine.vector) lanes *= 2;
  std::vector<std::string> schedules;
  const auto add = [&](int vectors, int64_t x) {
    StepText steps;
    const int channels = lanes * vectors;
    if (channels > nest.groups || x > nest.x) return;
    if (channels > 1) steps.add("tile g {}", channels);
    if (x > 1) steps.add("tile x {}", x);
    if (lanes > 1) steps.add("vectorize gi {}", lanes);
    if (vectors > 1) steps.add("unroll gi");
    if (x > 1) steps.add("unroll xi");
    // A row's taps are unrolled: neighbouring pixels share most of their inputs.
    steps.add("unroll ky");
    steps.add("unroll kx");
    steps.add("interchange g y");
    if (nest.multiplies() >= k_parallel_multiplies) {
      const std::string loop = parallel_loop({{"n", nest.n},
                                              {"y", nest.y},
                                              {"x", tiles(nest.x, x)},
                                              {"g", tiles(nest.groups, channels)}});
      if (!loop.empty()) steps.add("parallel {}", loop);
    }
    const std::string text = steps.text();
    if (std::find(schedules.begin(), schedules.end(), text) == schedules.end())
      schedules.push_back(text);
  };
  for (const int vectors : {1, 2})
    for (const int64_t x : {8, 7, 4, 14, 2, 1})
      if (vectors * x + 4 <= machine.registers && used(nest.x, x) > 0.8) add(vectors, x);
  if (schedules.empty()) add(1, 1);
  return schedules;
}

}  // namespace emulsion
