// One program transformation of a conv's loop nest, as data with a text form:
//   "split co 2; group[0] 2; group[1] 4; tile x 8; vectorize co 16; unroll x; parallel y"
// Program steps change how the nest is run (nest.h). Neural steps change its domain, and so what is
// computed: they are the steps of the table of rewrites (rewrite_table.h).
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
    fuse,
    unroll,
    vectorize,
    parallel,
    gpu_block,
    gpu_thread,
    neural
  };
  Kind kind;
  std::string loop;     // the loop it works on; empty for group and depthwise
  std::string other;    // interchange, fuse: the second loop
  int factor = 0;       // split, tile, vectorize, group, bottleneck
  std::string word;     // neural: "group", "bottleneck", ...
  int part = -1;        // neural: group[1] works on part 1 of a split only; -1: on all
  std::string variant;  // neural: the last word of "bottleneck co 2 tiled"

  bool operator==(const Step&) const = default;
};

using Steps = std::vector<Step>;

bool is_neural(const Step& step);

std::string to_text(const Step& step);
std::string to_text(const Steps& steps);  // joined by "; "

// Two words are program steps and neural ones as well: a split that is followed by a step with a
// part number ("split co 2; group[1] 4") takes the loop apart in FACTOR convs, and an unroll with a
// number ("unroll co 16") makes a conv of its own of the first iterations.
Result<Steps> parse_steps(const std::string& text);

// "step 'group 3': 3 does not divide ci's 4"
Error refusal(const Step& step, const std::string& why);

}  // namespace emulsion
