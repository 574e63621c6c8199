// A rewritten network survives being exported, imported and simplified, so a plan for it fits the
// file.
#include <gtest/gtest.h>

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

// Calls check(network, rewritten) for every rewrite of every slot of every tiny network.
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
    }
  }
}

TEST(RewrittenExport, SimplifyingTheFileGivesTheSameNetworkAsSimplifyingTheRewrite) {
  for_every_rewrite([](const Network& network, const std::map<int, Steps>& rewrites) {
    const Network rewritten = *apply_rewrites(network, rewrites);
    EXPECT_EQ(to_text(simplify(through_onnx(rewritten))), to_text(simplify(rewritten)));
    const Tensor x = seeded_tensor({1, 3, 6, 6}, 4);
    const Tensor before = (*evaluate(rewritten, {x}))[0];
    const Tensor after = (*evaluate(simplify(through_onnx(rewritten)), {x}))[0];
    for (size_t i = 0; i < before.data.size(); ++i)
      EXPECT_NEAR(after.data[i], before.data[i], 1e-4);
  });
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
      const int convs = (*convs_after(simplified, rewrites))[conv];
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
