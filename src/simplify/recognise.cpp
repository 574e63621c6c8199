// Passes that put together what exporters take apart: layer norms, GELUs and hard gates in
// elementary layers. They look for numbers in literals, so weights without values are left as they
// are.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// Exporters write these numbers in float32, some in fewer digits.
bool near(double x, double wanted) {
  return std::abs(x - wanted) <= 1e-4 * std::abs(wanted);
}

// The number that a value always is, or nothing.
std::optional<double> number(NetworkEdit& edit, ValueId id) {
  const Literal* literal = edit.made_by<Literal>(id);
  if (!literal || literal->value->abstract() || element_count(literal->value->shape) != 1) {
    return std::nullopt;
  }
  return literal->value->data[0];
}

template <class T>
const T* maker(NetworkEdit& edit, ValueId id, typename T::Kind kind) {
  const T* op = edit.made_by<T>(id);
  return op && op->kind == kind ? op : nullptr;
}

const std::vector<ValueId>& inputs_of_maker(NetworkEdit& edit, ValueId id) {
  return edit.layer(edit.producer(id)).inputs;
}

// value = factor of + shift, as far as layers that do only that made it, with no activation.
struct Line {
  ValueId of = -1;
  double factor = 1, shift = 0;
};

// One layer that multiplies or divides by a number, undone.
Line without_factor(NetworkEdit& edit, ValueId id) {
  const Binary* binary = edit.made_by<Binary>(id);
  if (!binary || binary->activation) return {id};
  const std::vector<ValueId>& inputs = inputs_of_maker(edit, id);
  for (const int side : {1, 0}) {
    const auto literal = number(edit, inputs[side]);
    const ValueId x = inputs[1 - side];
    if (!literal || edit.shape(x) != edit.shape(id)) continue;
    if (binary->kind == Binary::Kind::mul) return {x, *literal};
    if (binary->kind == Binary::Kind::div && side == 1) return {x, 1 / *literal};
  }
  return {id};
}

// The operand and the number of an addition of a number, or nothing.
std::optional<Line> without_shift(NetworkEdit& edit, ValueId id) {
  const Binary* add = maker<Binary>(edit, id, Binary::Kind::add);
  if (!add || add->activation) return std::nullopt;
  const std::vector<ValueId>& inputs = inputs_of_maker(edit, id);
  for (const int side : {1, 0}) {
    const auto literal = number(edit, inputs[side]);
    if (!literal || edit.shape(inputs[1 - side]) != edit.shape(id)) continue;
    return Line{inputs[1 - side], 1, *literal};
  }
  return std::nullopt;
}

// The layer that makes factor x gate, found by following the multiplications that gate alone goes
// through; x = -1: that makes factor gate. -1: there is none.
int product(NetworkEdit& edit, ValueId gate, ValueId x, double wanted) {
  double factor = 1;
  bool has_x = x < 0;
  for (ValueId now = gate;;) {
    if (has_x && near(factor, wanted)) return edit.producer(now);
    const std::vector<int>& readers = edit.readers(now);
    if (edit.is_output(now) || readers.size() != 1) return -1;
    const Layer& layer = edit.layer(readers[0]);
    const Binary* binary = edit.op<Binary>(readers[0]);
    if (!binary || binary->activation || edit.shape(layer.output) != edit.shape(gate)) return -1;
    const bool first = layer.inputs[0] == now;
    const ValueId other = layer.inputs[first ? 1 : 0];
    const bool divides = binary->kind == Binary::Kind::div && first;
    if (!divides && binary->kind != Binary::Kind::mul) return -1;
    const Line line = without_factor(edit, other);
    if (const auto literal = number(edit, other)) {
      factor = divides ? factor / *literal : factor * *literal;
    } else if (!divides && !has_x && (other == x || line.of == x)) {
      has_x = true;
      factor *= other == x ? 1 : line.factor;
    } else {
      return -1;
    }
    now = layer.output;
  }
}

void replace(NetworkEdit& edit, int index, Op op, ValueId x) {
  edit.layer(index).op = std::move(op);
  edit.layer(index).inputs = {x};
  edit.refresh();
}

