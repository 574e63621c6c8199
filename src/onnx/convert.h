// The convert functions: each turns one ONNX node into layers or known tensors. Errors say what
// does not fit; the caller puts file, node, operator and opset in front. Private to this folder.
#pragma once

#include "onnx/node.h"

namespace emulsion {

// convert_activation.cpp
Status convert_relu(Node& node);
Status convert_leaky_relu(Node& node);
Status convert_prelu(Node& node);
Status convert_clip_attributes(Node& node);
Status convert_clip_inputs(Node& node);
Status convert_sigmoid(Node& node);
Status convert_hard_sigmoid(Node& node);
Status convert_hard_swish(Node& node);
Status convert_elu(Node& node);
Status convert_softplus(Node& node);
Status convert_mish(Node& node);
Status convert_gelu(Node& node);
Status convert_tanh(Node& node);
Status convert_erf(Node& node);
Status convert_exp(Node& node);
Status convert_log(Node& node);
Status convert_sqrt(Node& node);
Status convert_abs(Node& node);
Status convert_neg(Node& node);
Status convert_reciprocal(Node& node);
Status convert_softmax_flattened(Node& node);
Status convert_softmax(Node& node);

// convert_arithmetic.cpp
Status convert_add(Node& node);
Status convert_sub(Node& node);
Status convert_mul(Node& node);
Status convert_div(Node& node);
Status convert_pow(Node& node);
Status convert_sum(Node& node);
Status convert_reduce_mean_attribute(Node& node);
Status convert_reduce_mean_input(Node& node);
Status convert_reduce_prod_attribute(Node& node);
Status convert_reduce_prod_input(Node& node);
Status convert_floor(Node& node);
Status convert_ceil(Node& node);
Status convert_equal(Node& node);
Status convert_where(Node& node);

// convert_constant.cpp
Status convert_constant(Node& node);
Status convert_constant_of_shape(Node& node);
Status convert_range(Node& node);
Status convert_shape(Node& node);
Status convert_size(Node& node);
Status convert_cast(Node& node);
Status convert_identity(Node& node);
Status convert_dropout(Node& node);

// convert_conv.cpp
Status convert_conv(Node& node);
Status convert_batch_norm(Node& node);

// convert_matrix.cpp
Status convert_gemm(Node& node);
Status convert_matmul(Node& node);

// convert_normalize.cpp
Status convert_layer_norm(Node& node);
Status convert_instance_norm(Node& node);
Status convert_group_norm(Node& node);

// convert_pool.cpp
Status convert_max_pool(Node& node);
Status convert_average_pool(Node& node);
Status convert_global_max_pool(Node& node);
Status convert_global_average_pool(Node& node);

// convert_resize.cpp
Status convert_upsample_attribute(Node& node);
Status convert_upsample_input(Node& node);
Status convert_resize_10(Node& node);
Status convert_resize(Node& node);

// convert_shape.cpp
Status convert_reshape(Node& node);
Status convert_flatten(Node& node);
Status convert_squeeze_attribute(Node& node);
Status convert_squeeze_input(Node& node);
Status convert_unsqueeze_attribute(Node& node);
Status convert_unsqueeze_input(Node& node);
Status convert_transpose(Node& node);
Status convert_expand(Node& node);

// convert_slice.cpp
Status convert_concat(Node& node);
Status convert_split_attribute(Node& node);
Status convert_split_input(Node& node);
Status convert_slice_attributes(Node& node);
Status convert_slice_inputs(Node& node);
Status convert_gather(Node& node);
Status convert_pad_attributes(Node& node);
Status convert_pad_inputs(Node& node);

}  // namespace emulsion
