// Dense: y = x W^T + bias on the last axis. The product of a row of x and a matrix that is used
// once per row is bound by reading the matrix, so the matrix is packed in the order of its reading:
// (m within a tile, k, tile), the last tile filled up with zeros.
#include <numeric>

#include "base/divide.h"
#include "lower/activation.h"
#include "lower/op_funcs.h"
#include "lower/target.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

namespace {

struct Tile {
  int width;    // outputs in a tile: one or more vectors
  int count;    // tiles
  int partial;  // partial sums of an output, each over every partial-th k
  int rows;     // of x, computed together, each weight read once for all
};

// Of the tile widths that keep enough sums in flight to hide the latency of a multiply-add, the one
// that fills the last tile best; few outputs get partial sums instead.
Tile tile_of(int64_t outputs, int64_t depth, const TensorDescriptor& x, int lanes) {
  const int64_t vectors = divide_up(outputs, lanes);
  int64_t best = 1, least = vectors + 8;
  for (const int64_t in_tile : {4, 5, 3, 6, 2, 1}) {
    if (in_tile > vectors) continue;
    const int64_t padded = round_up(vectors, in_tile);
    if (padded < least) {
      best = in_tile;
      least = padded;
    }
  }
  Tile tile{};
  tile.rows = 1;
  for (int rows = 2; rows <= 4 && x.shape.size() > 1; ++rows)
    if (x.shape[x.shape.size() - 2] % rows == 0) tile.rows = rows;
  tile.width = static_cast<int>(best) * lanes;
  tile.count = static_cast<int>(divide_up(outputs, tile.width));
  tile.partial = 1;
  if (best * tile.rows < 4) tile.partial = std::gcd(static_cast<int>(depth), 4);
  return tile;
}

Tile tile_of(const KernelSpec& spec) {
  const auto& op = std::get<Dense>(spec.op);
  return tile_of(op.weight->shape[0], op.weight->shape[1], spec.inputs[0],
                 vector_width(spec.target));
}

Func build_dense(const OpBuilder& b) {
  const auto& op = std::get<Dense>(b.spec.op);
  const Tile tile = tile_of(b.spec);
  const auto depth = static_cast<int>(op.weight->shape[1]);
  const Vars vars = axis_vars(b.output().shape.size());
  const Indices index = as_indices(vars);
  const Var m = vars.back();

  // sum(m within a tile, partial sum, row..., tile)
  const Var inner("inner"), part("part"), tile_index("tile");
  Func sum("sum"), out("out");
  Indices sum_index = {inner, part};
  sum_index.insert(sum_index.end(), index.begin(), index.end() - 1);
  sum_index.push_back(tile_index);
  const RDom k(0, depth / tile.partial);
  const Expr deep = k.x * tile.partial + part;
  Indices x_index = index;
  x_index.back() = deep;
  sum(sum_index) = 0.0f;
  sum(sum_index) +=
      Halide::cast<float>(b.constants[0](inner, deep, tile_index)) * at(b.inputs[0], x_index);

  Expr value;
  for (int p = 0; p < tile.partial; ++p) {
    Indices at_part = sum_index;
    at_part.front() = m % tile.width;
    at_part[1] = p;
    at_part.back() = m / tile.width;
    value = value.defined() ? value + sum(at_part) : Expr(sum(at_part));
  }
  if (op.bias) value += b.constants[1](m);
  at_out(out, index) = activate(op.activation, value, slope_at(b, op.activation, index));

  const Shape& shape = b.output().shape;
  std::vector<Halide::VarOrRVar> loops;
  std::vector<LoopAxis> outer;
  const Var tile_loop("tile_loop"), in_tile("in_tile"), row("row"), rows("rows");
  for (size_t i = 0; i < vars.size(); ++i) out.bound(vars[i], 0, static_cast<int>(shape[i]));
  out.split(m, tile_loop, in_tile, tile.width, TailStrategy::GuardWithIf);
  loops.push_back(in_tile);
  if (tile.rows > 1) {
    out.split(vars[vars.size() - 2], rows, row, tile.rows);
    loops.push_back(row);
    loops.push_back(rows);
  }
  for (size_t i = vars.size() - 1; i-- > 0;) {
    if (tile.rows == 1 || i + 2 != vars.size()) loops.push_back(vars[i]);
  }
  // One tile of weights serves all rows before the next is read.
  loops.push_back(tile_loop);
  out.reorder(loops);
  out.vectorize(in_tile, b.lanes);
  const double operations = static_cast<double>(element_count(shape)) * depth;
  Halide::Stage stage = out;
  schedule_parallel(stage, {{tile_loop, tile.count, 1}}, operations);

  sum.compute_at(out, tile.rows > 1 ? rows : vars.size() > 1 ? vars[vars.size() - 2] : tile_loop);
  sum.bound_extent(inner, tile.width).bound_extent(part, tile.partial);
  for (Halide::Stage s : {Halide::Stage(sum), Halide::Stage(sum.update())}) {
    s.vectorize(inner, b.lanes).unroll(inner).unroll(part);
    if (tile.rows > 1) s.unroll(vars[vars.size() - 2]);
  }
  std::vector<Halide::VarOrRVar> update_loops = {inner, part};
  for (size_t i = vars.size() - 1; i-- > 0;) update_loops.push_back(vars[i]);
  update_loops.insert(update_loops.begin() + 2 + (tile.rows > 1 ? 1 : 0), k.x);
  sum.update().reorder(update_loops);
  return out;
}

std::vector<PackedConstant> pack_dense(const KernelSpec& spec, const Op& op_in) {
  const auto& op = std::get<Dense>(op_in);
  const Tile tile = tile_of(spec);
  const int64_t outputs = op.weight->shape[0], depth = op.weight->shape[1];
  PackedConstant weights{{tile.width, static_cast<int>(depth), tile.count}, {}};
  if (!op.weight->abstract()) {
    weights.data.resize(static_cast<size_t>(tile.width) * depth * tile.count);
    for (int64_t m = 0; m < outputs; ++m) {
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t place = ((m / tile.width) * depth + k) * tile.width + m % tile.width;
        weights.data[place] = op.weight->data[m * depth + k];
      }
    }
  }
  std::vector<PackedConstant> packed = {std::move(weights)};
  append_packed(packed, op.bias);
  append_packed(packed, slope_of(op.activation));
  return packed;
}

}  // namespace

AlgorithmRow dense_row() {
  AlgorithmRow row;
  row.algorithm.name = "dense";
  row.algorithm.sentence = "rows times a matrix packed in tiles of outputs";
  row.algorithm.applies = takes<Dense>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_dense;
  row.algorithm.error_bound = 1e-5;
  row.algorithm.half_error = 2e-3;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_dense); };
  return row;
}

}  // namespace emulsion
