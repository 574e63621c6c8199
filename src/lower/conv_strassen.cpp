// 1x1 convs, which are matrix products of pixels and weights, by Strassen's algorithm, one level of
// it: 7 products of half as many channels for 8. In the form with the fewest additions; Winograd,
// "On multiplication of 2x2 matrices", 1971. Pairs of pixels are the rows of A, halves of the input
// channels its columns; halves of the output channels are the columns of C.
//
//   A = pixels x ci, B = ci x co          P1 = A11 B11    C11 = P1 + P2
//   S1 = A21 + A22    T1 = B12 - B11      P2 = A12 B21    U2  = P1 + P6
//   S2 = S1  - A11    T2 = B22 - T1       P3 = S4  B22    C12 = U2 + P5 + P3
//   S3 = A11 - A21    T3 = B22 - B12      P4 = A22 T4     C21 = U2 + P7 - P4
//   S4 = A12 - S2     T4 = T2  - B21      P5 = S1  T1     C22 = U2 + P7 + P5
//                                         P6 = S2  T2
//                                         P7 = S3  T3
#include <functional>

#include "base/divide.h"
#include "lower/buffers.h"
#include "lower/conv_products.h"
#include "lower/products_pack.h"
#include "lower/target.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::select;

namespace {

constexpr int k_products = 7;

// Of a pair's pixels and of halves of channels.
using Halves = std::function<Expr(int pixel, int half)>;

// A sum of the pair's inputs that place p multiplies.
Expr transformed_input(const Expr& p, const Halves& a) {
  const Expr s1 = a(1, 0) + a(1, 1), s2 = s1 - a(0, 0);
  return select(p == 0, a(0, 0), p == 1, a(0, 1), p == 2, a(0, 1) - s2, p == 3, a(1, 1), p == 4, s1,
                p == 5, s2, a(0, 0) - a(1, 0));
}

// Its output for a pixel and half, from product(1), ... product(7).
Expr transformed_output(const Expr& pixel, const Expr& half,
                        const std::function<Expr(int)>& product) {
  const Expr u2 = product(1) + product(6), u3 = u2 + product(7);
  return select(pixel == 0,
                select(half == 0, product(1) + product(2), u2 + product(5) + product(3)),
                select(half == 0, u3 - product(4), u3 + product(5)));
}

ProductsShape shape_of(const Nest& nest) {
  return {k_products, divide_up(nest.x, 2), nest.y, nest.ci / 2, nest.co / 2, 4, 4};
}

// Pixels are paired within a row, or, where rows are odd, anywhere if what is transformed at a time
// may be so much.
ConvView view_of(const KernelSpec& spec) {
  ConvView rows = conv_view(spec);
  if (rows.nest.x % 2 == 0 || std::get<Conv>(spec.op).stride != Extent2{1, 1}) return rows;
  ConvView flattened = flattened_view(spec);
  const bool fits = scratch_of_a_row(shape_of(flattened.nest), machine_of(spec.target).vector) <=
                    k_most_products_scratch;
  return fits ? flattened : rows;
}

ProductsFuncs build_strassen_funcs(const Conv& conv, const ConvView& view,
                                   const ProductsSchedule& s,
                                   const std::vector<PackedConstant>& packed) {
  const int half_in = narrow(s.products.nest.ci), half_out = narrow(s.products.nest.co);
  const int columns = narrow(s.columns);
  const ProductsBuilder build(false);
  const ProductsVars& v = build.vars;

  ProductsFuncs funcs;
  ConvParameters parameters(view, packed);
  const ConvConstants constants(conv, parameters);
  Func prologue;
  if (!conv.prologue.empty()) prologue = build_prologue(conv, view, parameters);

  // Pairs that hang over the image's end have its last pixel or row again.
  const auto within = [](const Expr& position, int64_t positions, int64_t extent) {
    return positions > extent ? min(position, narrow(extent) - 1) : position;
  };
  const Nest& nest = view.nest;
  const Expr column = within(v.tile % columns * 2 + v.i, 2 * columns, nest.x);
  const Expr row = within(v.tile / columns, s.bands * s.rows, nest.y);
  const Expr x = column * conv.stride[1], y = row * conv.stride[0], c = v.j * half_in + v.c;
  funcs.taps = Func("taps");
  build.define(funcs.taps, {v.i, v.j},
               prologue.defined() ? prologue(c, x, y, v.n) : parameters.inputs[0](c, x, y, v.n));
  funcs.input = Func("transformed");
  build.define(funcs.input, {v.place}, transformed_input(v.place, [&](int pixel, int half) {
                 return build.at(funcs.taps, v.c, v.tile, {pixel, half});
               }));
  build.multiply(funcs, s, constants.weight());

  const Expr tile = v.y * columns + v.x / 2;
  Expr result = transformed_output(v.x % 2, v.part, [&](int product) {
    return build.at(funcs.sums.out, v.c, tile, {product - 1});
  });
  result += constants.bias(v.c, v.part);
  if (conv.epilogue.residual)
    result += parameters.inputs[1](v.part * half_out + v.c, v.x, v.y, v.n);
  funcs.out = Func("out");
  funcs.out(v.c, v.part, v.x, v.y, v.n) = constants.activated(result, v.c, v.part);
  // Halves of the channels are a dimension of the output, as groups are.
  BufferLayout layout = output_layout(view.output);
  layout.dimensions[0].extent = half_out;
  layout.dimensions.insert(layout.dimensions.begin() + 1, BufferDimension{0, 2, half_out});
  bind_output(funcs.out, layout);
  funcs.arguments = parameters.arguments();
  return funcs;
}

struct Strassen {
  static bool applies(const KernelSpec& spec, std::string* reason) {
    const auto& conv = std::get<Conv>(spec.op);
    const Shape& weight = conv.weight->shape;
    if (weight[2] != 1 || weight[3] != 1)
      *reason = fmt::format("the kernel is {}x{}, not 1x1", weight[2], weight[3]);
    else if (conv.groups != 1)
      *reason = fmt::format("it has {} groups", conv.groups);
    else if (conv.pad != Pad4{0, 0, 0, 0})
      *reason = "it has padding";
    else if (weight[0] % 2 != 0 || weight[1] % 2 != 0)
      *reason = fmt::format("{} -> {} channels are not both even", weight[1], weight[0]);
    else
      return true;
    return false;
  }

