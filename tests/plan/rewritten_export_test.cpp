// A rewritten network survives being exported, imported and simplified, so a plan for it fits the
// file.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/npy.h"
#include "base/process.h"
#include "models/models.h"
#include "nest/recalibrate.h"
#include "nest/rewrite.h"
#include "network/evaluate.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "plan/plan.h"
#include "simplify/simplify.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

Network through_onnx(const Network& network) {
  const Result<std::string> bytes = export_onnx_bytes(network);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  Result<Network> back = import_onnx_bytes(*bytes, "memory.onnx");
  EXPECT_TRUE(back.ok()) << back.error().message;
  return *std::move(back);
}

// Lists that are written by hand: each variant, and steps of several rows together.
const std::vector<std::string> k_by_hand = {
    "bottleneck co 2 zeros",
    "bottleneck co 2 propagated",
    "bottleneck co 2 propagated; split co 2; group[1] 2",
    "interchange co y; bottleneck y 2",
    "interchange co y; bottleneck y 2; group 2",
    "split co 2; bottleneck[1] co 2; group[0] 2",
    "split co 2; depthwise[0]; split co 2; depthwise[2]",
    "split y 2; group[0] 1; separable[1]",
    "unroll co 2; bottleneck[1] co 2",
    "split co 2; group[0] 1; interchange co x; bottleneck x 3",
    "bottleneck ci 2; split y 3; group[1] 2",
};

// Calls check(network, rewrites) for every rewrite of every slot of every tiny network, and for
// those written by hand that the slot takes.
template <class Check>
void for_every_rewrite(const Check& check) {
  for (const Network& network : tiny_networks()) {
    const std::vector<int> convs = conv_layers(network);
    for (const int slot : slots(network)) {
      const Layer& layer = network.layers[convs[slot]];
      for (const Steps& steps :
           rewrites_of(std::get<Conv>(layer.op), network.shape(layer.inputs[0]))) {
        SCOPED_TRACE(fmt::format("{} {} {}", network.name, layer.name, to_text(steps)));
        check(network, std::map<int, Steps>{{slot, steps}});
      }
      for (const std::string& text : k_by_hand) {
        const std::map<int, Steps> rewrites{{slot, *parse_steps(text)}};
        if (!convs_after(network, rewrites).ok()) continue;
        SCOPED_TRACE(fmt::format("{} {} {}", network.name, layer.name, text));
        check(network, rewrites);
      }
    }
  }
}

// As a file that is rewritten as it comes, and as one that is simplified first, whose convs have
// their activations and additions in them.
TEST(RewrittenExport, SimplifyingTheFileGivesTheSameNetworkAsSimplifyingTheRewrite) {
  for_every_rewrite([](const Network& network, const std::map<int, Steps>& rewrites) {
    for (const Network& original : {network, simplify(network)}) {
      const auto rewritten = apply_rewrites(original, rewrites);
      // A residual in a conv's epilogue is refused by what the Add behind the conv takes, and only
      // by that.
      if (!rewritten.ok()) {
        EXPECT_NE(rewritten.error().message.find("propagated"), std::string::npos);
        continue;
      }
      EXPECT_EQ(to_text(simplify(through_onnx(*rewritten))), to_text(simplify(*rewritten)));
      const Tensor x = seeded_tensor({1, 3, 6, 6}, 4);
      const Tensor before = (*evaluate(*rewritten, {x}))[0];
      const Tensor after = (*evaluate(simplify(through_onnx(*rewritten)), {x}))[0];
      for (size_t i = 0; i < before.data.size(); ++i)
        EXPECT_NEAR(after.data[i], before.data[i], 1e-4);
    }
  });
}

// What was one pass over the output behind the conv (its affine, activation or addition) is in the
// convs again.
TEST(RewrittenExport, NothingElementwiseIsLeftBehindTheConvsOfASplit) {
  const auto left = [](const Network& network) {
    int count = 0;
    for (const Layer& layer : simplify(network).layers) {
      count += std::holds_alternative<Affine>(layer.op) ||
               std::holds_alternative<Activation>(layer.op) ||
               std::holds_alternative<Binary>(layer.op);
    }
    return count;
  };
  for (const Network& network : {tiny_plain(), tiny_residual()}) {
    for (const char* text : {"split co 2; group[0] 2; group[1] 4", "unroll co 4; group[1] 2",
                             "split y 3; group[0] 2", "split co 2; bottleneck[0] co 2"}) {
      for (const int slot : slots(network)) {
        const auto rewritten = apply_rewrites(network, {{slot, *parse_steps(text)}});
        if (!rewritten.ok()) continue;
        EXPECT_EQ(left(*rewritten), left(network)) << text << " " << slot;
      }
    }
  }
  const std::string spatial = "interchange co y; bottleneck y 2; interchange co x; bottleneck x 2";
  const Network plain = tiny_plain();
  EXPECT_EQ(left(*apply_rewrites(plain, {{1, *parse_steps(spatial)}})), left(plain));
}

