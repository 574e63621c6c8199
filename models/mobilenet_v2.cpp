// Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018), in torchvision's
// form.
#include "models/model_builder.h"
#include "models/models.h"

namespace emulsion {
namespace {

// x -> [conv 1x1 - BN - ReLU6] - depthwise 3x3 - BN - ReLU6 - conv 1x1 - BN -> [+ x]
ValueId inverted_residual(ModelBuilder& b, const std::string& name, ValueId x, int co, int stride,
                          int expansion) {
  const int hidden = expansion * b.channels(x);
  ValueId y = x;
  if (expansion != 1) {
    y = b.relu6(name + ".relu0",
                b.conv_bn(name + ".expand", name + ".expand_bn", y, hidden, 1, 1, 0));
  }
  y = b.relu6(name + ".relu1", b.conv_bn(name + ".depthwise", name + ".depthwise_bn", y, hidden, 3,
                                         stride, 1, hidden));
  y = b.conv_bn(name + ".project", name + ".project_bn", y, co, 1, 1, 0);
  return stride == 1 && b.channels(x) == co ? b.add(name + ".add", x, y) : y;
}

}  // namespace

Network build_mobilenet_v2(uint64_t seed) {
  struct Stage {
    int expansion, channels, repeats, stride;
  };
  constexpr Stage k_stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  ModelBuilder b("mobilenetv2", seed);
  ValueId x = b.input({1, 3, 224, 224});
  x = b.relu6("features.0.relu", b.conv_bn("features.0.conv", "features.0.bn", x, 32, 3, 2, 1));
  int index = 0;
  for (const Stage& stage : k_stages) {
    for (int i = 0; i < stage.repeats; ++i) {
      x = inverted_residual(b, fmt::format("features.{}", ++index), x, stage.channels,
                            i == 0 ? stage.stride : 1, stage.expansion);
    }
  }
  x = b.relu6("features.18.relu",
              b.conv_bn("features.18.conv", "features.18.bn", x, 1280, 1, 1, 0));
  return b.finish(b.classifier("classifier", x, 1000));
}

}  // namespace emulsion
