// Small networks that the tests of compile/ build and run.
#pragma once

#include <gtest/gtest.h>

#include "compile/compile_network.h"
#include "network/evaluate.h"
#include "tests/network/random_network.h"

namespace emulsion {

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(result).value();
}

// Kernels compiled by tests are kept between runs of them.
inline KernelCache test_cache() {
  return KernelCache(EMULSION_TEST_CACHE, EMULSION_KERNEL_WORKER, 2);
}

// A residual block with a concatenation, a pool and a classifier: image N x 3 x 8 x 8 -> N x 5.
inline Network small_network(uint64_t seed, int64_t n = 1) {
  RandomNetworkMaker random(seed);
  Network network;
  network.name = "small";
  const auto conv = [&](int64_t ci, int64_t co, int kernel) {
    Conv c;
    const int pad = kernel / 2;
    c.pad = {pad, pad, pad, pad};
    c.weight = random.random_constant({co, ci, kernel, kernel}, -0.4, 0.4);
    c.bias = random.random_constant({co}, -0.4, 0.4);
    return c;
  };
  const ValueId x = network.add_value("image.1", {n, 3, 8, 8});
  network.inputs = {x};
  const ValueId stem = network.add_layer("stem", conv(3, 16, 3), {x});
  const ValueId a = network.add_layer("stem/relu", Activation{}, {stem});
  const ValueId b = network.add_layer("b", conv(16, 16, 3), {a});
  const ValueId sum = network.add_layer("sum", Binary{}, {b, a});
  const ValueId c = network.add_layer("c", conv(16, 8, 1), {sum});
  const ValueId both = network.add_layer("both", Concat{1}, {sum, c});
  Pool pool{.kernel = {2, 2}, .stride = {2, 2}, .out = {4, 4}};
  const ValueId small = network.add_layer("pool", pool, {both});
  const ValueId mean = network.add_layer("mean", ReduceMean{{2, 3}, true}, {small});
  const ValueId flat = network.add_layer("flat", Reshape{{n, 24}}, {mean});
  Dense dense{random.random_constant({5, 24}, -1, 1), random.random_constant({5}, -1, 1), {}};
  network.outputs = {network.add_layer("classes", dense, {flat})};
  network.values[network.outputs[0]].name = "scores";
  return network;
}

// Two images in, an image and a vector out, one of them also read inside.
inline Network network_of_two() {
  Network network;
  network.name = "two";
  const ValueId a = network.add_value("a", {1, 2, 5, 6}), b = network.add_value("b", {1, 2, 5, 6});
  network.inputs = {a, b};
  const ValueId sum = network.add_layer("sum", Binary{}, {a, b});
  const ValueId relu = network.add_layer("relu", Activation{}, {sum});
  const ValueId mean = network.add_layer("mean", ReduceMean{{2, 3}, false}, {relu});
  network.outputs = {relu, mean};
  return network;
}

}  // namespace emulsion
