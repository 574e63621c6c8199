// simplify() on random networks: the same function, whatever the passes find.
#include <gtest/gtest.h>

#include "network/evaluate.h"
#include "simplify/simplify.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

constexpr uint64_t k_seeds = 1500;

// Of 5 to 34 layers.
Network network_of(uint64_t seed) {
  return random_network(seed, 5 + static_cast<int>(seed % 30));
}

// "" or how the outputs of two networks differ.
std::string difference(const Network& actual, const Network& expected, uint64_t seed) {
  const std::vector<Tensor> inputs = random_inputs(expected, seed);
  const auto x = evaluate(actual, inputs), y = evaluate(expected, inputs);
  if (!x.ok()) return x.error().message;
  if (!y.ok()) return y.error().message;
  if (x->size() != y->size()) return "another number of outputs";
  for (size_t i = 0; i < y->size(); ++i) {
    const double e = relative_error((*x)[i], (*y)[i]);
    if (!(e < 1e-4)) return fmt::format("output {} is off by {}", i, e);
  }
  return "";
}

std::vector<std::string> conv_names(const Network& network) {
  std::vector<std::string> names;
  for (const int i : conv_layers(network)) names.push_back(network.layers[i].name);
  return names;
}

std::vector<std::string> names_of(const Network& network, const std::vector<ValueId>& ids) {
  std::vector<std::string> names;
  for (const ValueId id : ids) names.push_back(network.values[id].name);
  return names;
}

TEST(SimplifyRandom, ComputesTheSameFunction) {
  for (uint64_t seed = 0; seed < k_seeds; ++seed) {
    const Network network = network_of(seed);
    const Network simple = simplify(network);
    ASSERT_EQ(difference(simple, network, seed), "") << seed << "\n"
                                                     << to_text(network) << to_text(simple);
  }
}

TEST(SimplifyRandom, EveryPassAloneComputesTheSameFunctionAndVerifies) {
  for (uint64_t seed = 0; seed < k_seeds / 5; ++seed) {
    const Network network = network_of(seed);
    std::vector<SimplifyPass> passes = reform_passes();
    passes.insert(passes.end(), simplify_passes().begin(), simplify_passes().end());
    for (const SimplifyPass& pass : passes) {
      const Network passed = pass.run(network);
      const Status status = verify(passed);
      ASSERT_TRUE(status.ok()) << pass.name << " " << seed << ": " << status.error().message;
      ASSERT_EQ(difference(passed, network, seed), "") << pass.name << " " << seed << "\n"
                                                       << to_text(network) << to_text(passed);
    }
  }
}

TEST(SimplifyRandom, KeepsTheReformedConvsAndTheNamesOfInputsAndOutputs) {
  for (uint64_t seed = 0; seed < k_seeds; ++seed) {
    const Network network = network_of(seed);
    const Network simple = simplify(network);
    EXPECT_EQ(conv_names(simple), conv_names(reform(network))) << seed;
    EXPECT_EQ(names_of(simple, simple.inputs), names_of(network, network.inputs)) << seed;
    EXPECT_EQ(names_of(simple, simple.outputs), names_of(network, network.outputs)) << seed;
  }
}

TEST(SimplifyRandom, IsIdempotent) {
  for (uint64_t seed = 0; seed < k_seeds / 5; ++seed) {
    const Network simple = simplify(network_of(seed));
    EXPECT_EQ(to_text(simplify(simple)), to_text(simple)) << seed;
  }
}

// Plans survive fine-tuning: what simplify does depends on structure, not on weights.
TEST(SimplifyRandom, DoesTheSameWithoutWeights) {
  for (uint64_t seed = 0; seed < k_seeds / 5; ++seed) {
    const Network network = network_of(seed);
    const Network abstract = *parse_network(to_text(network));
    EXPECT_EQ(structure_hash(simplify(abstract)), structure_hash(simplify(network))) << seed;
  }
}

}  // namespace
}  // namespace emulsion
