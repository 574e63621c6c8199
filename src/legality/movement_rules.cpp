// Ops that only move data in a training pass: each is a strided view of its input, and its gradient
// the copy the other way.
#include "legality/training_ops.h"

namespace emulsion {

namespace {

// Calls part(input, offset of its first element in the output).
template <class T, class F>
void for_each_concatenated(const LayerPass<T>& pass, const Shape& output, F part) {
  const int axis = std::get<Concat>(pass.op).axis;
  int64_t at = 0;
  for (size_t i = 0; i < pass.inputs.size(); ++i) {
    part(i, at * array_strides(output)[axis]);
    at += pass.inputs[i]->shape[axis];
  }
}

}  // namespace

template <class T>
Status concat_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const std::vector<int64_t> strides = array_strides(pass.output->shape);
  for_each_concatenated(pass, pass.output->shape, [&](size_t i, int64_t offset) {
    const Array<T>& x = *pass.inputs[i];
    copy_strided(x.shape, pass.output->data.data() + offset, strides, x.data.data(),
                 array_strides(x.shape));
  });
  return ok();
}

template <class T>
Status concat_backward(LayerPass<T>& pass) {
  const Array<T>& g = *pass.gradient;
  const std::vector<int64_t> strides = array_strides(g.shape);
  for_each_concatenated(pass, g.shape, [&](size_t i, int64_t offset) {
    if (!pass.wanted[i]) return;
    pass.gradients[i] = Array<T>(pass.inputs[i]->shape);
    copy_strided(pass.gradients[i].shape, pass.gradients[i].data.data(),
                 array_strides(pass.gradients[i].shape), g.data.data() + offset, strides);
  });
  return ok();
}

namespace {

struct View {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

View slice_view(const Slice& slice, const Shape& input) {
  View view{0, array_strides(input)};
  for (size_t d = 0; d < input.size(); ++d) {
    view.offset += slice.starts[d] * view.strides[d];
    view.strides[d] *= slice.steps[d];
  }
  return view;
}

}  // namespace

template <class T>
Status slice_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const View view = slice_view(std::get<Slice>(pass.op), x.shape);
  const Shape& shape = pass.output->shape;
  copy_strided(shape, pass.output->data.data(), array_strides(shape), x.data.data() + view.offset,
               view.strides);
  return ok();
}

template <class T>
Status slice_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const View view = slice_view(std::get<Slice>(pass.op), input);
  const Array<T>& g = *pass.gradient;
  pass.gradients[0] = Array<T>(input, T(0));
  copy_strided(g.shape, pass.gradients[0].data.data() + view.offset, view.strides, g.data.data(),
               array_strides(g.shape));
  return ok();
}

namespace {

// The part of a padded tensor that comes from the input.
struct Overlap {
  Shape extents;
  int64_t input_offset = 0, output_offset = 0;
};

Overlap pad_overlap(const Pad& pad, const Shape& input, const Shape& output) {
  Overlap overlap;
  const std::vector<int64_t> in = array_strides(input), out = array_strides(output);
  for (size_t d = 0; d < input.size(); ++d) {
    const int64_t first = std::max<int64_t>(0, -pad.before[d]);
    const int64_t last = std::min(input[d], output[d] - pad.before[d]);
    overlap.extents.push_back(std::max<int64_t>(0, last - first));
    overlap.input_offset += first * in[d];
    overlap.output_offset += (first + pad.before[d]) * out[d];
  }
  return overlap;
}

}  // namespace

template <class T>
Status pad_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Pad& pad = std::get<Pad>(pass.op);
  if (pad.mode != Pad::Mode::constant) {
    return error("scoring goes through Pad in constant mode only");
  }
  const Array<T>& x = *pass.inputs[0];
  Array<T>& y = *pass.output;
  std::fill(y.data.begin(), y.data.end(), static_cast<T>(pad.value));
  const Overlap o = pad_overlap(pad, x.shape, y.shape);
  copy_strided(o.extents, y.data.data() + o.output_offset, array_strides(y.shape),
               x.data.data() + o.input_offset, array_strides(x.shape));
  return ok();
}

