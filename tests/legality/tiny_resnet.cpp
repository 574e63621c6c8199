#include "tiny_resnet.h"

#include <numeric>

namespace emulsion::testing {
namespace {

class Maker {
 public:
  explicit Maker(Shape input) {
    value = network.add_value("x", std::move(input));
    network.inputs = {value};
  }

  // Weights are numbered in the order of modules: k is given, not the order of layers.
  ValueId conv(ValueId x, int64_t ci, int64_t co, int kernel, int stride, int groups, int k) {
    Conv op;
    op.stride = {stride, stride};
    op.groups = groups;
    const int pad = kernel / 2;
    op.pad = {pad, pad, pad, pad};
    op.weight = abstract_constant({co, ci / groups, kernel, kernel});
    return layer(op, {x}, k);
  }
  ValueId norm(ValueId x) {
    const int64_t c = network.shape(x)[1];
    const Constant one = std::make_shared<Tensor>(Shape{c}, 1.0f);
    const Constant zero = std::make_shared<Tensor>(Shape{c}, 0.0f);
    return layer(BatchNorm{one, zero, zero, one}, {x});
  }
  ValueId relu(ValueId x) { return layer(Activation{}, {x}); }
  ValueId slice(ValueId x, int axis, int64_t begin, int64_t end) {
    Shape shape = network.shape(x);
    Slice op{{0, 0, 0, 0}, {1, 1, 1, 1}, shape};
    op.starts[axis] = begin;
    op.shape[axis] = end - begin;
    return layer(op, {x});
  }
  ValueId layer(Op op, std::vector<ValueId> inputs, int k = -1) {
    order.push_back(k);
    return network.add_layer("layer" + std::to_string(order.size()), std::move(op),
                             std::move(inputs));
  }

  Network network;
  std::vector<int> order;  // by layer: k
  ValueId value;
  int next = 0;  // k of the next weight
};

// The slot's output, before its batch norm.
ValueId slot(Maker& m, const Spec& spec, ValueId x, int64_t ci, int64_t co, int stride, int first) {
  const std::string& s = spec.name;
  const auto number = [&](size_t i) { return spec.numbers[i]; };
  if (s == "full") return m.conv(x, ci, co, 3, stride, 1, first);
  if (s == "G") return m.conv(x, ci, co, 3, stride, number(0), first);
  if (s == "DW") return m.conv(x, ci, co, 3, stride, static_cast<int>(std::gcd(ci, co)), first);
  if (s == "OB") {
    const int64_t narrow = co / number(0);
    return m.conv(m.conv(x, ci, narrow, 3, stride, 1, first), narrow, co, 1, 1, 1, first + 1);
  }
  if (s == "BT" || s == "BZ") {
    const int64_t narrow = co / number(0);
    const ValueId y = m.conv(x, ci, narrow, 3, stride, 1, first);
    if (s == "BT") return m.layer(Concat{1}, std::vector<ValueId>(number(0), y));
    return m.layer(Pad{Pad::Mode::constant, {0, 0, 0, 0}, {0, co - narrow, 0, 0}, 0.0f}, {y});
  }
  if (s == "SB") {
    const ValueId y = m.conv(x, ci, co, 3, stride * number(0), 1, first);
    Resize resize;
    for (int i = 0; i < m.network.shape(y)[2] * number(0); ++i)
      resize.rows.push_back(i / number(0));
    resize.columns = resize.rows;
    return m.layer(resize, {y});
  }
  if (s == "S1") {
    std::vector<ValueId> parts;
    for (size_t i = 0; i < spec.numbers.size(); ++i) {
      parts.push_back(m.conv(x, ci, co / static_cast<int64_t>(spec.numbers.size()), 3, stride,
                             number(i), first + static_cast<int>(i)));
    }
    return m.layer(Concat{1}, parts);
  }
  if (s == "S2") {
    const int u = number(0);
    const ValueId whole = m.conv(x, ci, u, 3, stride, 1, first);
    const ValueId rest = m.slice(x, 1, u, ci);
    return m.layer(Concat{1},
                   {whole, m.conv(rest, ci - u, co - u, 3, stride, number(1), first + 1)});
  }
  if (s == "S3") {
    std::vector<ValueId> bands;
    const int64_t rows = m.network.shape(x)[2] / number(0);
    for (int i = 0; i < number(0); ++i) {
      bands.push_back(
          m.conv(m.slice(x, 2, i * rows, (i + 1) * rows), ci, co, 3, stride, 1, first + i));
    }
    return m.layer(Concat{2}, bands);
  }
  if (s == "DWS") {
    const ValueId y = m.conv(x, ci, ci, 3, stride, static_cast<int>(ci), first);
    return m.conv(m.relu(m.norm(y)), ci, co, 1, 1, 1, first + 1);
  }
  EMULSION_CHECK(s == "B");
  const int64_t narrow = co / number(0);
  ValueId y = m.relu(m.norm(m.conv(x, ci, narrow, 1, 1, 1, first)));
  y = m.relu(m.norm(m.conv(y, narrow, narrow, 3, stride, 1, first + 1)));
  return m.conv(y, narrow, co, 1, 1, 1, first + 2);
}

int convs_of(const Spec& spec) {
  if (spec.name == "OB" || spec.name == "S2" || spec.name == "DWS") return 2;
  if (spec.name == "B") return 3;
  if (spec.name == "S1") return static_cast<int>(spec.numbers.size());
  if (spec.name == "S3") return spec.numbers[0];
  return 1;
}

}  // namespace

TinyResnet tiny_resnet(const Spec& spec, int64_t batch, int64_t width, int64_t size,
                       int64_t classes) {
  Maker m({batch, 3, size, size});
  std::vector<ValueId> slots;
  const int count = convs_of(spec);
  ValueId x = m.relu(m.norm(m.conv(m.value, 3, width, 3, 1, 1, 0)));
  int k = 1;
  int64_t ci = width;
  for (int block = 0; block < 2; ++block) {
    const int64_t co = width << block;
    const int stride = block == 0 ? 1 : 2;
    const ValueId a = slot(m, spec, x, ci, co, stride, k);
    const ValueId b = slot(m, spec, m.relu(m.norm(a)), co, co, 1, k + count);
    slots.insert(slots.end(), {a, b});
    k += 2 * count;
    const ValueId sum = m.norm(b);
    if (block == 1) {
      x = m.norm(m.conv(x, ci, co, 1, stride, 1, k));
      ++k;
    }
    x = m.relu(m.layer(Binary{}, {sum, x}));
    ci = co;
  }
  x = m.layer(ReduceMean{{2, 3}, false}, {x});
  Dense dense;
  dense.weight = abstract_constant({classes, ci});
  x = m.layer(dense, {x}, k);
  m.network.outputs = {x};

  TinyResnet result;
  result.weight_order = m.order;
  result.training.network = m.network;
  result.training.slots = {1, 2, 3, 4};
  result.training.slot_values = slots;
  for (size_t i = 0; i < m.order.size(); ++i) {
    const bool drawn = m.order[i] >= 0;
    result.training.draws.push_back(drawn ? "weights " + std::to_string(m.order[i]) : "");
    result.training.convs.push_back(-1);
    if (drawn) result.training.classifier = static_cast<int>(i);
  }
  return result;
}

}  // namespace emulsion::testing