// The value, if it is 1 + that of layer `index` and nothing else reads the latter; else -1.
ValueId one_more(NetworkEdit& edit, int index) {
  const ValueId value = edit.layer(index).output;
  if (edit.is_output(value) || edit.readers(value).size() != 1) return -1;
  const ValueId sum = edit.layer(edit.readers(value)[0]).output;
  const auto line = without_shift(edit, sum);
  return line && line->of == value && near(line->shift, 1) ? sum : -1;
}

// Whether a value is x^exponent, as a power or in products.
bool is_power(NetworkEdit& edit, ValueId id, ValueId x, int exponent) {
  if (exponent == 1) return id == x;
  if (const Activation* power = maker<Activation>(edit, id, Activation::Kind::power)) {
    return power->alpha == static_cast<float>(exponent) && inputs_of_maker(edit, id)[0] == x;
  }
  const Binary* mul = maker<Binary>(edit, id, Binary::Kind::mul);
  if (!mul || mul->activation) return false;
  const std::vector<ValueId>& inputs = inputs_of_maker(edit, id);
  for (const int side : {0, 1}) {
    if (inputs[side] == x && is_power(edit, inputs[1 - side], x, exponent - 1)) return true;
  }
  return false;
}

// x where a value is sqrt(2 / pi) (x + 0.044715 x^3), or -1.
ValueId cubic_argument(NetworkEdit& edit, ValueId id) {
  const Line scaled = without_factor(edit, id);
  const Binary* add = maker<Binary>(edit, scaled.of, Binary::Kind::add);
  if (!add || add->activation || !near(scaled.factor, std::sqrt(2 * std::numbers::inv_pi))) {
    return -1;
  }
  const std::vector<ValueId>& inputs = inputs_of_maker(edit, scaled.of);
  for (const int side : {0, 1}) {
    const Line cube = without_factor(edit, inputs[1 - side]);
    if (near(cube.factor, 0.044715) && is_power(edit, cube.of, inputs[side], 3)) {
      return inputs[side];
    }
  }
  return -1;
}

// x - mean(x) over some axes: x and the axes.
struct Centred {
  ValueId x = -1;
  std::vector<int> axes;
  bool operator==(const Centred&) const = default;
};
std::optional<Centred> centred(NetworkEdit& edit, ValueId id) {
  const Binary* sub = maker<Binary>(edit, id, Binary::Kind::sub);
  if (!sub || sub->activation) return std::nullopt;
  const std::vector<ValueId>& inputs = inputs_of_maker(edit, id);
  const ReduceMean* mean = edit.made_by<ReduceMean>(inputs[1]);
  if (!mean || !mean->keep || mean->axes.empty()) return std::nullopt;
  if (inputs_of_maker(edit, inputs[1])[0] != inputs[0]) return std::nullopt;
  return Centred{inputs[0], mean->axes};
}

// epsilon where a value is mean((x - mean(x))^2) + epsilon, or nothing.
std::optional<double> variance_epsilon(NetworkEdit& edit, ValueId id, const Centred& wanted) {
  const auto sum = without_shift(edit, id);
  if (!sum || sum->shift < 0) return std::nullopt;
  const ReduceMean* mean = edit.made_by<ReduceMean>(sum->of);
  if (!mean || !mean->keep || mean->axes != wanted.axes) return std::nullopt;
  const ValueId squares = inputs_of_maker(edit, sum->of)[0];
  if (edit.producer(squares) < 0 || inputs_of_maker(edit, squares).empty()) return std::nullopt;
  const ValueId base = inputs_of_maker(edit, squares)[0];
  if (!is_power(edit, squares, base, 2) || centred(edit, base) != wanted) return std::nullopt;
  return sum->shift;
}

