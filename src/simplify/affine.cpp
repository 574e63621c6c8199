// Passes that make affines out of batch norms and of arithmetic with literals, and merge them.
#include <cmath>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// The literal (a constant of one element, or of one for each channel of x) as [C], or null if it
// varies otherwise.
Constant per_channel(const Constant& literal, const Shape& x) {
  const Shape& shape = literal->shape;
  if (x.size() < 2 || shape.size() > x.size()) return nullptr;
  const size_t lead = x.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && (lead + i != 1 || shape[i] != x[1])) return nullptr;
  }
  const bool one = element_count(shape) == 1;
  return derived_constant({x[1]}, {literal}, [&](int64_t c) { return literal->data[one ? 0 : c]; });
}

// The affine that a binary with a literal operand is, or none.
std::optional<Affine> as_affine(const Binary& binary, const Constant& literal, bool literal_first) {
  double sign = 1;
  Constant scale, shift;
  const Shape shape = literal->shape;
  const auto filled = [&](double value) {
    return derived_constant(shape, {literal}, [=](int64_t) { return value; });
  };
  switch (binary.kind) {
    case Binary::Kind::add:
      scale = filled(1);
      shift = literal;
      break;
    case Binary::Kind::sub:
      sign = literal_first ? 1 : -1;
      scale = filled(-sign);
      shift =
          derived_constant(shape, {literal}, [&](int64_t i) { return sign * literal->data[i]; });
      break;
    case Binary::Kind::mul:
      scale = literal;
      shift = filled(0);
      break;
    case Binary::Kind::div:
      if (literal_first) return std::nullopt;
      scale = derived_constant(shape, {literal}, [&](int64_t i) { return 1.0 / literal->data[i]; });
      shift = filled(0);
      break;
    case Binary::Kind::pow:
      return std::nullopt;
  }
  if (!scale || !shift) return std::nullopt;
  return Affine{scale, shift, binary.activation};
}

}  // namespace

// batch_norm  =>  affine   with scale' = scale / sqrt(variance + epsilon), shift' = shift - mean
// scale'
Network batch_norms_to_affine(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const BatchNorm* norm = edit.op<BatchNorm>(i);
    if (!norm) continue;
    const std::vector<Constant> sources{norm->scale, norm->shift, norm->mean, norm->variance};
    const auto scale_of = [&](int64_t c) {
      return norm->scale->data[c] / std::sqrt(double{norm->variance->data[c]} + norm->epsilon);
    };
    Constant scale = derived_constant(norm->scale->shape, sources, scale_of);
    Constant shift = derived_constant(norm->scale->shape, sources, [&](int64_t c) {
      return norm->shift->data[c] - norm->mean->data[c] * scale_of(c);
    });
    if (scale && shift) edit.layer(i).op = Affine{scale, shift, std::nullopt};
  }
  return edit.finish();
}

// x (+ - * /) literal  =>  affine(x)   where the literal is a scalar or per channel
Network literals_to_affine(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Binary* binary = edit.op<Binary>(i);
    if (!binary) continue;
    Layer& layer = edit.layer(i);
    for (const int side : {1, 0}) {
      const Literal* literal = edit.made_by<Literal>(layer.inputs[side]);
      const ValueId x = layer.inputs[1 - side];
      if (!literal || edit.shape(x) != edit.shape(layer.output)) continue;
      const Constant channels = per_channel(literal->value, edit.shape(x));
      if (!channels) continue;
      const std::optional<Affine> affine = as_affine(*binary, channels, side == 0);
      if (!affine) continue;
      layer.op = *affine;
      layer.inputs = {x};
      edit.refresh();
      break;
    }
  }
  return edit.finish();
}

// affine(affine(x))  =>  affine(x)   unless there is an activation between, or the inner is read
// elsewhere
Network merge_affines(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Affine* outer = edit.op<Affine>(i);
    if (!outer) continue;
    const ValueId between = edit.layer(i).inputs[0];
    Affine* inner = edit.made_by<Affine>(between);
    if (!inner || inner->activation || !edit.only_reader(between, i)) continue;
    const std::vector<Constant> sources{inner->scale, inner->shift, outer->scale, outer->shift};
    Constant scale = derived_constant(inner->scale->shape, sources, [&](int64_t c) {
      return double{outer->scale->data[c]} * inner->scale->data[c];
    });
    Constant shift = derived_constant(inner->scale->shape, sources, [&](int64_t c) {
      return double{outer->scale->data[c]} * inner->shift->data[c] + outer->shift->data[c];
    });
    if (!scale || !shift) continue;
    *inner = {scale, shift, outer->activation};
    edit.absorb(edit.producer(between), i);
  }
  return edit.finish();
}

}  // namespace emulsion
