// A table for each pass: text before, text after.
#include "pass_table.h"

namespace emulsion {
namespace {

#define CONV1x1 "conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x4x1x1]"
#define CONV3x3 "conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[4x4x3x3]"
#define X "input %0 : 1x4x8x8\n"
#define S " : 1x4x8x8\n"

TEST(SimplifyPass, DropNoops) {
  expect_pass("drop_noops",
              {{"identity layers of every kind",
                X "%1 = reshape shape=1x4x8x8 <- %0" S "%2 = transpose permutation=0,1,2,3 <- %1" S
                  "%3 = slice starts=0,0,0,0 steps=1,1,1,1 shape=1x4x8x8 <- %2" S
                  "%4 = pad mode=constant before=0,0,0,0 after=0,0,0,0 value=0 <- %3" S
                  "%5 = concat axis=1 <- %4" S "%6 = activation act=relu <- %5" S "output %6",
                X "%1 = activation act=relu <- %0" S "output %1"},
               {"the output keeps its name and its maker changes it",
                X "%1 = activation act=relu <- %0" S "%2 = concat axis=1 <- %1" S "output %2",
                X "%1 = activation act=relu <- %0" S "output %1"},
               {"a noop between input and output stays, for the output's name",
                X "%1 = concat axis=1 <- %0" S "output %1", nullptr},
               {"a slice that reverses stays",
                X "%1 = slice starts=0,3,0,0 steps=1,-1,1,1 shape=1x4x8x8 <- %0" S
                  "%2 = activation act=relu <- %1" S "output %2",
                nullptr},
               {"a pad that shifts stays",
                X "%1 = pad mode=edge before=0,0,1,0 after=0,0,-1,0 value=0 <- %0" S
                  "%2 = activation act=relu <- %1" S "output %2",
                nullptr}});
}

TEST(SimplifyPass, MergeReshapes) {
  expect_pass(
      "merge_reshapes",
      {{"two in a row",
        X "%1 = reshape shape=4x64 <- %0 : 4x64\n%2 = reshape shape=256 <- %1 : 256\noutput %2",
        X "%1 = reshape shape=256 <- %0 : 256\noutput %1"}});
}

TEST(SimplifyPass, FoldConstants) {
  expect_pass(
      "fold_constants",
      {{"arithmetic on literals",
        X "%1 = literal value=[4] : 4\n%2 = literal value=[4] : 4\n"
          "%3 = binary kind=add <- %1 %2 : 4\n%4 = reshape shape=4x1x1 <- %3 : 4x1x1\n"
          "%5 = binary kind=mul <- %0 %4" S "output %5",
        X "%1 = literal value=[4x1x1] : 4x1x1\n%2 = binary kind=mul <- %0 %1" S "output %2"},
       {"convs stay", "%0 = literal value=[1x4x8x8]" S "%1 = " CONV1x1 " <- %0" S "output %1",
        nullptr}});
}

TEST(SimplifyPass, FoldPads) {
#define PAD1 "pad mode=constant before=0,0,1,2 after=0,0,3,4 value=0 <- "
#define P " : 1x4x12x14\n"
#define CONV3x3_0 "conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x4x3x3]"
  expect_pass(
      "fold_pads",
      {{"into a conv", X "%1 = " PAD1 "%0" P "%2 = " CONV3x3 " <- %1" P "output %2",
        X "%1 = conv stride=1x1 dilation=1x1 pad=2,3,4,5 groups=1 weight=[4x4x3x3] <- %0" P
          "output %1"},
       {"into each conv that reads it, beside another reader",
        X "%1 = " PAD1 "%0" P "%2 = " CONV1x1 " <- %1" P "%3 = binary kind=add <- %1 %2" P
          "output %3",
        X "%1 = " PAD1 "%0" P
          "%2 = conv stride=1x1 dilation=1x1 pad=1,2,3,4 groups=1 weight=[4x4x1x1] <- %0" P
          "%3 = binary kind=add <- %1 %2" P "output %3"},
       {"not before a prologue",
        X "%1 = " PAD1 "%0" P "%2 = " CONV1x1 " in_act=sigmoid <- %1" P "output %2", nullptr},
       {"not with another value than zero",
        X "%1 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=1 <- %0 : 1x4x10x10\n%2 "
          "= " CONV3x3_0 " <- %1" S "output %2",
        nullptr},
       {"not of channels",
        "input %0 : 1x2x8x8\n%1 = pad mode=constant before=0,1,0,0 after=0,1,0,0 value=0 <- %0" S
        "%2 = " CONV3x3 " <- %1" S "output %2",
        nullptr},
       {"into an average pool, whose padding then counts",
        X "%1 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=0 <- %0 : 1x4x10x10\n"
          "%2 = pool kind=average kernel=3x3 stride=1x1 dilation=1x1 pad=0,0,0,0 out=8x8 <- %1" S
          "output %2",
        X "%1 = pool kind=average kernel=3x3 stride=1x1 dilation=1x1 pad=1,1,1,1 "
          "count_include_pad=1 out=8x8 "
          "<- %0" S "output %1"},
       {"not into an average pool that leaves its own padding out",
        X "%1 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=0 <- %0 : 1x4x10x10\n"
          "%2 = pool kind=average kernel=3x3 stride=1x1 dilation=1x1 pad=1,1,1,1 out=10x10 <- %1 : "
          "1x4x10x10\noutput %2",
        nullptr},
       {"into a max pool after a relu",
        X "%1 = activation act=relu <- %0" S
          "%2 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=0 <- %1 : 1x4x10x10\n"
          "%3 = pool kind=max kernel=3x3 stride=1x1 dilation=1x1 pad=0,0,0,0 out=8x8 <- %2" S
          "output %3",
        X "%1 = activation act=relu <- %0" S
          "%2 = pool kind=max kernel=3x3 stride=1x1 dilation=1x1 pad=1,1,1,1 out=8x8 <- %1" S
          "output %2"},
       {"into a max pool with minus infinity",
        X "%1 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=-inf <- %0 : 1x4x10x10\n"
          "%2 = pool kind=max kernel=3x3 stride=1x1 dilation=1x1 pad=0,0,0,0 out=8x8 <- %1" S
          "output %2",
        X "%1 = pool kind=max kernel=3x3 stride=1x1 dilation=1x1 pad=1,1,1,1 out=8x8 <- %0" S
          "output %1"},
       {"not into a max pool of anything",
        X "%1 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=0 <- %0 : 1x4x10x10\n"
          "%2 = pool kind=max kernel=3x3 stride=1x1 dilation=1x1 pad=0,0,0,0 out=8x8 <- %1" S
          "output %2",
        nullptr},
       {"not into a max pool with windows that see padding only",
        X "%1 = activation act=relu <- %0" S
          "%2 = pad mode=constant before=0,0,1,1 after=0,0,1,1 value=0 <- %1 : 1x4x10x10\n"
          "%3 = pool kind=max kernel=1x1 stride=1x1 dilation=1x1 pad=0,0,0,0 out=10x10 <- %2 : "
          "1x4x10x10\noutput %3",
        nullptr}});
}

TEST(SimplifyPass, RecogniseGates) {
  expect_pass("recognise_gates", {{"silu",
                                   X "%1 = activation act=sigmoid <- %0" S
                                     "%2 = binary kind=mul <- %0 %1" S "output %2",
                                   X "%1 = activation act=silu <- %0" S "output %1"},
                                  {"hard_swish, the gate first",
                                   X "%1 = activation act=hard_sigmoid(0.16666667,0.5) <- %0" S
                                     "%2 = binary kind=mul <- %1 %0" S "output %2",
                                   X "%1 = activation act=hard_swish <- %0" S "output %1"},
                                  {"another slope is no hard_swish",
                                   X "%1 = activation act=hard_sigmoid(0.2,0.5) <- %0" S
                                     "%2 = binary kind=mul <- %1 %0" S "output %2",
                                   nullptr},
                                  {"the gate of another value is none",
                                   X "input %1 : 1x4x8x8\n%2 = activation act=sigmoid <- %1" S
                                     "%3 = binary kind=mul <- %0 %2" S "output %3",
                                   nullptr}});
}

TEST(SimplifyPass, BatchNormsToAffine) {
  expect_pass("batch_norms_to_affine",
              {{"always",
                X "%1 = batch_norm scale=[4] shift=[4] mean=[4] variance=[4] epsilon=0.1 <- %0" S
                  "output %1",
                X "%1 = affine scale=[4] shift=[4] <- %0" S "output %1"}});
}

TEST(SimplifyPass, FoldDenseBias) {
#define ROW "input %0 : 2x4x5\n"
  expect_pass("fold_dense_bias",
              {{"a literal along the last dimension",
                ROW "%1 = dense weight=[4x5] <- %0 : 2x4x4\n%2 = literal value=[4] : 4\n"
                    "%3 = binary kind=add act=relu <- %2 %1 : 2x4x4\noutput %3",
                ROW "%1 = dense weight=[4x5] bias=[4] act=relu <- %0 : 2x4x4\noutput %1"},
               {"not another literal",
                ROW "%1 = dense weight=[4x5] <- %0 : 2x4x4\n%2 = literal value=[4x1] : 4x1\n"
                    "%3 = binary kind=add <- %1 %2 : 2x4x4\noutput %3",
                nullptr}});
}

TEST(SimplifyPass, LiteralsToAffine) {
  expect_pass(
      "literals_to_affine",
      {{"per channel",
        X "%1 = literal value=[4x1x1] : 4x1x1\n%2 = binary kind=add act=relu <- %0 %1" S
          "output %2",
        X "%1 = affine scale=[4] shift=[4] act=relu <- %0" S "output %1"},
       {"a scalar, on the left",
        X "%1 = literal value=[scalar] : scalar\n%2 = binary kind=sub <- %1 %0" S "output %2",
        X "%1 = affine scale=[4] shift=[4] <- %0" S "output %1"},
       {"division by it",
        X "%1 = literal value=[1] : 1\n%2 = binary kind=div <- %0 %1" S "output %2",
        X "%1 = affine scale=[4] shift=[4] <- %0" S "output %1"},
       {"not division of it",
        X "%1 = literal value=[1] : 1\n%2 = binary kind=div <- %1 %0" S "output %2", nullptr},
       {"not per column",
        X "%1 = literal value=[8] : 8\n%2 = binary kind=mul <- %0 %1" S "output %2", nullptr},
       {"not where the literal widens the input",
        "input %0 : 1x1x8x8\n%1 = literal value=[4x1x1] : 4x1x1\n%2 = binary kind=mul <- %0 %1" S
        "output %2",
        nullptr}});
}

TEST(SimplifyPass, MergeAffines) {
#define AFFINE "affine scale=[4] shift=[4]"
  expect_pass(
      "merge_affines",
      {{"two in a row, the second's activation stays",
        X "%1 = " AFFINE " <- %0" S "%2 = " AFFINE " act=relu <- %1" S "output %2",
        X "%1 = " AFFINE " act=relu <- %0" S "output %1"},
       {"not across an activation",
        X "%1 = " AFFINE " act=relu <- %0" S "%2 = " AFFINE " <- %1" S "output %2", nullptr},
       {"not if the first is read elsewhere",
        X "%1 = " AFFINE " <- %0" S "%2 = " AFFINE " <- %1" S "output %2\noutput %1", nullptr}});
}

TEST(SimplifyPass, FoldAffinesBack) {
  expect_pass(
      "fold_affines_back",
      {{"into a conv, which gains a bias",
        X "%1 = " CONV3x3 " <- %0" S "%2 = " AFFINE " act=relu <- %1" S "output %2",
        X "%1 = " CONV3x3 " bias=[4] act=relu <- %0" S "output %1"},
       {"into a dense layer",
        "input %0 : 2x3\n%1 = dense weight=[4x3] <- %0 : 2x4\n%2 = " AFFINE
        " <- %1 : 2x4\noutput %2",
        "input %0 : 2x3\n%1 = dense weight=[4x3] bias=[4] <- %0 : 2x4\noutput %1"},
       {"not through an activation",
        X "%1 = " CONV3x3 " act=relu <- %0" S "%2 = " AFFINE " <- %1" S "output %2", nullptr},
       {"not past a residual",
        X "%1 = " CONV3x3 " residual=1 <- %0 %0" S "%2 = " AFFINE " <- %1" S "output %2", nullptr},
       {"not if the conv is read elsewhere",
        X "%1 = " CONV3x3 " <- %0" S "%2 = " AFFINE " <- %1" S "%3 = binary kind=mul <- %1 %2" S
          "output %3",
        nullptr}});
}

TEST(SimplifyPass, FoldAffinesForward) {
  expect_pass("fold_affines_forward",
              {{"into every conv after it",
                X "%1 = " AFFINE " <- %0" S "%2 = " CONV1x1 " <- %1" S "%3 = " CONV1x1 " <- %1" S
                  "output %2\noutput %3",
                X "%1 = " CONV1x1 " bias=[4] <- %0" S "%2 = " CONV1x1 " bias=[4] <- %0" S
                  "output %1\noutput %2"},
               {"not into a conv that pads",
                X "%1 = " AFFINE " <- %0" S "%2 = " CONV3x3 " <- %1" S "output %2", nullptr},
               {"not if another layer reads it",
                X "%1 = " AFFINE " <- %0" S "%2 = " CONV1x1 " <- %1" S
                  "%3 = binary kind=add <- %1 %2" S "output %3",
                nullptr},
               {"not if a conv reads it as its residual",
                X "%1 = " AFFINE " <- %0" S "%2 = " CONV1x1 " residual=1 <- %1 %1" S "output %2",
                nullptr}});
}

TEST(SimplifyPass, FuseResiduals) {
  expect_pass(
      "fuse_residuals",
      {{"into the later conv, with the addition's activation",
        X "%1 = " CONV3x3 " <- %0" S "%2 = " CONV1x1 " <- %0" S
          "%3 = binary kind=add act=relu <- %1 %2" S "output %3",
        X "%1 = " CONV3x3 " <- %0" S "%2 = " CONV1x1 " residual=1 act=relu <- %0 %1" S "output %2"},
       {"the network's input",
        X "%1 = " CONV3x3 " <- %0" S "%2 = binary kind=add <- %0 %1" S "output %2",
        X "%1 = " CONV3x3 " residual=1 <- %0 %0" S "output %1"},
       {"into an earlier conv, which waits for a layer that is no conv",
        X "%1 = " CONV3x3 " <- %0" S "%2 = activation act=sigmoid <- %0" S
          "%3 = binary kind=add <- %1 %2" S "output %3",
        X "%1 = activation act=sigmoid <- %0" S "%2 = " CONV3x3 " residual=1 <- %0 %1" S
          "output %2"},
       {"not if that would put the conv behind another",
        X "%1 = " CONV3x3 " <- %0" S "%2 = " CONV1x1 " act=relu <- %0" S
          "%3 = binary kind=add <- %1 %2" S "output %3",
        nullptr},
       {"not if the conv is read elsewhere",
        X "%1 = " CONV3x3 " <- %0" S "%2 = binary kind=add <- %0 %1" S "output %2\noutput %1",
        nullptr},
       {"not a conv added to itself",
        X "%1 = " CONV3x3 " <- %0" S "%2 = binary kind=add <- %1 %1" S "output %2", nullptr},
       {"not where the addition broadcasts",
        X "input %1 : 1x4x1x1\n%2 = " CONV3x3 " <- %0" S "%3 = binary kind=add <- %2 %1" S
          "output %3",
        nullptr},
       {"not after an activation",
        X "%1 = " CONV3x3 " act=relu <- %0" S "%2 = binary kind=add <- %0 %1" S "output %2",
        nullptr}});
}

TEST(SimplifyPass, FuseActivations) {
  expect_pass(
      "fuse_activations",
      {{"into each op with an epilogue",
        X "%1 = " CONV3x3 " <- %0" S "%2 = activation act=relu <- %1" S "%3 = " AFFINE " <- %2" S
          "%4 = activation act=silu <- %3" S "%5 = binary kind=add <- %4 %0" S
          "%6 = activation act=clip(0,6) <- %5" S "output %6",
        X "%1 = " CONV3x3 " act=relu <- %0" S "%2 = " AFFINE " act=silu <- %1" S
          "%3 = binary kind=add act=clip(0,6) <- %2 %0" S "output %3"},
       {"not onto another activation",
        X "%1 = " CONV3x3 " act=relu <- %0" S "%2 = activation act=sigmoid <- %1" S "output %2",
        nullptr},
       {"not if the result before it is read elsewhere",
        X "%1 = " CONV3x3 " <- %0" S "%2 = activation act=relu <- %1" S
          "%3 = binary kind=add <- %1 %2" S "output %3",
        nullptr},
       {"not onto a concatenation",
        X "%1 = concat axis=1 <- %0 %0 : 1x8x8x8\n%2 = activation act=relu <- %1 : 1x8x8x8\noutput "
          "%2",
        nullptr}});
}

TEST(SimplifyPass, FusePrologues) {
  expect_pass(
      "fuse_prologues",
      {{"affine and activation",
        X "%1 = " AFFINE " act=relu <- %0" S "%2 = " CONV1x1 " <- %1" S "output %2",
        X "%1 = " CONV1x1 " in_scale=[4] in_shift=[4] in_act=relu <- %0" S "output %1"},
       {"an activation alone, into all its convs",
        X "%1 = activation act=relu <- %0" S "%2 = " CONV1x1 " <- %1" S "%3 = " CONV1x1
          " residual=1 <- %1 %2" S "output %3",
        X "%1 = " CONV1x1 " in_act=relu <- %0" S "%2 = " CONV1x1
          " in_act=relu residual=1 <- %0 %1" S "output %2"},
       {"not one that is dear to compute again",
        X "%1 = activation act=silu <- %0" S "%2 = " CONV1x1 " <- %1" S "output %2", nullptr},
       {"not into a 3x3",
        X "%1 = " AFFINE " act=relu <- %0" S "%2 = " CONV3x3_0 " <- %1 : 1x4x6x6\noutput %2",
        nullptr},
       {"not if another layer reads it",
        X "%1 = activation act=relu <- %0" S "%2 = " CONV1x1 " <- %1" S "output %2\noutput %1",
        nullptr}});
}

TEST(Simplify, ResidualBlockOfPlainLayersBecomesTwoConvs) {
  const std::string norm = "batch_norm scale=[4] shift=[4] mean=[4] variance=[4] epsilon=1e-05 <- ";
  const std::string before =
      X "%1 = " CONV3x3 " <- %0" S "%2 = " + norm +
      "%1" S "%3 = activation act=relu <- %2" S "%4 = " CONV3x3 " <- %3" S "%5 = " + norm +
      "%4" S "%6 = binary kind=add <- %5 %0" S "%7 = activation act=relu <- %6" S "output %7";
  EXPECT_EQ(lines_of(simplify(network_of(before))),
            X "%1 = " CONV3x3 " bias=[4] act=relu <- %0" S "%2 = " CONV3x3
              " bias=[4] residual=1 act=relu <- %1 %0" S "output %2\n");
}

TEST(Simplify, PreactivationGoesIntoThePrologueOf1x1Convs) {
  const std::string norm = "batch_norm scale=[8] shift=[8] mean=[8] variance=[8] epsilon=1e-05 <- ";
  const std::string before =
      X "%1 = concat axis=1 <- %0 %0 : 1x8x8x8\n%2 = " + norm +
      "%1 : 1x8x8x8\n%3 = activation act=relu <- %2 : 1x8x8x8\n%4 = conv stride=1x1 "
      "dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x8x1x1] <- %3" S "output %4";
  EXPECT_EQ(lines_of(simplify(network_of(before))), X
            "%1 = concat axis=1 <- %0 %0 : 1x8x8x8\n%2 = conv stride=1x1 dilation=1x1 pad=0,0,0,0 "
            "groups=1 "
            "weight=[4x8x1x1] in_scale=[8] in_shift=[8] in_act=relu <- %1" S "output %2\n");
}

TEST(Simplify, LeavesWhatWouldOverflowAlone) {
  Network network;
  network.inputs = {network.add_value("x", {1, 1, 1, 1})};
  Conv conv;
  conv.weight = constant({1, 1, 1, 1}, {1e30f});
  const ValueId y = network.add_layer("conv", conv, {0});
  const ValueId zero = network.add_layer("zero", Literal{constant({1}, {0})}, {});
  const Affine large{constant({1}, {1e30f}), constant({1}, {0}), {}};
  const ValueId z = network.add_layer("affine", large, {y});
  network.outputs = {network.add_layer("div", Binary{Binary::Kind::div, {}}, {z, zero})};
  EXPECT_EQ(simplify(network).layers.size(), network.layers.size());
}

}  // namespace
}  // namespace emulsion
