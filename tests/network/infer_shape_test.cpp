#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "network/op.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

struct Case {
  const char* op;
  std::vector<const char*> inputs;
  const char* expected;  // the shape, or a part of the refusal
};

std::vector<Shape> shapes_of(const std::vector<const char*>& texts) {
  std::vector<Shape> shapes;
  for (const char* text : texts) shapes.push_back(*parse_shape(text));
  return shapes;
}

Result<Shape> inferred(const Case& c) {
  return infer_shape(*parse_op(c.op), shapes_of(c.inputs));
}

TEST(InferShape, Gives) {
  const Case table[] = {
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3]",
       {"2x3x32x30"},
       "2x8x32x30"},
      {"conv stride=2x2 dilation=1x1 pad=3,3,3,3 groups=1 weight=[64x3x7x7]",
       {"1x3x224x224"},
       "1x64x112x112"},
      {"conv stride=1x1 dilation=2x3 pad=0,0,0,0 groups=1 weight=[1x1x3x3]",
       {"1x1x8x8"},
       "1x1x4x2"},
      {"conv stride=2x3 dilation=1x1 pad=0,1,0,2 groups=4 weight=[8x2x1x1]",
       {"1x8x7x7"},
       "1x8x4x4"},
      {"conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x2x1x1] residual=1",
       {"1x2x3x3", "1x4x3x3"},
       "1x4x3x3"},
      {"dense weight=[10x512]", {"7x512"}, "7x10"},
      {"dense weight=[4x3] bias=[4]", {"2x5x3"}, "2x5x4"},
      {"dense weight=[4x3]", {"3"}, "4"},
      {"batch_norm scale=[3] shift=[3] mean=[3] variance=[3] epsilon=0.1", {"1x3x2x2"}, "1x3x2x2"},
      {"affine scale=[3] shift=[3]", {"5x3"}, "5x3"},
      {"activation act=prelu([3])", {"1x3x2x2"}, "1x3x2x2"},
      {"activation act=prelu([1])", {"7"}, "7"},
      {"normalize axes=1,3 epsilon=0", {"2x3x4x5"}, "2x3x4x5"},
      {"binary kind=add", {"2x3x4", "3x1"}, "2x3x4"},
      {"binary kind=mul", {"2x1", "1x3"}, "2x3"},
      {"binary kind=sub", {"scalar", "2x3"}, "2x3"},
      {"literal value=[2x3]", {}, "2x3"},
      {"concat axis=1", {"1x2x4x4", "1x3x4x4", "1x1x4x4"}, "1x6x4x4"},
      {"concat axis=0", {"3"}, "3"},
      {"slice starts=3,0 steps=-1,2 shape=4x2", {"4x4"}, "4x2"},
      {"pad mode=constant before=0,-1 after=2,-1 value=0", {"3x4"}, "5x2"},
      {"pad mode=reflect before=2 after=2 value=0", {"3"}, "7"},
      {"pool kind=max kernel=3x3 stride=2x2 dilation=1x1 pad=1,1,1,1 out=56x56",
       {"1x4x112x112"},
       "1x4x56x56"},
      {"pool kind=max kernel=2x2 stride=2x2 dilation=1x1 pad=0,0,0,0 out=3x3",
       {"1x1x5x5"},
       "1x1x3x3"},
      {"reduce_mean axes=2,3 keep=1", {"1x8x7x7"}, "1x8x1x1"},
      {"reduce_mean axes=2,3", {"1x8x7x7"}, "1x8"},
      {"reduce_mean axes=0", {"4"}, "scalar"},
      {"reshape shape=2x6", {"3x4"}, "2x6"},
      {"transpose permutation=0,2,1", {"2x3x4"}, "2x4x3"},
      {"softmax axis=1", {"2x3"}, "2x3"},
      {"resize rows=0,0,1 columns=1", {"1x2x2x2"}, "1x2x3x1"},
      {"copy", {"1x2"}, "1x2"},
  };
  for (const Case& c : table) {
    const Result<Shape> shape = inferred(c);
    ASSERT_TRUE(shape.ok()) << c.op << ": " << shape.error().message;
    EXPECT_EQ(to_text(*shape), c.expected) << c.op;
  }
}

