// He et al., "Deep Residual Learning for Image Recognition" (2015), in torchvision's form (224x224)
// and in kuangliu's (pytorch-cifar, 32x32).
#include "models/model_builder.h"
#include "models/models.h"

namespace emulsion {
namespace {

// x -> conv 3x3 - BN - ReLU - conv 3x3 - BN -> + x (or a 1x1 conv and BN of it) -> ReLU
ValueId basic_block(ModelBuilder& b, const std::string& name, ValueId x, int width, int stride) {
  ValueId y = b.conv_bn(name + ".conv1", name + ".bn1", x, width, 3, stride, 1);
  y = b.relu(name + ".relu1", y);
  y = b.conv_bn(name + ".conv2", name + ".bn2", y, width, 3, 1, 1);
  if (stride != 1 || b.channels(x) != width) {
    x = b.conv_bn(name + ".downsample.0", name + ".downsample.1", x, width, 1, stride, 0);
  }
  return b.relu(name + ".relu2", b.add(name + ".add", y, x));
}

// x -> conv 1x1 - BN - ReLU - conv 3x3 - BN - ReLU - conv 1x1 - BN -> + x (or ...) -> ReLU
ValueId bottleneck_block(ModelBuilder& b, const std::string& name, ValueId x, int width,
                         int stride) {
  const int wide = 4 * width;
  ValueId y = b.conv_bn(name + ".conv1", name + ".bn1", x, width, 1, 1, 0);
  y = b.relu(name + ".relu1", y);
  y = b.conv_bn(name + ".conv2", name + ".bn2", y, width, 3, stride, 1);
  y = b.relu(name + ".relu2", y);
  y = b.conv_bn(name + ".conv3", name + ".bn3", y, wide, 1, 1, 0);
  if (stride != 1 || b.channels(x) != wide) {
    x = b.conv_bn(name + ".downsample.0", name + ".downsample.1", x, wide, 1, stride, 0);
  }
  return b.relu(name + ".relu3", b.add(name + ".add", y, x));
}

}  // namespace

Network build_resnet(const ResNetForm& form, uint64_t seed) {
  ModelBuilder b(form.name, seed);
  ValueId x = b.input(form.cifar ? Shape{1, 3, 32, 32} : Shape{1, 3, 224, 224});
  x = form.cifar ? b.conv_bn("conv1", "bn1", x, 64, 3, 1, 1)
                 : b.conv_bn("conv1", "bn1", x, 64, 7, 2, 3);
  x = b.relu("relu", x);
  if (!form.cifar) x = b.max_pool("maxpool", x, 3, 2, 1);
  for (size_t stage = 0; stage < form.blocks.size(); ++stage) {
    for (int i = 0; i < form.blocks[stage]; ++i) {
      const std::string name = fmt::format("layer{}.{}", stage + 1, i);
      const int width = 64 << stage, stride = stage > 0 && i == 0 ? 2 : 1;
      x = form.bottleneck ? bottleneck_block(b, name, x, width, stride)
                          : basic_block(b, name, x, width, stride);
    }
  }
  return b.finish(b.classifier("fc", x, form.cifar ? 10 : 1000));
}

}  // namespace emulsion
