// Convs fused by a plan or by default: which kernels a network has, and that it computes the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "compile/chain_search.h"
#include "compile/loaded_network.h"
#include "compile/prepare.h"
#include "lower/fuse_chains.h"
#include "lower/lower.h"
#include "simplify/simplify.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

class NetworkMaker {
 public:
  NetworkMaker(Shape image) { x_ = network_.inputs = {network_.add_value("image", image)}; }

  NetworkMaker& conv(int64_t co, int kernel, int stride = 1, bool depthwise = false) {
    const int64_t ci = network_.shape(x_[0])[1];
    Conv c;
    c.stride = {stride, stride};
    c.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
    c.groups = depthwise ? static_cast<int>(ci) : 1;
    c.weight = random_.random_constant({co, ci / c.groups, kernel, kernel}, -0.4, 0.4);
    c.bias = random_.random_constant({co}, -0.4, 0.4);
    return add(c, x_);
  }
  NetworkMaker& depthwise(int stride = 1) {
    return conv(network_.shape(x_[0])[1], 3, stride, true);
  }
  NetworkMaker& relu6() {
    return add(Activation{.kind = Activation::Kind::clip, .alpha = 0, .beta = 6}, x_);
  }
  // Adds a value that was current before.
  NetworkMaker& residual(ValueId value) { return add(Binary{}, {x_[0], value}); }
  // An inverted residual block, as MobileNetV2 has them.
  NetworkMaker& block(int64_t wide, int64_t co, int stride) {
    const ValueId before = current();
    conv(wide, 1).relu6().depthwise(stride).relu6().conv(co, 1);
    return stride == 1 && network_.shape(before)[1] == co ? residual(before) : *this;
  }
  ValueId current() const { return x_[0]; }
  Network finish() {
    network_.name = "chained";
    network_.outputs = {network_.add_layer("mean", ReduceMean{{2, 3}, false}, x_)};
    return network_;
  }

 private:
  NetworkMaker& add(Op op, const std::vector<ValueId>& inputs) {
    const std::string name = fmt::format("{}{}", op_name(op), network_.layers.size());
    x_ = {network_.add_layer(name, std::move(op), inputs)};
    return *this;
  }
  RandomNetworkMaker random_{3};
  Network network_;
  std::vector<ValueId> x_;
};

Network small_mobilenet(int64_t images = 1) {
  NetworkMaker maker({images, 3, 29, 29});
  maker.conv(8, 3, 2).relu6().depthwise().relu6().conv(8, 1);
  maker.block(24, 12, 2).block(40, 12, 1).block(36, 17, 2).conv(32, 1).relu6();
  return maker.finish();
}

// A plan that gives each conv an algorithm: "f" fused_into_next, "F" fused, "-" by default.
Plan plan_of(const std::string& letters) {
  Plan plan;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (letters[i] == '-') continue;
    const char* name = letters[i] == 'F'   ? k_fused
                       : letters[i] == 'f' ? k_fused_into_next
                                           : "direct";
    plan.layers.push_back({static_cast<int>(i), "", "", {}, {{name, ""}}});
  }
  return plan;
}

Result<PreparedNetwork> prepared(const Network& network, const Plan& plan, int threads = 1) {
  return prepare(network, plan, must(resolve_target("host")), threads);
}

// How many convs each kernel of convs computes.
std::vector<size_t> chain_lengths(const PreparedNetwork& network) {
  std::vector<size_t> lengths;
  for (const KernelCall& call : network.calls)
    if (!call.convs.empty()) lengths.push_back(call.convs.size());
  return lengths;
}

TEST(FusedChains, ComputeWhatTheReferenceComputes) {
  for (const int64_t images : {1, 2}) {
    const Network network = small_mobilenet(images);
    KernelCache cache = test_cache();
    // Stem, depthwise and 1x1 at once; blocks whole and in part.
    for (const char* letters : {"-------------", "ffFffFffFffFd", "dfFdfFfFdffFd"}) {
      SCOPED_TRACE(letters);
      CompileOptions options;
      options.threads = letters[0] == 'd' ? 2 : 1;
      LoadedNetwork loaded = must(LoadedNetwork::load(network, plan_of(letters), cache, options));
      const std::vector<Tensor> inputs = random_inputs(network, 4);
      const Tensor expected = must(evaluate(network, inputs))[0];
      EXPECT_LT(relative_error(must(loaded.run(inputs))[0], expected), 1e-5);
    }
  }
}

TEST(FusedChains, AreWhatThePlanNames) {
  const Network network = small_mobilenet();
  EXPECT_THAT(chain_lengths(must(prepared(network, plan_of("ffFfFdddddddd")))),
              ElementsAre(3, 2, 1, 1, 1, 1, 1, 1, 1, 1));
}

