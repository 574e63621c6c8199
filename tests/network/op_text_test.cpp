#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "network/op.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

TEST(OpText, PrintsWhatItParses) {
  const char* table[] = {
      "conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[64x64x3x3]",
      "conv stride=2x1 dilation=1x3 pad=1,2,3,4 groups=32 weight=[64x2x3x3] bias=[64] "
      "in_scale=[64] "
      "in_shift=[64] in_act=prelu([64]) residual=1 act=clip(0,6)",
      "conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x4x1x1] in_act=relu act=silu",
      "conv_chain convs=2 image=7x9 0.stride=1x1 0.dilation=1x1 0.pad=0,0,0,0 0.groups=1 "
      "0.weight=[48x8x1x1] 0.bias=[48] 0.act=clip(0,6) 1.stride=2x2 1.dilation=1x1 1.pad=1,1,1,1 "
      "1.groups=48 1.weight=[48x1x3x3] 1.residual=1",
      "dense weight=[10x512] bias=[10] act=leaky_relu(0.01)",
      "batch_norm scale=[3] shift=[3] mean=[3] variance=[3] epsilon=1e-05",
      "affine scale=[3] shift=[3] act=hard_sigmoid(0.16666667,0.5)",
      "activation act=relu",
      "activation act=prelu([1])",
      "activation act=clip(-inf,6)",
      "activation act=sigmoid",
      "activation act=hard_swish",
      "activation act=gelu",
      "activation act=gelu_tanh",
      "activation act=mish",
      "activation act=elu(0.5)",
      "activation act=softplus",
      "activation act=tanh",
      "activation act=power(-0.5)",
      "normalize axes=1 epsilon=1e-06",
      "binary kind=add act=relu",
      "binary kind=sub",
      "binary kind=mul",
      "binary kind=div",
      "binary kind=pow",
      "literal value=[1x2x3]",
      "literal value=[scalar]",
      "concat axis=1",
      "slice starts=0,3 steps=1,-2 shape=4x2",
      "slice starts= steps= shape=scalar",
      "pad mode=constant before=0,0,1,-1 after=0,0,2,2 value=-0.5",
      "pad mode=reflect before=1 after=1 value=0",
      "pad mode=edge before=1 after=1 value=0",
      "pool kind=max kernel=3x3 stride=2x2 dilation=1x1 pad=1,1,1,1 out=56x56",
      "pool kind=average kernel=3x2 stride=2x1 dilation=1x2 pad=1,0,1,0 count_include_pad=1 "
      "out=5x6",
      "reduce_mean axes=2,3 keep=1",
      "reduce_mean axes=1",
      "reshape shape=1x512",
      "transpose permutation=0,2,1,3",
      "softmax axis=1",
      "resize rows=0,0,1,1 columns=0,1",
      "copy",
  };
  for (const char* text : table) {
    const Result<Op> op = parse_op(text);
    ASSERT_TRUE(op.ok()) << text << ": " << op.error().message;
    EXPECT_EQ(to_text(*op), text);
    for (const Constant& c : constants(*op)) {
      EXPECT_TRUE(!c || c->abstract());
    }
  }
}

TEST(OpText, FloatsComeBackExactly) {
  for (const float x : {0.1f, 1.0f / 3.0f, 1e-38f, 3.4028235e38f, -0.0f, 16777217.0f}) {
    const Op op = Activation{.kind = Activation::Kind::clip, .alpha = x, .beta = x};
    const Result<Op> again = parse_op(to_text(op));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(std::get<Activation>(*again).alpha, x);
  }
}

TEST(OpText, Refuses) {
  const std::pair<const char*, const char*> table[] = {
      {"", "'' is not an op"},
      {"convolve", "'convolve' is not an op"},
      {"conv", "stride= is missing"},
      {"conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1", "weight= is missing"},
      {"conv stride=1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[1x1x1x1]", "stride=1 is malformed"},
      {"softmax axis=1 axis=2", "axis= is given twice"},
      {"softmax axis=1 speed=3", "it has no speed="},
      {"softmax axis=one", "axis=one is malformed"},
      {"softmax axis=99999999999", "axis=99999999999 is malformed"},
      {"softmax axis=1 ", "'' is not key=value"},
      {"affine scale=[3]", "shift= is missing"},
      {"literal value=[3", "value=[3 is malformed"},
      {"activation act=sinh", "act=sinh is malformed"},
      {"activation act=gelu(1)", "act=gelu(1) is malformed"},
      {"activation act=relu(1)", "act=relu(1) is malformed"},
      {"activation act=clip(0,6", "act=clip(0,6 is malformed"},
      {"activation act=clip(0)", "act=clip(0) is malformed"},
      {"binary kind=mod", "kind=mod is malformed"},
  };
  for (const auto& [text, reason] : table) {
    const Result<Op> op = parse_op(text);
    ASSERT_FALSE(op.ok()) << text;
    EXPECT_THAT(op.error().message, HasSubstr(reason));
  }
}

TEST(OpConstants, ComeInTheTextsOrderAndCanBeReplaced) {
  Op op = *parse_op(
      "conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x2x1x1] in_scale=[2] "
      "in_shift=[2] "
      "in_act=prelu([2]) act=prelu([4])");
  const std::vector<Constant> list = constants(std::as_const(op));
  ASSERT_EQ(list.size(), 6u);
  EXPECT_EQ(list[0]->shape, (Shape{4, 2, 1, 1}));
  EXPECT_EQ(list[1], nullptr);
  EXPECT_EQ(list[4]->shape, Shape{2});
  EXPECT_EQ(list[5]->shape, Shape{4});
  EXPECT_EQ(parameters(op), 8 + 2 + 2 + 2 + 4);
  *constants(op)[1] = abstract_constant({4});
  EXPECT_THAT(to_text(op), HasSubstr("bias=[4]"));
}

TEST(ShapeText, RoundTripsAndRefuses) {
  for (const char* text : {"scalar", "1", "1x64x32x32", "0x3"}) {
    const Result<Shape> shape = parse_shape(text);
    ASSERT_TRUE(shape.ok()) << text;
    EXPECT_EQ(to_text(*shape), text);
  }
  for (const char* text :
       {"", "x", "1x", "x1", "1xx2", "-1x2", "1.5", "1x2 ", "4000000000x4000000000"}) {
    EXPECT_FALSE(parse_shape(text).ok()) << text;
  }
}

}  // namespace
}  // namespace emulsion
