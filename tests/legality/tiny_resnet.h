// The test vectors' networks as Network ops: a stem, two basic blocks of width 8 and 16, the second
// with stride 2 and a shortcut, average pool, linear; every 3x3 slot rewritten as a spec says.
#pragma once

#include <string>
#include <vector>

#include "legality/training_network.h"

namespace emulsion::testing {

struct Spec {
  std::string name;  // "full", "G", "DW", "OB", "BT", "BZ", "SB", "S1", "S2", "S3", "DWS", "B"
  std::vector<int> numbers;  // its factors
};

struct TinyResnet {
  TrainingNetwork training;
  std::vector<int> weight_order;   // by layer: k of the weights' closed form, or -1
  std::vector<int> first_of_conv;  // by conv of the unrewritten network: k of its first weights
};

TinyResnet tiny_resnet(const Spec& spec, int64_t batch = 4, int64_t width = 8, int64_t size = 8,
                       int64_t classes = 3);

}  // namespace emulsion::testing
