#include <algorithm>
#include <cmath>

#include "network/evaluate.h"
#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// The value of a layer whose inputs are these; null when that is not finite.
Constant folded(const Op& op, const std::vector<Constant>& inputs, const Shape& shape) {
  std::vector<Constant> needed = constants(op);
  needed.insert(needed.end(), inputs.begin(), inputs.end());
  for (const Constant& c : needed) {
    if (c && c->abstract()) return abstract_constant(shape);
  }
  std::vector<Tensor> tensors;
  for (const Constant& c : inputs) tensors.push_back(*c);
  Tensor value = evaluate(op, tensors);
  if (!std::all_of(value.data.begin(), value.data.end(),
                   [](float x) { return std::isfinite(x); })) {
    return nullptr;
  }
  return std::make_shared<const Tensor>(std::move(value));
}

}  // namespace

// op(literal, ...)  =>  literal, for every op but conv: convs stay, since plans count them.
Network fold_constants(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    Layer& layer = edit.layer(i);
    if (layer.inputs.empty() || std::holds_alternative<Conv>(layer.op)) continue;
    std::vector<Constant> inputs;
    for (const ValueId id : layer.inputs) {
      if (const auto* literal = edit.made_by<Literal>(id)) inputs.push_back(literal->value);
    }
    if (inputs.size() != layer.inputs.size()) continue;
    Constant value = folded(layer.op, inputs, edit.shape(layer.output));
    if (!value) continue;
    layer.op = Literal{std::move(value)};
    layer.inputs.clear();
    edit.refresh();
  }
  return edit.finish();
}

}  // namespace emulsion
