// Steps as text: what is written is read back, and what is no step is refused with the reason.
#include "nest/step.h"

#include <gmock/gmock.h>

namespace emulsion {
namespace {

using testing::HasSubstr;

TEST(StepText, RoundTripsEveryKind) {
  for (const char* text :
       {"split co 64",
        "interchange co y",
        "tile x 8",
        "unroll xi",
        "vectorize co 16",
        "vectorize coi",
        "parallel y",
        "fuse n y",
        "gpu_block y",
        "gpu_thread coi",
        "group 2",
        "bottleneck co 4",
        "bottleneck co 4 tiled",
        "bottleneck co 2 zeros",
        "bottleneck co 2 propagated",
        "bottleneck ci 2",
        "interchange co y; bottleneck y 2; interchange co x; bottleneck x 2",
        "depthwise",
        "separable",
        "split co 2; group[0] 2; group[1] 4",
        "unroll co 16; group[1] 2",
        "split y 2; group[0] 1",
        "split co 2; bottleneck[1] co 2 tiled; depthwise[0]",
        "split co 64; interchange co y; group 2; tile x 8; vectorize co 16; unroll x; parallel "
        "y"}) {
    const auto steps = parse_steps(text);
    ASSERT_TRUE(steps.ok()) << steps.error().message;
    EXPECT_EQ(to_text(*steps), text);
  }
}

TEST(StepText, TakesAnyBlanks) {
  EXPECT_EQ(to_text(*parse_steps("  tile   x 8 ;unroll\txi ")), "tile x 8; unroll xi");
  EXPECT_TRUE(parse_steps("")->empty());
  EXPECT_TRUE(parse_steps(" \n")->empty());
}

struct Refused {
  const char* text;
  const char* why;
};

class StepTextRefuses : public testing::TestWithParam<Refused> {};

TEST_P(StepTextRefuses, WithTheReason) {
  const auto steps = parse_steps(GetParam().text);
  ASSERT_FALSE(steps.ok());
  EXPECT_THAT(steps.error().message, HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    , StepTextRefuses,
    testing::Values(Refused{"tile x 8;", "an empty step"}, Refused{";", "an empty step"},
                    Refused{"merge x y", "no step is called 'merge'; there are: split"},
                    Refused{"tile x", "it is written 'tile LOOP FACTOR'"},
                    Refused{"tile x 8 9", "it is written 'tile LOOP FACTOR'"},
                    Refused{"unroll x 4 5", "it is written 'unroll LOOP [FACTOR]'"},
                    Refused{"tile x 0", "not a whole number of 1 or more"},
                    Refused{"tile x -3", "not a whole number of 1 or more"},
                    Refused{"tile x 8.5", "not a whole number of 1 or more"},
                    Refused{"tile x 99999999999999", "not a whole number of 1 or more"},
                    Refused{"tile X 8", "'X' is not a loop's name"},
                    Refused{"group", "it is written 'group FACTOR'"},
                    Refused{"depthwise co", "it is written 'depthwise'"},
                    Refused{"bottleneck co 2 big",
                            "'bottleneck LOOP FACTOR [tiled|zeros|propagated]'"},
                    Refused{"group[x] 2", "a part is written as in 'group[1] 4'"},
                    Refused{"group[1 2", "a part is written as in 'group[1] 4'"},
                    Refused{"tile[1] x 2", "only steps that change what is computed"}));

TEST(Step, NeuralStepsAreThoseThatChangeTheDomain) {
  const auto neural = [](const char* text) {
    std::vector<bool> result;
    const auto steps = parse_steps(text);
    for (const Step& step : *steps) result.push_back(is_neural(step));
    return result;
  };
  EXPECT_EQ(neural("group 2; bottleneck co 2; depthwise; split co 2; tile x 2"),
            (std::vector<bool>{true, true, true, false, false}));
  // A split whose parts are spoken of makes convs of them, and so does an unroll with a number.
  EXPECT_EQ(neural("split co 2; group[1] 2; split co 2"), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(neural("unroll co 2; unroll co"), (std::vector<bool>{true, false}));
}

}  // namespace
}  // namespace emulsion
