#include <algorithm>
#include <limits>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// The padding of rows and columns that a Pad layer does, if it does nothing else.
std::optional<Pad4> image_padding(const Pad& pad) {
  if (pad.mode != Pad::Mode::constant || pad.before.size() != 4) return std::nullopt;
  for (int i = 0; i < 4; ++i) {
    const bool of_image = i >= 2;
    const int64_t most = of_image ? std::numeric_limits<int>::max() / 4 : 0;
    for (const int64_t amount : {pad.before[i], pad.after[i]}) {
      if (amount < 0 || amount > most) return std::nullopt;
    }
  }
  return Pad4{static_cast<int>(pad.before[2]), static_cast<int>(pad.before[3]),
              static_cast<int>(pad.after[2]), static_cast<int>(pad.after[3])};
}

Pad4 sum(const Pad4& a, const Pad4& b) {
  return {a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]};
}

bool never_negative(const Activation& a) {
  switch (a.kind) {
    case Activation::Kind::relu:
    case Activation::Kind::sigmoid:
    case Activation::Kind::hard_sigmoid:
      return true;
    case Activation::Kind::clip:
      return a.alpha >= 0 && a.beta >= 0;
    default:
      return false;
  }
}

// Whether a value is the output of an activation that is never negative.
bool never_negative(NetworkEdit& edit, ValueId id) {
  const auto check = [](const std::optional<Activation>& a) { return a && never_negative(*a); };
  if (const auto* o = edit.made_by<Activation>(id)) return never_negative(*o);
  if (const auto* o = edit.made_by<Conv>(id)) return check(o->epilogue.activation);
  if (const auto* o = edit.made_by<Affine>(id)) return check(o->activation);
  if (const auto* o = edit.made_by<Binary>(id)) return check(o->activation);
  return false;
}

// Puts the padding into the op if that computes the same.
bool take_padding(Op& op, const Pad4& padding, float value, bool input_never_negative) {
  if (auto* conv = std::get_if<Conv>(&op)) {
    // The prologue works before the conv's padding, but after the Pad layer.
    if (value != 0 || !conv->prologue.empty()) return false;
    conv->pad = sum(conv->pad, padding);
    return true;
  }
  auto* pool = std::get_if<Pool>(&op);
  if (!pool) return false;
  Pool padded = *pool;
  padded.pad = sum(pool->pad, padding);
  if (pool->kind == Pool::Kind::max) {
    // A pool's own padding never wins; the layer's does not either if it is at most every element.
    const bool lowest = value <= std::numeric_limits<float>::lowest();
    if (!lowest && !(value == 0 && input_never_negative)) return false;
  } else {
    // The layer's padding counts as taps. With padding of its own that does not count, no pool does
    // both.
    if (value != 0 || !(pool->count_include_pad || pool->pad == Pad4{0, 0, 0, 0})) return false;
    padded.count_include_pad = true;
  }
  *pool = padded;
  return true;
}

}  // namespace

// conv(pad(x))  =>  conv(x), padded by itself; pools likewise, where exact
Network fold_pads(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    Layer& layer = edit.layer(i);
    if (layer.inputs.empty()) continue;
    const Pad* pad = edit.made_by<Pad>(layer.inputs[0]);
    const std::optional<Pad4> padding = pad ? image_padding(*pad) : std::nullopt;
    if (!padding) continue;
    const ValueId source = edit.layer(edit.producer(layer.inputs[0])).inputs[0];
    Op op = layer.op;
    if (!take_padding(op, *padding, pad->value, never_negative(edit, source))) continue;
    // A max pool can have windows that lie wholly in the padding; those keep the Pad layer.
    std::vector<Shape> shapes;
    for (const ValueId id : layer.inputs) shapes.push_back(edit.shape(id));
    shapes[0] = edit.shape(source);
    if (!infer_shape(op, shapes).ok()) continue;
    layer.op = std::move(op);
    layer.inputs[0] = source;
    edit.refresh();
  }
  return edit.finish();
}

}  // namespace emulsion
