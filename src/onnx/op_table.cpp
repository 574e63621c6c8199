#include "onnx/op_table.h"

#include <algorithm>

#include "onnx/convert.h"

namespace emulsion {

// clang-format off
const std::vector<OpRow>& op_table() {
  static const std::vector<OpRow> table = {
    // Convolutions and matrix products.
    {"Conv", 7, 22, convert_conv, "auto_pad dilations group kernel_shape pads strides",
     "2-D, with constant weight and bias"},
    {"BatchNormalization", 7, 22, convert_batch_norm, "epsilon momentum spatial training_mode",
     "inference form, constant statistics"},
    {"InstanceNormalization", 7, 22, convert_instance_norm, "epsilon", "any image dimensions"},
    {"LayerNormalization", 17, 22, convert_layer_norm, "axis epsilon stash_type",
     "statistics in float32"},
    {"GroupNormalization", 18, 22, convert_group_norm, "epsilon num_groups stash_type",
     "scale and bias a group (before opset 21) or a channel"},
    {"Gemm", 7, 22, convert_gemm, "alpha beta transA transB", "second operand constant"},
    {"MatMul", 7, 22, convert_matmul, "", "second operand a constant matrix or vector"},

    // Activations.
    {"Relu", 7, 22, convert_relu, "", "max(x, 0)"},
    {"LeakyRelu", 7, 22, convert_leaky_relu, "alpha", "x >= 0 ? x : alpha x"},
    {"PRelu", 7, 22, convert_prelu, "", "slope of any shape that broadcasts to x"},
    {"Clip", 7, 10, convert_clip_attributes, "min max", "bounds as attributes"},
    {"Clip", 11, 22, convert_clip_inputs, "", "bounds as constant inputs"},
    {"Sigmoid", 7, 22, convert_sigmoid, "", "1 / (1 + exp(-x))"},
    {"HardSigmoid", 7, 22, convert_hard_sigmoid, "alpha beta", "max(0, min(1, alpha x + beta))"},
    {"HardSwish", 14, 22, convert_hard_swish, "", "x HardSigmoid(x) with alpha 1/6"},
    {"Elu", 7, 22, convert_elu, "alpha", "x >= 0 ? x : alpha (exp(x) - 1)"},
    {"Softplus", 7, 22, convert_softplus, "", "log(1 + exp(x))"},
    {"Mish", 18, 22, convert_mish, "", "x tanh(softplus(x))"},
    {"Gelu", 20, 22, convert_gelu, "approximate", "by erf or by tanh"},
    {"Tanh", 7, 22, convert_tanh, "", "elementwise"},
    {"Erf", 9, 22, convert_erf, "", "elementwise"},
    {"Exp", 7, 22, convert_exp, "", "elementwise"},
    {"Log", 7, 22, convert_log, "", "elementwise"},
    {"Sqrt", 7, 22, convert_sqrt, "", "elementwise"},
    {"Abs", 7, 22, convert_abs, "", "elementwise"},
    {"Neg", 7, 22, convert_neg, "", "elementwise"},
    {"Reciprocal", 7, 22, convert_reciprocal, "", "elementwise"},
    {"Softmax", 7, 12, convert_softmax_flattened, "axis", "over all dimensions from axis on"},
    {"Softmax", 13, 22, convert_softmax, "axis", "over one axis"},

    // Arithmetic, with broadcasting.
    {"Add", 7, 22, convert_add, "", "values, constants, or integers of shape arithmetic"},
    {"Sub", 7, 22, convert_sub, "", "values, constants, or integers of shape arithmetic"},
    {"Mul", 7, 22, convert_mul, "", "values, constants, or integers of shape arithmetic"},
    {"Div", 7, 22, convert_div, "", "values, constants, or integers of shape arithmetic"},
    {"Pow", 7, 22, convert_pow, "", "values and constants"},
    {"Sum", 7, 22, convert_sum, "", "any number of operands, as a chain of additions"},
    {"ReduceMean", 7, 17, convert_reduce_mean_attribute, "axes keepdims", "axes as an attribute"},
    {"ReduceMean", 18, 22, convert_reduce_mean_input, "keepdims noop_with_empty_axes",
     "axes as a constant input"},

    // Pooling and resampling.
    {"MaxPool", 7, 22, convert_max_pool,
     "auto_pad ceil_mode dilations kernel_shape pads storage_order strides",
     "2-D, without the Indices output"},
    {"AveragePool", 7, 22, convert_average_pool,
     "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides", "2-D"},
    {"GlobalMaxPool", 7, 22, convert_global_max_pool, "", "2-D"},
    {"GlobalAveragePool", 7, 22, convert_global_average_pool, "", "any number of image dimensions"},
    {"Upsample", 7, 8, convert_upsample_attribute, "mode scales", "nearest, rows and columns"},
    {"Upsample", 9, 9, convert_upsample_input, "mode", "nearest, rows and columns"},
    {"Resize", 10, 10, convert_resize_10, "mode", "nearest, rows and columns"},
    {"Resize", 11, 22, convert_resize,
     "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside"
     " extrapolation_value keep_aspect_ratio_policy mode nearest_mode", "nearest, rows and columns"},

    // The same elements elsewhere.
    {"Reshape", 7, 22, convert_reshape, "allowzero", "target shape from constants and shapes"},
    {"Flatten", 7, 22, convert_flatten, "axis", "to a matrix"},
    {"Squeeze", 7, 12, convert_squeeze_attribute, "axes", "axes as an attribute"},
    {"Squeeze", 13, 22, convert_squeeze_input, "", "axes as a constant input"},
    {"Unsqueeze", 7, 12, convert_unsqueeze_attribute, "axes", "axes as an attribute"},
    {"Unsqueeze", 13, 22, convert_unsqueeze_input, "", "axes as a constant input"},
    {"Transpose", 7, 22, convert_transpose, "perm", "any permutation"},
    {"Expand", 8, 22, convert_expand, "", "constants; values only to their own shape"},
    {"Concat", 7, 22, convert_concat, "axis", "values, constants, or integers of shape arithmetic"},
    {"Split", 7, 12, convert_split_attribute, "axis split", "sizes as an attribute"},
    {"Split", 13, 22, convert_split_input, "axis num_outputs", "sizes as a constant input"},
    {"Slice", 7, 9, convert_slice_attributes, "axes ends starts", "bounds as attributes"},
    {"Slice", 10, 22, convert_slice_inputs, "", "bounds as constant inputs"},
    {"Gather", 7, 22, convert_gather, "axis",
     "constant indices; as slices of a value"},
    {"Pad", 7, 10, convert_pad_attributes, "mode pads value",
     "constant, reflect, edge; pads as an attribute"},
    {"Pad", 11, 22, convert_pad_inputs, "mode",
     "constant, reflect, edge; pads as a constant input"},

    // What vanishes, and shape arithmetic.
    {"Identity", 7, 22, convert_identity, "", "vanishes"},
    {"Dropout", 7, 22, convert_dropout, "ratio seed", "inference form: vanishes"},
    {"Constant", 7, 22, convert_constant, "value value_float value_floats value_int value_ints",
     "dense numbers"},
    {"ConstantOfShape", 9, 22, convert_constant_of_shape, "value",
     "shape from constants and shapes"},
    {"Range", 11, 22, convert_range, "", "bounds from constants and shapes"},
    {"Shape", 7, 22, convert_shape, "start end", "folded: all shapes are fixed"},
    {"Size", 7, 22, convert_size, "", "folded: all shapes are fixed"},
    {"Cast", 7, 22, convert_cast, "to saturate", "constants; values only from float32 to float32"},
    {"Floor", 7, 22, convert_floor, "", "constants"},
    {"Ceil", 7, 22, convert_ceil, "", "constants"},
    {"Equal", 7, 22, convert_equal, "", "constants"},
    {"Where", 9, 22, convert_where, "", "constants"},
    {"ReduceProd", 7, 17, convert_reduce_prod_attribute, "axes keepdims", "constants"},
    {"ReduceProd", 18, 22, convert_reduce_prod_input, "keepdims noop_with_empty_axes", "constants"},
  };
  return table;
}
// clang-format on

namespace {

// Levenshtein's distance.
int edit_distance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

const char* nearest_op(const std::string& name) {
  const std::string start = name.substr(0, 64);
  const auto& table = op_table();
  return std::min_element(table.begin(), table.end(),
                          [&](const OpRow& a, const OpRow& b) {
                            return edit_distance(start, a.name) < edit_distance(start, b.name);
                          })
      ->name;
}

}  // namespace

Result<const OpRow*> find_op(const std::string& name, int opset) {
  const OpRow* other = nullptr;
  for (const OpRow& row : op_table()) {
    if (name != row.name) continue;
    if (row.first <= opset && opset <= row.last) return &row;
    other = &row;
  }
  if (other != nullptr) {
    return error("operator {} is supported at opsets {} to {}, not at {}", name, other->first,
                 other->last, opset);
  }
  return error("operator '{}' is not supported; the nearest supported one is {}",
               name.substr(0, 64), nearest_op(name));
}

}  // namespace emulsion
