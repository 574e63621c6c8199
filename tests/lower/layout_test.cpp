#include "lower/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/lower/laid_out_simulator.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

// A conv with seeded weights and bias, padded so that a stride of 1 keeps the size.
Conv conv(int64_t ci, int64_t co, int kernel) {
  RandomNetworkMaker random(static_cast<uint64_t>(ci * 100 + co));
  Conv result;
  const int pad = kernel / 2;
  result.pad = {pad, pad, pad, pad};
  result.weight = random.random_constant({co, ci, kernel, kernel}, -1, 1);
  return result;
}

struct Builder {
  Network network;
  ValueId input(Shape shape) {
    const ValueId id =
        network.add_value("x" + std::to_string(network.values.size()), std::move(shape));
    network.inputs.push_back(id);
    return id;
  }
  ValueId add(Op op, std::vector<ValueId> inputs) {
    const std::string name = op_name(op) + std::to_string(network.layers.size());
    return network.add_layer(name, std::move(op), std::move(inputs));
  }
  ValueId relu(ValueId x) { return add(Activation{}, {x}); }
  Network finish(std::vector<ValueId> outputs) {
    network.outputs = std::move(outputs);
    return network;
  }
};

int count_copies(const LaidOutNetwork& laid_out) {
  int copies = 0;
  for (const Layer& layer : laid_out.network.layers)
    copies += std::holds_alternative<Copy>(layer.op);
  return copies;
}

int count_kernels(const LaidOutNetwork& laid_out) {
  return static_cast<int>(std::count(laid_out.elided.begin(), laid_out.elided.end(), false));
}

// Runs the laid out network with memory of its own for every root and compares with the network.
void expect_same_function(const Network& network, const LaidOutNetwork& laid_out) {
  ASSERT_TRUE(verify(laid_out.network).ok()) << verify(laid_out.network).error().message;
  const std::vector<Tensor> inputs = random_inputs(network, 1);
  std::map<ValueId, std::vector<float>> storage;
  const auto memory = [&](ValueId root) {
    const TensorDescriptor& d = laid_out.descriptors[root];
    std::vector<float>& block = storage[root];
    block.resize(storage_elements(d), 0.0f);
    return block.data() + origin_offset(d);
  };
  const Simulated simulated = simulate(laid_out, inputs, memory);
  EXPECT_TRUE(simulated.rims_zero);
  const auto expected = evaluate(network, inputs);
  ASSERT_TRUE(expected.ok());
  ASSERT_EQ(simulated.outputs.size(), expected->size());
  for (size_t i = 0; i < expected->size(); ++i) {
    EXPECT_EQ(simulated.outputs[i].data, (*expected)[i].data) << "output " << i;
  }
}

TEST(LayOut, RandomNetworksComputeTheSame) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Network network = random_network(seed, 14);
    expect_same_function(network, lay_out(network));
    if (HasFailure()) break;
  }
}

TEST(LayOut, InputsAndOutputsAreRowMajorAndDistinct) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Network network = random_network(seed, 8);
    network.outputs.push_back(network.inputs[0]);
    network.outputs.push_back(network.outputs[0]);
    const LaidOutNetwork laid_out = lay_out(network);
    std::set<ValueId> edges;
    for (const auto* list : {&laid_out.network.inputs, &laid_out.network.outputs}) {
      for (const ValueId v : *list) {
        EXPECT_TRUE(edges.insert(v).second);
        EXPECT_EQ(placement(laid_out, v).root, v);
        for_elements(laid_out.descriptors[v],
                     [](int64_t i, int64_t offset) { ASSERT_EQ(i, offset); });
      }
    }
    expect_same_function(network, laid_out);
  }
}

TEST(LayOut, EveryOutputIsWrittenByAKernel) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const LaidOutNetwork laid_out = lay_out(random_network(seed, 8));
    const auto makers = producers(laid_out.network);
    for (const ValueId v : laid_out.network.outputs) {
      ASSERT_GE(makers[v], 0);
      EXPECT_FALSE(laid_out.elided[makers[v]]);
    }
  }
}

