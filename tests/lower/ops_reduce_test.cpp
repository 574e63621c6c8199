// ReduceMean, Softmax, Normalize and Dense kernels compute what evaluate() does.
#include "op_harness.h"

namespace emulsion {
namespace {

TEST(ReduceMean, OverRowsAndColumnsInEveryLayout) {
  for (const int c : {3, 70}) check_op(ReduceMean{{2, 3}, true}, {{2, c, 5, 7}});
  check_op(ReduceMean{{2, 3}, false}, {{2, 17, 5, 7}});
}

TEST(ReduceMean, OverAnyAxes) {
  const Shape image = {2, 5, 3, 17};
  for (int mask = 0; mask < 16; ++mask) {
    ReduceMean op;
    for (int axis = 0; axis < 4; ++axis)
      if (mask >> axis & 1) op.axes.push_back(axis);
    op.keep = mask % 3 != 0;
    const Layout layout = mask % 2 == 0 ? Layout::channels_last : Layout::row_major;
    check_op(op, {image}, layout, layout);
  }
  for (const bool keep : {false, true}) {
    check_op(ReduceMean{{0}, keep}, {{37}});
    check_op(ReduceMean{{1}, keep}, {{3, 37}});
    check_op(ReduceMean{{0}, keep}, {{3, 37}});
    check_op(ReduceMean{{1, 4}, keep}, {{2, 3, 1, 2, 33}});
    check_op(ReduceMean{{0, 2, 5}, keep}, {{2, 2, 3, 1, 2, 5}});
  }
}

TEST(ReduceMean, LongLines) {
  check_op(ReduceMean{{2, 3}, true}, {{1, 20, 112, 112}}, Layout::channels_last, Layout::row_major);
  check_op(ReduceMean{{2, 3}, true}, {{1, 20, 112, 112}}, Layout::row_major, Layout::row_major);
}

TEST(Softmax, AlongAnyAxis) {
  for (int axis = 0; axis < 4; ++axis) check_op(Softmax{axis}, {{2, 17, 3, 5}});
  for (int axis = 0; axis < 2; ++axis) check_op(Softmax{axis}, {{3, 10}});
  check_op(Softmax{0}, {{37}});
  check_op(Softmax{0}, {{1}});
  check_op(Softmax{1}, {{2, 3, 4, 1, 5}});
  check_op(Softmax{1}, {{2, 3, 5, 7}}, Layout::channels_last, Layout::channels_last);
}

TEST(Softmax, LongLines) {
  check_op(Softmax{1}, {{2, 1000}});
  check_op(Softmax{1}, {{1, 50021}});
}

TEST(Normalize, OverChannelsInEveryLayout) {
  for (const int c : {1, 3, 17, 96}) check_op(Normalize{{1}, 0.01f}, {{2, c, 3, 5}});
}

TEST(Normalize, OverAnyAxes) {
  for (int mask = 1; mask < 16; ++mask) {
    Normalize op{{}, 0.01f};
    for (int axis = 0; axis < 4; ++axis)
      if (mask >> axis & 1) op.axes.push_back(axis);
    check_op(op, {{2, 5, 3, 17}}, Layout::channels_last, Layout::channels_last);
    check_op(op, {{2, 17, 3, 2}}, Layout::row_major, Layout::rim);
  }
  check_op(Normalize{{0}, 0.01f}, {{37}});
  check_op(Normalize{{1}, 0.01f}, {{3, 37}});
  check_op(Normalize{{2, 3, 4}, 0.01f}, {{2, 3, 4, 5, 6}});
}

TEST(Normalize, LinesOfConvNeXtAndLargeImages) {
  check_op(Normalize{{1}, 1e-6f}, {{1, 768, 7, 7}}, Layout::channels_last, Layout::channels_last);
  check_op(Normalize{{2, 3}, 1e-5f}, {{1, 20, 112, 112}}, Layout::channels_last,
           Layout::channels_last);
  check_op(Normalize{{1, 2, 3}, 1e-5f}, {{2, 20, 64, 64}}, Layout::channels_last,
           Layout::channels_last);
}

TEST(Dense, OutputsDepthsAndRows) {
  for (const int m : {1, 3, 10, 17, 100, 257}) {
    for (const int k : {1, 33}) {
      const Dense dense{noise_constant({m, k}, 5), noise_constant({m}, 6), {}};
      check_op(dense, {{1, k}}, Layout::row_major, Layout::row_major);
    }
    const Dense dense{noise_constant({m, 12}, 5), nullptr, Activation{}};
    for (const int rows : {3, 5}) {
      check_op(dense, {{rows, 12}}, Layout::slice, Layout::slice);
    }
  }
}

TEST(Dense, AnyRank) {
  const Dense dense{noise_constant({17, 12}, 5), noise_constant({17}, 6), {}};
  check_op(dense, {{12}});
  check_op(dense, {{2, 3, 12}});
  check_op(dense, {{2, 3, 4, 12}});
  check_op(dense, {{2, 1, 3, 2, 12}});
}

TEST(Dense, LastLayersOfImageNetAndCifar) {
  check_op(Dense{noise_constant({1000, 512}, 5), noise_constant({1000}, 6), {}}, {{1, 512}},
           Layout::row_major, Layout::row_major);
  check_op(Dense{noise_constant({10, 512}, 5), noise_constant({10}, 6), {}}, {{4, 512}},
           Layout::row_major, Layout::row_major);
}

}  // namespace
}  // namespace emulsion
