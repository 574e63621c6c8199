// Passes that move elementwise layers in front of concatenations and repetitions.
#include "pass_table.h"

namespace emulsion {
namespace {

#define CONV1x1 "conv stride=1x1 dilation=1x1 pad=0,0,0,0 groups=1 weight=[4x4x1x1]"
#define X "input %0 : 1x4x8x8\n"
#define S " : 1x4x8x8\n"
#define SMALL "input %0 : 1x4x4x8\n%1 = " CONV1x1 " <- %0 : 1x4x4x8\n"
#define HALF_CONV "conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[2x4x3x3]"
#define H " : 1x2x8x8\n"
#define REPEAT "resize rows=0,0,1,1,2,2,3,3 columns=0,1,2,3,4,5,6,7"

TEST(SimplifyPass, HoistOverResizes) {
  expect_pass(
      "hoist_over_resizes",
      {{"an activation of repeated rows",
        SMALL "%2 = " REPEAT " <- %1" S "%3 = activation act=relu <- %2" S "output %3",
        SMALL "%2 = activation act=relu <- %1 : 1x4x4x8\n"
              "%3 = " REPEAT " <- %2" S "output %3"},
       {"not where the rows are read as they are too",
        SMALL "%2 = " REPEAT " <- %1" S "%3 = activation act=relu <- %2" S "output %2\noutput %3",
        nullptr},
       {"not where fewer are left",
        X "%1 = " CONV1x1 " <- %0" S
          "%2 = resize rows=0,4 columns=0,1,2,3,4,5,6,7 <- %1 : 1x4x2x8\n"
          "%3 = activation act=relu <- %2 : 1x4x2x8\noutput %3",
        nullptr}});
}

TEST(SimplifyPass, DistributeOverConcats) {
  expect_pass(
      "distribute_over_concats",
      {{"an affine of two convs",
        X "%1 = " HALF_CONV " <- %0" H "%2 = " HALF_CONV " <- %0" H "%3 = concat axis=1 <- %1 %2" S
          "%4 = affine scale=[4] shift=[4] act=relu <- %3" S "output %4",
        X "%1 = " HALF_CONV " <- %0" H "%2 = " HALF_CONV " <- %0" H
          "%4 = affine scale=[2] shift=[2] act=relu <- %1" H
          "%5 = affine scale=[2] shift=[2] act=relu <- %2" H "%3 = concat axis=1 <- %4 %5" S
          "output %3"},
       {"not where a part is not a conv",
        X "%1 = " HALF_CONV " <- %0" H "%2 = activation act=relu <- %1" H
          "%3 = concat axis=1 <- %1 %2" S "%4 = activation act=relu <- %3" S "output %4",
        nullptr},
       {"not where a part is there twice",
        X "%1 = " HALF_CONV " <- %0" H "%2 = concat axis=1 <- %1 %1" S
          "%3 = activation act=relu <- %2" S "output %3",
        nullptr}});
}

TEST(SimplifyPass, DistributeAdditions) {
  expect_pass(
      "distribute_additions",
      {{"to two convs of what was there before them",
        X "%1 = " HALF_CONV " <- %0" H "%2 = " HALF_CONV " <- %0" H "%3 = concat axis=1 <- %1 %2" S
          "%4 = binary kind=add act=relu <- %3 %0" S "output %4",
        X "%4 = slice starts=0,0,0,0 steps=1,1,1,1 shape=1x2x8x8 <- %0" H
          "%5 = slice starts=0,2,0,0 steps=1,1,1,1 shape=1x2x8x8 <- %0" H "%1 = " HALF_CONV
          " <- %0" H "%2 = " HALF_CONV " <- %0" H "%6 = binary kind=add act=relu <- %1 %4" H
          "%7 = binary kind=add act=relu <- %2 %5" H "%3 = concat axis=1 <- %6 %7" S "output %3"},
       {"not of what comes after them",
        X "%1 = " HALF_CONV " <- %0" H "%2 = " HALF_CONV " <- %0" H "%3 = concat axis=1 <- %1 %2" S
          "%4 = " CONV1x1 " <- %0" S "%5 = binary kind=add <- %3 %4" S "output %5",
        nullptr}});
}

}  // namespace
}  // namespace emulsion
