#include "compile/tolerance.h"

#include <gmock/gmock.h>

#include <array>

#include "base/file.h"
#include "compile/half_weights.h"
#include "compile/whole_networks.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "lower/machine.h"
#include "simplify/simplify.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

const std::string k_target = *resolve_target("host");

CompileOptions options_here() {
  CompileOptions options;
  options.target = k_target;
  return options;
}

Conv conv(RandomNetworkMaker& random, int64_t ci, int64_t co) {
  Conv c;
  c.pad = {1, 1, 1, 1};
  c.weight = random.random_constant({co, ci, 3, 3}, -0.2, 0.2);
  return c;
}

// Two convs that F(6x6) takes, on 12 x 12.
Network two_convs() {
  RandomNetworkMaker random(3);
  Network network;
  network.name = "two_convs";
  network.inputs = {network.add_value("image", {1, 16, 12, 12})};
  const ValueId a = network.add_layer("a", conv(random, 16, 16), network.inputs);
  network.outputs = {network.add_layer("b", conv(random, 16, 8), {a})};
  return network;
}

// Two layers whose weights no second-level cache keeps.
Network heavy_network() {
  RandomNetworkMaker random(4);
  Network network;
  network.name = "heavy";
  network.inputs = {network.add_value("image", {1, 256, 2, 2})};
  ValueId x = network.add_layer("wide", conv(random, 256, 256), network.inputs);
  x = network.add_layer("mean", ReduceMean{{2, 3}, false}, {x});
  Dense dense{random.random_constant({1500, 256}, -0.1, 0.1), nullptr, {}};
  network.outputs = {network.add_layer("classes", dense, {x})};
  return network;
}

// What F(6x6) wins by conv; where it wins less it is more of a risk.
using Gains = std::array<double, 2>;

// The prepared network with F(6x6) chosen for every conv.
std::vector<RiskyChoice> choose_winograd6(PreparedNetwork& prepared, const Gains& gains) {
  std::vector<RiskyChoice> choices;
  for (size_t i = 0; i < prepared.calls.size(); ++i) {
    if (prepared.calls[i].convs.empty()) continue;
    RiskyChoice choice{i, prepared.calls[i].spec, prepared.calls[i].spec, 1.0, 1e-6};
    choice.risky.algorithm = "winograd6";
    choice.risky.schedule = "";
    choice.risky = must(completed(choice.risky));
    choice.gain = gains.at(choices.size());
    choices.push_back(choice);
  }
  return choices;
}

ToleranceReport kept_within(double tolerance, PreparedNetwork& prepared,
                            const Gains& gains = {1.0, 0.5}) {
  const Network network = two_convs();
  KernelCache cache = test_cache();
  prepared = must(prepare(network, {}, k_target));
  const std::vector<RiskyChoice> choices = choose_winograd6(prepared, gains);
  const ToleranceCheck check =
      must(ToleranceCheck::make(network, explicit_plan(prepared, k_target, 1), cache,
                                options_here(), seeded_check_data(network), tolerance));
  return must(keep_within_tolerance(network, prepared, choices, cache, options_here(), check));
}

TEST(Tolerance, KeepsRiskyChoicesThatStayWithinIt) {
  PreparedNetwork prepared;
  const ToleranceReport report = kept_within(1e-2, prepared);
  EXPECT_EQ(report.taken_back, 0);
  EXPECT_THAT(report.inexact_layers, testing::SizeIs(2));
  EXPECT_GT(report.difference, 0);
  EXPECT_LE(report.difference, 1e-2);
  EXPECT_EQ(report.data, "seeded noise");
}

TEST(Tolerance, TakesBackAllThatBreaksIt) {
  PreparedNetwork prepared;
  const ToleranceReport report = kept_within(1e-12, prepared);
  EXPECT_EQ(report.taken_back, 2);
  EXPECT_THAT(report.inexact_layers, testing::IsEmpty());
  EXPECT_EQ(report.difference, 0);
  for (const KernelCall& call : prepared.calls) EXPECT_FALSE(is_risky(call.spec));
}

// Either conv alone errs less than both.
TEST(Tolerance, TakesBackFirstWhatRisksMostForWhatItWins) {
  PreparedNetwork prepared;
  const double tolerance = 0.99 * kept_within(1, prepared).difference;
  for (const auto& [gains, kept] : {std::pair{Gains{1.0, 0.5}, "a"}, {Gains{0.5, 1.0}, "b"}}) {
    const ToleranceReport report = kept_within(tolerance, prepared, gains);
    EXPECT_EQ(report.taken_back, 1);
    EXPECT_THAT(report.inexact_layers, testing::ElementsAre(kept));
    EXPECT_GT(report.difference, 0);
    EXPECT_LE(report.difference, tolerance);
  }
}

