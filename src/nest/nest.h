// A convolution as a loop nest: an iteration domain n g co ci y x ky kx, an affine access for each
// array, and the order and kind of its loops. apply() transforms it by a program step or says why
// it cannot.
//
// co and ci count within one group. The nest is what rewrites, schedules and the plugin share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nest/step.h"
#include "network/op.h"

namespace emulsion {

struct Loop {
  enum class Kind { serial, unrolled, vectorized, parallel, gpu_block, gpu_thread };
  std::string name;      // "co"; the inner part of a split of co is "coi"
  std::string iterator;  // the dimension it runs over: n g co ci y x ky kx; "" when fused
  int64_t extent = 1;
  int64_t stride = 1;  // iterations of the dimension that one iteration of this loop advances
  Kind kind = Kind::serial;
  std::vector<Loop> fused;  // the loops over several dimensions that it is, outermost first

  bool reduction() const { return iterator == "ci" || iterator == "ky" || iterator == "kx"; }
  bool operator==(const Loop&) const = default;
};

// Fused loops replaced by the loops that they are.
std::vector<Loop> simple_loops(const std::vector<Loop>& loops);

struct Term {
  std::string iterator;
  int64_t coefficient;
  bool operator==(const Term&) const = default;
};
// One array dimension's index: sum of terms plus offset.
struct AffineIndex {
  std::vector<Term> terms;
  int64_t offset = 0;
  bool operator==(const AffineIndex&) const = default;
};
struct Access {
  std::string array;                 // "in", "weight" or "out"
  std::vector<AffineIndex> indices;  // ONNX order
  bool operator==(const Access&) const = default;
};

struct Nest {
  int64_t n = 1, groups = 1, co = 1, ci = 1, y = 1, x = 1, ky = 1, kx = 1;  // the domain
  Extent2 stride{1, 1}, dilation{1, 1};
  Pad4 pad{0, 0, 0, 0};
  std::vector<Loop> loops;       // outermost first
  std::vector<Access> accesses;  // in, weight, out

  int64_t multiplies() const;
  int64_t weights() const;
  bool operator==(const Nest&) const = default;
};

// The nest of a conv on an input of this shape, loops in the order n g co y x ci ky kx.
Nest conv_nest(const Conv& conv, const Shape& input);

// The nest transformed by a program step, or what the step refuses and why. None changes the
// domain.
//   split L F           L becomes L (outer) and Li (inner, extent F); ragged for y x co g only
//   interchange A B     loops A and B change places
//   tile L F            split L F, then Li moves inside every reduction loop
//   fuse A B            A and B, directly inside it, become one: what a split took apart, or AB
//   unroll/vectorize/parallel L
//   gpu_block/gpu_thread L   how a loop runs on a GPU
// Neural steps are refused: replacement.h applies those to a conv.
Result<Nest> apply(const Nest& nest, const Step& step);
Result<Nest> apply(Nest nest, const Steps& steps);

std::string to_text(const Nest& nest);

}  // namespace emulsion
