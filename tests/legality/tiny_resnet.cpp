#include "tiny_resnet.h"

#include <map>

#include "nest/step.h"

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

// The slot's output, before its batch norm. Specs with an activation inside are no rewrites.
ValueId slot(Maker& m, const Spec& spec, ValueId x, int64_t ci, int64_t co, int stride, int first) {
  if (spec.name == "DWS") {
    const ValueId y = m.conv(x, ci, ci, 3, stride, static_cast<int>(ci), first);
    return m.conv(m.relu(m.norm(y)), ci, co, 1, 1, 1, first + 1);
  }
  if (spec.name == "B") {
    const int64_t narrow = co / spec.numbers[0];
    ValueId y = m.relu(m.norm(m.conv(x, ci, narrow, 1, 1, 1, first)));
    y = m.relu(m.norm(m.conv(y, narrow, narrow, 3, stride, 1, first + 1)));
    return m.conv(y, narrow, co, 1, 1, 1, first + 2);
  }
  return m.conv(x, ci, co, 3, stride, 1, first);
}

// The rewrite that a spec is; empty for the full conv and those that are none.
std::string rewrite_of(const Spec& spec) {
  const std::string& s = spec.name;
  const auto number = [&](size_t i) { return spec.numbers[i]; };
  if (s == "G") return fmt::format("group {}", number(0));
  if (s == "DW") return "depthwise";
  if (s == "OB") return fmt::format("bottleneck co {}", number(0));
  if (s == "BT") return fmt::format("bottleneck co {} tiled", number(0));
  if (s == "BZ") return fmt::format("bottleneck co {} zeros", number(0));
  if (s == "SB") {
    return fmt::format("interchange co y; bottleneck y {}; interchange co x; bottleneck x {}",
                       number(0), number(0));
  }
  if (s == "S1") {
    std::string text = fmt::format("split co {}", spec.numbers.size());
    for (size_t i = 0; i < spec.numbers.size(); ++i)
      text += fmt::format("; group[{}] {}", i, number(i));
    return text;
  }
  if (s == "S2") return fmt::format("unroll co {}; group[1] {}", number(0), number(1));
  if (s == "S3") return fmt::format("split y {}; group[0] 1", number(0));
  return "";
}

int convs_of(const Spec& spec) {
  if (spec.name == "OB" || spec.name == "S2" || spec.name == "DWS") return 2;
  if (spec.name == "B") return 3;
  if (spec.name == "S1") return static_cast<int>(spec.numbers.size());
  if (spec.name == "S3") return spec.numbers[0];
  return 1;
}

// The four slots rewritten, their weights numbered conv by conv.
TinyResnet rewritten_resnet(const TinyResnet& original, const std::string& rewrite) {
  std::map<int, Steps> rewrites;
  for (const int conv : original.training.slots) rewrites[conv] = *parse_steps(rewrite);
  auto training = rewritten(original.training, rewrites);
  EMULSION_CHECK(training.ok());
  TinyResnet result{*std::move(training), {}};
  std::map<int, int> part;  // so far, by conv
  for (size_t i = 0; i < result.training.network.layers.size(); ++i) {
    const int conv = result.training.convs[i];
    int k = -1;
    if (conv >= 0) k = original.first_of_conv[conv] + part[conv]++;
    if (std::holds_alternative<Dense>(result.training.network.layers[i].op)) {
      k = original.weight_order.back();
    }
    result.weight_order.push_back(k);
  }
  return result;
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
  std::vector<int> first{0};
  for (int block = 0; block < 2; ++block) {
    const int64_t co = width << block;
    const int stride = block == 0 ? 1 : 2;
    const ValueId a = slot(m, spec, x, ci, co, stride, k);
    const ValueId b = slot(m, spec, m.relu(m.norm(a)), co, co, 1, k + count);
    slots.insert(slots.end(), {a, b});
    first.insert(first.end(), {k, k + count});
    k += 2 * count;
    const ValueId sum = m.norm(b);
    if (block == 1) {
      x = m.norm(m.conv(x, ci, co, 1, stride, 1, k));
      first.push_back(k);
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
  result.first_of_conv = first;
  result.training.network = m.network;
  result.training.slots = {1, 2, 3, 4};
  result.training.slot_values = slots;
  int convs = 0;
  for (size_t i = 0; i < m.order.size(); ++i) {
    const bool drawn = m.order[i] >= 0;
    const bool conv = std::holds_alternative<Conv>(m.network.layers[i].op);
    result.training.draws.push_back(drawn ? "weights " + std::to_string(m.order[i]) : "");
    result.training.convs.push_back(conv ? convs++ : -1);
    if (drawn) result.training.classifier = static_cast<int>(i);
  }
  const std::string rewrite = rewrite_of(spec);
  return rewrite.empty() ? result : rewritten_resnet(result, rewrite);
}

}  // namespace emulsion::testing
