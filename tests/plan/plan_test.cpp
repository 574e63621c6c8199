// Plans: their JSON, what reading refuses, whether they fit a network, and the plan of a rewritten
// network.
#include "plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nest/rewrite.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Steps steps(const std::string& text) {
  const Result<Steps> parsed = parse_steps(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *parsed;
}

// A plan for a network with one conv rewritten, each of its convs with a kernel.
Plan plan_with(const Network& network, int conv, const Steps& rewrite) {
  const int layer = conv_layers(network)[conv];
  const Layer& l = network.layers[layer];
  const auto cost = rewrite_cost(std::get<Conv>(l.op), network.shape(l.inputs[0]), rewrite);
  EXPECT_TRUE(cost.ok());
  LayerChoice choice{conv, l.name, shape_hint(network, layer), rewrite, {}};
  for (int i = 0; i < cost->convs; ++i) {
    choice.kernels.push_back({fmt::format("algorithm{}", i), i ? "" : "vectorize co 8"});
  }
  return {structure_hash(network), "host", 2, {choice}};
}

TEST(Plan, OnEveryTinyNetworkThePlanOfEveryRewriteRoundTripsAndFits) {
  for (const Network& network : tiny_networks()) {
    const std::vector<int> convs = conv_layers(network);
    for (const int slot : slots(network)) {
      const Layer& layer = network.layers[convs[slot]];
      for (const Steps& rewrite :
           rewrites_of(std::get<Conv>(layer.op), network.shape(layer.inputs[0]))) {
        const Plan plan = plan_with(network, slot, rewrite);
        const std::string text = to_json(plan);
        const Result<Plan> read = parse_plan(text, "p.json");
        ASSERT_TRUE(read.ok()) << read.error().message;
        EXPECT_EQ(*read, plan);
        EXPECT_EQ(to_json(*read), text);
        EXPECT_EQ(rewrites(*read), (std::map<int, Steps>{{slot, rewrite}}));
        const Status fits = check(*read, network);
        EXPECT_TRUE(fits.ok()) << fits.error().message;
      }
    }
  }
}

TEST(Plan, WeightsInHalfPrecisionRoundTrip) {
  Plan plan{"", "host", 2, {{0, "a", "", {}, {{"direct", "", ElementType::f16}, {"direct", ""}}}}};
  plan.dense_f16 = {0, 3};
  const Result<Plan> read = parse_plan(to_json(plan), "p.json");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, plan);
  const Status fits = check(*read, tiny_networks()[0]);
  ASSERT_FALSE(fits.ok());
}

TEST(Plan, HowWeightsComeFromMemoryRoundTrips) {
  Plan plan;
  plan.streaming = {.huge_pages = false, .prefetch_next_kb = 64};
  EXPECT_EQ(*parse_plan(to_json(plan), "p.json"), plan);
  const Network network = tiny_networks()[0];
  EXPECT_EQ(rewritten_plan(plan, network, network).streaming, plan.streaming);
}

TEST(Plan, TheEmptyPlanRoundTripsAndFitsEveryNetwork) {
  const Result<Plan> read = parse_plan(to_json(Plan{}), "p.json");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, Plan{});
  for (const Network& network : tiny_networks()) EXPECT_TRUE(check(*read, network).ok());
}

TEST(Plan, NamesMayHoldAnyCharacters) {
  Plan plan;
  plan.layers.push_back({0, "a \"quoted\"\n\\name \xc3\xa9", "", {}, {}});
  EXPECT_EQ(*parse_plan(to_json(plan), "p.json"), plan);
  plan.layers[0].name = "not UTF-8: \xff";
  EXPECT_TRUE(parse_plan(to_json(plan), "p.json").ok());
}