// 48 channels of 64x64 are 786 KB: more than stays near.
TEST(FusedChains, AreByDefaultWhereWhatLiesBetweenIsLarge) {
  const Network large = NetworkMaker({1, 8, 64, 64}).block(48, 8, 1).finish();
  const Network small = NetworkMaker({1, 8, 16, 16}).block(48, 8, 1).finish();
  for (const int threads : {1, 2}) {
    EXPECT_THAT(chain_lengths(must(prepared(large, {}, threads))), ElementsAre(3));
    EXPECT_THAT(chain_lengths(must(prepared(small, {}, threads))), ElementsAre(1, 1, 1));
  }
  // A plan that names other algorithms keeps the convs apart; one that names one of them, that one.
  EXPECT_THAT(chain_lengths(must(prepared(large, plan_of("ddd")))), ElementsAre(1, 1, 1));
  EXPECT_THAT(chain_lengths(must(prepared(large, plan_of("--d")))), ElementsAre(2, 1));
}

TEST(FusedChains, AreNotByDefaultWhereAConvOfItsOwnIsFaster) {
  const Network network =
      NetworkMaker({1, 256, 56, 56}).conv(64, 1).relu6().conv(64, 3).relu6().conv(256, 1).finish();
  EXPECT_THAT(chain_lengths(must(prepared(network, {}))), ElementsAre(1, 1, 1));
}

TEST(FusedChains, AreNotOfConvsWhoseOutputOthersRead) {
  NetworkMaker maker({1, 8, 64, 64});
  maker.conv(48, 1);
  const ValueId wide = maker.current();
  maker.depthwise().residual(wide).conv(8, 1);
  // Nor may one before the last have a residual.
  EXPECT_THAT(chain_lengths(must(prepared(maker.finish(), {}))), ElementsAre(1, 1, 1));
}

TEST(FusedChains, GoThroughAnExplicitPlan) {
  for (const Network& network :
       {NetworkMaker({1, 8, 64, 64}).block(48, 8, 1).finish(), small_mobilenet()}) {
    const bool small = network.layers.size() > 8;
    const PreparedNetwork first =
        must(prepared(network, small ? plan_of("ffFfFdddddddd") : Plan(), 2));
    const Plan plan = explicit_plan(first, must(resolve_target("host")), 2);
    const Plan read = must(parse_plan(to_json(plan), "plan.json"));
    EXPECT_EQ(read, plan);
    const PreparedNetwork second = must(prepared(network, read, 2));
    ASSERT_EQ(second.calls.size(), first.calls.size());
    for (size_t i = 0; i < first.calls.size(); ++i)
      EXPECT_EQ(to_text(second.calls[i].spec), to_text(first.calls[i].spec));
  }
}

TEST(FusedChains, OfRewrittenConvsNameThePartsOfThePlan) {
  const Network network = NetworkMaker({1, 8, 64, 64}).conv(48, 3).relu6().conv(8, 1).finish();
  Plan plan = plan_of("--");
  plan.layers = {{0, "", "", must(parse_steps("bottleneck co 4")), {}}};
  const PreparedNetwork first = must(prepared(network, plan));
  EXPECT_THAT(chain_lengths(first), ElementsAre(1, 2));
  const Plan all = explicit_plan(first, must(resolve_target("host")), 1);
  ASSERT_EQ(all.layers.size(), 2u);
  ASSERT_EQ(all.layers[0].kernels.size(), 2u);
  EXPECT_EQ(all.layers[0].kernels[1].algorithm, k_fused_into_next);
  EXPECT_EQ(all.layers[1].kernels[0].algorithm, k_fused);
  EXPECT_THAT(chain_lengths(must(prepared(network, all))), ElementsAre(1, 2));
}

TEST(FusedChains, ArePossibleOfTwoAndOfThreeConvs) {
  const Network network =
      simplify(NetworkMaker({1, 8, 16, 16}).block(24, 8, 1).conv(16, 3, 2).finish());
  const std::string target = must(resolve_target("host"));
  EXPECT_THAT(possible_chains(network, target, 1),
              ElementsAre(ElementsAre(0, 1), ElementsAre(1, 2), ElementsAre(0, 1, 2)));
}

// A search whose networks take as long as `ms` says of the numbers of convs in their kernels; less
// than 0: they do not compile.
ChainSearchResult searched(const Network& network, const Plan& plan,
                           const std::function<double(const std::vector<size_t>&)>& ms,
                           int most_kinds = 1000) {
  const auto time = [&](const PlannedNetwork& planned) {
    return ms(chain_lengths(must(prepared(network, planned.plan))));
  };
  int asked = 0;
  ChainSearchOptions options;
  options.target = must(resolve_target("host"));
  options.time = [&](PlannedNetwork& original, PlannedNetwork& changed) -> Result<NetworkRecord> {
    const double before = time(original), after = time(changed);
    if (after < 0) return error("does not compile");
    return NetworkRecord{after, after, before, before, 0, {}};
  };
  options.over = [&] { return asked++ == most_kinds; };
  return must(search_chains(network, plan, options));
}

