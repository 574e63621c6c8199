#include "lower/conv_funcs.h"

#include <algorithm>

#include "lower/buffers.h"
#include "lower/conv_pack.h"
#include "lower/conv_parameters.h"
#include "lower/padding_taps.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::RDom;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

// --- Funcs ---

struct Taps {
  Expr x, y;
};

Taps taps(const Conv& conv, const Expr& x, const Expr& y, const Expr& kx, const Expr& ky) {
  return {x * conv.stride[1] + kx * conv.dilation[1] - conv.pad[1],
          y * conv.stride[0] + ky * conv.dilation[0] - conv.pad[0]};
}

// Iterations of an iterator whose copies lie side by side.
int64_t unrolled(const ConvSchedule& schedule, const std::string& iterator) {
  int64_t copies = 1;
  for (const Loop& loop : parts(schedule.inner, iterator))
    if (loop.kind == Loop::Kind::unrolled) copies *= loop.extent;
  return copies;
}

// Leaves out taps that only read padding, as kept_taps() has it.
void leave_out_padding(RDom& r, const Taps& at, const ConvView& view,
                       const ConvSchedule& schedule) {
  const Shape& input = view.inputs[0].shape;
  const KeptTaps kept = kept_taps(
      schedule.nest, {unrolled(schedule, "y"), unrolled(schedule, "x"), unrolled(schedule, "kx")});
  if (kept.rows < 1) r.where(at.y >= 0 && at.y < narrow(input[2]));
  if (kept.columns < 1) r.where(at.x >= 0 && at.x < narrow(input[3]));
}

// A weight's place among those that pack_conv lays out.
std::vector<Expr> weight_index(const ConvSchedule& schedule, const RDom& r, const Var& c, int block,
                               const Expr& group) {
  std::vector<Expr> index{c % block};
  for (const Loop& loop : schedule.reductions()) {
    Expr at = loop.iterator == "ci" ? Expr(r.x) : loop.iterator == "kx" ? Expr(r.y) : Expr(r.z);
    const bool whole = parts(schedule.inner, loop.iterator).size() == 1;
    if (!whole) at = at / narrow(loop.stride) % narrow(loop.extent);
    index.push_back(at);
  }
  index.push_back(c / block);
  index.push_back(group);
  return index;
}

Expr read_input(const ConvFuncs& funcs, const ConvParameters& parameters, const ConvPart& part,
                const Expr& c, const Taps& at, const Expr& n) {
  if (funcs.prologue.defined()) return funcs.prologue(c, at.x, at.y, n);
  return part.in ? part.in(c, at.x, at.y, n) : parameters.inputs[0](c, at.x, at.y, n);
}

// The output's value: zero where the part's does not count. Its bits are masked: of a select Halide
// would make branches around the sums, which then leave their registers.
Expr counted(const ConvPart& part, const Expr& value, const Expr& x, const Expr& y) {
  const Expr inside = part.inside ? part.inside(x, y) : Expr();
  if (!inside.defined()) return value;
  const Expr mask = select(inside, -1, 0);
  return Halide::reinterpret<float>(Halide::reinterpret<int32_t>(value) & mask);
}

}  // namespace

ConvFuncs build_conv_funcs(const Conv& conv, const ConvView& view, const ConvSchedule& schedule) {
  ConvParameters parameters(view, pack_conv(conv, schedule));
  ConvFuncs funcs = build_conv_part(conv, view, schedule, parameters, {});
  bind_output(funcs.out, conv_output_layout(view));
  funcs.arguments = parameters.arguments();
  return funcs;
}

ConvFuncs build_conv_part(const Conv& conv, const ConvView& view, const ConvSchedule& schedule,
                          ConvParameters& parameters, const ConvPart& part) {
  const Nest& nest = view.nest;
  const int block = narrow(schedule.tile("co"));
  const Var c("c"), g("g"), x("x"), y("y"), n("n");
  const bool grouped = nest.groups > 1;
  const Expr group = grouped ? Expr(g) : Expr(0);

  ConvFuncs funcs;
  funcs.packed = view.packed;
  const ConvConstants constants(conv, parameters);
  if (!conv.prologue.empty()) funcs.prologue = build_prologue(conv, view, parameters);

  RDom r({{0, narrow(nest.ci)}, {0, narrow(nest.kx)}, {0, narrow(nest.ky)}}, "r");
  const Taps at = taps(conv, x, y, r.y, r.z);
  if (!part.in) leave_out_padding(r, at, view, schedule);
  Expr in_channel = r.x;
  if (view.packed > 1) {
    const int of_group = narrow(nest.co / view.packed);
    in_channel += (group * narrow(view.packed) + c / of_group) * narrow(nest.ci);
  } else if (grouped) {
    in_channel += g * narrow(nest.ci);
  }
  const Expr value = read_input(funcs, parameters, part, in_channel, at, n);
  const std::vector<Var> args =
      grouped ? std::vector<Var>{c, g, x, y, n} : std::vector<Var>{c, x, y, n};
  funcs.conv = Func("conv");
  funcs.conv(args) = constants.bias(c, group);
  funcs.conv(args) +=
      Halide::cast<float>(constants.weight()(weight_index(schedule, r, c, block, group))) * value;

  const std::vector<Expr> indices(args.begin(), args.end());
  Expr result = funcs.conv(indices);
  if (conv.epilogue.residual)
    result += parameters.inputs[1](grouped ? g * narrow(nest.co) + c : Expr(c), x, y, n);
  funcs.out = Func("out");
  funcs.out(args) = counted(part, constants.activated(result, c, group), x, y);

  funcs.out_vars = {{"co", c}, {"x", x}, {"y", y}, {"n", n}};
  if (grouped) funcs.out_vars.emplace("g", g);
  funcs.conv_vars = funcs.out_vars;
  funcs.reduction_vars = {{"ci", r.x}, {"kx", r.y}, {"ky", r.z}};
  return funcs;
}

