#include "lower/schedule.h"

#include <algorithm>

#include "base/divide.h"

namespace emulsion {

namespace {

// Beyond this a kernel's stack grows out of proportion.
constexpr int64_t k_most_sums = 32 << 10;

int64_t copies(const std::vector<Loop>& loops) {
  int64_t product = 1;
  for (const Loop& loop : loops)
    if (loop.kind == Loop::Kind::unrolled) product *= loop.extent;
  return product;
}

}  // namespace

int64_t ConvSchedule::tile(const std::string& iterator) const {
  int64_t product = 1;
  for (const Loop& loop : inner)
    if (loop.iterator == iterator) product *= loop.extent;
  return product;
}

std::vector<Loop> ConvSchedule::reductions() const {
  std::vector<Loop> result;
  for (auto loop = inner.rbegin(); loop != inner.rend(); ++loop)
    if (loop->reduction()) result.push_back(*loop);
  return result;
}

std::vector<Loop> parts(const std::vector<Loop>& loops, const std::string& iterator) {
  std::vector<Loop> result;
  for (const Loop& loop : simple_loops(loops))
    if (loop.iterator == iterator) result.push_back(loop);
  std::stable_sort(result.begin(), result.end(),
                   [](const Loop& a, const Loop& b) { return a.stride < b.stride; });
  return result;
}

namespace {

// Values of the input that one iteration of the outer loops up to `level` reads.
int64_t input_values(const ConvSchedule& schedule, int64_t packed, size_t level) {
  const Nest& nest = schedule.nest;
  const auto extent = [&](const std::string& iterator, int64_t domain) {
    int64_t product = schedule.tile(iterator);
    const auto within = schedule.outer.begin() + static_cast<ptrdiff_t>(level) + 1;
    for (const Loop& loop : simple_loops({within, schedule.outer.end()}))
      if (loop.iterator == iterator) product *= loop.extent;
    return std::min(product, domain);
  };
  const int64_t rows =
      (extent("y", nest.y) - 1) * nest.stride[0] + (nest.ky - 1) * nest.dilation[0] + 1;
  const int64_t columns =
      (extent("x", nest.x) - 1) * nest.stride[1] + (nest.kx - 1) * nest.dilation[1] + 1;
  return extent("n", nest.n) * extent("g", nest.groups) * packed * nest.ci * rows * columns;
}

}  // namespace

// For the outermost loops, inside a parallel one, whose values stay near; further out where that
// spares computing them again for other channels.
KeptPrologue kept_prologue(const ConvSchedule& schedule, int64_t packed) {
  constexpr int64_t k_near = (64 << 10) / 4, k_far = (512 << 10) / 4, k_most = (1 << 20) / 4;
  const std::vector<Loop>& outer = schedule.outer;
  if (outer.empty()) return {};
  const auto values = [&](size_t level) { return input_values(schedule, packed, level); };
  size_t outermost = 0;
  for (size_t i = 0; i < outer.size(); ++i)
    if (outer[i].kind == Loop::Kind::parallel) outermost = i;
  size_t level = outermost;
  while (level + 1 < outer.size() && values(level) > k_near) ++level;
  for (size_t i = level; i > outermost && values(i - 1) <= k_far; --i)
    if (outer[i].iterator == "co" && outer[i].extent > 1) level = i - 1;
  return {level, values(level) <= k_most ? values(level) : 0};
}

double prologue_values(const ConvSchedule& schedule, int64_t packed, int threads) {
  const Nest& nest = schedule.nest;
  const KeptPrologue kept = kept_prologue(schedule, packed);
  // Where they are read, one by one.
  if (kept.values == 0) return 16.0 * static_cast<double>(nest.multiplies());
  auto result = static_cast<double>(kept.values);
  for (size_t i = 0; i <= kept.level; ++i) {
    const Loop& loop = schedule.outer[i];
    const bool shared = loop.kind == Loop::Kind::parallel;
    result *= static_cast<double>(shared ? divide_up(loop.extent, threads) : loop.extent);
  }
  return result;
}

bool tiles_overlap(const ConvSchedule& schedule) {
  const Nest& nest = schedule.nest;
  const auto ragged = [&](const char* iterator, int64_t extent) {
    const std::vector<Loop> loops = parts(nest.loops, iterator);
    return std::any_of(loops.begin(), loops.end(),
                       [&](const Loop& loop) { return loop.extent * loop.stride > extent; });
  };
  return ragged("n", nest.n) || ragged("y", nest.y) || ragged("x", nest.x) ||
         (!schedule.channels_padded && (ragged("g", nest.groups) || ragged("co", nest.co)));
}

Result<ConvSchedule> conv_schedule(const Nest& nest, const ScheduleRules& rules) {
  const auto first = std::find_if(nest.loops.begin(), nest.loops.end(),
                                  [](const Loop& loop) { return loop.reduction(); });
  ConvSchedule schedule{
      nest, {nest.loops.begin(), first}, {first, nest.loops.end()}, rules.channels_padded};
  for (const Loop& loop : nest.loops)
    if (loop.kind == Loop::Kind::gpu_block || loop.kind == Loop::Kind::gpu_thread)
      return error("loop {} is mapped to a GPU; convs are compiled for CPUs only", loop.name);
  for (const Loop& loop : schedule.inner)
    if (!loop.fused.empty())
      return error("the fused loop {} lies inside a reduction; fuse loops outside", loop.name);
  for (const Loop& out : simple_loops(schedule.outer))
    for (const Loop& in : schedule.inner)
      if (out.iterator == in.iterator && out.stride < in.stride)
        return error("loop {} lies outside the reductions, and {}, of which it is a part, inside",
                     out.name, in.name);
  for (const Loop& loop : nest.loops)
    if (loop.kind == Loop::Kind::vectorized && loop.iterator != rules.vector_iterator)
      return error("this algorithm vectorizes {}, not {}", rules.vector_iterator, loop.iterator);
  for (const auto& [name, extent] : {std::pair{"co", nest.co}, std::pair{"g", nest.groups}})
    for (const Loop& loop : simple_loops(nest.loops))
      if (!rules.channels_padded && loop.iterator == name && loop.stride > 1 &&
          loop.stride > extent)
        return error("a tile of {} is larger than {}'s {} iterations", loop.stride, name, extent);
  // Within a tile nothing may be done twice, as a ragged split does, and only channels may be
  // padded.
  for (const auto& [name, extent] : {std::pair{"n", nest.n}, std::pair{"g", nest.groups},
                                     std::pair{"y", nest.y}, std::pair{"x", nest.x}})
    if (schedule.tile(name) > extent)
      return error("loops inside the reductions cover {} iterations of {}, which has {}",
                   schedule.tile(name), name, extent);
  if (rules.channels_padded && nest.groups % schedule.tile("g") != 0)
    return error("a tile of {} groups does not divide the {} groups", schedule.tile("g"),
                 nest.groups);
  if (const int64_t n = copies(nest.loops); n > k_most_unrolled)
    return error("unrolling makes {} copies of the innermost statement ({} at most)", n,
                 k_most_unrolled);
  int64_t sums = 1;
  for (const char* iterator : {"n", "g", "co", "y", "x"}) sums *= schedule.tile(iterator);
  if (sums > k_most_sums)
    return error("a tile has {} sums ({} at most): fewer loops inside the reductions", sums,
                 k_most_sums);
  return schedule;
}

Result<ConvSchedule> conv_schedule(const Nest& nest, const std::string& text,
                                   const ScheduleRules& rules) {
  TRY(const Steps steps, parse_steps(text));
  for (const Step& step : steps)
    if (is_neural(step))
      return error("step '{}' changes what is computed; it belongs in a plan's rewrite",
                   to_text(step));
  TRY(const Nest transformed, apply(nest, steps));
  return conv_schedule(transformed, rules);
}

}  // namespace emulsion
