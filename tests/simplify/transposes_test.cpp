// Transpositions move down and vanish: text before, text after.
#include "network/evaluate.h"
#include "pass_table.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

#define X "input %0 : 2x4x5x8\n"
#define S " : 2x4x5x8\n"
#define L " : 2x5x8x4\n"
#define TO_LAST "transpose permutation=0,2,3,1 <- "
#define TO_FIRST "transpose permutation=0,3,1,2 <- "

TEST(MoveTransposes, ThroughLayersOfOneInput) {
  expect_pass(
      "move_transposes",
      {{"a pair vanishes with what is between them",
        X "%1 = " TO_LAST "%0" L "%2 = normalize axes=3 epsilon=0.001 <- %1" L
          "%3 = activation act=gelu <- %2" L "%4 = softmax axis=1 <- %3" L "%5 = " TO_FIRST "%4" S
          "%6 = activation act=relu <- %5" S "output %6",
        X "%1 = normalize axes=1 epsilon=0.001 <- %0" S "%2 = activation act=gelu <- %1" S
          "%3 = softmax axis=2 <- %2" S "%4 = activation act=relu <- %3" S "output %4"},
       {"a dense layer across channels is a 1x1 conv",
        X "%1 = " TO_LAST "%0" L "%2 = dense weight=[6x4] bias=[6] act=relu <- %1 : 2x5x8x6\n"
          "%3 = " TO_FIRST "%2 : 2x6x5x8\n%4 = activation act=relu <- %3 : 2x6x5x8\noutput %4",
        X "%1 = conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[6x4x1x1] bias=[6] "
          "act=relu <- %0 : 2x6x5x8\n%2 = activation act=relu <- %1 : 2x6x5x8\noutput %2"},
       {"a dense layer across columns stays",
        X "%1 = transpose permutation=0,2,1,3 <- %0 : 2x5x4x8\n"
          "%2 = dense weight=[6x8] <- %1 : 2x5x4x6\noutput %2",
        nullptr},
       {"a mean over all pixels needs no transposition after it",
        X "%1 = " TO_LAST "%0" L "%2 = reduce_mean axes=1,2 <- %1 : 2x4\noutput %2",
        X "%1 = reduce_mean axes=2,3 <- %0 : 2x4\noutput %1"},
       {"per-channel constants belong to dimension 1",
        X "%1 = " TO_LAST "%0" L "%2 = affine scale=[5] shift=[5] <- %1" L "output %2", nullptr},
       {"a transposed value stays for others that read it",
        X "%1 = " TO_LAST "%0" L "%2 = activation act=relu <- %1" L
          "%3 = concat axis=1 <- %1 %2 : 2x10x8x4\noutput %3",
        X "%1 = " TO_LAST "%0" L "%2 = activation act=relu <- %0" S "%3 = " TO_LAST "%2" L
          "%4 = concat axis=1 <- %1 %3 : 2x10x8x4\noutput %4"}});
}

TEST(MoveTransposes, ThroughLayersOfTwoInputs) {
  expect_pass(
      "move_transposes",
      {{"a literal is transposed back",
        X "%1 = " TO_LAST "%0" L "%2 = literal value=[4] : 4\n%3 = binary kind=mul <- %1 %2" L
          "%4 = literal value=[1x5x1x1] : 1x5x1x1\n%5 = binary kind=sub <- %4 %3" L "%6 = " TO_FIRST
          "%5" S "%7 = activation act=relu <- %6" S "output %7",
        X "%1 = literal value=[1x4x1x1] : 1x4x1x1\n%2 = binary kind=mul <- %0 %1" S
          "%3 = literal value=[1x1x5x1] : 1x1x5x1\n%4 = binary kind=sub <- %3 %2" S
          "%5 = activation act=relu <- %4" S "output %5"},
       {"two values transposed alike",
        X "input %1" S "%2 = " TO_LAST "%0" L "%3 = " TO_LAST "%1" L
          "%4 = binary kind=add <- %2 %3" L "%5 = " TO_FIRST "%4" S
          "%6 = activation act=relu <- %5" S "output %6",
        X "input %1" S "%2 = binary kind=add <- %0 %1" S "%3 = activation act=relu <- %2" S
          "output %3"},
       {"a residual connection",
        X "%1 = " TO_LAST "%0" L "%2 = dense weight=[4x4] <- %1" L "%3 = binary kind=add <- %1 %2" L
          "%4 = " TO_FIRST "%3" S "%5 = activation act=relu <- %4" S "output %5",
        X "%1 = conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x4x1x1] <- %0" S
          "%2 = binary kind=add <- %0 %1" S "%3 = activation act=relu <- %2" S "output %3"},
       {"a literal that makes the value larger stays",
        "input %0 : 1x4x5x8\n%1 = " TO_LAST "%0 : 1x5x8x4\n%2 = literal value=[2x1x1x4] : 2x1x1x4\n"
        "%3 = binary kind=mul <- %1 %2" L "output %3",
        nullptr},
       {"another value stays",
        X "input %1" L "%2 = " TO_LAST "%0" L "%3 = binary kind=add <- %2 %1" L "output %3",
        nullptr}});
}

TEST(TransposesToReshapes, WhereOnlyOneElementDimensionsMove) {
  expect_pass("transposes_to_reshapes",
              {{"pooled images", "input %0 : 2x4x1x1\n%1 = " TO_LAST "%0 : 2x1x1x4\noutput %1",
                "input %0 : 2x4x1x1\n%1 = reshape shape=2x1x1x4 <- %0 : 2x1x1x4\noutput %1"},
               {"images", X "%1 = " TO_LAST "%0" L "output %1", nullptr}});
}

// Every permutation of four dimensions, through every op that lets them through.
TEST(MoveTransposes, ComputesTheSameFunction) {
  std::vector<int> p = {0, 1, 2, 3};
  do {
    RandomNetworkMaker maker(7);
    Network network;
    ValueId x = network.add_value("x", {2, 3, 4, 5});
    network.inputs = {x};
    x = network.add_layer("transpose", Transpose{p}, {x});
    const auto extent = [&](int axis) { return network.shape(x)[axis]; };
    x = network.add_layer("normalize", Normalize{{1, 3}, 0.1f}, {x});
    const ValueId row =
        network.add_layer("row", Literal{maker.random_constant({extent(3)}, 1, 2)}, {});
    x = network.add_layer("divide", Binary{Binary::Kind::div, {}}, {row, x});
    const ValueId matrix = network.add_layer(
        "matrix", Literal{maker.random_constant({extent(1), extent(2), 1}, 1, 2)}, {});
    x = network.add_layer("add", Binary{}, {x, matrix});
    Dense dense{maker.random_constant({6, extent(3)}, -1, 1), nullptr, {}};
    x = network.add_layer("dense", dense, {x});
    x = network.add_layer("softmax", Softmax{2}, {x});
    x = network.add_layer("mean", ReduceMean{{1}, true}, {x});
    x = network.add_layer("means", ReduceMean{{0, 1}, false}, {x});
    network.outputs = {x};
    ASSERT_TRUE(verify(network).ok());
    const std::vector<Tensor> inputs = random_inputs(network, 3);
    const Network simple = reform(network);
    EXPECT_LT(relative_error((*evaluate(simple, inputs))[0], (*evaluate(network, inputs))[0]), 1e-5)
        << to_text(network) << to_text(simple);
  } while (std::next_permutation(p.begin(), p.end()));
}

}  // namespace
}  // namespace emulsion
