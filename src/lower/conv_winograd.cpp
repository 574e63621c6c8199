// 3x3 convs by Winograd's minimal filtering F(m x m, 3 x 3): a tile of m x m outputs needs
// (m + 2)^2 products a pair of channels instead of 9 m^2; with stride 2 (2 m + 1)^2, which is as
// many as the tile has inputs in either case.
//
//   V[p][tile][ci] = B^T d B          of each tile's inputs
//   M[p][tile][co] = sum_ci U[p][ci][co] V[p][tile][ci]      one matrix product for each place p
//   out            = A^T M A, then bias, residual, activation
#include <algorithm>
#include <functional>

#include "base/divide.h"
#include "lower/activation.h"
#include "lower/algorithm_row.h"
#include "lower/buffers.h"
#include "lower/conv_costs.h"
#include "lower/conv_funcs.h"
#include "lower/conv_parameters.h"
#include "lower/conv_templates.h"
#include "lower/lower.h"
#include "lower/target.h"
#include "lower/winograd.h"
#include "lower/winograd_schedule.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

// --- Funcs ---

// sum_k coefficients[k] value(k), over the k of one parity (or all: -1).
Expr weighted_sum(const std::vector<double>& coefficients, int parity,
                  const std::function<Expr(int)>& value) {
  Expr sum;
  for (int k = 0; k < static_cast<int>(coefficients.size()); ++k) {
    const auto coefficient = static_cast<float>(coefficients[k]);
    if (coefficient == 0 || (parity >= 0 && k % 2 != parity)) continue;
    const Expr term = coefficient == 1 ? value(k) : coefficient * value(k);
    sum = sum.defined() ? sum + term : term;
  }
  return sum.defined() ? sum : Expr(0.0f);
}

bool starts_pair(const WinogradTransforms& t, int p) {
  return std::count(t.pairs.begin(), t.pairs.end(), p) != 0;
}

// Entry `at` of the vector that the input transform makes of value(0), value(1), ...: rows of a
// point and its negative share their even and odd parts.
Expr input_transform(const WinogradTransforms& t, const Expr& at,
                     const std::function<Expr(int)>& value) {
  Expr result;
  const auto add = [&](int p, const Expr& entry) {
    result = result.defined() ? select(at == p, entry, result) : entry;
  };
  for (int p = t.products() - 1; p >= 0; --p) {
    if (p > 0 && starts_pair(t, p - 1)) {
      --p;
      const Expr even = weighted_sum(t.input[p], 0, value),
                 odd = weighted_sum(t.input[p], 1, value);
      add(p + 1, even - odd);
      add(p, even + odd);
    } else {
      add(p, weighted_sum(t.input[p], -1, value));
    }
  }
  return result;
}

// The same for the output transform: columns of a point and its negative share sums and
// differences.
Expr output_transform(const WinogradTransforms& t, const Expr& at,
                      const std::function<Expr(int)>& value) {
  Expr result;
  for (int i = t.outputs - 1; i >= 0; --i) {
    Expr sum;
    const auto add = [&](double coefficient, const Expr& term) {
      const auto c = static_cast<float>(coefficient);
      if (c == 0) return;
      const Expr scaled = c == 1 ? term : c * term;
      sum = sum.defined() ? sum + scaled : scaled;
    };
    for (int p = 0; p < t.products(); ++p) {
      const double coefficient = t.output[i][p];
      if (starts_pair(t, p)) {
        ++p;
        add(coefficient, i % 2 == 0 ? value(p - 1) + value(p) : value(p - 1) - value(p));
      } else {
        add(coefficient, value(p));
      }
    }
    result = result.defined() ? select(at == i, sum, result) : sum;
  }
  return result;
}

// The Funcs' arguments: channel, group where there are several, tile, image, then others.
std::vector<Expr> tile_arguments(const Expr& c, const Expr& g, const Expr& tile, const Expr& n,
                                 const std::vector<Expr>& others) {
  std::vector<Expr> arguments{c};
  if (g.defined()) arguments.push_back(g);
  arguments.push_back(tile);
  arguments.push_back(n);
  arguments.insert(arguments.end(), others.begin(), others.end());
  return arguments;
}

struct WinogradFuncs {
  Func taps;         // a prologue's values in a tile; undefined when there is none
  Func input_rows;   // B^T d
  Func input;        // V
  ConvFuncs sums;    // conv: the sums of a register tile, out: M
  Func output_rows;  // A^T M
  Func out;
  std::vector<Halide::Argument> arguments;
};

const Var k_c("c"), k_g("g"), k_x("x"), k_y("y"), k_n("n"), k_tile("t"), k_place("p"), k_i("i"),
    k_j("j");

