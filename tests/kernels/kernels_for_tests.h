// Small kernels and programs that the tests of kernels/ share.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/random.h"
#include "kernels/kernel_cache.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

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

inline Conv conv3x3(int64_t ci, int64_t co, uint64_t seed) {
  Conv conv;
  conv.pad = {1, 1, 1, 1};
  const Tensor weight = noise({co, ci, 3, 3}, seed), bias = noise({co}, seed + 1);
  conv.weight = constant(weight.shape, weight.data);
  conv.bias = constant(bias.shape, bias.data);
  return conv;
}

// A 3x3 conv on an image of that many rows and columns.
inline KernelSpec conv_spec(int64_t ci, int64_t co, int64_t size) {
  KernelSpec spec;
  spec.op = conv3x3(ci, co, 1);
  spec.inputs = {channels_last({1, ci, size, size}, {1, 1, 1, 1})};
  spec.output = channels_last({1, co, size, size}, {1, 1, 1, 1});
  spec.target = must(resolve_target("host"));
  return must(completed(spec));
}

// The kernel that is quickest to compile.
inline KernelSpec relu_spec(int64_t channels) {
  KernelSpec spec;
  spec.op = Activation{};
  spec.inputs = {channels_last({1, channels, 4, 4})};
  spec.output = channels_last({1, channels, 4, 4});
  spec.target = must(resolve_target("host"));
  return must(completed(spec));
}

// An executable shell script.
inline std::filesystem::path write_script(const std::filesystem::path& path,
                                          const std::string& body) {
  must(write_file(path, "#!/bin/sh\n" + body + "\n"));
  ::chmod(path.c_str(), 0755);
  return path;
}

// Names of the files in a folder.
inline std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace emulsion