TEST(CheckData, IsTheFirstImagesInTheNetworksBatches) {
  const Network network = small_network(1, 2);
  Tensor images({5, 3, 8, 8}, 0.5f);
  const CheckData data = must(check_data_of(network, images, "x.npy"));
  EXPECT_EQ(data.runs.size(), 2);
  EXPECT_EQ(data.from, "4 images of x.npy");
  const auto message = [&](const Network& other, const Tensor& tensor) {
    const Result<CheckData> result = check_data_of(other, tensor, "x.npy");
    return result.ok() ? std::string() : result.error().message;
  };
  EXPECT_THAT(message(network, Tensor({2, 3, 8, 9})), HasSubstr("x.npy: its shape is 2x3x8x9"));
  EXPECT_THAT(message(network, Tensor({1, 3, 8, 8})), HasSubstr("x.npy: its shape is 1x3x8x8"));
  EXPECT_THAT(message(network_of_two(), images), HasSubstr("one input"));
  images.data[7] = NAN;
  EXPECT_THAT(message(network, images), HasSubstr("must be finite"));
}

TEST(HalfWeights, GoWhereWeightsAreStreamed) {
  if (!converts_halves(k_target)) GTEST_SKIP() << "[SKIP] no f16c";
  const Network network = heavy_network();
  KernelCache cache = test_cache();
  HalfWeightOptions options{options_here(), 1e-2, seeded_check_data(network)};
  const HalfWeights chosen = must(with_half_weights(network, {}, cache, options));
  EXPECT_THAT(chosen.report.half_layers, testing::SizeIs(2));
  EXPECT_GE(chosen.report.bytes_saved, 2 * (256 * 256 * 9 + 1500 * 256));
  EXPECT_GT(chosen.report.difference, 0);
  EXPECT_EQ(chosen.plan.dense_f16, std::vector<int>{0});
  EXPECT_EQ(chosen.plan.layers[0].kernels[0].weights, ElementType::f16);

  LoadedNetwork whole = must(LoadedNetwork::load(network, {}, cache, options_here()));
  LoadedNetwork half = must(LoadedNetwork::load(network, chosen.plan, cache, options_here()));
  EXPECT_LT(half.compiled().weights_bytes,
            0.6 * static_cast<double>(whole.compiled().weights_bytes));
  const std::vector<Tensor> inputs = random_inputs(network, 9);
  EXPECT_LT(relative_error(must(half.run(inputs))[0], must(evaluate(network, inputs))[0]), 2e-3);

  options.tolerance = 1e-9;
  const HalfWeights none = must(with_half_weights(network, {}, cache, options));
  EXPECT_THAT(none.report.half_layers, testing::IsEmpty());
  EXPECT_TRUE(none.plan.dense_f16.empty());
}

TEST(HalfWeights, OfAPlanStayF32WhereOneIsTooLarge) {
  if (!converts_halves(k_target)) GTEST_SKIP() << "[SKIP] no f16c";
  Network network = two_convs();
  auto& first = std::get<Conv>(network.layers[0].op);
  Tensor large = *first.weight;
  large.data[0] = 1e6f;
  first.weight = std::make_shared<const Tensor>(std::move(large));
  const Plan plan{"",
                  "",
                  1,
                  {{0, "", "", {}, {{"direct", "", ElementType::f16}}},
                   {1, "", "", {}, {{"direct", "", ElementType::f16}}}}};
  const PreparedNetwork prepared = must(prepare(network, plan, k_target));
  std::vector<ElementType> types;
  for (const KernelCall& call : prepared.calls)
    if (!call.convs.empty()) types.push_back(call.spec.weights);
  EXPECT_EQ(types, (std::vector{ElementType::f32, ElementType::f16}));
}

TEST(WholeNetworks, AreTimedOnceAndRememberedInRecords) {
  const TemporaryDirectory folder;
  const Network network = two_convs();
  KernelCache cache = test_cache();
  const auto improve = [&] {
    Records records = must(Records::open(folder.path() / "records.jsonl", 1));
    PreparedNetwork prepared = must(prepare(network, {}, k_target));
    std::vector<KernelSpec> defaults;
    for (const KernelCall& call : prepared.calls) defaults.push_back(call.spec);
    std::vector<Variant> variants;
    for (size_t i = 0; i < prepared.calls.size(); ++i) {
      if (prepared.calls[i].convs.empty()) continue;
      for (const char* algorithm : {"direct", "winograd2", "winograd6"}) {
        KernelSpec other = prepared.calls[i].spec;
        other.algorithm = algorithm;
        other.schedule = "";
        variants.push_back({{i}, must(completed(other))});
      }
    }
    WholeNetworkOptions options{options_here(), nullptr, &records, [] { return false; }};
    (void)must(improve_as_whole(network, prepared, defaults, variants, cache, options));
    return explicit_plan(prepared, k_target, 1);
  };
  const Plan first = improve();
  const std::string records = must(read_file(folder.path() / "records.jsonl"));
  EXPECT_EQ(improve(), first);
  EXPECT_EQ(must(read_file(folder.path() / "records.jsonl")), records);
  // Nothing checks the tolerance here, so nothing risky is taken.
  for (const LayerChoice& layer : first.layers) EXPECT_NE(layer.kernels[0].algorithm, "winograd6");
}

}  // namespace
}  // namespace emulsion
