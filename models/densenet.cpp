// Huang et al., "Densely Connected Convolutional Networks" (2016), in torchvision's form (224x224)
// and in kuangliu's (pytorch-cifar, 32x32).
#include "models/model_builder.h"
#include "models/models.h"

namespace emulsion {
namespace {

// x -> BN - ReLU - conv 1x1 - BN - ReLU - conv 3x3: the channels that a layer adds.
ValueId new_channels(ModelBuilder& b, const std::string& name, ValueId x, int growth) {
  x = b.relu(name + ".relu1", b.batch_norm(name + ".norm1", x));
  x = b.conv(name + ".conv1", x, 4 * growth, 1, 1, 0);
  x = b.relu(name + ".relu2", b.batch_norm(name + ".norm2", x));
  return b.conv(name + ".conv2", x, growth, 3, 1, 1);
}

// Each layer reads all that came before it in the block.
ValueId dense_block(ModelBuilder& b, const std::string& name, ValueId x, int layers,
                    const DenseNetForm& form) {
  std::vector<ValueId> features{x};
  for (int i = 1; i <= layers; ++i) {
    const std::string layer = fmt::format("{}.denselayer{}", name, i);
    const ValueId added = new_channels(b, layer, x, form.growth);
    if (form.cifar) {
      x = b.concat(layer + ".concat", {added, x});
    } else {
      features.push_back(added);
      x = b.concat(layer + ".concat", features);
    }
  }
  return x;
}

}  // namespace

Network build_densenet(const DenseNetForm& form, uint64_t seed) {
  ModelBuilder b(form.name, seed);
  ValueId x = b.input(form.cifar ? Shape{1, 3, 32, 32} : Shape{1, 3, 224, 224});
  if (form.cifar) {
    x = b.conv("features.conv0", x, form.stem, 3, 1, 1);
  } else {
    x = b.relu("features.relu0",
               b.conv_bn("features.conv0", "features.norm0", x, form.stem, 7, 2, 3));
    x = b.max_pool("features.pool0", x, 3, 2, 1);
  }
  for (size_t block = 0; block < form.blocks.size(); ++block) {
    x = dense_block(b, fmt::format("features.denseblock{}", block + 1), x, form.blocks[block],
                    form);
    if (block + 1 == form.blocks.size()) break;
    const std::string name = fmt::format("features.transition{}", block + 1);
    x = b.relu(name + ".relu", b.batch_norm(name + ".norm", x));
    x = b.conv(name + ".conv", x, b.channels(x) / 2, 1, 1, 0);
    x = b.average_pool(name + ".pool", x, 2, 2);
  }
  x = b.relu("features.relu5", b.batch_norm("features.norm5", x));
  return b.finish(b.classifier("classifier", x, form.cifar ? 10 : 1000));
}

}  // namespace emulsion
