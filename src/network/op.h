// What a layer computes: a closed std::variant with one struct an op. All shapes and axes are in
// ONNX order (N C H W for images), axes are non-negative, every default is explicit. Element type
// is float32.
//
// The importer reduces ONNX's many operators to these; a second input that is a constant stays in
// the op.
#pragma once

#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "network/tensor.h"

namespace emulsion {

// Rows and columns.
using Extent2 = std::array<int, 2>;
// Top, left, bottom, right.
using Pad4 = std::array<int, 4>;

// y = f(x), elementwise.
struct Activation {
  enum class Kind {
    relu,          // max(x, 0)
    leaky_relu,    // x >= 0 ? x : alpha x
    prelu,         // x >= 0 ? x : slope x, slope broadcast against x
    clip,          // min(max(x, alpha), beta)
    sigmoid,       // 1 / (1 + exp(-x))
    hard_sigmoid,  // max(0, min(1, alpha x + beta))
    hard_swish,    // x max(0, min(1, x / 6 + 1/2))
    silu,          // x sigmoid(x)
    gelu,          // x (1 + erf(x / sqrt(2))) / 2
    gelu_tanh,     // x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    mish,          // x tanh(softplus(x))
    elu,           // x >= 0 ? x : alpha (exp(x) - 1)
    softplus,      // log(1 + exp(x))
    tanh,
    erf,
    exp,
    log,
    sqrt,
    abs,
    power,  // x^alpha; NaN where x < 0 and alpha is no integer
  };
  Kind kind = Kind::relu;
  float alpha = 0.0f;
  float beta = 0.0f;
  Constant slope;  // prelu only: [C] (per channel) or one element
};

// What happens to a conv's input before the conv: x -> activation(scale[ci] x + shift[ci]).
// Padding is applied after the prologue (padded taps are zero).
struct Prologue {
  Constant scale;  // [Ci], or null for none (then shift is null too)
  Constant shift;  // [Ci]
  std::optional<Activation> activation;

  bool empty() const { return !scale && !activation; }
};

// What happens to a conv's sum: y -> activation(y + bias[co] + residual). Bias is the op's own.
struct Epilogue {
  bool residual =
      false;  // the layer's inputs[1], of the output's shape, is added before the activation
  std::optional<Activation> activation;

