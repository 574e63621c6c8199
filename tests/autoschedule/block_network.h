// A small network with a stem, residual blocks and a shortcut, as a ResNet for small images has
// them.
#pragma once

#include "network/network.h"

namespace emulsion::testing {

inline Network block_network(int64_t width = 16, int64_t size = 8) {
  Network network;
  network.name = "blocks";
  ValueId x = network.add_value("image", {1, 3, size, size});
  network.inputs = {x};
  uint64_t seed = 1;
  const auto conv = [&](const char* name, ValueId from, int64_t co, int kernel, int stride) {
    Conv op;
    op.stride = {stride, stride};
    op.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    Tensor weight({co, network.shape(from)[1], kernel, kernel});
    for (size_t i = 0; i < weight.data.size(); ++i) {
      // Spread over a few values, whatever they are.
      weight.data[i] = static_cast<float>((i * 2654435761u + seed * 97) % 1000) / 5000.0f - 0.1f;
    }
    ++seed;
    op.weight = std::make_shared<Tensor>(std::move(weight));
    return network.add_layer(name, op, {from});
  };
  const auto norm = [&](const char* name, ValueId from) {
    const int64_t c = network.shape(from)[1];
    const Constant one = std::make_shared<Tensor>(Shape{c}, 1.0f);
    const Constant zero = std::make_shared<Tensor>(Shape{c}, 0.0f);
    return network.add_layer(name, BatchNorm{one, zero, zero, one}, {from});
  };
  x = network.add_layer("stem.relu", Activation{},
                        {norm("stem.norm", conv("stem", x, width, 3, 1))});
  ValueId skip = x;
  x = network.add_layer("a1.relu", Activation{}, {norm("a1.norm", conv("a1", x, width, 3, 1))});
  x = norm("a2.norm", conv("a2", x, width, 3, 1));
  x = network.add_layer("a.add", Binary{}, {x, skip});
  x = network.add_layer("a.relu", Activation{}, {x});
  skip = norm("b.short.norm", conv("b.short", x, 2 * width, 1, 2));
  x = network.add_layer("b1.relu", Activation{}, {norm("b1.norm", conv("b1", x, 2 * width, 3, 2))});
  x = norm("b2.norm", conv("b2", x, 2 * width, 3, 1));
  x = network.add_layer("b.add", Binary{}, {x, skip});
  x = network.add_layer("b.relu", Activation{}, {x});
  x = network.add_layer("mean", ReduceMean{{2, 3}, false}, {x});
  Dense dense;
  dense.weight = std::make_shared<Tensor>(Shape{4, 2 * width}, 0.1f);
  dense.bias = std::make_shared<Tensor>(Shape{4}, 0.0f);
  network.outputs = {network.add_layer("classes", dense, {x})};
  return network;
}

}  // namespace emulsion::testing
