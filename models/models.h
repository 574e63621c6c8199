// The networks that the paper and the field measure on, built layer by layer as they were
// published, convolutions and batch norms apart. Seeded weights: He-normal convs, batch norms with
// non-trivial statistics. One table; build_model() looks a name up in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "network/network.h"

namespace emulsion {

struct Model {
  const char* name;
  const char* sentence;
  // One image a batch. The same seed gives the same weights on every machine.
  Network (*build)(uint64_t seed);
};
const std::vector<Model>& models();

// An unknown name's error lists the known ones.
Result<Network> build_model(const std::string& name, uint64_t seed = 0);

// The families; models.cpp has the table of members.
struct ResNetForm {
  const char* name;
  std::vector<int> blocks;  // in each of the four stages
  bool bottleneck;          // 1x1 - 3x3 - 1x1 blocks (with the stride on the 3x3), else 3x3 - 3x3
  bool cifar;               // 32x32 and 10 classes, 3x3 stem, no pooling; else 224x224 and 1000
};
Network build_resnet(const ResNetForm& form, uint64_t seed);

struct ResNeXtForm {
  const char* name;
  std::vector<int> blocks;  // in each of the three stages
  int cardinality, width;   // groups of the 3x3 convs, and channels of a group in the first stage
};
// kuangliu's form for 32x32 images: a 1x1 stem and no pooling.
Network build_resnext_cifar(const ResNeXtForm& form, uint64_t seed);

struct DenseNetForm {
  const char* name;
  int growth, stem;         // channels that a layer adds, and of the stem
  std::vector<int> blocks;  // layers in each of the four blocks
  bool cifar;  // kuangliu's form (new channels first, bare 3x3 stem), else torchvision's
};
Network build_densenet(const DenseNetForm& form, uint64_t seed);

Network build_mobilenet_v2(uint64_t seed);

}  // namespace emulsion