  bool empty() const { return !residual && !activation; }
};

// Inputs: x [N Ci H W], then the residual if the epilogue has one. Weight [Co Ci/groups Ky Kx],
// bias [Co] or null.
struct Conv {
  Extent2 stride{1, 1};
  Extent2 dilation{1, 1};
  Pad4 pad{0, 0, 0, 0};
  int groups = 1;
  Constant weight;
  Constant bias;
  Prologue prologue;
  Epilogue epilogue;
};

// y = x W^T + bias on the last dimension: x [..., K], weight [M K], bias [M] or null. (Gemm,
// MatMul.)
struct Dense {
  Constant weight;
  Constant bias;
  std::optional<Activation> activation;
};

// y = scale (x - mean) / sqrt(variance + epsilon) + shift per channel (dimension 1), statistics
// given.
struct BatchNorm {
  Constant scale, shift, mean, variance;  // [C] each
  float epsilon = 1e-5f;
};

// y = activation(scale[c] x + shift[c]) per channel (dimension 1): a batch norm that no conv takes
// in.
struct Affine {
  Constant scale, shift;  // [C]
  std::optional<Activation> activation;
};

// y = (x - mean) / sqrt(variance + epsilon), mean and variance (of all elements, not an estimate)
// over axes. Layer, instance and group norms are this and an affine.
struct Normalize {
  std::vector<int> axes;  // sorted, at least one
  float epsilon = 1e-5f;
};

// Two inputs, NumPy broadcasting, then an optional activation. pow(x, y) is x^y, NaN where x < 0
// and y is no integer.
struct Binary {
  enum class Kind { add, sub, mul, div, pow };
  Kind kind = Kind::add;
  std::optional<Activation> activation;
};

// No inputs: a tensor of the network's own.
struct Literal {
  Constant value;
};

struct Concat {
  int axis = 1;
};

// y = x[starts : starts + steps * extent : steps] in every dimension; one entry a dimension.
struct Slice {
  std::vector<int64_t> starts;
  std::vector<int64_t> steps;  // may be negative, never 0
  Shape shape;                 // of the result
};

// Pads (or, where negative, crops) every dimension; one entry a dimension.
struct Pad {
  enum class Mode { constant, reflect, edge };
  Mode mode = Mode::constant;
  std::vector<int64_t> before, after;
  float value = 0.0f;
};

// Two-dimensional pooling of N C H W. The output size is explicit, so that ceil_mode needs no flag
// here. Windows are clipped to the image; average divides by the taps inside the image, or with
// count_include_pad by those inside the image and its padding (never by taps beyond the padding).
struct Pool {
  enum class Kind { max, average };
  Kind kind = Kind::max;
  Extent2 kernel{1, 1};
  Extent2 stride{1, 1};
  Extent2 dilation{1, 1};
  Pad4 pad{0, 0, 0, 0};
  bool count_include_pad = false;
  Extent2 out{1, 1};  // output rows and columns
};

// Outputs along a dimension of windows that cover `covered` elements each, or 0 where none fits.
// With ceil_mode a last window may reach beyond the padding behind, but not start beyond the image
// and the padding in front (as in ONNX and PyTorch).
int64_t window_outputs(int64_t extent, int64_t before, int64_t after, int64_t covered,
                       int64_t stride, bool ceil_mode);

// Mean over axes. (GlobalAveragePool is axes 2 and 3, kept.)
struct ReduceMean {
  std::vector<int> axes;  // sorted
  bool keep = true;
};

// The same elements in row-major order under another shape. (Flatten, Squeeze, Unsqueeze, Reshape.)
struct Reshape {
  Shape shape;
};

// y's dimension i is x's dimension permutation[i].
struct Transpose {
  std::vector<int> permutation;
};

struct Softmax {
  int axis = 1;
};

// Nearest-neighbour resize of N C H W by rows and columns: y[h] = x[rows[h]], y[w] = x[columns[w]].
// The index tables absorb ONNX's coordinate and rounding modes.
struct Resize {
  std::vector<int> rows, columns;
};

// Convs one after the other, each reading nothing but the one before (the first one the layer's
// first input), so that a kernel need not store what lies between them. The last one may have a
// residual, the layer's inputs[1]. Only compilation makes these.
struct ConvChain {
  Extent2 image{1, 1};  // rows and columns of the input
  std::vector<Conv> convs;
};

// The same tensor in another memory layout. Only compilation makes these, at the network's edges.
struct Copy {};

using Op = std::variant<Conv, Dense, BatchNorm, Affine, Activation, Normalize, Binary, Literal,
                        Concat, Slice, Pad, Pool, ReduceMean, Reshape, Transpose, Softmax, Resize,
                        ConvChain, Copy>;

// "conv", "dense", ...: the op's name in text forms and messages.
const char* op_name(const Op& op);
const char* activation_name(Activation::Kind kind);

// The shape of the output, or why these inputs do not fit the op.
Result<Shape> infer_shape(const Op& op, const std::vector<Shape>& inputs);

// Shapes of what each conv of a chain makes, in order, or why a conv does not fit its input.
Result<std::vector<Shape>> chain_shapes(const ConvChain& chain, const Shape& input);

// Nominal multiply-adds: padding taps counted, elementwise work not.
int64_t multiplies(const Op& op, const Shape& output);
// Elements of all constants.
int64_t parameters(const Op& op);

// Every Constant of an op in a fixed order (null ones included), for printing, packing and
// replacing.
std::vector<Constant*> constants(Op& op);
std::vector<Constant> constants(const Op& op);

// The op's text form, constants by shape only: "conv stride=1x1 pad=1,1,1,1 groups=1
// weight=[64x64x3x3] ...". parse_op(to_text(op)) equals op with its constants made abstract, and
// prints the same text.
std::string to_text(const Op& op);
Result<Op> parse_op(const std::string& text);

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

}  // namespace emulsion