ConvFuncs build_depthwise_funcs(const Conv& conv, const ConvView& view) {
  ConvParameters parameters(view, pack_depthwise(conv));
  ConvFuncs funcs = build_depthwise_part(conv, view, parameters, {});
  bind_output(funcs.out, output_layout(view.output));
  funcs.arguments = parameters.arguments();
  return funcs;
}

ConvFuncs build_depthwise_part(const Conv& conv, const ConvView& view, ConvParameters& parameters,
                               const ConvPart& part) {
  const Nest& nest = view.nest;
  const Var c("c"), x("x"), y("y"), n("n");

  ConvFuncs funcs;
  const ConvConstants constants(conv, parameters);
  if (!conv.prologue.empty()) funcs.prologue = build_prologue(conv, view, parameters);

  const RDom r({{0, narrow(nest.kx)}, {0, narrow(nest.ky)}}, "r");
  const Taps at = taps(conv, x, y, r.x, r.y);
  const Expr value = read_input(funcs, parameters, part, c, at, n);
  funcs.conv = Func("conv");
  funcs.conv(c, x, y, n) = constants.bias(c, 0);
  funcs.conv(c, x, y, n) += constants.weight()(c, r.x, r.y) * value;

  Expr result = funcs.conv(c, x, y, n);
  if (conv.epilogue.residual) result += parameters.inputs[1](c, x, y, n);
  funcs.out = Func("out");
  funcs.out(c, x, y, n) = counted(part, constants.activated(result, c, 0), x, y);
  funcs.out_vars = funcs.conv_vars = {{"g", c}, {"x", x}, {"y", y}, {"n", n}};
  funcs.reduction_vars = {{"kx", r.x}, {"ky", r.y}};
  funcs.channels_padded = false;
  return funcs;
}

// --- Schedule ---

namespace {

constexpr const char* k_iterators[] = {"n", "g", "co", "y", "x"};
constexpr const char* k_reductions[] = {"ci", "ky", "kx"};

// The variable of each loop, by the loop's name.
using LoopVars = std::map<std::string, VarOrRVar>;

// Splits a variable into the loops of one iterator, given innermost first.
//
// A guarded tail splits off the innermost loop first, so that conditions are on whole vectors where
// these divide the extent. A shifted tail splits off the whole tile first, so that it is the tile
// that is shifted.
void split_loops(Stage stage, const VarOrRVar& var, const std::vector<Loop>& loops,
                 TailStrategy tail, LoopVars& vars) {
  if (loops.empty()) return;
  const auto named = [&](const std::string& name) {
    return var.is_rvar ? VarOrRVar(RVar(name)) : VarOrRVar(Var(name));
  };
  const size_t count = loops.size();
  if (tail == TailStrategy::ShiftInwards) {
    VarOrRVar rest = var;
    for (size_t i = count; --i > 0;) {
      const VarOrRVar outer = named(loops[i].name + "_");
      const VarOrRVar inner = named(loops[i - 1].name + (i == 1 ? "_" : "_rest"));
      stage.split(rest, outer, inner, narrow(loops[i].stride), tail);
      vars.emplace(loops[i].name, outer);
      rest = inner;
    }
    vars.emplace(loops[0].name, rest);
    return;
  }
  VarOrRVar rest = var;
  for (size_t i = 0; i + 1 < count; ++i) {
    const VarOrRVar outer = named(loops[i + 1].name + (i + 2 == count ? "_" : "_rest"));
    const VarOrRVar inner = named(loops[i].name + "_");
    stage.split(rest, outer, inner, narrow(loops[i].extent), tail);
    vars.emplace(loops[i].name, inner);
    rest = outer;
  }
  vars.emplace(loops.back().name, rest);
}

// A fused loop's variable, of those of its parts that have one.
void fuse_loops(Stage stage, const Loop& loop, LoopVars& vars) {
  std::vector<VarOrRVar> inner_first;
  for (auto part = loop.fused.rbegin(); part != loop.fused.rend(); ++part)
    if (const auto var = vars.find(part->name); var != vars.end())
      inner_first.push_back(var->second);
  if (inner_first.empty()) return;
  VarOrRVar fused = inner_first[0];
  for (size_t i = 1; i < inner_first.size(); ++i) {
    const VarOrRVar both = Var(fmt::format("{}_{}", loop.name, i));
    stage.fuse(fused, inner_first[i], both);
    fused = both;
  }
  vars.emplace(loop.name, fused);
}

// Orders and marks the loops (outermost first) of a stage; loops without a variable have one
// iteration.
void arrange(Stage stage, const std::vector<Loop>& loops, LoopVars& vars) {
  for (const Loop& loop : loops)
    if (!loop.fused.empty()) fuse_loops(stage, loop, vars);
  std::vector<VarOrRVar> order;
  for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop)
    if (const auto var = vars.find(loop->name); var != vars.end()) order.push_back(var->second);
  if (order.size() > 1) stage.reorder(order);
  for (const Loop& loop : loops) {
    const auto var = vars.find(loop.name);
    if (var == vars.end()) continue;
    switch (loop.kind) {
      case Loop::Kind::serial:
        break;
      case Loop::Kind::unrolled:
        stage.unroll(var->second);
        break;
      case Loop::Kind::vectorized:
        stage.vectorize(var->second);
        break;
      case Loop::Kind::parallel:
        stage.parallel(var->second);
        break;
      case Loop::Kind::gpu_block:
      case Loop::Kind::gpu_thread:
        EMULSION_CHECK(false);  // conv_schedule() refuses them
    }
  }
}

