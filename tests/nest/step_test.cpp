// Steps as text: what is written is read back, and what is no step is refused with the reason.
#include "nest/step.h"

#include <gmock/gmock.h>

namespace emulsion {
namespace {

using testing::HasSubstr;

TEST(StepText, RoundTripsEveryKind) {
  for (const char* text :
       {"split co 64", "interchange co y", "tile x 8", "unroll xi", "vectorize co 16",
        "vectorize coi", "parallel y", "group 2", "bottleneck co 4", "depthwise",
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
                    Refused{"fuse x y", "no step is called 'fuse'; there are: split"},
                    Refused{"tile x", "it is written 'tile LOOP FACTOR'"},
                    Refused{"tile x 8 9", "it is written 'tile LOOP FACTOR'"},
                    Refused{"unroll x 4", "it is written 'unroll LOOP'"},
                    Refused{"tile x 0", "not a whole number of 1 or more"},
                    Refused{"tile x -3", "not a whole number of 1 or more"},
                    Refused{"tile x 8.5", "not a whole number of 1 or more"},
                    Refused{"tile x 99999999999999", "not a whole number of 1 or more"},
                    Refused{"tile X 8", "'X' is not a loop's name"},
                    Refused{"group", "it is written 'group FACTOR'"},
                    Refused{"depthwise co", "it is written 'depthwise'"}));

TEST(Step, NeuralStepsAreThoseThatChangeTheDomain) {
  const auto steps = parse_steps("group 2; bottleneck co 2; depthwise; split co 2; tile x 2");
  std::vector<bool> neural;
  for (const Step& step : *steps) neural.push_back(is_neural(step));
  EXPECT_EQ(neural, (std::vector<bool>{true, true, true, false, false}));
}

}  // namespace
}  // namespace emulsion
