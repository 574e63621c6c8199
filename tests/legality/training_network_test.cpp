#include "legality/training_network.h"

#include <gtest/gtest.h>

namespace emulsion {
namespace {

Constant weights(Shape shape) {
  return std::make_shared<Tensor>(std::move(shape), 0.5f);
}

Conv conv(int64_t ci, int64_t co, int kernel = 3) {
  Conv op;
  op.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
  op.weight = weights({co, ci, kernel, kernel});
  op.bias = weights({co});
  return op;
}

Dense dense(int64_t from, int64_t to) {
  Dense op;
  op.weight = weights({to, from});
  return op;
}

// An image network with a batch of 1; tail turns the last value into the output.
struct Made {
  Network network;
  ValueId value;

  Made() {
    value = network.add_value("x", {1, 3, 8, 8});
    network.inputs = {value};
  }
  Made& then(Op op) {
    value =
        network.add_layer("layer" + std::to_string(network.layers.size()), std::move(op), {value});
    return *this;
  }
  Network classified(int64_t classes = 4) {
    const int64_t c = network.shape(value)[1];
    then(ReduceMean{{2, 3}, true}).then(Reshape{{1, c}}).then(dense(c, classes));
    network.outputs = {value};
    return network;
  }
};

// "conv batch_norm activation ...": what a training network does, in order.
std::string ops_of(const TrainingNetwork& training) {
  std::string text;
  for (const Layer& layer : training.network.layers) {
    if (!text.empty()) text += ' ';
    text += op_name(layer.op);
  }
  return text;
}

TEST(TrainingNetwork, PutsNormsBackWhereAnExporterFoldedThem) {
  const Network network =
      Made().then(conv(3, 8)).then(Activation{}).then(conv(8, 8)).then(Activation{}).classified();
  const auto training = training_network(network, {1}, 5);
  ASSERT_TRUE(training.ok()) << training.error().message;
  EXPECT_EQ(ops_of(*training),
            "conv batch_norm activation conv batch_norm activation reduce_mean reshape dense");
  // The slot's value is the conv's own output.
  EXPECT_EQ(training->slot_values[0], training->network.layers[3].output);
  EXPECT_TRUE(verify(training->network).ok());
}

TEST(TrainingNetwork, KeepsNormsThatAreThereAndPutsNoneAfterOnePixel) {
  const Constant c = weights({8});
  Made made;
  made.then(conv(3, 8)).then(BatchNorm{c, c, c, c}).then(Activation{});
  const ValueId trunk = made.value;
  made.then(ReduceMean{{2, 3}, true}).then(conv(8, 8, 1)).then(Activation{});
  made.value = made.network.add_layer("gated", Binary{Binary::Kind::mul, {}}, {trunk, made.value});
  const auto training = training_network(made.classified(), {}, 2);
  ASSERT_TRUE(training.ok()) << training.error().message;
  EXPECT_EQ(
      ops_of(*training),
      "conv batch_norm activation reduce_mean conv activation binary reduce_mean reshape dense");
}

TEST(TrainingNetwork, PutsOneNormAfterABottleneckPair) {
  Conv narrow = conv(3, 4);
  narrow.bias = nullptr;
  const Network network = Made().then(narrow).then(conv(4, 8, 1)).then(Activation{}).classified();
  EXPECT_EQ(ops_of(*training_network(network, {}, 2)),
            "conv conv batch_norm activation reduce_mean reshape dense");
}

// A folded norm leaves a bias, as in MobileNet's projections.
TEST(TrainingNetwork, PutsANormAfterEachOfTwoBiasedConvs) {
  const Network network =
      Made().then(conv(3, 4)).then(conv(4, 8, 1)).then(Activation{}).classified();
  EXPECT_EQ(ops_of(*training_network(network, {}, 2)),
            "conv batch_norm conv batch_norm activation reduce_mean reshape dense");
}

TEST(TrainingNetwork, WritesFusedLayersOut) {
  Made made;
  made.then(conv(3, 8));
  const ValueId first = made.value;
  Conv fused = conv(8, 8);
  fused.prologue = {weights({8}), weights({8}), Activation{}};
  fused.epilogue = {true, Activation{}};
  made.value = made.network.add_layer("fused", fused, {first, first});
  const auto training = training_network(made.classified(), {1}, 2);
  ASSERT_TRUE(training.ok()) << training.error().message;
  EXPECT_EQ(
      ops_of(*training),
      "conv batch_norm affine activation conv batch_norm binary activation reduce_mean reshape "
      "dense");
}

TEST(TrainingNetwork, TakesTheMinibatchsSizeAndDropsTheFinalSoftmax) {
  Made made;
  made.then(conv(3, 8)).then(Activation{});
  made.classified();
  made.then(Softmax{1});
  made.network.outputs = {made.value};
  const auto training = training_network(made.network, {}, 7);
  ASSERT_TRUE(training.ok()) << training.error().message;
  EXPECT_EQ(training->network.shape(training->network.outputs[0]), (Shape{7, 4}));
  EXPECT_EQ(ops_of(*training).find("softmax"), std::string::npos);
}

TEST(TrainingNetwork, RefusesWhatCannotBeScored) {
  Made image;
  image.then(conv(3, 8));
  image.network.outputs = {image.value};
  auto refused = training_network(image.network, {}, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("[N, classes]"), std::string::npos);

  Made inner;
  inner.then(conv(3, 8)).then(Softmax{1});
  refused = training_network(inner.classified(), {}, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("layer1"), std::string::npos);

  Made fixed;
  fixed.then(conv(3, 8)).then(Reshape{{8, 1, 8, 8}});
  fixed.then(Reshape{{1, 512}}).then(dense(512, 3));
  fixed.network.outputs = {fixed.value};
  refused = training_network(fixed.network, {}, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("fixes the batch"), std::string::npos);
}

TEST(TrainingNetwork, RewrittenKeepsSlotsAndTheOtherConvsDraws) {
  const Network network =
      Made().then(conv(3, 8)).then(Activation{}).then(conv(8, 8)).then(Activation{}).classified();
  const auto training = training_network(network, {1}, 2);
  const auto candidate = rewritten(*training, {{1, *parse_steps("bottleneck co 2")}});
  ASSERT_TRUE(candidate.ok()) << candidate.error().message;
  EXPECT_EQ(ops_of(*candidate),
            "conv batch_norm activation conv conv batch_norm activation reduce_mean reshape dense");
  EXPECT_EQ(candidate->draws[0], training->draws[0]);
  EXPECT_NE(candidate->draws[3], training->draws[3]);
  EXPECT_NE(candidate->draws[3], candidate->draws[4]);
  // A is the replacement's output.
  EXPECT_EQ(candidate->slot_values[0], candidate->network.layers[4].output);
  EXPECT_EQ(candidate->classifier, 9);
}

}  // namespace
}  // namespace emulsion