bool is_channel(const std::string& iterator) {
  return iterator == "co" || iterator == "g";
}

void schedule_prologue(ConvFuncs& funcs, const ConvSchedule& schedule, const LoopVars& out_vars,
                       int lanes) {
  const auto has_variable = [&](const Loop& loop) { return out_vars.contains(loop.name); };
  const auto first = std::find_if(schedule.outer.begin(), schedule.outer.end(), has_variable);
  if (first == schedule.outer.end()) return;  // values are computed where they are read
  const KeptPrologue kept = kept_prologue(schedule, funcs.packed);
  if (kept.values == 0) return;
  size_t level = std::max<size_t>(kept.level, first - schedule.outer.begin());
  while (!has_variable(schedule.outer[level])) --level;
  funcs.prologue.compute_at(funcs.out, out_vars.at(schedule.outer[level].name).var)
      .store_in(Halide::MemoryType::Register);
  const int64_t channels = funcs.channels_padded ? schedule.nest.ci : schedule.nest.groups;
  while (lanes > channels) lanes /= 2;
  if (lanes > 1)
    funcs.prologue.vectorize(funcs.prologue.args()[0], lanes, TailStrategy::GuardWithIf);
}

}  // namespace

std::map<std::string, VarOrRVar> schedule_conv(ConvFuncs& funcs, const ConvSchedule& schedule,
                                               const Halide::Target& target) {
  LoopVars out_vars, init_vars, update_vars;
  for (const char* iterator : k_iterators) {
    const std::vector<Loop> loops = parts(schedule.nest.loops, iterator);
    if (const auto var = funcs.out_vars.find(iterator); var != funcs.out_vars.end()) {
      const TailStrategy tail = is_channel(iterator) && funcs.channels_padded
                                    ? TailStrategy::GuardWithIf
                                    : TailStrategy::ShiftInwards;
      split_loops(funcs.out, var->second, loops, tail, out_vars);
    }
    if (const auto var = funcs.conv_vars.find(iterator); var != funcs.conv_vars.end()) {
      const std::vector<Loop> tile = parts(schedule.inner, iterator);
      // Tiles are whole even where the output's last one is not, so that their loops need no
      // conditions.
      funcs.conv.bound_extent(var->second, narrow(schedule.tile(iterator)));
      split_loops(funcs.conv, var->second, tile, TailStrategy::Auto, init_vars);
      split_loops(funcs.conv.update(0), var->second, tile, TailStrategy::Auto, update_vars);
    }
  }
  for (const char* iterator : k_reductions)
    if (const auto var = funcs.reduction_vars.find(iterator); var != funcs.reduction_vars.end())
      split_loops(funcs.conv.update(0), var->second, parts(schedule.inner, iterator),
                  TailStrategy::Auto, update_vars);

  arrange(funcs.out, schedule.nest.loops, out_vars);
  arrange(funcs.conv, schedule.inner, init_vars);
  arrange(funcs.conv.update(0), schedule.inner, update_vars);

  // Halide's name for the stack, whatever the size.
  funcs.conv.store_in(Halide::MemoryType::Register);
  auto level = std::find_if(schedule.outer.rbegin(), schedule.outer.rend(),
                            [&](const Loop& loop) { return out_vars.contains(loop.name); });
  if (level == schedule.outer.rend())
    funcs.conv.compute_root();
  else
    funcs.conv.compute_at(funcs.out, out_vars.at(level->name).var);
  if (funcs.prologue.defined())
    schedule_prologue(funcs, schedule, out_vars, target.natural_vector_size<float>());
  return out_vars;
}

}  // namespace emulsion
