// For the tests of verbs that compile: a small network, files, and a cache that the tests of one
// program share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/npy.h"
#include "base/random.h"
#include "network/network.h"
#include "onnx/export.h"
#include "program.h"

namespace emulsion {

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(result).value();
}

inline Tensor noise(Shape shape, uint64_t seed) {
  Tensor tensor(std::move(shape));
  const RandomStream random(seed, "test");
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    tensor.data[i] = static_cast<float>(random.uniform(i, -1, 1));
  }
  return tensor;
}

inline Constant seeded_constant(Shape shape, uint64_t seed) {
  return std::make_shared<const Tensor>(noise(std::move(shape), seed));
}

inline Conv conv3x3(int64_t ci, int64_t co, uint64_t seed) {
  Conv conv;
  conv.pad = {1, 1, 1, 1};
  conv.weight = seeded_constant({co, ci, 3, 3}, seed);
  conv.bias = seeded_constant({co}, seed + 1);
  return conv;
}

// conv - relu - conv - relu - conv - mean - dense on an 8x8 image of 3 channels.
inline Network small_network() {
  Network network;
  network.name = "small";
  network.inputs = {network.add_value("image", {1, 3, 8, 8})};
  ValueId x = network.add_layer("first", conv3x3(3, 16, 1), network.inputs);
  x = network.add_layer("relu1", Activation{}, {x});
  x = network.add_layer("second", conv3x3(16, 16, 3), {x});
  x = network.add_layer("relu2", Activation{}, {x});
  x = network.add_layer("third", conv3x3(16, 8, 5), {x});
  x = network.add_layer("mean", ReduceMean{{2, 3}, false}, {x});
  x = network.add_layer("classes", Dense{seeded_constant({5, 8}, 7), nullptr, std::nullopt}, {x});
  network.outputs = {x};
  return network;
}

class VerbTest : public ::testing::Test {
 protected:
  // The kernels of all tests of a program are compiled once.
  static void SetUpTestSuite() { cache_ = new TemporaryDirectory; }
  static void TearDownTestSuite() { delete cache_; }

  // A verb that compiles: with the shared cache.
  ProcessResult compiling(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--cache", cache_->path().string()});
    return run_emulsion(std::move(arguments));
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  // The file's path.
  std::string model(const Network& network, const std::string& name = "m.onnx") const {
    must(export_onnx(network, path(name)));
    return path(name);
  }
  std::string npy(const Tensor& tensor, const std::string& name) const {
    must(write_npy(path(name), tensor.shape, tensor.data));
    return path(name);
  }
  std::string text(const std::string& content, const std::string& name) const {
    must(write_file(path(name), content));
    return path(name);
  }

  TemporaryDirectory folder_;
  static inline TemporaryDirectory* cache_ = nullptr;
};

inline double largest_difference(const std::vector<double>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

}  // namespace emulsion
