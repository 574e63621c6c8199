// A conv as the generator conv_layer has it, for comparing with the program's own.
#pragma once

#include <algorithm>
#include <string>

#include "base/random.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {

struct ConvCase {
  int ci = 64, co = 64, y = 32, x = 32, k = 3, pad = 1, stride = 1, dilation = 1, groups = 1;
  int n = 1;
  bool relu = true, residual = false;
  std::string schedule;

  // The generator's parameters.
  std::vector<std::string> parameters() const {
    std::vector<std::string> result;
    const auto add = [&](const char* name, int value) {
      result.push_back(fmt::format("{}={}", name, value));
    };
    add("n", n), add("ci", ci), add("co", co), add("y", y), add("x", x), add("ky", k);
    add("kx", k), add("pad", pad), add("stride", stride), add("dilation", dilation);
    add("groups", groups);
    result.push_back(fmt::format("relu={}", relu));
    result.push_back(fmt::format("with_residual={}", residual));
    if (!schedule.empty()) result.push_back("schedule=" + schedule);
    return result;
  }

  // With weights of noise.
  KernelSpec spec(const std::string& target = "host") const {
    Conv conv;
    conv.stride = {stride, stride};
    conv.dilation = {dilation, dilation};
    conv.pad = {pad, pad, pad, pad};
    conv.groups = groups;
    conv.weight = noise({co, ci / groups, k, k}, 1);
    conv.bias = noise({co}, 2);
    if (relu) conv.epilogue.activation = Activation{};
    const Shape in = {n, ci, y, x};
    KernelSpec result;
    result.inputs.push_back(channels_last(in, conv.pad));
    result.output = channels_last(infer_shape(conv, {in}).value());
    conv.epilogue.residual = residual;
    if (residual) result.inputs.push_back(result.output);
    result.op = conv;
    result.schedule = schedule;
    std::replace(result.schedule.begin(), result.schedule.end(), ',', ';');
    result.target = resolve_target(target).value();
    return completed_in_registers(result).value();
  }

  static Constant noise(const Shape& shape, uint64_t seed) {
    const RandomStream random(seed);
    Tensor t(shape);
    for (size_t i = 0; i < t.data.size(); ++i)
      t.data[i] = static_cast<float>(random.uniform(i, -1.0, 1.0));
    return std::make_shared<const Tensor>(std::move(t));
  }
};

}  // namespace emulsion