TEST(Plan, ReadingRefusesWithOneLineThatNamesFileAndKey) {
  struct Row {
    const char* json;
    const char* message;
  };
  const Row rows[] = {
      {"", "p.json: not JSON"},
      {"{\"format\": ", "p.json: not JSON: error at byte"},
      {"[1]", "p.json: expected an object"},
      {"{}", "p.json: key \"format\" is missing"},
      {R"({"format": 1})", "key \"format\" must be a string, found the number 1"},
      {R"({"format": "emulsion-plan-2"})",
       "is \"emulsion-plan-2\"; this program reads \"emulsion-plan-1\""},
      {R"({"format": "emulsion-plan-1", "layers": []})", "key \"network\" is missing"},
      {R"({"format": "emulsion-plan-1", "network": ""})", "key \"layers\" is missing"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": {}})",
       "key \"layers\" must be an array, found a value of type object"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [], "thread": 1})",
       "unknown key \"thread\"; the keys are dense_f16, format, huge_pages, layers, network, "
       "prefetch_next_kb, target, threads"},
      {R"({"format": "emulsion-plan-1", "network": "", "threads": 0, "layers": []})",
       "key \"threads\" must be an integer from 1 to 256, found the number 0"},
      {R"({"format": "emulsion-plan-1", "network": "", "threads": 100000, "layers": []})",
       "key \"threads\" must be an integer from 1 to 256, found the number 100000"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [], "dense_f16": [1, 0]})",
       "key \"dense_f16\" must hold ascending integers of at least 0, found 0"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [], "huge_pages": 1})",
       "key \"huge_pages\" must be true or false, found the number 1"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [], "prefetch_next_kb": 5000})",
       "key \"prefetch_next_kb\" must be an integer from 0 to 4096, found the number 5000"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": 0,
          "kernels": [{"algorithm": "direct", "weights": "bf16"}]}]})",
       "key \"weights\" must be f32 or f16, found \"bf16\""},
      {R"({"format": "emulsion-plan-1", "network": "", "threads": 1.5, "layers": []})",
       "key \"threads\""},
      {R"({"format": "emulsion-plan-1", "network": "", "threads": 99999999999999999999, "layers": []})",
       "key \"threads\""},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [3]})",
       "layers[0]: expected an object"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{}]})",
       "layers[0]: key \"conv\" is missing"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": -1}]})",
       "key \"conv\" must be"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": 1}, {"conv": 1}]})",
       "layers[1]: key \"conv\" is 1 after 1; layers must ascend"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": 1, "rewrite": "grope 2"}]})",
       "layers[0]: key \"rewrite\": step 'grope 2'"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": 1, "kernels": [{}]}]})",
       "layers[0]: kernels[0]: key \"algorithm\" is missing"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": 1,
          "kernels": [{"algorithm": "direct", "schedule": "tile"}]}]})",
       "key \"schedule\": step 'tile'"},
      {R"({"format": "emulsion-plan-1", "network": "", "layers": [{"conv": 1,
          "kernels": [{"algorithm": "direct", "schedule": "group 2"}]}]})",
       "key \"schedule\" holds a step that changes what is computed"},
  };
  for (const Row& row : rows) {
    const Result<Plan> plan = parse_plan(row.json, "p.json");
    ASSERT_FALSE(plan.ok()) << row.json;
    EXPECT_THAT(plan.error().message, HasSubstr(row.message));
    EXPECT_THAT(plan.error().message, testing::StartsWith("p.json: "));
    EXPECT_EQ(plan.error().message.find('\n'), std::string::npos);
    EXPECT_EQ(plan.error().code, ExitCode::bad_input);
  }
}

TEST(Plan, CheckNamesWhatDiffers) {
  const Network network = tiny_residual();
  const auto message = [&](const Plan& plan) {
    const Status status = check(plan, network);
    return status.ok() ? "" : status.error().message;
  };
  const Plan good = plan_with(network, 1, steps("group 2"));
  EXPECT_EQ(message(good), "");

  Plan plan = good;
  plan.network = std::string(32, 'a');
  EXPECT_THAT(message(plan), HasSubstr("its structure is aaaaaaaa"));
  plan.layers[0].shape = "9x6x6 -> 16x3x3 k3x3 s2x2 g1";
  EXPECT_THAT(message(plan), HasSubstr("conv 1 is \"9x6x6 -> 16x3x3 k3x3 s2x2 g1\" in the plan and "
                                       "\"8x6x6 -> 16x3x3 k3x3 s2x2 g1\" (block1.conv1) here"));
  plan = good;
  plan.layers[0].conv = 6;
  EXPECT_THAT(message(plan), HasSubstr("it has a conv 6, and residual has convs 0 to 5"));
  plan = good;
  plan.layers[0].kernels.push_back({"direct", ""});
  EXPECT_THAT(message(plan),
              HasSubstr("conv 1 has 2 kernels; after its rewrite there are 1 convs"));
  plan = good;
  plan.layers[0].rewrite = steps("group 3");
  EXPECT_THAT(message(plan),
              HasSubstr("the plan's conv 1: step 'group 3': 3 does not divide ci's 8"));
}

TEST(Plan, AMutatedPlanIsReadAndCheckedOrRefusedInOneLine) {
  const Network network = tiny_residual();
  Plan plan = plan_with(network, 1, steps("bottleneck co 2"));
  plan.layers.push_back(plan_with(network, 3, steps("group 2")).layers[0]);
  plan.network = "";
  const std::string text = to_json(plan);
  const std::string alphabet = "0123456789-\"{}[],:;. cogrupbtlnekdi\\\x01\xff";
  int refused = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    const RandomStream random(seed, "mutated plan");
    std::string mutant = text;
    for (uint64_t edit = 0; edit < 1 + random.below(0, 3); ++edit) {
      const size_t at = random.below(10 * edit + 1, mutant.size());
      const char letter = alphabet[random.below(10 * edit + 2, alphabet.size())];
      switch (random.below(10 * edit + 3, 4)) {
        case 0:
          mutant.erase(at, 1 + random.below(10 * edit + 4, 20));
          break;
        case 1:
          mutant.insert(at, 1, letter);
          break;
        case 2:
          mutant.insert(at, mutant.substr(random.below(10 * edit + 5, mutant.size()), 30));
          break;
        default:
          mutant[at] = letter;
      }
    }
    const Result<Plan> read = parse_plan(mutant, "p.json");
    const Status fits = read.ok() ? check(*read, network) : Status(read.error());
    if (fits.ok()) continue;
    ++refused;
    EXPECT_EQ(fits.error().message.find('\n'), std::string::npos) << mutant;
    EXPECT_EQ(fits.error().code, ExitCode::bad_input);
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LT(refused, 3000);
}

