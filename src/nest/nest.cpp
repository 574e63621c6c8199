#include "nest/nest.h"

#include <algorithm>
#include <numeric>

#include "base/divide.h"

namespace emulsion {

namespace {

using LoopIterator = std::vector<Loop>::iterator;

int64_t& extent_of(Nest& nest, const std::string& iterator) {
  if (iterator == "n") return nest.n;
  if (iterator == "g") return nest.groups;
  if (iterator == "co") return nest.co;
  if (iterator == "ci") return nest.ci;
  if (iterator == "y") return nest.y;
  if (iterator == "x") return nest.x;
  if (iterator == "ky") return nest.ky;
  EMULSION_CHECK(iterator == "kx");
  return nest.kx;
}

std::vector<Access> accesses_of(const Nest& nest) {
  const auto window = [](const char* out, const char* tap, int stride, int dilation, int pad) {
    return AffineIndex{{{out, stride}, {tap, dilation}}, -pad};
  };
  const AffineIndex out_channel{{{"g", nest.co}, {"co", 1}}, 0};
  const AffineIndex in_channel{{{"g", nest.ci}, {"ci", 1}}, 0};
  const AffineIndex batch{{{"n", 1}}, 0};
  return {{"in",
           {batch, in_channel, window("y", "ky", nest.stride[0], nest.dilation[0], nest.pad[0]),
            window("x", "kx", nest.stride[1], nest.dilation[1], nest.pad[1])}},
          {"weight", {out_channel, {{{"ci", 1}}, 0}, {{{"ky", 1}}, 0}, {{{"kx", 1}}, 0}}},
          {"out", {batch, out_channel, {{{"y", 1}}, 0}, {{{"x", 1}}, 0}}}};
}

std::string loop_names(const Nest& nest) {
  std::string names;
  for (const Loop& loop : nest.loops) names += (names.empty() ? "" : " ") + loop.name;
  return names;
}

LoopIterator find_loop(Nest& nest, const std::string& name) {
  return std::find_if(nest.loops.begin(), nest.loops.end(),
                      [&](const Loop& loop) { return loop.name == name; });
}

std::string no_loop(const Nest& nest, const std::string& name) {
  return fmt::format("there is no loop '{}'; the loops are {}", name, loop_names(nest));
}

// The loop that advances its iterator furthest: the only one that may cover more than the domain.
bool outermost_part(const Nest& nest, const Loop& loop) {
  const std::vector<Loop> loops = simple_loops(nest.loops);
  return std::none_of(loops.begin(), loops.end(), [&](const Loop& other) {
    return other.iterator == loop.iterator && other.stride > loop.stride;
  });
}

std::string unused_name(const Nest& nest, std::string name) {
  do name += "i";
  while (std::any_of(nest.loops.begin(), nest.loops.end(),
                     [&](const Loop& loop) { return loop.name == name; }));
  return name;
}

// Why a loop cannot be split by a factor; empty when it can.
std::string split_refusal(Nest& nest, const Loop& loop, int64_t factor) {
  if (factor < 1) return "the factor must be 1 or more";
  if (!loop.fused.empty()) return fmt::format("loop {} is fused; split its parts first", loop.name);
  if (loop.kind != Loop::Kind::serial)
    return fmt::format("loop {} is already unrolled, vectorized or parallel", loop.name);
  const bool channels = loop.iterator == "co" || loop.iterator == "g";
  const bool may_be_ragged =
      (channels || loop.iterator == "x" || loop.iterator == "y") && outermost_part(nest, loop);
  if (loop.extent % factor != 0 && !may_be_ragged)
    return fmt::format("{} does not divide loop {}'s {} iterations", factor, loop.name,
                       loop.extent);
  // Ragged rows and columns are covered by a last tile that overlaps the one before it, which must
  // fit in the image. Channels are padded instead.
  const int64_t tile = factor * loop.stride, extent = extent_of(nest, loop.iterator);
  if (tile > extent && !channels)
    return fmt::format("a tile of {} is larger than {}'s {} iterations", tile, loop.iterator,
                       extent);
  if (tile > 4096 && tile > extent)
    return fmt::format("a tile of {} is far larger than {}'s {} iterations", tile, loop.iterator,
                       extent);
  return "";
}

// L becomes L and Li, side by side. Returns Li's index.
size_t split(Nest& nest, LoopIterator loop, int64_t factor) {
  Loop inner = *loop;
  inner.name = unused_name(nest, loop->name);
  inner.extent = factor;
  loop->extent = divide_up(loop->extent, factor);
  loop->stride *= factor;
  const LoopIterator at = nest.loops.insert(loop + 1, inner);
  return static_cast<size_t>(at - nest.loops.begin());
}

void move_loop(Nest& nest, size_t from, size_t to) {
  const Loop loop = nest.loops[from];
  nest.loops.erase(nest.loops.begin() + from);
  nest.loops.insert(nest.loops.begin() + to, loop);
}

// Where the vectorized loop is, or the end: tiles go before it.
size_t end_of_tiles(const Nest& nest) {
  size_t end = nest.loops.size();
  while (end > 0 && nest.loops[end - 1].kind == Loop::Kind::vectorized) --end;
  return end;
}

bool runs_at_once(const Loop& loop) {
  return loop.kind == Loop::Kind::parallel || loop.kind == Loop::Kind::gpu_block ||
         loop.kind == Loop::Kind::gpu_thread;
}

const char* k_marked = "the loop is already unrolled, vectorized, parallel or mapped to a GPU";

Result<Nest> apply_vectorize(Nest nest, const Step& step) {
  const LoopIterator loop = find_loop(nest, step.loop);
  if (loop->reduction()) return refusal(step, "a reduction is not vectorized");
  for (const Loop& other : nest.loops)
    if (other.kind == Loop::Kind::vectorized)
      return refusal(step, fmt::format("loop {} is already vectorized", other.name));
  if (loop->kind != Loop::Kind::serial)
    return refusal(step, fmt::format("loop {} is already unrolled or parallel", loop->name));
  if (!loop->fused.empty()) return refusal(step, "a fused loop is not vectorized");
  size_t index = loop - nest.loops.begin();
  if (step.factor > 0 && step.factor != loop->extent) {
    if (const std::string why = split_refusal(nest, *loop, step.factor); !why.empty())
      return refusal(step, why);
    index = split(nest, loop, step.factor);
  }
  if (nest.loops[index].extent > 64)
    return refusal(step,
                   fmt::format("{} lanes are too many (64 at most)", nest.loops[index].extent));
  nest.loops[index].kind = Loop::Kind::vectorized;
  move_loop(nest, index, nest.loops.size() - 1);
  return nest;
}

Result<Nest> apply_interchange(Nest nest, const Step& step) {
  const LoopIterator a = find_loop(nest, step.loop), b = find_loop(nest, step.other);
  if (b == nest.loops.end()) return refusal(step, no_loop(nest, step.other));
  for (const Loop& loop : {*a, *b})
    if (loop.kind == Loop::Kind::vectorized)
      return refusal(step, fmt::format("the vectorized loop {} stays innermost", loop.name));
  std::swap(*a, *b);
  for (auto loop = nest.loops.begin(); loop != nest.loops.end(); ++loop)
    if (runs_at_once(*loop) &&
        std::any_of(nest.loops.begin(), loop, [](const Loop& l) { return l.reduction(); }))
      return refusal(step,
                     fmt::format("the parallel loop {} would lie inside a reduction", loop->name));
  return nest;
}

// A and B, directly inside it, become one loop: the one that a split took apart, or one over two
// dimensions, whose name is both names.
Result<Nest> apply_fuse(Nest nest, const Step& step) {
  const LoopIterator a = find_loop(nest, step.loop), b = find_loop(nest, step.other);
  if (b == nest.loops.end()) return refusal(step, no_loop(nest, step.other));
  if (b != a + 1)
    return refusal(step,
                   fmt::format("loop {} does not lie directly inside loop {}", b->name, a->name));
  for (const Loop& loop : {*a, *b})
    if (loop.kind != Loop::Kind::serial)
      return refusal(step,
                     fmt::format("loop {} is already unrolled, vectorized, parallel or mapped "
                                 "to a GPU",
                                 loop.name));
  const bool one_split = a->fused.empty() && b->fused.empty() && a->iterator == b->iterator;
  if (one_split) {
    if (a->stride != b->stride * b->extent)
      return refusal(step, fmt::format("{} is not the inner part of {}", b->name, a->name));
    const bool whole = outermost_part(nest, *a);
    a->extent *= b->extent;
    a->stride = b->stride;
    const int64_t most = divide_up(extent_of(nest, a->iterator), a->stride);
    if (whole) a->extent = std::min(a->extent, most);
  } else {
    if (a->reduction() || b->reduction())
      return refusal(step, "a reduction is fused with its own parts only");
    Loop fused{a->name + b->name, "", a->extent * b->extent, 1, Loop::Kind::serial, {}};
    for (const Loop& loop : {*a, *b}) {
      if (loop.fused.empty()) fused.fused.push_back(loop);
      fused.fused.insert(fused.fused.end(), loop.fused.begin(), loop.fused.end());
    }
    if (find_loop(nest, fused.name) != nest.loops.end())
      return refusal(step, fmt::format("there is a loop '{}' already", fused.name));
    *a = std::move(fused);
  }
  nest.loops.erase(b);
  return nest;
}

// Blocks and the threads in each: a GPU has three dimensions of either.
constexpr int k_gpu_dimensions = 3;
constexpr int64_t k_most_gpu_threads = 1024;

Result<Nest> apply_gpu(Nest nest, const Step& step) {
  const LoopIterator loop = find_loop(nest, step.loop);
  const bool block = step.kind == Step::Kind::gpu_block;
  const Loop::Kind kind = block ? Loop::Kind::gpu_block : Loop::Kind::gpu_thread;
  if (loop->kind != Loop::Kind::serial) return refusal(step, k_marked);
  if (std::any_of(nest.loops.begin(), loop + 1, [](const Loop& l) { return l.reduction(); }))
    return refusal(step, "a loop that is, or lies inside, a reduction is not mapped to a GPU");
  int same = 0;
  int64_t threads = loop->extent;
  bool inside_block = false;
  for (auto other = nest.loops.begin(); other != nest.loops.end(); ++other) {
    if (other->kind == Loop::Kind::parallel)
      return refusal(step, fmt::format("loop {} is parallel on the CPU", other->name));
    inside_block = inside_block || (other < loop && other->kind == Loop::Kind::gpu_block);
    if (block && other < loop && other->kind == Loop::Kind::gpu_thread)
      return refusal(
          step, fmt::format("it lies inside loop {}, whose iterations are threads", other->name));
    if (other->kind != kind) continue;
    ++same;
    threads *= other->extent;
  }
  if (same == k_gpu_dimensions)
    return refusal(step, fmt::format("{} loops are mapped so already", k_gpu_dimensions));
  if (!block && !inside_block)
    return refusal(step, "threads lie inside blocks: map a loop outside it with gpu_block first");
  if (!block && threads > k_most_gpu_threads)
    return refusal(step, fmt::format("a block of {} threads is too large ({} at most)", threads,
                                     k_most_gpu_threads));
  loop->kind = kind;
  return nest;
}

Result<Nest> apply_program_step(Nest nest, const Step& step) {
  const LoopIterator loop = find_loop(nest, step.loop);
  if (loop == nest.loops.end()) return refusal(step, no_loop(nest, step.loop));
  switch (step.kind) {
    case Step::Kind::split:
    case Step::Kind::tile: {
      if (const std::string why = split_refusal(nest, *loop, step.factor); !why.empty())
        return refusal(step, why);
      if (step.kind == Step::Kind::tile && loop->reduction())
        return refusal(step, "a reduction is split, not tiled");
      const size_t inner = split(nest, loop, step.factor);
      if (step.kind == Step::Kind::tile) move_loop(nest, inner, end_of_tiles(nest) - 1);
      return nest;
    }
    case Step::Kind::interchange:
      return apply_interchange(std::move(nest), step);
    case Step::Kind::fuse:
      return apply_fuse(std::move(nest), step);
    case Step::Kind::gpu_block:
    case Step::Kind::gpu_thread:
      return apply_gpu(std::move(nest), step);
    case Step::Kind::vectorize:
      return apply_vectorize(std::move(nest), step);
    case Step::Kind::unroll:
      if (loop->kind != Loop::Kind::serial) return refusal(step, k_marked);
      if (loop->extent > 64)
        return refusal(step, fmt::format("{} copies are too many (64 at most)", loop->extent));
      loop->kind = Loop::Kind::unrolled;
      return nest;
    case Step::Kind::parallel:
      if (loop->kind != Loop::Kind::serial) return refusal(step, k_marked);
      if (std::any_of(nest.loops.begin(), loop + 1, [](const Loop& l) { return l.reduction(); }))
        return refusal(step, "a loop that is, or lies inside, a reduction is not parallel");
      for (const Loop& other : nest.loops)
        if (runs_at_once(other))
          return refusal(step, fmt::format("loop {} is already parallel", other.name));
      loop->kind = Loop::Kind::parallel;
      return nest;
    default:
      EMULSION_CHECK(false);
  }
}

}  // namespace

int64_t Nest::multiplies() const {
  return n * groups * co * y * x * ci * ky * kx;
}

int64_t Nest::weights() const {
  return groups * co * ci * ky * kx;
}

Nest conv_nest(const Conv& conv, const Shape& input) {
  EMULSION_CHECK(conv.weight && conv.weight->shape.size() == 4 && input.size() == 4);
  const Shape& weight = conv.weight->shape;
  Nest nest;
  nest.n = input[0];
  nest.groups = conv.groups;
  nest.co = weight[0] / conv.groups;
  nest.ci = weight[1];
  nest.ky = weight[2];
  nest.kx = weight[3];
  nest.stride = conv.stride;
  nest.dilation = conv.dilation;
  nest.pad = conv.pad;
  const auto outputs = [&](int axis, int64_t taps) {
    const int64_t padded = input[2 + axis] + conv.pad[axis] + conv.pad[2 + axis];
    return (padded - (taps - 1) * conv.dilation[axis] - 1) / conv.stride[axis] + 1;
  };
  nest.y = outputs(0, nest.ky);
  nest.x = outputs(1, nest.kx);
  for (const char* name : {"n", "g", "co", "y", "x", "ci", "ky", "kx"})
    nest.loops.push_back({name, name, extent_of(nest, name), 1, Loop::Kind::serial, {}});
  nest.accesses = accesses_of(nest);
  return nest;
}

std::vector<Loop> simple_loops(const std::vector<Loop>& loops) {
  std::vector<Loop> result;
  for (const Loop& loop : loops) {
    if (loop.fused.empty()) result.push_back(loop);
    result.insert(result.end(), loop.fused.begin(), loop.fused.end());
  }
  return result;
}

Result<Nest> apply(const Nest& nest, const Step& step) {
  if (is_neural(step))
    return refusal(step, "it changes what is computed; it belongs in a rewrite, not in a schedule");
  return apply_program_step(nest, step);
}

Result<Nest> apply(Nest nest, const Steps& steps) {
  for (const Step& step : steps) {
    TRY(nest, apply(nest, step));
  }
  return nest;
}

std::string to_text(const Nest& nest) {
  static constexpr const char* kinds[] = {"",          " unrolled",  " vectorized",
                                          " parallel", " gpu block", " gpu thread"};
  std::string text = fmt::format("nest n={} g={} co={} ci={} y={} x={} ky={} kx={}", nest.n,
                                 nest.groups, nest.co, nest.ci, nest.y, nest.x, nest.ky, nest.kx);
  text += "\n";
  for (const Loop& loop : nest.loops) {
    std::string over = fmt::format("{} by {}", loop.iterator, loop.stride);
    for (size_t i = 0; i < loop.fused.size(); ++i) {
      over = (i ? over + " x " : "") + loop.fused[i].name;
    }
    text += fmt::format("  for {} in {} of {}{}\n", loop.name, loop.extent, over,
                        kinds[static_cast<int>(loop.kind)]);
  }
  for (const Access& access : nest.accesses) {
    text += "  " + access.array;
    for (const AffineIndex& index : access.indices) {
      std::string sum;
      for (const Term& term : index.terms) {
        if (!sum.empty()) sum += "+";
        sum += term.coefficient == 1 ? term.iterator
                                     : fmt::format("{}*{}", term.coefficient, term.iterator);
      }
      if (index.offset != 0) sum += fmt::format("{:+}", index.offset);
      text += "[" + sum + "]";
    }
    text += "\n";
  }
  return text;
}

}  // namespace emulsion