TEST(RewrittenExport, OnnxRuntimeRunsEveryRewriteAlike) {
  const TemporaryDirectory folder;
  const Tensor x = seeded_tensor({1, 3, 6, 6}, 4);
  std::vector<Tensor> expected;
  for_every_rewrite([&](const Network& network, const std::map<int, Steps>& rewrites) {
    const Network rewritten = *apply_rewrites(network, rewrites);
    const std::string stem = fmt::format("{:04}", expected.size());
    ASSERT_TRUE(export_onnx(rewritten, folder.path() / (stem + ".onnx")).ok());
    ASSERT_TRUE(write_npy(folder.path() / (stem + ".in0.npy"), x.shape, x.data).ok());
    expected.push_back((*evaluate(rewritten, {x}))[0]);
  });
  const auto run = run_process(
      {EMULSION_PYTHON, EMULSION_SOURCE_DIR "/tests/onnx/run_exported.py", folder.path().string()});
  ASSERT_TRUE(run.ok()) << run.error().message;
  ASSERT_EQ(run->exit_code, 0) << run->errors;
  for (size_t k = 0; k < expected.size(); ++k) {
    const auto npy = read_npy(folder.path() / fmt::format("{:04}.out0.npy", k));
    ASSERT_TRUE(npy.ok()) << npy.error().message;
    ASSERT_EQ(npy->values.size(), expected[k].data.size());
    for (size_t i = 0; i < expected[k].data.size(); ++i)
      EXPECT_NEAR(npy->values[i], expected[k].data[i], 1e-4);
  }
}

TEST(RewrittenExport, RewritingTheSimplifiedNetworkHasTheConvsOfSimplifyingTheRewritten) {
  for_every_rewrite([](const Network& network, const std::map<int, Steps>& rewrites) {
    const Network a = simplify(*apply_rewrites(network, rewrites));
    const Network b = *apply_rewrites(simplify(network), rewrites);
    const std::vector<int> in_a = conv_layers(a), in_b = conv_layers(b);
    ASSERT_EQ(in_a.size(), in_b.size());
    for (size_t i = 0; i < in_a.size(); ++i)
      EXPECT_EQ(shape_hint(a, in_a[i]), shape_hint(b, in_b[i]));
  });
}

TEST(RewrittenExport, ThePlanOfTheRewrittenNetworkFitsTheFile) {
  const Tensor images = seeded_tensor({3, 3, 6, 6}, 8);
  for_every_rewrite([&](const Network& network, const std::map<int, Steps>& rewrites) {
    const Network simplified = simplify(network);
    Plan plan{structure_hash(simplified), "host", 1, {}};
    for (const auto& [conv, steps] : rewrites) {
      plan.layers.push_back(
          {conv, "", shape_hint(simplified, conv_layers(simplified)[conv]), steps, {}});
      const int convs = (*convs_after(simplified, rewrites))[conv].count;
      plan.layers.back().kernels.assign(convs, {"direct", ""});
    }
    ASSERT_TRUE(check(plan, simplified).ok());
    const auto recalibrated = rewrite_on_data(network, rewrites, images);
    ASSERT_TRUE(recalibrated.ok());
    const Network file = simplify(through_onnx(recalibrated->network));
    const Status fits = check(rewritten_plan(plan, simplified, file), file);
    EXPECT_TRUE(fits.ok()) << fits.error().message;
  });
}

TEST(RewrittenExport, SimplifyingChangesNoSlot) {
  std::vector<Network> networks = tiny_networks();
  for (const char* name : {"resnet34-cifar10", "resnext29-cifar10", "densenet121", "mobilenetv2"}) {
    networks.push_back(*build_model(name));
  }
  for (const Network& network : networks)
    EXPECT_EQ(slots(simplify(network)), slots(network)) << network.name;
}

TEST(RewrittenExport, TheModelsHaveTheSlotsOfTheirPapers) {
  // All convs but the stem and the 1x1 shortcuts; in MobileNetV2 also but the depthwise ones.
  EXPECT_EQ(slots(*build_model("resnet34-cifar10")).size(), 36u - 1 - 3);
  EXPECT_EQ(slots(*build_model("resnet50")).size(), 53u - 1 - 4);
  EXPECT_EQ(slots(*build_model("resnext29-cifar10")).size(), 31u - 1 - 3);
  EXPECT_EQ(slots(*build_model("densenet161-cifar10")).size(), 160u - 1);
  EXPECT_EQ(slots(*build_model("mobilenetv2")).size(), 52u - 1 - 17);
}

}  // namespace
}  // namespace emulsion