TEST(Plan, AShapeHintSaysAllThatAConvIs) {
  Network n;
  n.inputs = {n.add_value("x", {2, 8, 9, 12})};
  Conv conv = seeded_conv(8, 6, 3, 2);
  conv.stride = {2, 1};
  n.add_layer("a", conv, {n.inputs[0]});
  conv.dilation = {2, 2};
  n.add_layer("b", conv, {n.inputs[0]});
  EXPECT_EQ(shape_hint(n, 0), "8x9x12 -> 6x5x12 k3x3 s2x1 g2");
  EXPECT_EQ(shape_hint(n, 1), "8x9x12 -> 6x4x10 k3x3 s2x1 g2 d2");
}

TEST(Plan, ThePlanOfTheRewrittenNetworkHasTheKernelsAndNoRewrites) {
  const Network network = tiny_residual();  // convs 0 to 5
  Plan plan = plan_with(network, 1, steps("bottleneck co 2"));
  plan.layers.push_back(plan_with(network, 3, steps("group 2")).layers[0]);
  plan.layers.push_back(plan_with(network, 4, {}).layers[0]);
  plan.layers.push_back({5, "", "", steps("bottleneck co 4"), {}});  // default kernels
  ASSERT_TRUE(check(plan, network).ok());

  const Network after = *apply_rewrites(network, rewrites(plan));
  const Plan result = rewritten_plan(plan, network, after);
  const Status fits = check(result, after);
  EXPECT_TRUE(fits.ok()) << fits.error().message;
  EXPECT_EQ(result.network, structure_hash(after));
  EXPECT_EQ(result.target, plan.target);
  EXPECT_EQ(result.threads, plan.threads);
  EXPECT_TRUE(rewrites(result).empty());
  std::vector<std::string> rows;
  for (const LayerChoice& layer : result.layers) {
    ASSERT_EQ(layer.kernels.size(), 1u);
    rows.push_back(fmt::format("{} {} {}", layer.conv, layer.name, layer.kernels[0].algorithm));
  }
  EXPECT_THAT(rows, ElementsAre("1 block1.conv1_narrow algorithm0", "2 block1.conv1 algorithm1",
                                "4 block1.shortcut algorithm0", "5 block2.conv1 algorithm0"));
}

TEST(Plan, ProgramStepsThatEndARewriteScheduleTheConvsThatItLeaves) {
  const Network network = tiny_residual();
  Plan plan;
  plan.network = structure_hash(network);
  const auto rewritten = [&](const char* text) {
    plan.layers = {{1, "", "", steps(text), {}}};
    std::vector<std::string> rows;
    const auto after = apply_rewrites(network, rewrites(plan));
    if (!after.ok()) return std::vector<std::string>{after.error().message};
    for (const LayerChoice& layer : rewritten_plan(plan, network, *after).layers)
      rows.push_back(fmt::format("{} {} {}", layer.conv, layer.kernels.at(0).algorithm,
                                 layer.kernels.at(0).schedule));
    return rows;
  };
  EXPECT_THAT(rewritten("group 2; tile co 2; unroll coi"),
              ElementsAre("1 direct tile co 2; unroll coi"));
  // The narrow conv, not the linear one that widens again.
  EXPECT_THAT(rewritten("bottleneck co 2; tile x 2"), ElementsAre("1 direct tile x 2"));
  EXPECT_THAT(rewritten("split co 2; group[1] 2; parallel y"),
              ElementsAre("1 direct parallel y", "2 direct parallel y"));
  EXPECT_THAT(rewritten("parallel y"), ElementsAre("1 direct parallel y"));
  EXPECT_THAT(rewritten("interchange co y; bottleneck y 3"), IsEmpty());
  EXPECT_THAT(rewritten("interchange co y; bottleneck y 3; parallel y"),
              ElementsAre("1 direct interchange co y; parallel y"));
  // What the plan says of kernels comes first.
  plan.layers = {{1, "", "", steps("group 2; parallel y"), {{"pointwise", ""}}}};
  EXPECT_EQ(rewritten_plan(plan, network, *apply_rewrites(network, rewrites(plan)))
                .layers.at(0)
                .kernels.at(0)
                .algorithm,
            "pointwise");
}

}  // namespace
}  // namespace emulsion