TEST(LayOut, ConvsKeepTheirOrder) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Network network = random_network(seed, 12);
    const LaidOutNetwork laid_out = lay_out(network);
    const auto before = conv_layers(network), after = conv_layers(laid_out.network);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(network.layers[before[i]].name, laid_out.network.layers[after[i]].name);
    }
  }
}

TEST(LayOut, ImagesHaveTheLargestRimThatAConvWants) {
  Builder b;
  const ValueId x = b.relu(b.input({1, 4, 8, 8}));
  const ValueId wide = b.add(conv(4, 3, 5), {x}), narrow = b.add(conv(4, 3, 3), {x});
  const LaidOutNetwork laid_out = lay_out(b.finish({wide, narrow}));
  EXPECT_EQ(laid_out.descriptors[x], channels_last({1, 4, 8, 8}, {2, 2, 2, 2}));
  EXPECT_EQ(laid_out.descriptors[wide], channels_last({1, 3, 8, 8}));
}

TEST(LayOut, OneCopyForTheInputAndOneForAnImageThatIsAnOutput) {
  Builder b;
  const ValueId y = b.add(conv(3, 4, 3), {b.input({1, 3, 8, 8})});
  const LaidOutNetwork laid_out = lay_out(b.finish({y}));
  EXPECT_EQ(count_copies(laid_out), 2);
  EXPECT_EQ(count_kernels(laid_out), 3);
}

TEST(LayOut, NoCopyWhereOrdersAgree) {
  Builder b;  // one channel in, one pixel out
  const ValueId y = b.add(conv(1, 4, 1), {b.input({1, 1, 8, 8})});
  const LaidOutNetwork laid_out = lay_out(b.finish({b.add(ReduceMean{{2, 3}, true}, {y})}));
  EXPECT_EQ(count_copies(laid_out), 0);
}

TEST(LayOut, FlatteningOnePixelCostsNothing) {
  Builder b;
  const ValueId y = b.add(conv(1, 4, 1), {b.input({1, 1, 8, 8})});
  const ValueId flat = b.add(Reshape{{1, 4}}, {b.add(ReduceMean{{2, 3}, true}, {y})});
  const LaidOutNetwork laid_out = lay_out(b.finish({b.relu(flat)}));
  EXPECT_EQ(count_copies(laid_out), 0);
  EXPECT_EQ(count_kernels(laid_out), 3);
}

TEST(LayOut, FlatteningAnImageCopiesItToRowMajorOnce) {
  Builder b;
  const ValueId x = b.relu(b.add(conv(1, 4, 1), {b.input({1, 1, 8, 8})}));
  const Network network = b.finish({b.relu(b.add(Reshape{{1, 256}}, {x}))});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 1);
  expect_same_function(network, laid_out);
}

