// Convs of r x r taps by Winograd's minimal filtering F(m x m, r x r): a tile of m x m outputs
// needs (m + r - 1)^2 products a pair of channels instead of (m r)^2, with stride 2
// (2 m + r - 2)^2. In either case it is as many as the tile has inputs.
//
//   V[p][tile][ci] = B^T d B          of each tile's inputs
//   M[p][tile][co] = sum_ci U[p][ci][co] V[p][tile][ci]      one matrix product for each place p
//   out            = A^T M A, then bias, residual, activation
#include <algorithm>
#include <functional>

#include "base/divide.h"
#include "lower/buffers.h"
#include "lower/conv_products.h"
#include "lower/products_pack.h"
#include "lower/target.h"
#include "lower/winograd.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace {

// sum_k coefficients[k] value(k), over the k of one parity, counted in strides (or all: -1).
Expr weighted_sum(const std::vector<double>& coefficients, int stride, int parity,
                  const std::function<Expr(int)>& value) {
  Expr sum;
  for (int k = 0; k < static_cast<int>(coefficients.size()); ++k) {
    const auto coefficient = static_cast<float>(coefficients[k]);
    if (coefficient == 0 || (parity >= 0 && k / stride % 2 != parity)) continue;
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
      const Expr even = weighted_sum(t.input[p], t.stride, 0, value),
                 odd = weighted_sum(t.input[p], t.stride, 1, value);
      add(p + 1, even - odd);
      add(p, even + odd);
    } else {
      add(p, weighted_sum(t.input[p], t.stride, -1, value));
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

ProductsFuncs build_winograd_funcs(const Conv& conv, const ConvView& view,
                                   const ProductsSchedule& s, const WinogradTransforms& t,
                                   const std::vector<PackedConstant>& packed) {
  const Nest& nest = view.nest;
  const int outputs = t.outputs, side = t.products(), columns = narrow(s.columns);
  const bool grouped = nest.groups > 1;
  const ProductsBuilder build(grouped);
  const ProductsVars& v = build.vars;
  const Expr group = build.group();

  ProductsFuncs funcs;
  ConvParameters parameters(view, packed);
  const ConvConstants constants(conv, parameters);

  // The input at place (i, j) of a tile. Tiles that hang over the image's end read its last rim.
  const Expr row = v.tile / columns, column = v.tile % columns;
  const TensorDescriptor& image = view.inputs[0];
  const auto coordinate = [&](const Expr& tile, const Expr& place, int64_t tiles, int pad,
                              int64_t extent, int rim) {
    const Expr position = tile * (outputs * t.stride) + place - pad;
    const auto last = narrow(extent) - 1 + rim;
    const int64_t furthest = (tiles - 1) * outputs * t.stride + side - 1 - pad;
    return furthest > last ? min(position, last) : position;
  };
  const auto input = [&](const Func* f, const Expr& i, const Expr& j) {
    const Expr c = grouped ? v.g * narrow(nest.ci) + v.c : Expr(v.c);
    const Expr x = coordinate(column, i, s.columns, conv.pad[1], image.shape[3], image.rim[3]);
    const Expr y = coordinate(row, j, s.bands * s.rows, conv.pad[0], image.shape[2], image.rim[2]);
    return f ? (*f)(c, x, y, v.n) : parameters.inputs[0](c, x, y, v.n);
  };
  if (!conv.prologue.empty()) {
    const Func prologue = build_prologue(conv, view, parameters);
    funcs.taps = Func("taps");
    build.define(funcs.taps, {v.i, v.j}, input(&prologue, v.i, v.j));
  }
  funcs.input_rows = Func("input_rows");
  build.define(funcs.input_rows, {v.i, v.j}, input_transform(t, v.j, [&](int j) {
                 return funcs.taps.defined() ? build.at(funcs.taps, v.c, v.tile, {v.i, j})
                                             : input(nullptr, v.i, j);
               }));
  funcs.input = Func("transformed");
  build.define(funcs.input, {v.place}, input_transform(t, v.place % side, [&](int i) {
                 return build.at(funcs.input_rows, v.c, v.tile, {i, v.place / side});
               }));
  build.multiply(funcs, s, constants.weight());

  funcs.output_rows = Func("output_rows");
  build.define(funcs.output_rows, {v.i, v.j}, output_transform(t, v.i, [&](int i) {
                 return build.at(funcs.sums.out, v.c, v.tile, {v.j * side + i});
               }));
  const Expr tile = v.y / outputs * columns + v.x / outputs;
  Expr result = output_transform(t, v.y % outputs, [&](int j) {
    return build.at(funcs.output_rows, v.c, tile, {v.x % outputs, j});
  });
  result += constants.bias(v.c, group);
  if (conv.epilogue.residual)
    result +=
        parameters.inputs[1](grouped ? v.g * narrow(nest.co) + v.c : Expr(v.c), v.x, v.y, v.n);
  funcs.out = Func("out");
  const std::vector<Var> arguments =
      grouped ? std::vector<Var>{v.c, v.g, v.x, v.y, v.n} : std::vector<Var>{v.c, v.x, v.y, v.n};
  funcs.out(arguments) = constants.activated(result, v.c, group);
  bind_output(funcs.out, conv_output_layout(view));
  funcs.arguments = parameters.arguments();
  return funcs;
}

// More of them err too much.
constexpr int64_t k_most_points = 8;

template <int Outputs>
struct Winograd {
  static bool applies(const KernelSpec& spec, std::string* reason) {
    const auto& conv = std::get<Conv>(spec.op);
    const Shape& weight = conv.weight->shape;
    // Others are slower than 2x2 or 4x4 outputs.
    constexpr bool any = Outputs == 4, strides = any || Outputs == 2;
    const int64_t taps = weight[2], phase_taps = divide_up(taps, int64_t{conv.stride[0]});
    if (weight[2] != weight[3] || taps < 3 || taps > (any ? 7 : 3))
      *reason =
          fmt::format("the kernel is {}x{}, not 3x3{}", weight[2], weight[3], any ? " to 7x7" : "");
    else if (conv.stride != Extent2{1, 1} && (!strides || conv.stride != Extent2{2, 2}))
      *reason = fmt::format("the stride is {}x{}, not 1x1{}", conv.stride[0], conv.stride[1],
                            strides ? " or 2x2" : "");
    else if (const int64_t points = Outputs + phase_taps - 1; points > k_most_points)
      *reason = fmt::format("{} outputs of {} taps need {} points ({} at most)", Outputs,
                            phase_taps, points, k_most_points);
    else if (conv.dilation != Extent2{1, 1})
      *reason = fmt::format("the dilation is {}x{}, not 1x1", conv.dilation[0], conv.dilation[1]);
    else
      return true;
    return false;
  }

  static bool pays_on_zen4_alone(const KernelSpec& spec) {
    const auto& conv = std::get<Conv>(spec.op);
    const bool smallest = Outputs == 2 && conv.weight->shape[2] == 3;
    return Outputs == 5 || (conv.stride[0] != 1 && !smallest);
  }

  static Nest nest(const KernelSpec& spec) { return conv_view(spec).nest; }

  static ProductsShape shape(const KernelSpec& spec) {
    const Nest conv = nest(spec);
    const int64_t side = WinogradTransforms{Outputs, narrow(conv.kx), conv.stride[0]}.products();
    return {.places = side * side,
            .columns = divide_up(conv.x, Outputs),
            .rows = divide_up(conv.y, Outputs),
            .ci = conv.ci,
            .co = conv.co,
            .inputs = side * side,
            .outputs = Outputs * Outputs};
  }

  static std::vector<PackedConstant> pack(const Conv& conv, const ProductsSchedule& schedule) {
    const int taps = narrow(conv.weight->shape[2]);
    const WinogradTransforms t = winograd_transforms(Outputs, taps, conv.stride[0]);
    const Nest& nest = schedule.products.nest;
    return pack_products(
        conv, schedule, 1, [&](int64_t g, int64_t c, int64_t i, std::vector<double>& places) {
          transform_taps(t, &conv.weight->data[((g * nest.co + c) * nest.ci + i) * taps * taps],
                         places);
        });
  }

  static Result<LoweredKernel> lower(const KernelSpec& spec, const ProductsSchedule& schedule) {
    const auto& conv = std::get<Conv>(spec.op);
    const Halide::Target target = halide_target(spec.target);
    ProductsFuncs funcs = build_winograd_funcs(
        conv, conv_view(spec), schedule,
        winograd_transforms(Outputs, narrow(conv.weight->shape[2]), conv.stride[0]),
        pack(conv, schedule));
    schedule_products(funcs, schedule, {Outputs, Outputs}, target);
    return LoweredKernel{funcs.arguments, funcs.out, target};
  }
};

}  // namespace

AlgorithmRow winograd2_row() {
  return ProductsConv<Winograd<2>>::row(
      "winograd2", "3x3: F(2x2, 3x3), 16 products for 36, 25 with stride 2", 1e-5, 4e-3);
}

AlgorithmRow winograd4_row() {
  return ProductsConv<Winograd<4>>::row(
      "winograd4",
      "3x3 to 7x7: F(4x4, 3x3), 36 products for 144, 81 with stride 2; F(4x4, 5x5), 64 for 400; "
      "F(4x4, 7x7), 169 for 784 with stride 2",
      1e-4, 2e-2);
}

AlgorithmRow winograd5_row() {
  return ProductsConv<Winograd<5>>::row(
      "winograd5", "3x3, stride 1: F(5x5, 3x3), 49 products for 225", 1e-4, 3e-2);
}

AlgorithmRow winograd6_row() {
  return ProductsConv<Winograd<6>>::row(
      "winograd6", "3x3, stride 1: F(6x6, 3x3), 64 products for 324", 1e-3, 4e-2);
}

}  // namespace emulsion
