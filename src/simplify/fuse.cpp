// Passes that put elementwise layers into the layer before or after them.
#include <algorithm>
#include <cmath>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// Where an activation of this op's result goes, if the op has such a place.
std::optional<Activation>* epilogue_activation(Op& op) {
  if (auto* o = std::get_if<Conv>(&op)) return &o->epilogue.activation;
  if (auto* o = std::get_if<Dense>(&op)) return &o->activation;
  if (auto* o = std::get_if<Affine>(&op)) return &o->activation;
  if (auto* o = std::get_if<Binary>(&op)) return &o->activation;
  return nullptr;
}

// The activation x f(x), if f is one that makes a gate.
std::optional<Activation> gated(const Activation& f) {
  if (f.kind == Activation::Kind::sigmoid) return Activation{.kind = Activation::Kind::silu};
  const bool sixth = std::abs(f.alpha - 1.0f / 6.0f) < 1e-6f && std::abs(f.beta - 0.5f) < 1e-6f;
  if (f.kind == Activation::Kind::hard_sigmoid && sixth) {
    return Activation{.kind = Activation::Kind::hard_swish};
  }
  return std::nullopt;
}

// An activation is computed again for every tile of output channels when it is in a prologue.
bool cheap(const std::optional<Activation>& a) {
  if (!a) return true;
  return a->kind == Activation::Kind::relu || a->kind == Activation::Kind::leaky_relu ||
         a->kind == Activation::Kind::prelu || a->kind == Activation::Kind::clip;
}

// The prologue that a layer could be, or none.
std::optional<Prologue> as_prologue(const Op& op) {
  Prologue prologue;
  if (const auto* affine = std::get_if<Affine>(&op)) {
    prologue = {affine->scale, affine->shift, affine->activation};
  } else if (const auto* activation = std::get_if<Activation>(&op)) {
    prologue.activation = *activation;
  } else {
    return std::nullopt;
  }
  if (!cheap(prologue.activation)) return std::nullopt;
  return prologue;
}

bool takes_prologue(NetworkEdit& edit, int index, ValueId id) {
  const Conv* conv = edit.op<Conv>(index);
  if (!conv || !conv->prologue.empty() || conv->pad != Pad4{0, 0, 0, 0}) return false;
  const std::vector<ValueId>& inputs = edit.layer(index).inputs;
  return conv->weight->shape[2] == 1 && conv->weight->shape[3] == 1 && inputs[0] == id &&
         (inputs.size() == 1 || inputs[1] != id);
}

// The operand (0 or 1) of addition `index` that is made by a conv which can take the other one in,
// or -1.
int fusable_operand(NetworkEdit& edit, int index) {
  const std::vector<ValueId>& inputs = edit.layer(index).inputs;
  if (edit.shape(inputs[0]) != edit.shape(inputs[1])) return -1;
  const int latest = edit.producer(inputs[1]) > edit.producer(inputs[0]) ? 1 : 0;
  for (const int side : {latest, 1 - latest}) {
    const Conv* conv = edit.made_by<Conv>(inputs[side]);
    if (!conv || !conv->epilogue.empty() || !edit.only_reader(inputs[side], index)) continue;
    // The conv must wait for the other operand, but must not fall behind another conv: plans count
    // them.
    bool overtaken = false;
    for (int i = edit.producer(inputs[side]) + 1; i <= edit.producer(inputs[1 - side]); ++i) {
      overtaken |= edit.op<Conv>(i) != nullptr;
    }
    if (!overtaken) return side;
  }
  return -1;
}

}  // namespace

// x * sigmoid(x)  =>  silu(x);   x * hard_sigmoid(x, 1/6, 1/2)  =>  hard_swish(x)
Network recognise_gates(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Binary* mul = edit.op<Binary>(i);
    if (!mul || mul->kind != Binary::Kind::mul || mul->activation) continue;
    Layer& layer = edit.layer(i);
    for (const int side : {0, 1}) {
      const Activation* f = edit.made_by<Activation>(layer.inputs[side]);
      const ValueId x = layer.inputs[1 - side];
      if (!f || edit.layer(edit.producer(layer.inputs[side])).inputs[0] != x) continue;
      const std::optional<Activation> gate = gated(*f);
      if (!gate) continue;
      layer.op = *gate;
      layer.inputs = {x};
      edit.refresh();
      break;
    }
  }
  return edit.finish();
}

// conv(x) + r  =>  conv(x) with residual r
Network fuse_residuals(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Binary* add = edit.op<Binary>(i);
    if (!add || add->kind != Binary::Kind::add) continue;
    const int side = fusable_operand(edit, i);
    if (side < 0) continue;
    const ValueId x = edit.layer(i).inputs[side], residual = edit.layer(i).inputs[1 - side];
    int conv_index = edit.producer(x);
    Conv& conv = *edit.made_by<Conv>(x);
    conv.epilogue = {true, add->activation};
    edit.layer(conv_index).inputs.push_back(residual);
    if (edit.producer(residual) > conv_index) {
      const int after = edit.producer(residual);
      edit.move_layer(conv_index, after);
      conv_index = after;
    }
    edit.absorb(conv_index, i);
  }
  return edit.finish();
}

// activation(op(x))  =>  op(x) with the activation in its epilogue
Network fuse_activations(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Activation* activation = edit.op<Activation>(i);
    if (!activation) continue;
    const ValueId between = edit.layer(i).inputs[0];
    const int producer = edit.producer(between);
    if (producer < 0 || !edit.only_reader(between, i)) continue;
    std::optional<Activation>* place = epilogue_activation(edit.layer(producer).op);
    if (!place || *place) continue;
    *place = *activation;
    edit.absorb(producer, i);
  }
  return edit.finish();
}

// conv1x1(activation(affine(x)))  =>  conv1x1(x) with a prologue   where only such convs read it
Network fuse_prologues(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    if (edit.dead(i)) continue;
    const ValueId between = edit.layer(i).output;
    const std::vector<int> readers = edit.readers(between);
    if (edit.is_output(between) || readers.empty()) continue;
    const std::optional<Prologue> prologue = as_prologue(edit.layer(i).op);
    const bool taken = prologue && std::all_of(readers.begin(), readers.end(), [&](int reader) {
                         return takes_prologue(edit, reader, between);
                       });
    if (!taken) continue;
    for (const int reader : readers) {
      std::get<Conv>(edit.layer(reader).op).prologue = *prologue;
      edit.layer(reader).inputs[0] = edit.layer(i).inputs[0];
    }
    edit.refresh();
  }
  return edit.finish();
}

}  // namespace emulsion
