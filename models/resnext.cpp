// Xie et al., "Aggregated Residual Transformations for Deep Neural Networks" (2016), in kuangliu's
// form (pytorch-cifar).
#include "models/model_builder.h"
#include "models/models.h"

namespace emulsion {
namespace {

// x -> conv 1x1 - BN - ReLU - grouped 3x3 - BN - ReLU - conv 1x1 - BN -> + x (or a 1x1 conv, BN) ->
// ReLU
ValueId block(ModelBuilder& b, const std::string& name, ValueId x, int groups, int width,
              int stride) {
  const int wide = 2 * width;
  ValueId y = b.conv_bn(name + ".conv1", name + ".bn1", x, width, 1, 1, 0);
  y = b.relu(name + ".relu1", y);
  y = b.conv_bn(name + ".conv2", name + ".bn2", y, width, 3, stride, 1, groups);
  y = b.relu(name + ".relu2", y);
  y = b.conv_bn(name + ".conv3", name + ".bn3", y, wide, 1, 1, 0);
  if (stride != 1 || b.channels(x) != wide) {
    x = b.conv_bn(name + ".shortcut.0", name + ".shortcut.1", x, wide, 1, stride, 0);
  }
  return b.relu(name + ".relu3", b.add(name + ".add", y, x));
}

}  // namespace

Network build_resnext_cifar(const ResNeXtForm& form, uint64_t seed) {
  ModelBuilder b(form.name, seed);
  ValueId x = b.input({1, 3, 32, 32});
  x = b.relu("relu", b.conv_bn("conv1", "bn1", x, 64, 1, 1, 0));
  for (size_t stage = 0; stage < form.blocks.size(); ++stage) {
    for (int i = 0; i < form.blocks[stage]; ++i) {
      const int width = (form.cardinality * form.width) << stage;
      x = block(b, fmt::format("layer{}.{}", stage + 1, i), x, form.cardinality, width,
                stage > 0 && i == 0 ? 2 : 1);
    }
  }
  return b.finish(b.classifier("linear", x, 10));
}

}  // namespace emulsion
