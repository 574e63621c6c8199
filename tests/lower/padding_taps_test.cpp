// Which taps are left out, counted by hand.
#include "lower/padding_taps.h"

#include <gtest/gtest.h>

#include "network/op.h"

namespace emulsion {
namespace {

Nest nest_of(int size, int kernel, int stride, Pad4 pad, int dilation = 1) {
  Conv conv;
  conv.weight = abstract_constant({8, 8, kernel, kernel});
  conv.bias = abstract_constant({8});
  conv.stride = {stride, stride};
  conv.dilation = {dilation, dilation};
  conv.pad = pad;
  return conv_nest(conv, {1, 8, size, size});
}

TEST(PaddingTaps, AreRowsWhereRowsAreALoopAndColumnsWhereEachCopyHasItsOwn) {
  const Nest nest = nest_of(7, 3, 1, {1, 1, 1, 1});
  const KeptTaps both = kept_taps(nest, {1, 7, 3});
  EXPECT_DOUBLE_EQ(both.rows, 19.0 / 21);
  EXPECT_DOUBLE_EQ(both.columns, 19.0 / 21);
  const KeptTaps rows = kept_taps(nest, {1, 7, 1});
  EXPECT_DOUBLE_EQ(rows.rows, 19.0 / 21);
  EXPECT_EQ(rows.columns, 1);
  EXPECT_EQ(kept_taps(nest, {1, 4, 3}).columns, 1);
  EXPECT_EQ(kept_taps(nest, {2, 7, 3}).rows, 1);
}

TEST(PaddingTaps, BehindTheImageCountWhereTheyAreReached) {
  // The last tap of the last of seven outputs is the image's last row: only the first one is
  // padding.
  EXPECT_DOUBLE_EQ(kept_taps(nest_of(14, 3, 2, {1, 1, 1, 1}), {1, 7, 3}).rows, 20.0 / 21);
  // Taps two apart on five pixels padded by two: the first of outputs 0 and 1, the last of 3 and 4.
  EXPECT_DOUBLE_EQ(kept_taps(nest_of(5, 3, 1, {2, 2, 2, 2}, 2), {1, 5, 3}).rows, 11.0 / 15);
}

TEST(PaddingTaps, StayWhereTheyAreFew) {
  const KeptTaps kept = kept_taps(nest_of(112, 3, 1, {1, 1, 1, 1}), {1, 112, 3});
  EXPECT_EQ(kept.rows, 1);
  EXPECT_EQ(kept.columns, 1);
}

}  // namespace
}  // namespace emulsion