WinogradFuncs build_winograd_funcs(const Conv& conv, const ConvView& view,
                                   const WinogradSchedule& s, int outputs) {
  const Nest& nest = view.nest;
  const WinogradTransforms t = winograd_transforms(outputs, 3, conv.stride[0]);
  const int side = t.products(), columns = narrow(s.columns);
  const bool grouped = nest.groups > 1;
  const Expr g = grouped ? Expr(k_g) : Expr(), group = grouped ? Expr(k_g) : Expr(0);
  const auto define = [&](Func& f, const std::vector<Var>& others, const auto& value) {
    std::vector<Expr> extra(others.begin(), others.end());
    std::vector<Var> arguments;
    for (const Expr& e : tile_arguments(k_c, g, k_tile, k_n, extra))
      arguments.emplace_back(e.as<Halide::Internal::Variable>()->name);
    f(arguments) = value;
  };
  const auto at = [&](const Func& f, const Expr& c, const std::vector<Expr>& others) {
    return f(tile_arguments(c, g, k_tile, k_n, others));
  };

  WinogradFuncs funcs;
  ConvParameters parameters(view, pack_winograd(conv, s, outputs));
  const Halide::ImageParam weight = parameters.take(), bias = parameters.take();
  Halide::ImageParam slopes;
  const bool has_slopes = slope_of(conv.epilogue.activation) != nullptr;
  if (has_slopes) slopes = parameters.take();

  // The input at place (i, j) of a tile. Tiles that hang over the image's end read its last rim.
  const Expr row = k_tile / columns, column = k_tile % columns;
  const TensorDescriptor& image = view.inputs[0];
  const auto coordinate = [&](const Expr& tile, const Expr& place, int64_t tiles, int pad,
                              int64_t extent, int rim) {
    const Expr position = tile * (outputs * t.stride) + place - pad;
    const auto last = narrow(extent) - 1 + rim;
    const int64_t furthest = (tiles - 1) * outputs * t.stride + side - 1 - pad;
    return furthest > last ? min(position, last) : position;
  };
  const auto input = [&](const Func* f, const Expr& i, const Expr& j) {
    const Expr c = grouped ? k_g * narrow(nest.ci) + k_c : Expr(k_c);
    const Expr x = coordinate(column, i, s.columns, conv.pad[1], image.shape[3], image.rim[3]);
    const Expr y = coordinate(row, j, s.bands * s.rows, conv.pad[0], image.shape[2], image.rim[2]);
    return f ? (*f)(c, x, y, k_n) : parameters.inputs[0](c, x, y, k_n);
  };
  if (!conv.prologue.empty()) {
    const Func prologue = build_prologue(conv, view, parameters);
    funcs.taps = Func("taps");
    define(funcs.taps, {k_i, k_j}, input(&prologue, k_i, k_j));
  }
  funcs.input_rows = Func("input_rows");
  define(funcs.input_rows, {k_i, k_j}, input_transform(t, k_j, [&](int j) {
           return funcs.taps.defined() ? at(funcs.taps, k_c, {k_i, j}) : input(nullptr, k_i, j);
         }));
  funcs.input = Func("transformed");
  define(funcs.input, {k_place}, input_transform(t, k_place % side, [&](int i) {
           return at(funcs.input_rows, k_c, {i, k_place / side});
         }));

  const int tile = narrow(s.products.tile("co")), channels = narrow(s.channels);
  const RDom r(0, narrow(nest.ci), "r");
  Func& sums = funcs.sums.conv = Func("sums");
  Func& products = funcs.sums.out = Func("products");
  define(sums, {k_place}, 0.0f);
  sums(tile_arguments(k_c, g, k_tile, k_n, {k_place})) +=
      Halide::cast<float>(
          weight(k_c % tile, r, k_c / tile % (channels / tile), k_place, k_c / channels, group)) *
      at(funcs.input, r, {k_place});
  define(products, {k_place}, at(sums, k_c, {k_place}));
  funcs.sums.out_vars = {{"co", k_c}, {"x", k_tile}, {"y", k_place}, {"n", k_n}};
  if (grouped) funcs.sums.out_vars.emplace("g", k_g);
  funcs.sums.conv_vars = funcs.sums.out_vars;
  funcs.sums.reduction_vars = {{"ci", r.x}};

  funcs.output_rows = Func("output_rows");
  define(funcs.output_rows, {k_i, k_j},
         output_transform(t, k_i, [&](int i) { return at(products, k_c, {k_j * side + i}); }));
  const Expr tx = k_x / outputs, ty = k_y / outputs;
  const Expr tile_at = ty * columns + tx;
  Expr result = output_transform(t, k_y % outputs, [&](int j) {
    return funcs.output_rows(tile_arguments(k_c, g, tile_at, k_n, {k_x % outputs, j}));
  });
  result += channel_entry(bias, k_c, group);
  if (conv.epilogue.residual)
    result +=
        parameters.inputs[1](grouped ? k_g * narrow(nest.co) + k_c : Expr(k_c), k_x, k_y, k_n);
  const Expr slope = has_slopes ? channel_entry(slopes, k_c, group) : Expr();
  funcs.out = Func("out");
  const std::vector<Var> out_arguments =
      grouped ? std::vector<Var>{k_c, k_g, k_x, k_y, k_n} : std::vector<Var>{k_c, k_x, k_y, k_n};
  funcs.out(out_arguments) = activate(conv.epilogue.activation, result, slope);
  bind_output(funcs.out, conv_output_layout(view));
  funcs.arguments = parameters.arguments();
  return funcs;
}

