#include "models/models.h"

namespace emulsion {

const std::vector<Model>& models() {
  using Seed = uint64_t;
  static const std::vector<Model> table = {
      {"resnet34-cifar10", "ResNet-34 for 32x32 images and 10 classes.",
       [](Seed s) {
         return build_resnet({"resnet34-cifar10", {3, 4, 6, 3}, false, true}, s);
       }},
      {"resnext29-cifar10", "ResNeXt-29 (2x64d) for 32x32 images and 10 classes.",
       [](Seed s) {
         return build_resnext_cifar({"resnext29-cifar10", {3, 3, 3}, 2, 64}, s);
       }},
      {"densenet161-cifar10", "DenseNet-161 (growth 48) for 32x32 images and 10 classes.",
       [](Seed s) {
         return build_densenet({"densenet161-cifar10", 48, 96, {6, 12, 36, 24}, true}, s);
       }},
      {"resnet18", "ResNet-18 for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_resnet({"resnet18", {2, 2, 2, 2}, false, false}, s);
       }},
      {"resnet34", "ResNet-34 for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_resnet({"resnet34", {3, 4, 6, 3}, false, false}, s);
       }},
      {"resnet50", "ResNet-50 (stride on the 3x3 convs) for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_resnet({"resnet50", {3, 4, 6, 3}, true, false}, s);
       }},
      {"densenet121", "DenseNet-121 for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_densenet({"densenet121", 32, 64, {6, 12, 24, 16}, false}, s);
       }},
      {"densenet161", "DenseNet-161 for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_densenet({"densenet161", 48, 96, {6, 12, 36, 24}, false}, s);
       }},
      {"densenet169", "DenseNet-169 for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_densenet({"densenet169", 32, 64, {6, 12, 32, 32}, false}, s);
       }},
      {"densenet201", "DenseNet-201 for 224x224 images and 1000 classes.",
       [](Seed s) {
         return build_densenet({"densenet201", 32, 64, {6, 12, 48, 32}, false}, s);
       }},
      {"mobilenetv2", "MobileNetV2 for 224x224 images and 1000 classes.", build_mobilenet_v2},
  };
  return table;
}

Result<Network> build_model(const std::string& name, uint64_t seed) {
  std::string known;
  for (const Model& model : models()) {
    if (name == model.name) return model.build(seed);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", model.name);
  }
  return error("no model \"{}\"; the models are {}", name, known);
}

}  // namespace emulsion