template <class T>
Status pad_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const Array<T>& g = *pass.gradient;
  const Overlap o = pad_overlap(std::get<Pad>(pass.op), input, g.shape);
  pass.gradients[0] = Array<T>(input, T(0));
  copy_strided(o.extents, pass.gradients[0].data.data() + o.input_offset, array_strides(input),
               g.data.data() + o.output_offset, array_strides(g.shape));
  return ok();
}

namespace {

// The same elements in row-major order under another shape.
template <class T>
Array<T> reshaped(const Array<T>& from, const Shape& shape) {
  Array<T> result(shape);
  if (from.shape.size() != 4 && shape.size() != 4) {
    result.data = from.data;
    return result;
  }
  std::vector<T> row_major(from.data.size());
  copy_strided(from.shape, row_major.data(), onnx_order_strides(from.shape), from.data.data(),
               array_strides(from.shape));
  copy_strided(shape, result.data.data(), array_strides(shape), row_major.data(),
               onnx_order_strides(shape));
  return result;
}

}  // namespace

template <class T>
Status reshape_forward(LayerPass<T>& pass) {
  *pass.output = reshaped(*pass.inputs[0], std::get<Reshape>(pass.op).shape);
  return ok();
}

template <class T>
Status reshape_backward(LayerPass<T>& pass) {
  pass.gradients[0] = reshaped(*pass.gradient, pass.inputs[0]->shape);
  return ok();
}

namespace {

std::vector<int64_t> permuted_strides(const Transpose& transpose, const Shape& input) {
  const std::vector<int64_t> strides = array_strides(input);
  std::vector<int64_t> result;
  for (const int d : transpose.permutation) result.push_back(strides[d]);
  return result;
}

}  // namespace

template <class T>
Status transpose_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const Shape& shape = pass.output->shape;
  copy_strided(shape, pass.output->data.data(), array_strides(shape), x.data.data(),
               permuted_strides(std::get<Transpose>(pass.op), x.shape));
  return ok();
}

template <class T>
Status transpose_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const Array<T>& g = *pass.gradient;
  pass.gradients[0] = Array<T>(input);
  copy_strided(g.shape, pass.gradients[0].data.data(),
               permuted_strides(std::get<Transpose>(pass.op), input), g.data.data(),
               array_strides(g.shape));
  return ok();
}

namespace {

template <class F>
void for_each_resized(const Resize& resize, const Shape& x, F copy) {
  const int64_t rows = resize.rows.size(), columns = resize.columns.size(), c = x[1];
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t i = 0; i < columns; ++i) {
        copy(((n * x[2] + resize.rows[y]) * x[3] + resize.columns[i]) * c,
             ((n * rows + y) * columns + i) * c);
      }
}

}  // namespace

template <class T>
Status resize_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const int64_t c = x.shape[1];
  for_each_resized(std::get<Resize>(pass.op), x.shape, [&](int64_t in, int64_t out) {
    std::copy(&x.data[in], &x.data[in] + c, &pass.output->data[out]);
  });
  return ok();
}

template <class T>
Status resize_backward(LayerPass<T>& pass) {
  const Shape& shape = pass.inputs[0]->shape;
  Array<T> result(shape, T(0));
  for_each_resized(std::get<Resize>(pass.op), shape, [&](int64_t in, int64_t out) {
    for (int64_t i = 0; i < shape[1]; ++i) result.data[in + i] += pass.gradient->data[out + i];
  });
  pass.gradients[0] = std::move(result);
  return ok();
}

EMULSION_TRAINING_OP(concat)
EMULSION_TRAINING_OP(slice)
EMULSION_TRAINING_OP(pad)
EMULSION_TRAINING_OP(reshape)
EMULSION_TRAINING_OP(transpose)
EMULSION_TRAINING_OP(resize)

}  // namespace emulsion