// --- Schedule ---

int64_t vector_lanes(const ConvSchedule& products) {
  for (const Loop& loop : products.inner)
    if (loop.kind == Loop::Kind::vectorized) return loop.extent;
  return 1;
}

void schedule_winograd(WinogradFuncs& funcs, const Nest& nest, const WinogradSchedule& s,
                       int outputs, const Halide::Target& target) {
  const int side = narrow(inputs_of_a_tile(outputs, nest.stride[0]));
  const int lanes = narrow(vector_lanes(s.products));
  // The output: its loops outside, in the order of the blocks, then the tiles of a block, its
  // channels, and the outputs of a tile.
  const Var tx("tx"), ty("ty"), xi("xi"), yi("yi"), tyo("tyo"), co("co"), ci("ci"),
      vector("vector"), lane("lane");
  const TailStrategy guard = TailStrategy::GuardWithIf;
  Func& out = funcs.out;
  out.split(k_x, tx, xi, outputs, guard).split(k_y, ty, yi, outputs, guard);
  std::map<std::string, Var> block_vars{{"n", k_n}};
  if (nest.groups > 1) block_vars.emplace("g", k_g);
  if (s.bands > 1) {
    out.split(ty, tyo, ty, narrow(s.rows), guard);
    block_vars.emplace("x", tyo);
  }
  Var channel = k_c;
  if (s.channels < nest.co) {
    out.split(k_c, co, ci, narrow(s.channels), guard);
    block_vars.emplace("co", co);
    channel = ci;
  }
  out.split(channel, vector, lane, lanes, guard).vectorize(lane);
  std::vector<Halide::VarOrRVar> order{lane, xi, yi, vector, tx, ty};
  for (auto loop = s.blocks.rbegin(); loop != s.blocks.rend(); ++loop)
    if (const auto var = block_vars.find(loop->iterator); var != block_vars.end())
      order.emplace_back(var->second);
  out.reorder(order).unroll(xi).unroll(yi);

  // Where each part is computed.
  Var input_level = k_n, products_level = k_n;
  for (const Loop& loop : s.blocks) {
    const auto var = block_vars.find(loop.iterator);
    if (var == block_vars.end()) continue;
    const bool parallel = loop.kind == Loop::Kind::parallel;
    if (parallel) out.parallel(var->second);
    products_level = var->second;
    if (loop.iterator != "co" || parallel) input_level = var->second;
  }

  const int tiles = narrow(s.columns * s.rows);
  const int input_lanes = winograd_input_lanes(nest.ci, target.natural_vector_size<float>());
  funcs.input.compute_at(out, input_level)
      .store_in(Halide::MemoryType::Register)
      .bound(k_place, 0, side * side)
      .bound_extent(k_tile, tiles)
      .bound_extent(k_c, narrow(nest.ci))
      .split(k_c, vector, lane, input_lanes, TailStrategy::ShiftInwards)
      .reorder(lane, k_place, vector, k_tile)
      .vectorize(lane)
      .unroll(k_place);
  for (Func* f : {&funcs.taps, &funcs.input_rows}) {
    if (!f->defined()) continue;
    f->compute_at(funcs.input, vector)
        .vectorize(k_c, input_lanes, TailStrategy::RoundUp)
        .unroll(k_i)
        .unroll(k_j);
  }

  funcs.sums.out.compute_at(out, products_level)
      .store_in(Halide::MemoryType::Register)
      .bound(k_place, 0, side * side)
      .bound_extent(k_tile, tiles)
      .bound_extent(k_c, narrow(s.channels));
  schedule_conv(funcs.sums, s.products, target);
  funcs.output_rows.compute_at(out, vector)
      .bound_extent(k_c, lanes)
      .vectorize(k_c, lanes, TailStrategy::RoundUp)
      .unroll(k_i)
      .unroll(k_j);
}

