// The functions behind the table of training rules, one file a kind of op; only that table and
// those files include this.
#pragma once

#include "legality/training_rules.h"

namespace emulsion {

#define EMULSION_DECLARE_TRAINING_OP(name) \
  template <class T>                       \
  Status name##_forward(LayerPass<T>&);    \
  template <class T>                       \
  Status name##_backward(LayerPass<T>&);

EMULSION_DECLARE_TRAINING_OP(conv)
EMULSION_DECLARE_TRAINING_OP(dense)
EMULSION_DECLARE_TRAINING_OP(batch_norm)
EMULSION_DECLARE_TRAINING_OP(affine)
EMULSION_DECLARE_TRAINING_OP(normalize)
EMULSION_DECLARE_TRAINING_OP(activation)
EMULSION_DECLARE_TRAINING_OP(binary)
EMULSION_DECLARE_TRAINING_OP(literal)
EMULSION_DECLARE_TRAINING_OP(concat)
EMULSION_DECLARE_TRAINING_OP(slice)
EMULSION_DECLARE_TRAINING_OP(pad)
EMULSION_DECLARE_TRAINING_OP(pool)
EMULSION_DECLARE_TRAINING_OP(mean)
EMULSION_DECLARE_TRAINING_OP(reshape)
EMULSION_DECLARE_TRAINING_OP(transpose)
EMULSION_DECLARE_TRAINING_OP(resize)

#undef EMULSION_DECLARE_TRAINING_OP

// At the end of the file that defines them.
#define EMULSION_TRAINING_OP(name)                    \
  template Status name##_forward(LayerPass<float>&);  \
  template Status name##_forward(LayerPass<double>&); \
  template Status name##_backward(LayerPass<float>&); \
  template Status name##_backward(LayerPass<double>&);

// What backward reads of these.
Kept activation_keeps(const Op& op);
Kept binary_keeps(const Op& op);

// Makes the output array of the inferred shape.
template <class T>
void prepare_output(LayerPass<T>& pass) {
  std::vector<Shape> shapes;
  for (const Array<T>* input : pass.inputs) shapes.push_back(input->shape);
  auto shape = infer_shape(pass.op, shapes);
  EMULSION_CHECK(shape.ok());
  *pass.output = Array<T>(std::move(shape).value());
}

// The same, or the first input's own array where nothing else needs it any more. Returns where the
// input's elements are now.
template <class T>
const Array<T>& take_or_prepare_output(LayerPass<T>& pass) {
  if (!pass.spare[0]) {
    prepare_output(pass);
    return *pass.inputs[0];
  }
  pass.output->shape = pass.spare[0]->shape;
  pass.output->data = std::move(pass.spare[0]->data);
  return *pass.output;
}

}  // namespace emulsion