// The value under a square root that layer `index` divides its first operand by, or -1.
ValueId divided_by_root(NetworkEdit& edit, int index, ValueId* dividend) {
  const Binary* binary = edit.op<Binary>(index);
  if (!binary || binary->activation) return -1;
  const std::vector<ValueId>& inputs = edit.layer(index).inputs;
  if (binary->kind == Binary::Kind::div) {
    *dividend = inputs[0];
    if (!maker<Activation>(edit, inputs[1], Activation::Kind::sqrt)) return -1;
    return inputs_of_maker(edit, inputs[1])[0];
  }
  if (binary->kind != Binary::Kind::mul) return -1;
  for (const int side : {0, 1}) {
    const Activation* power = maker<Activation>(edit, inputs[side], Activation::Kind::power);
    if (!power) continue;
    *dividend = inputs[1 - side];
    const ValueId root = inputs_of_maker(edit, inputs[side])[0];
    if (power->alpha == -0.5f) return root;
    if (power->alpha == -1.0f && maker<Activation>(edit, root, Activation::Kind::sqrt)) {
      return inputs_of_maker(edit, root)[0];
    }
  }
  return -1;
}

}  // namespace

// d / sqrt(mean(d^2) + epsilon) with d = x - mean(x)  =>  normalize(x)
Network recognise_norms(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    ValueId dividend = -1;
    const ValueId root = divided_by_root(edit, i, &dividend);
    if (root < 0) continue;
    const auto d = centred(edit, dividend);
    const auto epsilon = d ? variance_epsilon(edit, root, *d) : std::nullopt;
    if (epsilon) replace(edit, i, Normalize{d->axes, static_cast<float>(*epsilon)}, d->x);
  }
  return edit.finish();
}

// x (1 + erf(x / sqrt(2))) / 2  =>  gelu(x), its products in any order; the form with tanh likewise
Network recognise_gelus(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Activation* inner = edit.op<Activation>(i);
    if (!inner) continue;
    Activation gelu;
    ValueId x = -1;
    if (inner->kind == Activation::Kind::erf) {
      gelu.kind = Activation::Kind::gelu;
      const Line argument = without_factor(edit, edit.layer(i).inputs[0]);
      if (near(argument.factor, std::numbers::sqrt2 / 2)) x = argument.of;
    } else if (inner->kind == Activation::Kind::tanh) {
      gelu.kind = Activation::Kind::gelu_tanh;
      x = cubic_argument(edit, edit.layer(i).inputs[0]);
    }
    const ValueId gate = x < 0 ? -1 : one_more(edit, i);
    const int last = gate < 0 ? -1 : product(edit, gate, x, 0.5);
    if (last >= 0) replace(edit, last, gelu, x);
  }
  return edit.finish();
}

// clip(a x + b, 0, c) / c  =>  hard_sigmoid(x);   x clip(x + 3, 0, 6) / 6  =>  hard_swish(x)
Network recognise_hard_gates(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Activation* clip = edit.op<Activation>(i);
    if (!clip || clip->kind != Activation::Kind::clip || clip->alpha != 0 || clip->beta <= 0) {
      continue;
    }
    const auto sum = without_shift(edit, edit.layer(i).inputs[0]);
    if (!sum) continue;
    const Line line = without_factor(edit, sum->of);
    const double most = clip->beta, slope = line.factor / most, shift = sum->shift / most;
    const bool of_swish = near(slope, 1.0 / 6) && near(shift, 0.5);
    const ValueId gate = edit.layer(i).output;
    if (const int last = of_swish ? product(edit, gate, line.of, 1 / most) : -1; last >= 0) {
      replace(edit, last, Activation{.kind = Activation::Kind::hard_swish}, line.of);
    } else if (const int scaled = product(edit, gate, -1, 1 / most); scaled >= 0) {
      const Activation sigmoid{Activation::Kind::hard_sigmoid, static_cast<float>(slope),
                               static_cast<float>(shift), nullptr};
      replace(edit, scaled, sigmoid, line.of);
    }
  }
  return edit.finish();
}

// x tanh(softplus(x))  =>  mish(x)
Network recognise_mish(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    if (!edit.op<Activation>(i)) continue;
    const ValueId value = edit.layer(i).output;
    if (!maker<Activation>(edit, value, Activation::Kind::tanh)) continue;
    const ValueId inner = edit.layer(i).inputs[0];
    if (!maker<Activation>(edit, inner, Activation::Kind::softplus)) continue;
    const ValueId x = inputs_of_maker(edit, inner)[0];
    const int last = product(edit, value, x, 1);
    if (last >= 0) replace(edit, last, Activation{.kind = Activation::Kind::mish}, x);
  }
  return edit.finish();
}

}  // namespace emulsion