Result<LoweredKernel> lower_winograd(const KernelSpec& spec, const WinogradSchedule& schedule,
                                     int outputs) {
  const Halide::Target target = halide_target(spec.target);
  const ConvView view = conv_view(spec);
  WinogradFuncs funcs = build_winograd_funcs(std::get<Conv>(spec.op), view, schedule, outputs);
  schedule_winograd(funcs, view.nest, schedule, outputs, target);
  return LoweredKernel{funcs.arguments, funcs.out, target};
}

template <int Outputs>
struct Winograd {
  static Result<WinogradSchedule> schedule_of(const KernelSpec& spec) {
    return winograd_schedule(conv_view(spec).nest, Outputs, spec.schedule);
  }

  static bool applies(const KernelSpec& spec, std::string* reason) {
    if (!takes_conv(spec, reason)) return false;
    const auto& conv = std::get<Conv>(spec.op);
    const Shape& weight = conv.weight->shape;
    if (weight[2] != 3 || weight[3] != 3)
      *reason = fmt::format("the kernel is {}x{}, not 3x3", weight[2], weight[3]);
    else if (conv.stride != Extent2{1, 1} && (Outputs != 2 || conv.stride != Extent2{2, 2}))
      *reason = fmt::format("the stride is {}x{}, not 1x1{}", conv.stride[0], conv.stride[1],
                            Outputs == 2 ? " or 2x2" : "");
    else if (conv.dilation != Extent2{1, 1})
      *reason = fmt::format("the dilation is {}x{}, not 1x1", conv.dilation[0], conv.dilation[1]);
    else if (const int64_t bytes = scratch_of_a_row(spec); bytes > k_most_winograd_scratch)
      *reason = fmt::format("one row of tiles needs {} bytes of scratch ({} at most)", bytes,
                            k_most_winograd_scratch);
    else
      return true;
    return false;
  }

  // Of one row of tiles and one vector of output channels.
  static int64_t scratch_of_a_row(const KernelSpec& spec) {
    const auto& conv = std::get<Conv>(spec.op);
    const int64_t side = inputs_of_a_tile(Outputs, conv.stride[0]);
    const int64_t columns = divide_up(spec.output.shape[3], Outputs);
    return 4 * side * side * columns * (conv.weight->shape[1] + machine_of(spec.target).vector);
  }

  static std::vector<CostedSchedule> costed(const KernelSpec& spec) {
    const Nest nest = conv_view(spec).nest;
    const WinogradImage image{divide_up(nest.x, Outputs), Outputs * Outputs, input_bytes(nest)};
    return winograd_schedules(products_nest(nest, Outputs), image,
                              machine_of(spec.target, spec.weights), spec.threads);
  }

  static std::vector<std::string> schedules(const KernelSpec& spec) {
    return steps_of(costed(spec));
  }
  static CostedSchedule best_guess(const KernelSpec& spec) { return costed(spec).front(); }

  static std::vector<PackedConstant> pack(const KernelSpec& spec, const Op& op) {
    const Result<WinogradSchedule> schedule = schedule_of(spec);
    EMULSION_CHECK(schedule.ok());  // completed specs only
    return pack_winograd(std::get<Conv>(op), *schedule, Outputs);
  }

  static Status check_schedule(const KernelSpec& spec) {
    TRY_OK(schedule_of(spec));
    return ok();
  }

  // Tiles that hang over the image's end are guarded.
  static bool writes_once(const KernelSpec&) { return true; }

  static Result<LoweredKernel> lower(const KernelSpec& spec) {
    TRY(const WinogradSchedule schedule, schedule_of(spec));
    return lower_winograd(spec, schedule, Outputs);
  }

  static AlgorithmRow row(const char* name, const char* sentence, double error_bound,
                          double half_error) {
    return {{name, sentence, applies, best_guess, schedules, pack, error_bound, half_error},
            lower,
            check_schedule,
            writes_once};
  }
};

}  // namespace

AlgorithmRow winograd2_row() {
  return Winograd<2>::row("winograd2", "3x3: F(2x2, 3x3), 16 products for 36, 25 with stride 2",
                          1e-5, 4e-3);
}

AlgorithmRow winograd4_row() {
  return Winograd<4>::row("winograd4", "3x3, stride 1: F(4x4, 3x3), 36 products for 144", 1e-4,
                          1e-2);
}

AlgorithmRow winograd6_row() {
  return Winograd<6>::row("winograd6", "3x3, stride 1: F(6x6, 3x3), 64 products for 324", 1e-3,
                          4e-2);
}

}  // namespace emulsion
