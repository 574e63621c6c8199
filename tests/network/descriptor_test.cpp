#include "network/descriptor.h"

#include <gtest/gtest.h>

namespace emulsion {
namespace {

TEST(Descriptor, RowMajorHasTheLastDimensionInnermost) {
  const TensorDescriptor d = row_major({2, 3, 4, 5});
  EXPECT_EQ(d.strides, (std::vector<int64_t>{60, 20, 5, 1}));
  EXPECT_EQ(origin_offset(d), 0);
  EXPECT_EQ(storage_elements(d), 120);
  EXPECT_EQ(storage_elements(row_major({})), 1);
}

TEST(Descriptor, ChannelsLastCountsItsRim) {
  const TensorDescriptor d = channels_last({2, 8, 4, 5}, {1, 2, 3, 4});
  // A row holds 2 + 5 + 4 columns of 8 channels, an image 1 + 4 + 3 rows.
  EXPECT_EQ(d.strides, (std::vector<int64_t>{8 * 88, 1, 88, 8}));
  EXPECT_EQ(origin_offset(d), 1 * 88 + 2 * 8);
  EXPECT_EQ(storage_elements(d), 2 * 8 * 88);
}

TEST(Descriptor, BlockedChannelsTakeWholeBlocks) {
  TensorDescriptor d;
  d.shape = {1, 10, 2, 3};
  d.channel_block = 8;
  d.strides = {2 * 48, 48, 24, 8};
  EXPECT_EQ(storage_elements(d), 2 * 48);
}

TEST(Descriptor, EveryElementLiesInItsStorage) {
  for (const Pad4 rim : {Pad4{0, 0, 0, 0}, Pad4{1, 0, 0, 2}, Pad4{3, 3, 3, 3}}) {
    const Shape shape{2, 3, 2, 4};
    const TensorDescriptor d = channels_last(shape, rim);
    std::vector<int> seen(storage_elements(d), 0);
    for (int64_t n = 0; n < shape[0]; ++n) {
      for (int64_t c = 0; c < shape[1]; ++c) {
        for (int64_t y = -rim[0]; y < shape[2] + rim[2]; ++y) {
          for (int64_t x = -rim[1]; x < shape[3] + rim[3]; ++x) {
            const int64_t at = origin_offset(d) + n * d.strides[0] + c * d.strides[1] +
                               y * d.strides[2] + x * d.strides[3];
            ++seen.at(at);
          }
        }
      }
    }
    for (const int count : seen) EXPECT_EQ(count, 1);
  }
}

TEST(Descriptor, TextRoundTrips) {
  TensorDescriptor blocked = row_major({1, 16, 2, 2});
  blocked.channel_block = 8;
  for (const TensorDescriptor& d :
       {row_major({}), row_major({5}), row_major({1, 1000}),
        channels_last({1, 64, 32, 32}, {1, 1, 1, 1}), channels_last({4, 3, 7, 9}), blocked}) {
    const Result<TensorDescriptor> again = parse_descriptor(to_text(d));
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(*again, d) << to_text(d);
  }
  EXPECT_EQ(to_text(channels_last({1, 64, 32, 32}, {1, 1, 1, 1})),
            "f32[1x64x32x32] strides=[73984,1,2176,64] rim=1,1,1,1");
}

TEST(Descriptor, TextLeavesTheParentOut) {
  TensorDescriptor d = channels_last({1, 4, 2, 2});
  const std::string text = to_text(d);
  d.parent = 7;
  d.parent_offset = 4;
  EXPECT_EQ(to_text(d), text);
}

TEST(Descriptor, TextRefuses) {
  for (const char* text :
       {"", "f32", "f16[1] strides=[1]", "f32[1] strides=[1,2]", "f32[1x2] strides=[1]",
        "f32[3] strides=[1] rim=1,1,1,1", "f32[1] strides=[1] rim=1,1", "f32[1] strides=[x]",
        "f32[1x] strides=[1]", "f32[1] strides=[99999999999999999999]", "f32[1] strides=[1] "}) {
    EXPECT_FALSE(parse_descriptor(text).ok()) << text;
  }
}

}  // namespace
}  // namespace emulsion
