// Which input row (or column) each output row of a nearest-neighbour Resize takes: ONNX's
// coordinate and rounding modes as an index table. Shared by import and export. Private to this
// folder.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

struct NearestMode {
  std::string coordinates = "half_pixel";       // coordinate_transformation_mode
  std::string rounding = "round_prefer_floor";  // nearest_mode; "simple" is opset 10's
};

// `scale` is out / in as the file gives it (it need not be their quotient exactly).
Result<std::vector<int>> nearest_index(const NearestMode& mode, int64_t in, int64_t out,
                                       double scale);

}  // namespace emulsion
