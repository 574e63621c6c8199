// Small networks with one feature each, convolutions and batch norms apart: the scope over which
// rewrites and plans are tested exhaustively.
#pragma once

#include <vector>

#include "base/random.h"
#include "models/model_builder.h"

namespace emulsion {

inline Constant seeded_constant(const Shape& shape, uint64_t seed, double size = 0.5) {
  std::vector<float> data(element_count(shape));
  const RandomStream random(seed, "tiny");
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<float>(random.uniform(i, -size, size));
  return constant(shape, std::move(data));
}

inline Tensor seeded_tensor(const Shape& shape, uint64_t seed) {
  return *seeded_constant(shape, seed, 1.0);
}

inline Conv seeded_conv(int64_t ci, int64_t co, int kernel, int groups = 1, bool bias = false,
                        uint64_t seed = 1) {
  Conv conv;
  conv.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
  conv.groups = groups;
  conv.weight = seeded_constant({co, ci / groups, kernel, kernel}, seed);
  if (bias) conv.bias = seeded_constant({co}, seed + 1);
  return conv;
}

// stem - conv - BN - ReLU - conv - BN - ReLU
inline Network tiny_plain() {
  ModelBuilder b("plain", 1);
  ValueId x = b.relu("r0", b.conv_bn("stem", "n0", b.input({1, 3, 6, 6}), 8, 3, 1, 1));
  x = b.relu("r1", b.conv_bn("conv1", "n1", x, 8, 3, 1, 1));
  x = b.relu("r2", b.conv_bn("conv2", "n2", x, 16, 3, 2, 1));
  return b.finish(b.classifier("fc", x, 4));
}

// A residual block with a 1x1 shortcut, then one with an identity.
inline Network tiny_residual() {
  ModelBuilder b("residual", 2);
  ValueId x = b.relu("r0", b.conv_bn("stem", "n0", b.input({1, 3, 6, 6}), 8, 3, 1, 1));
  for (const int block : {1, 2}) {
    const std::string name = fmt::format("block{}.", block);
    ValueId y = b.relu(name + "r1",
                       b.conv_bn(name + "conv1", name + "n1", x, 16, 3, block == 1 ? 2 : 1, 1));
    y = b.conv_bn(name + "conv2", name + "n2", y, 16, 3, 1, 1);
    if (block == 1) x = b.conv_bn(name + "shortcut", name + "n3", x, 16, 1, 2, 0);
    x = b.relu(name + "r2", b.add(name + "add", y, x));
  }
  return b.finish(b.classifier("fc", x, 4));
}

// 1x1 - grouped 3x3 - 1x1 with a 1x1 shortcut: two 1x1 convs of it are no shortcuts.
inline Network tiny_bottleneck() {
  ModelBuilder b("bottleneck", 3);
  ValueId x = b.relu("r0", b.conv_bn("stem", "n0", b.input({1, 3, 6, 6}), 8, 3, 1, 1));
  ValueId y = b.relu("r1", b.conv_bn("conv1", "n1", x, 8, 1, 1, 0));
  y = b.relu("r2", b.conv_bn("conv2", "n2", y, 8, 3, 1, 1, 2));
  y = b.conv_bn("conv3", "n3", y, 16, 1, 1, 0);
  x = b.conv_bn("shortcut", "n4", x, 16, 1, 1, 0);
  return b.finish(b.classifier("fc", b.relu("r3", b.add("add", y, x)), 4));
}

// Pre-activation layers whose outputs are concatenated: the last conv has no batch norm behind it.
inline Network tiny_dense() {
  ModelBuilder b("dense", 4);
  ValueId x = b.conv("stem", b.input({1, 3, 6, 6}), 8, 3, 1, 1);
  for (const int layer : {1, 2}) {
    const std::string name = fmt::format("layer{}.", layer);
    ValueId y =
        b.conv(name + "conv1", b.relu(name + "r1", b.batch_norm(name + "n1", x)), 16, 1, 1, 0);
    y = b.conv(name + "conv2", b.relu(name + "r2", b.batch_norm(name + "n2", y)), 4, 3, 1, 1);
    x = b.concat(name + "concat", {x, y});
  }
  return b.finish(b.classifier("fc", x, 4));
}

// A depthwise conv, and 1x1 convs that mix channels.
inline Network tiny_separable() {
  ModelBuilder b("separable", 5);
  ValueId x = b.relu6("r0", b.conv_bn("stem", "n0", b.input({1, 3, 6, 6}), 8, 3, 1, 1));
  ValueId y = b.relu6("r1", b.conv_bn("expand", "n1", x, 16, 1, 1, 0));
  y = b.relu6("r2", b.conv_bn("depthwise", "n2", y, 16, 3, 1, 1, 16));
  y = b.conv_bn("project", "n3", y, 8, 1, 1, 0);
  return b.finish(b.classifier("fc", b.add("add", x, y), 4));
}

// Batch norm folded into the convs, as PyTorch's exporter leaves them; a gate with 1x1 convs on one
// pixel.
inline Network tiny_folded() {
  Network n;
  n.name = "folded";
  n.inputs = {n.add_value("input", {1, 3, 6, 6})};
  ValueId x = n.add_layer("stem", seeded_conv(3, 8, 3, 1, true, 10), {n.inputs[0]});
  x = n.add_layer("r0", Activation{}, {x});
  x = n.add_layer("conv1", seeded_conv(8, 8, 3, 1, true, 11), {x});
  ValueId gate = n.add_layer("squeeze", ReduceMean{{2, 3}, true}, {x});
  gate = n.add_layer("gate1", seeded_conv(8, 4, 1, 1, true, 12), {gate});
  gate = n.add_layer("r1", Activation{}, {gate});
  gate = n.add_layer("gate2", seeded_conv(4, 8, 1, 1, true, 13), {gate});
  gate = n.add_layer("sigmoid", Activation{Activation::Kind::sigmoid}, {gate});
  x = n.add_layer("excite", Binary{Binary::Kind::mul}, {x, gate});
  x = n.add_layer("r2", Activation{}, {x});
  n.outputs = {n.add_layer("conv2", seeded_conv(8, 12, 3, 1, true, 14), {x})};
  n.values[n.outputs[0]].name = "output";
  return n;
}

inline std::vector<Network> tiny_networks() {
  return {tiny_plain(), tiny_residual(),  tiny_bottleneck(),
          tiny_dense(), tiny_separable(), tiny_folded()};
}

}  // namespace emulsion
