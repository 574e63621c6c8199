// Kernels that move elements give exactly what evaluate() does.
#include "op_harness.h"

namespace emulsion {
namespace {

TEST(Copy, BetweenAllLayouts) {
  for (const Shape& shape : std::vector<Shape>{
           {1, 3, 17, 33}, {2, 17, 5, 3}, {1, 64, 3, 5}, {2, 24, 9, 11}, {1, 1, 5, 5}}) {
    check_op(Copy{}, {shape});
  }
  for (const Shape& shape : std::vector<Shape>{{}, {1}, {17}, {3, 5, 17}, {2, 3, 2, 1, 5}}) {
    check_op(Copy{}, {shape});
  }
}

TEST(Copy, OfLargeImages) {
  check_op(Copy{}, {{1, 3, 100, 101}}, Layout::row_major, Layout::rim);
  check_op(Copy{}, {{1, 40, 50, 51}}, Layout::rim, Layout::row_major);
  check_op(Copy{}, {{2, 40, 50, 51}}, Layout::row_major, Layout::rim);
}

TEST(Literal, OfEveryRank) {
  for (const Shape& shape :
       std::vector<Shape>{{}, {5}, {3, 17}, {2, 17, 3, 5}, {1, 3, 4, 20}, {2, 2, 3, 2, 5}}) {
    check_op(Literal{noise_constant(shape, 9)}, {});
  }
}

TEST(Concat, AlongAnyAxis) {
  for (int axis = 0; axis < 4; ++axis) {
    std::vector<Shape> shapes(3, Shape{2, 5, 3, 4});
    shapes[1][axis] = 17;
    shapes[2][axis] = 1;
    check_op(Concat{axis}, shapes, Layout::channels_last, Layout::rim);
    check_op(Concat{axis}, shapes, Layout::row_major, Layout::row_major);
    check_op(Concat{axis}, shapes, Layout::slice, Layout::row_major);
  }
  check_op(Concat{0}, {{5}, {17}});
  check_op(Concat{1}, {{2, 3, 4}, {2, 17, 4}});
  check_op(Concat{3}, {{2, 3, 1, 4, 2}, {2, 3, 1, 17, 2}});
  check_op(Concat{1}, {{2, 40}});
}

TEST(Slice, StartsAndSteps) {
  check_op(Slice{{0, 2, 1, 0}, {1, 1, 1, 1}, {2, 13, 2, 5}}, {{2, 17, 3, 5}});
  check_op(Slice{{1, 16, 0, 4}, {1, -3, 2, -1}, {1, 6, 2, 5}}, {{2, 17, 3, 5}});
  check_op(Slice{{16}, {-1}, {17}}, {{17}});
  check_op(Slice{{0, 1, 2}, {2, 3, 1}, {2, 2, 15}}, {{3, 5, 17}});
  check_op(Slice{{0, 8, 0, 0}, {1, 1, 1, 1}, {1, 16, 9, 10}}, {{1, 24, 9, 10}});
}

TEST(Pad, EveryModeWithCropping) {
  for (const auto mode : {Pad::Mode::constant, Pad::Mode::reflect, Pad::Mode::edge}) {
    check_op(Pad{mode, {0, 0, 1, 2}, {0, 0, 2, 1}, 0.5f}, {{2, 17, 5, 4}});
    check_op(Pad{mode, {0, 3, -1, 0}, {0, 2, 1, -2}, 0.5f}, {{2, 7, 5, 20}});
    check_op(Pad{mode, {2}, {-3}, 0.5f}, {{17}});
    check_op(Pad{mode, {0, 1, 2}, {1, -1, 0}, 0.5f}, {{2, 3, 9}}, Layout::slice, Layout::slice);
  }
  check_op(Pad{Pad::Mode::constant, {0, 0}, {0, 0}, 0.5f}, {{3, 5}});
}

TEST(Reshape, AcrossLayouts) {
  check_op(Reshape{{2, 17 * 3 * 5}}, {{2, 17, 3, 5}});
  check_op(Reshape{{2, 17}}, {{2, 17, 1, 1}});
  check_op(Reshape{{2, 17, 1, 1}}, {{2, 17}});
  check_op(Reshape{{5, 3, 17, 2}}, {{2, 17, 3, 5}});
  check_op(Reshape{{2, 4, 6, 3, 5}}, {{2, 24, 3, 5}});
  check_op(Reshape{{1, 30}}, {{2, 3, 5}});
  check_op(Reshape{{30}}, {{2, 1, 3, 5, 1}});
  check_op(Reshape{{1, 1}}, {{1}});
  check_op(Reshape{{}}, {{1, 1}});
}

TEST(Transpose, EveryPermutationOfFour) {
  std::vector<int> permutation = {0, 1, 2, 3};
  do {
    check_op(Transpose{permutation}, {{2, 9, 3, 17}}, Layout::row_major, Layout::row_major);
    check_op(Transpose{permutation}, {{2, 9, 3, 17}}, Layout::rim, Layout::channels_last);
  } while (std::next_permutation(permutation.begin(), permutation.end()));
}

TEST(Transpose, OtherRanks) {
  check_op(Transpose{{1, 0}}, {{17, 33}});
  check_op(Transpose{{2, 0, 1}}, {{5, 9, 17}});
  check_op(Transpose{{0, 2, 1, 3, 4}}, {{2, 2, 12, 3, 5}});
  check_op(Transpose{{5, 4, 3, 2, 1, 0}}, {{2, 3, 1, 2, 2, 9}});
}

TEST(Resize, ByFactorsAndByTables) {
  check_op(Resize{{0, 0, 1, 1, 2, 2}, {0, 0, 1, 1, 2, 2, 3, 3}}, {{2, 17, 3, 4}});
  check_op(Resize{{0, 2}, {3, 3, 1, 0, 2}}, {{2, 17, 3, 4}});
  check_op(Resize{{0, 1, 2}, {0, 1, 1, 3}}, {{1, 3, 3, 4}});
  check_op(Resize{{0, 0, 1}, {0, 2}}, {{1, 5, 2, 4}});
}

}  // namespace
}  // namespace emulsion
