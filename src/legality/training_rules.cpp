#include "legality/training_rules.h"

#include <cstring>

#include "legality/training_ops.h"

namespace emulsion {
namespace {

Kept keep_nothing(const Op&) {
  return {};
}
Kept keep_output(const Op&) {
  return {.output = true};
}
Kept keep_inputs(const Op&) {
  return {.inputs = true};
}

}  // namespace

template <class T>
const TrainingRule<T>* training_rule(const Op& op) {
  static constexpr TrainingRule<T> k_rules[] = {
      {"conv", keep_nothing, conv_forward<T>, conv_backward<T>},
      {"dense", keep_nothing, dense_forward<T>, dense_backward<T>},
      {"batch_norm", keep_inputs, batch_norm_forward<T>, batch_norm_backward<T>},
      {"affine", keep_nothing, affine_forward<T>, affine_backward<T>},
      {"normalize", keep_output, normalize_forward<T>, normalize_backward<T>},
      {"activation", activation_keeps, activation_forward<T>, activation_backward<T>},
      {"binary", binary_keeps, binary_forward<T>, binary_backward<T>},
      {"literal", keep_nothing, literal_forward<T>, literal_backward<T>},
      {"concat", keep_nothing, concat_forward<T>, concat_backward<T>},
      {"slice", keep_nothing, slice_forward<T>, slice_backward<T>},
      {"pad", keep_nothing, pad_forward<T>, pad_backward<T>},
      {"pool", keep_nothing, pool_forward<T>, pool_backward<T>},
      {"reduce_mean", keep_nothing, mean_forward<T>, mean_backward<T>},
      {"reshape", keep_nothing, reshape_forward<T>, reshape_backward<T>},
      {"transpose", keep_nothing, transpose_forward<T>, transpose_backward<T>},
      {"resize", keep_nothing, resize_forward<T>, resize_backward<T>},
  };
  for (const TrainingRule<T>& rule : k_rules) {
    if (std::strcmp(rule.op, op_name(op)) == 0) return &rule;
  }
  return nullptr;
}

template const TrainingRule<float>* training_rule(const Op&);
template const TrainingRule<double>* training_rule(const Op&);

}  // namespace emulsion