  static bool pays_on_zen4_alone(const KernelSpec&) { return true; }

  static Nest nest(const KernelSpec& spec) { return view_of(spec).nest; }

  static ProductsShape shape(const KernelSpec& spec) { return shape_of(nest(spec)); }

  static std::vector<PackedConstant> pack(const Conv& conv, const ProductsSchedule& schedule) {
    const int64_t ci = schedule.products.nest.ci, co = schedule.products.nest.co;
    const auto weights = [&](int64_t, int64_t c, int64_t i, std::vector<double>& places) {
      const auto b = [&](int64_t in, int64_t out) {
        return double{conv.weight->data[(out * co + c) * 2 * ci + in * ci + i]};
      };
      const double t1 = b(0, 1) - b(0, 0), t2 = b(1, 1) - t1;
      places = {b(0, 0), b(1, 0), b(1, 1), t2 - b(1, 0), t1, t2, b(1, 1) - b(0, 1)};
    };
    return pack_products(conv, schedule, 2, weights);
  }

  static Result<LoweredKernel> lower(const KernelSpec& spec, const ProductsSchedule& schedule) {
    const auto& conv = std::get<Conv>(spec.op);
    const Halide::Target target = halide_target(spec.target);
    ProductsFuncs funcs = build_strassen_funcs(conv, view_of(spec), schedule, pack(conv, schedule));
    schedule_products(funcs, schedule, {1, 2, true}, target);
    return LoweredKernel{funcs.arguments, funcs.out, target};
  }
};

}  // namespace

AlgorithmRow strassen_row() {
  return ProductsConv<Strassen>::row(
      "strassen", "1x1: 7 products of half as many channels for 8, by Strassen and Winograd", 5e-5,
      8e-3);
}

}  // namespace emulsion
