// Passes that put affines and biases into weights.
#include <algorithm>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// weight and bias of an op whose output (dimension 0 of weight) is scaled and shifted. False: not
// finite.
bool scale_outputs(Constant& weight, Constant& bias, const Affine& affine) {
  const Shape& shape = weight->shape;
  const int64_t taps = element_count(shape) / shape[0];
  Constant new_weight = derived_constant(shape, {weight, affine.scale}, [&](int64_t i) {
    return double{weight->data[i]} * affine.scale->data[i / taps];
  });
  Constant new_bias =
      derived_constant({shape[0]}, {bias, affine.scale, affine.shift}, [&](int64_t co) {
        return element(bias, co) * affine.scale->data[co] + affine.shift->data[co];
      });
  if (!new_weight || !new_bias) return false;
  weight = std::move(new_weight);
  bias = std::move(new_bias);
  return true;
}

// A conv that computes from x what `conv` computes from affine(x). It must not pad. False: not
// finite.
bool scale_inputs(Conv& conv, const Affine& affine) {
  const Shape& shape = conv.weight->shape;
  const int64_t taps = shape[2] * shape[3];
  const int64_t co_per_group = shape[0] / conv.groups;
  const auto channel = [&](int64_t i) {  // the input channel that weight element i works on
    const int64_t co = i / (shape[1] * taps);
    return co / co_per_group * shape[1] + i / taps % shape[1];
  };
  const std::vector<Constant> sources{conv.weight, conv.bias, affine.scale, affine.shift};
  Constant weight = derived_constant(shape, sources, [&](int64_t i) {
    return double{conv.weight->data[i]} * affine.scale->data[channel(i)];
  });
  Constant bias = derived_constant({shape[0]}, sources, [&](int64_t co) {
    double sum = element(conv.bias, co);
    for (int64_t i = co * shape[1] * taps; i < (co + 1) * shape[1] * taps; ++i) {
      sum += double{conv.weight->data[i]} * affine.shift->data[channel(i)];
    }
    return sum;
  });
  if (!weight || !bias) return false;
  conv.weight = std::move(weight);
  conv.bias = std::move(bias);
  return true;
}

// A literal that adds one number to each element of a row, as [M]; or null.
Constant row_bias(const Constant& literal, const Shape& x) {
  const Shape& shape = literal->shape;
  const int64_t m = x.back();
  const int64_t count = element_count(shape);
  if (shape.size() > x.size() || (count != 1 && (count != m || shape.back() != m))) return nullptr;
  return derived_constant({m}, {literal},
                          [&](int64_t i) { return literal->data[count == 1 ? 0 : i]; });
}

}  // namespace

// dense(x) + literal  =>  dense(x) with a bias   where the literal varies along the last dimension
// only
Network fold_dense_bias(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Binary* add = edit.op<Binary>(i);
    if (!add || add->kind != Binary::Kind::add) continue;
    for (const int side : {1, 0}) {
      const ValueId x = edit.layer(i).inputs[1 - side];
      const Literal* literal = edit.made_by<Literal>(edit.layer(i).inputs[side]);
      Dense* dense = edit.made_by<Dense>(x);
      if (!literal || !dense || dense->activation || !edit.only_reader(x, i)) continue;
      const Constant added = row_bias(literal->value, edit.shape(x));
      if (!added) continue;
      Constant bias = derived_constant(added->shape, {dense->bias, added}, [&](int64_t co) {
        return element(dense->bias, co) + added->data[co];
      });
      if (!bias) continue;
      dense->bias = std::move(bias);
      dense->activation = add->activation;
      edit.absorb(edit.producer(x), i);
      break;
    }
  }
  return edit.finish();
}

// affine(conv(x))  =>  conv(x) with other weights; the affine's activation becomes the conv's.
// Dense likewise.
Network fold_affines_back(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Affine* affine = edit.op<Affine>(i);
    if (!affine) continue;
    const ValueId between = edit.layer(i).inputs[0];
    if (!edit.only_reader(between, i)) continue;
    if (Conv* conv = edit.made_by<Conv>(between)) {
      if (!conv->epilogue.empty() || !scale_outputs(conv->weight, conv->bias, *affine)) continue;
      conv->epilogue.activation = affine->activation;
    } else if (Dense* dense = edit.made_by<Dense>(between)) {
      if (edit.shape(between).size() != 2 || dense->activation ||
          !scale_outputs(dense->weight, dense->bias, *affine)) {
        continue;
      }
      dense->activation = affine->activation;
    } else {
      continue;
    }
    edit.absorb(edit.producer(between), i);
  }
  return edit.finish();
}

// conv(affine(x))  =>  conv(x) with other weights   where the affine has no activation and no conv
// pads
Network fold_affines_forward(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Affine* affine = edit.op<Affine>(i);
    if (!affine || affine->activation) continue;
    const ValueId x = edit.layer(i).inputs[0], between = edit.layer(i).output;
    std::vector<Conv> folded;
    for (const int reader : edit.readers(between)) {
      const Conv* conv = edit.op<Conv>(reader);
      const std::vector<ValueId>& inputs = edit.layer(reader).inputs;
      if (!conv || !conv->prologue.empty() || conv->pad != Pad4{0, 0, 0, 0} ||
          std::count(inputs.begin(), inputs.end(), between) != 1 || inputs[0] != between) {
        break;
      }
      folded.push_back(*conv);
      if (!scale_inputs(folded.back(), *affine)) break;
    }
    const std::vector<int> readers = edit.readers(between);
    if (edit.is_output(between) || readers.empty() || folded.size() != readers.size()) continue;
    for (size_t k = 0; k < readers.size(); ++k) {
      edit.layer(readers[k]).op = std::move(folded[k]);
      edit.layer(readers[k]).inputs[0] = x;
    }
    edit.refresh();
  }
  return edit.finish();
}

}  // namespace emulsion
