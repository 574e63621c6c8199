#include "lower/conv_products.h"

#include <map>

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

std::vector<Expr> ProductsBuilder::arguments(const Expr& c, const Expr& tile,
                                             const std::vector<Expr>& others) const {
  std::vector<Expr> result{c};
  if (grouped_) result.emplace_back(vars.g);
  result.push_back(tile);
  result.emplace_back(vars.n);
  result.insert(result.end(), others.begin(), others.end());
  return result;
}

void ProductsBuilder::define(Func& f, const std::vector<Var>& others, const Expr& value) const {
  std::vector<Var> result;
  for (const Expr& e : arguments(vars.c, vars.tile, {others.begin(), others.end()}))
    result.emplace_back(e.as<Halide::Internal::Variable>()->name);
  f(result) = value;
}

Expr ProductsBuilder::at(const Func& f, const Expr& c, const Expr& tile,
                         const std::vector<Expr>& others) const {
  return f(arguments(c, tile, others));
}

void ProductsBuilder::multiply(ProductsFuncs& funcs, const ProductsSchedule& s,
                               const Halide::ImageParam& weight) const {
  const int tile = narrow(s.products.tile("co")), channels = narrow(s.channels);
  const Var &c = vars.c, &place = vars.place;
  const RDom r(0, narrow(s.products.nest.ci), "r");
  Func& sums = funcs.sums.conv = Func("sums");
  Func& products = funcs.sums.out = Func("products");
  define(sums, {place}, 0.0f);
  sums(arguments(c, vars.tile, {place})) +=
      Halide::cast<float>(
          weight(c % tile, r, c / tile % (channels / tile), place, c / channels, group())) *
      at(funcs.input, r, vars.tile, {place});
  define(products, {place}, at(sums, c, vars.tile, {place}));
  funcs.sums.out_vars = {{"co", c}, {"x", vars.tile}, {"y", place}, {"n", vars.n}};
  if (grouped_) funcs.sums.out_vars.emplace("g", vars.g);
  funcs.sums.conv_vars = funcs.sums.out_vars;
  funcs.sums.reduction_vars = {{"ci", r.x}};
}

namespace {

int64_t vector_lanes(const ConvSchedule& products) {
  for (const Loop& loop : products.inner)
    if (loop.kind == Loop::Kind::vectorized) return loop.extent;
  return 1;
}

}  // namespace

void schedule_products(ProductsFuncs& funcs, const ProductsSchedule& s, const OutputTile& tile,
                       const Halide::Target& target) {
  const ProductsVars v;
  const Nest& nest = s.products.nest;
  const int places = narrow(nest.y);
  const int lanes = narrow(vector_lanes(s.products));
  // The output: its loops outside, in the order of the blocks, then the tiles of a block, its
  // channels, and the outputs of a tile.
  const Var tx("tx"), ty("ty"), xi("xi"), yi("yi"), tyo("tyo"), co("co"), ci("ci"),
      vector("vector"), lane("lane");
  const TailStrategy guard = TailStrategy::GuardWithIf;
  Func& out = funcs.out;
  out.split(v.x, tx, xi, tile.columns, guard).split(v.y, ty, yi, tile.rows, guard);
  std::map<std::string, Var> block_vars{{"n", v.n}};
  if (nest.groups > 1) block_vars.emplace("g", v.g);
  if (s.bands > 1) {
    out.split(ty, tyo, ty, narrow(s.rows), guard);
    block_vars.emplace("x", tyo);
  }
  Var channel = v.c;
  if (s.channels < nest.co) {
    out.split(v.c, co, ci, narrow(s.channels), guard);
    block_vars.emplace("co", co);
    channel = ci;
  }
  out.split(channel, vector, lane, lanes, guard).vectorize(lane);
  std::vector<Halide::VarOrRVar> order{lane};
  if (tile.parts) order.emplace_back(v.part);
  for (const Var& var : {xi, yi, vector, tx, ty}) order.emplace_back(var);
  for (auto loop = s.blocks.rbegin(); loop != s.blocks.rend(); ++loop)
    if (const auto var = block_vars.find(loop->iterator); var != block_vars.end())
      order.emplace_back(var->second);
  out.reorder(order).unroll(xi).unroll(yi);
  if (tile.parts) out.unroll(v.part);

  // Where each part is computed.
  Var input_level = v.n, products_level = v.n;
  for (const Loop& loop : s.blocks) {
    const auto var = block_vars.find(loop.iterator);
    if (var == block_vars.end()) continue;
    const bool parallel = loop.kind == Loop::Kind::parallel;
    if (parallel) out.parallel(var->second);
    products_level = var->second;
    if (loop.iterator != "co" || parallel) input_level = var->second;
  }

  const int tiles = narrow(s.columns * s.rows);
  const int input_lanes = products_input_lanes(nest.ci, target.natural_vector_size<float>());
  funcs.input.compute_at(out, input_level)
      .store_in(Halide::MemoryType::Register)
      .bound(v.place, 0, places)
      .bound_extent(v.tile, tiles)
      .bound_extent(v.c, narrow(nest.ci))
      .split(v.c, vector, lane, input_lanes, TailStrategy::ShiftInwards)
      .reorder(lane, v.place, vector, v.tile)
      .vectorize(lane)
      .unroll(v.place);
  for (Func* f : {&funcs.taps, &funcs.input_rows}) {
    if (!f->defined()) continue;
    f->compute_at(funcs.input, vector)
        .vectorize(v.c, input_lanes, TailStrategy::RoundUp)
        .unroll(v.i)
        .unroll(v.j);
  }

  funcs.sums.out.compute_at(out, products_level)
      .store_in(Halide::MemoryType::Register)
      .bound(v.place, 0, places)
      .bound_extent(v.tile, tiles)
      .bound_extent(v.c, narrow(s.channels));
  schedule_conv(funcs.sums, s.products, target);
  if (!funcs.output_rows.defined()) return;
  funcs.output_rows.compute_at(out, vector)
      .bound_extent(v.c, lanes)
      .vectorize(v.c, lanes, TailStrategy::RoundUp)
      .unroll(v.i)
      .unroll(v.j);
}

}  // namespace emulsion
