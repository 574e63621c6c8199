// One program transformation of a conv's loop nest, as data with a text form:
//   "split co 64; interchange co y; group 2; tile x 8; vectorize co 16; unroll x; parallel y"
// Program steps change how the nest is run; neural steps (group, bottleneck, depthwise) change its
// domain, and so what is computed. nest.h says what each does.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

struct Step {
  enum class Kind {
    split,
    interchange,
    tile,
    unroll,
    vectorize,
    parallel,
    group,
    bottleneck,
    depthwise
  };
  Kind kind;
  std::string loop;   // the loop it works on; empty for group and depthwise
  std::string other;  // interchange: the loop it changes places with
  int factor = 0;     // split, tile, vectorize, group, bottleneck

  bool operator==(const Step&) const = default;
};

using Steps = std::vector<Step>;

bool is_neural(const Step& step);

std::string to_text(const Step& step);
std::string to_text(const Steps& steps);  // joined by "; "
Result<Steps> parse_steps(const std::string& text);

}  // namespace emulsion
