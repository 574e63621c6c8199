#include <bit>
#include <unordered_set>

#include "network/network.h"

namespace emulsion {
namespace {

// Branch-free, so that checking every weight after every pass costs little: a float is finite
// unless all its exponent bits are set.
bool all_finite(const std::vector<float>& data) {
  constexpr uint32_t k_exponent = 0x7f800000u;
  uint32_t bad = 0;
  for (const float x : data) bad |= (std::bit_cast<uint32_t>(x) & k_exponent) == k_exponent;
  return bad == 0;
}

Status check_constant(const Tensor& tensor) {
  if (tensor.abstract()) return ok();
  if (static_cast<int64_t>(tensor.data.size()) != element_count(tensor.shape)) {
    return error("a constant of shape {} holds {} elements", to_text(tensor.shape),
                 tensor.data.size());
  }
  if (!all_finite(tensor.data)) {
    return error("a constant of shape {} holds a NaN or an infinity", to_text(tensor.shape));
  }
  return ok();
}

Status check_variance(const BatchNorm& norm) {
  for (const float variance : norm.variance->data) {
    if (!(variance + norm.epsilon > 0)) {
      return error("variance {} plus epsilon {} is not positive", variance, norm.epsilon);
    }
  }
  return ok();
}

// seen: constants already checked (layers may share them); null: elements are not looked at.
Status verify_layer(const Network& network, const Layer& layer, const std::vector<bool>& defined,
                    std::unordered_set<const Tensor*>* seen) {
  const auto exists = [&](ValueId id) {
    return id >= 0 && id < static_cast<ValueId>(network.values.size());
  };
  std::vector<Shape> shapes;
  for (const ValueId id : layer.inputs) {
    if (!exists(id)) return error("it reads value {}, which does not exist", id);
    if (!defined[id]) return error("it reads {} before that is made", network.values[id].name);
    shapes.push_back(network.shape(id));
  }
  if (!exists(layer.output)) return error("its output {} does not exist", layer.output);
  if (defined[layer.output])
    return error("its output {} is made twice", network.values[layer.output].name);

  Result<Shape> shape = infer_shape(layer.op, shapes);
  if (!shape.ok()) return Error{shape.error()};
  if (*shape != network.shape(layer.output)) {
    return error("{}: the output's shape is {} where {} follows from the inputs", op_name(layer.op),
                 to_text(network.shape(layer.output)), to_text(*shape));
  }
  if (!seen) return ok();
  for (const Constant& c : constants(layer.op)) {
    if (!c || !seen->insert(c.get()).second) continue;
    if (const Status status = check_constant(*c); !status.ok())
      return status.error().in(op_name(layer.op));
  }
  if (const auto* norm = std::get_if<BatchNorm>(&layer.op)) {
    if (const Status status = check_variance(*norm); !status.ok())
      return status.error().in("batch_norm");
  }
  return ok();
}

Status verify(const Network& network, std::unordered_set<const Tensor*>* seen) {
  std::vector<bool> defined(network.values.size(), false);
  const auto exists = [&](ValueId id) {
    return id >= 0 && id < static_cast<ValueId>(defined.size());
  };
  for (const ValueId id : network.inputs) {
    if (!exists(id)) return error("input {} does not exist", id);
    if (defined[id]) return error("input {} is listed twice", network.values[id].name);
    if (element_count(network.shape(id)) < 1) {
      return error("input {} of shape {} has no elements", network.values[id].name,
                   to_text(network.shape(id)));
    }
    defined[id] = true;
  }
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    if (const Status status = verify_layer(network, layer, defined, seen); !status.ok()) {
      return status.error().in(fmt::format("layer {} ({})", i, layer.name));
    }
    defined[layer.output] = true;
  }
  for (const ValueId id : network.outputs) {
    if (!exists(id)) return error("output {} does not exist", id);
    if (!defined[id]) return error("no layer makes output {}", network.values[id].name);
  }
  for (size_t id = 0; id < defined.size(); ++id) {
    if (!defined[id]) return error("no layer makes value {}", network.values[id].name);
  }
  return ok();
}

}  // namespace

Status verify(const Network& network) {
  std::unordered_set<const Tensor*> seen;
  return verify(network, &seen);
}

Status verify_structure(const Network& network) {
  return verify(network, nullptr);
}

}  // namespace emulsion
