// Runs a laid out network in plain loops on memory that the descriptors address, so that a wrong
// place, a lost copy or a written rim shows as a wrong result.
#pragma once

#include <functional>
#include <vector>

#include "lower/layout.h"
#include "network/evaluate.h"

namespace emulsion {

// Calls visit(element's number in row-major order, its offset from the tensor's first element).
inline void for_elements(const TensorDescriptor& d,
                         const std::function<void(int64_t, int64_t)>& visit) {
  std::vector<int64_t> index(d.shape.size(), 0);
  for (int64_t i = 0; i < element_count(d.shape); ++i) {
    int64_t offset = 0;
    for (size_t k = 0; k < index.size(); ++k) offset += index[k] * d.strides[k];
    visit(i, offset);
    for (int k = static_cast<int>(index.size()) - 1; k >= 0 && ++index[k] == d.shape[k]; --k)
      index[k] = 0;
  }
}

// The elements of the rim around every channel of an image.
inline void for_rim(const TensorDescriptor& d, const std::function<void(int64_t)>& visit) {
  if (d.shape.size() != 4) return;
  const auto [top, left, bottom, right] = d.rim;
  for (int64_t n = 0; n < d.shape[0]; ++n) {
    for (int64_t c = 0; c < d.shape[1]; ++c) {
      for (int64_t y = -top; y < d.shape[2] + bottom; ++y) {
        for (int64_t x = -left; x < d.shape[3] + right; ++x) {
          if (y >= 0 && y < d.shape[2] && x >= 0 && x < d.shape[3]) continue;
          visit(n * d.strides[0] + c * d.strides[1] + y * d.strides[2] + x * d.strides[3]);
        }
      }
    }
  }
}

// A pointer to the first element of the value that a root owns.
using RootMemory = std::function<float*(ValueId root)>;

struct Simulated {
  std::vector<Tensor> outputs;
  bool rims_zero = true;  // whenever a conv read its input
};

inline Simulated simulate(const LaidOutNetwork& laid_out, const std::vector<Tensor>& inputs,
                          const RootMemory& memory) {
  const Network& network = laid_out.network;
  const auto first = [&](ValueId value) {
    const Placement place = placement(laid_out, value);
    return memory(place.root) + place.offset;
  };
  const auto load = [&](ValueId value) {
    Tensor tensor(network.shape(value));
    const float* at = first(value);
    for_elements(laid_out.descriptors[value],
                 [&](int64_t i, int64_t offset) { tensor.data[i] = at[offset]; });
    return tensor;
  };
  const auto store = [&](ValueId value, const Tensor& tensor) {
    float* at = first(value);
    for_elements(laid_out.descriptors[value],
                 [&](int64_t i, int64_t offset) { at[offset] = tensor.data[i]; });
  };
  Simulated result;
  for (size_t i = 0; i < inputs.size(); ++i) store(network.inputs[i], inputs[i]);
  for (const Layer& layer : network.layers) {
    if (const auto* literal = std::get_if<Literal>(&layer.op)) store(layer.output, *literal->value);
  }
  for (size_t i = 0; i < network.layers.size(); ++i) {
    if (laid_out.elided[i]) continue;
    const Layer& layer = network.layers[i];
    std::vector<Tensor> operands;
    for (const ValueId input : layer.inputs) operands.push_back(load(input));
    if (std::holds_alternative<Conv>(layer.op)) {
      const float* at = first(layer.inputs[0]);
      for_rim(laid_out.descriptors[layer.inputs[0]],
              [&](int64_t offset) { result.rims_zero &= at[offset] == 0; });
    }
    store(layer.output, evaluate(layer.op, operands));
  }
  for (const ValueId output : network.outputs) result.outputs.push_back(load(output));
  return result;
}

}  // namespace emulsion