TEST(InferShape, Refuses) {
  const Case table[] = {
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3]", {"3x32"}, "rank 4"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3]",
       {"1x3x8x8"},
       "weight has shape"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x4x3x3]",
       {"1x3x8x8"},
       "is for 4 input channels"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=2 weight=[8x3x3x3]",
       {"1x3x8x8"},
       "2 groups"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=0 weight=[8x3x3x3]",
       {"1x3x8x8"},
       "0 groups"},
      {"conv stride=0x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3]",
       {"1x3x8x8"},
       "stride 0x1"},
      {"conv stride=1x1 dilation=1x0 pad=1,1,1,1 groups=1 weight=[8x3x3x3]",
       {"1x3x8x8"},
       "dilation 1x0"},
      {"conv stride=1x1 dilation=1x1 pad=-1,1,1,1 groups=1 weight=[8x3x3x3]",
       {"1x3x8x8"},
       "pad -1,1,1,1"},
      {"conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[8x3x3x3]",
       {"1x3x2x8"},
       "rows (2) are fewer than the 3"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3] bias=[3]",
       {"1x3x8x8"},
       "bias has shape 3 where 8"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3] in_scale=[3]",
       {"1x3x8x8"},
       "come together"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3] act=prelu([3])",
       {"1x3x8x8"},
       "prelu's slope"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3] residual=1",
       {"1x3x8x8", "1x8x8x7"},
       "the residual 1x8x8x7 must have the output's shape 1x8x8x8"},
      {"conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x3x3x3] residual=1",
       {"1x3x8x8"},
       "has 1 inputs where 2"},
      {"dense weight=[10x512]", {"1x511"}, "rows of 512"},
      {"dense weight=[10]", {"1x10"}, "rank 2"},
      {"dense weight=[10x2] bias=[2]", {"1x2"}, "bias"},
      {"affine scale=[3] shift=[3]", {"3"}, "no channels"},
      {"affine scale=[3] shift=[4]", {"1x3"}, "shift has shape 4 where 3"},
      {"batch_norm scale=[3] shift=[3] mean=[2] variance=[3] epsilon=0.1", {"1x3"}, "mean"},
      {"binary kind=add", {"2x3", "2x4"}, "2x3 and 2x4 do not broadcast"},
      {"binary kind=add", {"2x3"}, "1 inputs"},
      {"concat axis=1", {"1x2x4", "1x2x5"}, "differ outside axis 1"},
      {"concat axis=3", {"1x2x4"}, "axis 3"},
      {"concat axis=-1", {"1x2x4"}, "axis -1"},
      {"slice starts=0 steps=0 shape=1", {"4"}, "step of dimension 0 is 0"},
      {"slice starts=2 steps=1 shape=3", {"4"}, "elements 2 to 4"},
      {"slice starts=0 steps=1 shape=1", {"4x4"}, "one entry for each dimension"},
      {"pad mode=constant before=-2 after=-2 value=0", {"4"}, "cropped to nothing"},
      {"pad mode=reflect before=3 after=0 value=0", {"3"}, "too short to be reflected"},
      {"pool kind=max kernel=2x2 stride=2x2 dilation=1x1 pad=0,0,0,0 out=4x3",
       {"1x1x5x5"},
       "output row 3 has no tap"},
      {"pool kind=max kernel=1x1 stride=1x1 dilation=1x1 pad=0,1,0,0 out=2x3",
       {"1x1x2x2"},
       "output column 0 has no tap"},
      {"pool kind=max kernel=0x2 stride=2x2 dilation=1x1 pad=0,0,0,0 out=1x1",
       {"1x1x5x5"},
       "kernel 0x2"},
      {"reduce_mean axes=3,2 keep=1", {"1x8x7x7"}, "ascending"},
      {"reduce_mean axes=4 keep=1", {"1x8x7x7"}, "axis 4"},
      {"reshape shape=5", {"2x3"}, "2x3 has not as many elements as 5"},
      {"transpose permutation=0,0", {"2x3"}, "not a permutation"},
      {"transpose permutation=0,2", {"2x3"}, "not a permutation"},
      {"softmax axis=2", {"2x3"}, "axis 2"},
      {"resize rows=2 columns=0", {"1x1x2x2"}, "index 2"},
      {"resize rows= columns=0", {"1x1x2x2"}, "no elements"},
      {"copy", {"0x2"}, "no elements"},
  };
  for (const Case& c : table) {
    const Result<Shape> shape = inferred(c);
    ASSERT_FALSE(shape.ok()) << c.op << " gave " << to_text(*shape);
    EXPECT_THAT(shape.error().message, HasSubstr(c.expected)) << c.op;
  }
}

}  // namespace
}  // namespace emulsion