double count_of(const std::vector<size_t>& lengths) {
  return static_cast<double>(lengths.size());
}

TEST(FusedChains, AreSearchedForWhatIsFaster) {
  const Network network = small_mobilenet();
  const Plan plan = plan_of("ffFfFdddddddd");
  const auto lengths = [&](const ChainSearchResult& result) {
    return chain_lengths(must(prepared(network, result.plan)));
  };
  // Without time it is the plan, spelled out.
  const ChainSearchResult nothing = searched(network, plan, count_of, 0);
  EXPECT_EQ(nothing.tried, 0);
  EXPECT_THAT(lengths(nothing), ElementsAre(3, 2, 1, 1, 1, 1, 1, 1, 1, 1));
  // Where fewer kernels are faster all that can be is fused; else nothing is.
  const ChainSearchResult fused = searched(network, plan, count_of);
  EXPECT_GT(fused.taken, 0);
  EXPECT_LT(lengths(fused).size(), 7u);
  const ChainSearchResult apart =
      searched(network, plan, [](const std::vector<size_t>& all) { return 100 - count_of(all); });
  EXPECT_THAT(lengths(apart), Each(1u));
  EXPECT_EQ(lengths(apart).size(), 13u);
  // What does not compile, or is not clearly faster, is not taken.
  const auto fails = [](const std::vector<size_t>& all) { return all.size() == 10 ? 1.0 : -1.0; };
  EXPECT_EQ(searched(network, plan, fails).plan, nothing.plan);
  const ChainSearchResult equal =
      searched(network, plan, [](const std::vector<size_t>&) { return 1.0; });
  EXPECT_GT(equal.tried, 4);
  EXPECT_EQ(equal.taken, 0);
  EXPECT_EQ(equal.plan, nothing.plan);
}

// Of chains of the same shapes that overlap, those that a plan has are taken apart too.
TEST(FusedChains, OfOverlappingOnesAnyAreTakenApart) {
  const Network network =
      NetworkMaker({1, 16, 16, 16}).conv(16, 3).conv(16, 3).conv(16, 3).conv(16, 3).finish();
  const auto apart = searched(network, plan_of("dfFd"),
                              [](const std::vector<size_t>& all) { return 100 - count_of(all); });
  EXPECT_THAT(chain_lengths(must(prepared(network, apart.plan))), ElementsAre(1, 1, 1, 1));
}

// A 1x1 conv's tile of pixels runs over rows, which it cannot where its output has a rim.
TEST(FusedChains, ThatAPlansOtherSchedulesForbidAreSkipped) {
  const Network network = NetworkMaker({1, 8, 7, 7}).conv(8, 1).block(24, 8, 1).finish();
  Plan plan;
  plan.layers = {
      {0, "", "", {}, {{"pointwise", "tile x 14; tile co 8; vectorize coi 8; unroll xi"}}}};
  EXPECT_THAT(chain_lengths(must(prepared(network, plan))), ElementsAre(1, 1, 1, 1));
  const ChainSearchResult result = searched(network, plan, count_of);
  EXPECT_GT(result.taken, 0);
  EXPECT_EQ(result.plan.layers.at(0).kernels.at(0), plan.layers[0].kernels[0]);
}

TEST(FusedChains, RefuseWhatIsNone) {
  const Network network = small_mobilenet();
  const auto reason = [&](const Plan& plan) {
    const auto result = prepared(network, plan);
    return result.ok() ? std::string("taken") : result.error().message;
  };
  EXPECT_THAT(reason(plan_of("F------------")), HasSubstr("no conv before it has fused_into_next"));
  EXPECT_THAT(reason(plan_of("fd-----------")), HasSubstr("conv 0 ('conv0') has algorithm fused_"));
  EXPECT_THAT(reason(plan_of("------------f")), HasSubstr("only one to read its output"));
  // The output of conv 5 is the residual of conv 8 as well.
  EXPECT_THAT(reason(plan_of("-----ffF-----")), HasSubstr("only one to read its output"));
  Plan half = plan_of("ffF");
  half.layers[0].kernels[0].schedule = "vectorize co 8";
  EXPECT_THAT(reason(half), HasSubstr("conv 2, that it is fused into, has none"));
  half = plan_of("ffF");
  half.layers[2].kernels[0].schedule = "split co 4";
  EXPECT_THAT(reason(half), HasSubstr("loop co lies outside y"));
  half.layers[2].kernels[0].schedule = "interchange co y; parallel x";
  EXPECT_THAT(reason(half), HasSubstr("loop x is parallel within a step"));
  half.layers[2].kernels[0].schedule = "interchange co y; parallel y";
  half.layers[0].kernels[0].schedule = "parallel x";
  EXPECT_THAT(reason(half), HasSubstr("only the last conv's may be"));
  half.layers[0].kernels[0].schedule = "vectorize x 8";
  EXPECT_THAT(reason(half), HasSubstr("conv 0 of the chain"));
}

}  // namespace
}  // namespace emulsion