TEST(LayOut, PartsOfAConcatenationAreWrittenInPlace) {
  Builder b;
  const ValueId x = b.input({2, 1, 6, 6});
  const ValueId p = b.add(conv(1, 3, 1), {x}), q = b.add(conv(1, 5, 1), {x});
  const ValueId whole = b.add(Concat{1}, {p, q});
  const Network network =
      b.finish({b.add(ReduceMean{{2, 3}, true}, {b.add(conv(8, 2, 3), {whole})})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 0);
  EXPECT_EQ(placement(laid_out, p).root, whole);
  EXPECT_EQ(placement(laid_out, p).offset, 0);
  EXPECT_EQ(placement(laid_out, q).root, whole);
  EXPECT_EQ(placement(laid_out, q).offset, 3);
  EXPECT_EQ(laid_out.descriptors[whole].rim, (Pad4{1, 1, 1, 1}));
  EXPECT_EQ(laid_out.descriptors[q].strides, laid_out.descriptors[whole].strides);
  expect_same_function(network, laid_out);
}

// DenseNet as one writes it with a running concatenation.
TEST(LayOut, NestedConcatenationsShareOneRoot) {
  Builder b;
  ValueId features = b.add(conv(1, 4, 1), {b.input({1, 1, 6, 6})});
  for (int i = 0; i < 4; ++i) {
    const auto channels = b.network.shape(features)[1];
    features = b.add(Concat{1}, {features, b.add(conv(channels, 2, 3), {features})});
  }
  const Network network = b.finish({b.add(ReduceMean{{2, 3}, true}, {features})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 0);
  for (const Layer& layer : laid_out.network.layers) {
    if (std::holds_alternative<Concat>(layer.op)) {
      EXPECT_EQ(placement(laid_out, layer.output).root, features);
    }
  }
  expect_same_function(network, laid_out);
}

// DenseNet as torchvision exports it: every layer concatenates all that came before.
TEST(LayOut, GrowingConcatenationsOfTheSamePartsShareOneRoot) {
  Builder b;
  std::vector<ValueId> parts = {b.add(conv(1, 4, 1), {b.input({1, 1, 6, 6})})};
  ValueId last = -1;
  for (int i = 0; i < 4; ++i) {
    parts.push_back(b.add(conv(4 + 2 * i, 2, 3), {i == 0 ? parts[0] : last}));
    last = b.add(Concat{1}, parts);
  }
  const Network network = b.finish({b.add(ReduceMean{{2, 3}, true}, {last})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 0);
  expect_same_function(network, laid_out);
}

TEST(LayOut, APartOfTwoConcatenationsIsCopiedIntoOne) {
  Builder b;
  const ValueId x = b.input({1, 1, 6, 6});
  const ValueId p = b.add(conv(1, 3, 1), {x}), q = b.add(conv(1, 5, 1), {x});
  const ValueId one = b.add(Concat{1}, {p, q}), other = b.add(Concat{1}, {q, p});
  const Network network =
      b.finish({b.add(ReduceMean{{2, 3}, true}, {b.add(Binary{}, {one, other})})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 2);
  expect_same_function(network, laid_out);
}

TEST(LayOut, AValueTwiceInOneConcatenationIsCopiedOnce) {
  Builder b;
  const ValueId p = b.add(conv(1, 3, 1), {b.input({1, 1, 6, 6})});
  const Network network = b.finish({b.add(ReduceMean{{2, 3}, true}, {b.add(Concat{1}, {p, p})})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 1);
  expect_same_function(network, laid_out);
}

// ShuffleNet's split.
TEST(LayOut, ARunOfChannelsIsAView) {
  Builder b;
  const ValueId x = b.add(conv(1, 6, 1), {b.input({1, 1, 6, 6})});
  const ValueId low = b.add(Slice{{0, 0, 0, 0}, {1, 1, 1, 1}, {1, 3, 6, 6}}, {x});
  const ValueId high = b.add(Slice{{0, 3, 0, 0}, {1, 1, 1, 1}, {1, 3, 6, 6}}, {x});
  const ValueId y = b.add(conv(3, 3, 3), {high});
  const Network network = b.finish({b.add(ReduceMean{{2, 3}, true}, {b.add(Concat{1}, {low, y})})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(placement(laid_out, high).root, x);
  EXPECT_EQ(placement(laid_out, high).offset, 3);
  EXPECT_EQ(laid_out.descriptors[x].rim, (Pad4{1, 1, 1, 1}));
  EXPECT_EQ(count_copies(laid_out), 1);  // `low` into the concatenation
  expect_same_function(network, laid_out);
}

// The split of a conv in bands of rows.
TEST(LayOut, PartsOfAConcatenationOfRowsAreWrittenInPlace) {
  Builder b;
  const ValueId x = b.add(conv(1, 3, 1), {b.input({2, 1, 6, 6})});
  std::vector<ValueId> bands, parts;
  for (const int64_t first : {0, 2, 4}) {
    bands.push_back(b.add(Slice{{0, 0, first, 0}, {1, 1, 1, 1}, {2, 3, 2, 6}}, {x}));
    parts.push_back(b.add(conv(3, 4, 3), {bands.back()}));
  }
  const ValueId whole = b.add(Concat{2}, parts);
  const Network network =
      b.finish({b.add(ReduceMean{{2, 3}, true}, {b.add(conv(4, 2, 3), {whole})})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(placement(laid_out, parts[i]).root, whole);
    EXPECT_EQ(placement(laid_out, parts[i]).offset, 2 * i * laid_out.descriptors[whole].strides[2]);
    EXPECT_EQ(laid_out.descriptors[parts[i]].rim, (Pad4{0, 1, 0, 1}));
    // A band is padded with zeros, so that its rows are copied out of the image.
    EXPECT_EQ(placement(laid_out, bands[i]).root, bands[i]);
  }
  expect_same_function(network, laid_out);
}

TEST(LayOut, ARunOfRowsThatNothingPadsIsAView) {
  Builder b;
  const ValueId x = b.add(conv(1, 3, 1), {b.input({1, 1, 6, 6})});
  const ValueId low = b.add(Slice{{0, 0, 2, 0}, {1, 1, 1, 1}, {1, 3, 2, 6}}, {x});
  const Network network =
      b.finish({b.add(ReduceMean{{2, 3}, true}, {b.add(conv(3, 2, 1), {low})})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(placement(laid_out, low).root, x);
  EXPECT_EQ(placement(laid_out, low).offset, 2 * laid_out.descriptors[x].strides[2]);
  expect_same_function(network, laid_out);
}

TEST(LayOut, ABandThatAConvPadsIsCopiedIntoItsPlace) {
  Builder b;
  const ValueId x = b.input({1, 1, 4, 6});
  const ValueId p = b.add(conv(1, 3, 1), {x}), q = b.add(conv(1, 3, 1), {x});
  const ValueId other = b.add(conv(3, 3, 3), {p});
  const ValueId whole = b.add(Concat{2}, {p, q});
  const Network network = b.finish(
      {b.add(ReduceMean{{2, 3}, true}, {other}), b.add(ReduceMean{{2, 3}, true}, {whole})});
  const LaidOutNetwork laid_out = lay_out(network);
  EXPECT_EQ(count_copies(laid_out), 1);
  expect_same_function(network, laid_out);
}

// All ways of concatenating and slicing channels and rows, twice over, with a conv at the end that
// may pad.
TEST(LayOut, NestedRunsOfChannelsAndRowsComputeTheSame) {
  for (int way = 0; way < 64; ++way) {
    SCOPED_TRACE(way);
    const auto bit = [&](int i) { return way >> i & 1; };
    Builder b;
    const ValueId x = b.add(conv(1, 4, 1), {b.input({1, 1, 4, 4})});
    const ValueId y = b.add(conv(4, 4, 3), {x});
    ValueId whole = b.add(Concat{bit(0) ? 1 : 2}, {x, y});
    whole = b.add(Concat{bit(1) ? 1 : 2}, {whole, b.relu(whole)});
    const Shape shape = b.network.shape(whole);
    Slice slice{{0, 0, 0, 0}, {1, 1, 1, 1}, shape};
    slice.shape[bit(2) ? 1 : 2] /= 2;
    slice.starts[bit(2) ? 1 : 2] = 2;
    const ValueId run = b.add(slice, {whole});
    slice.starts = {0, 0, 0, 0};
    slice.shape = b.network.shape(run);
    slice.shape[bit(3) ? 1 : 2] /= 2;
    slice.starts[bit(3) ? 1 : 2] = 1;
    const ValueId inner = b.add(slice, {run});
    const ValueId end = b.add(conv(b.network.shape(inner)[1], 2, bit(4) ? 3 : 1), {inner});
    const ValueId middle = b.add(conv(b.network.shape(run)[1], 2, bit(5) ? 3 : 1), {run});
    const Network network = b.finish(
        {b.add(ReduceMean{{2, 3}, true}, {end}), b.add(ReduceMean{{2, 3}, true}, {middle})});
    expect_same_function(network, lay_out(network));
  }
}

}  // namespace
}  // namespace emulsion
