#include "lower/conv_pack.h"

#include "base/divide.h"

namespace emulsion {

namespace {

int64_t elements(const std::vector<int>& extents) {
  int64_t product = 1;
  for (const int extent : extents) product *= extent;
  return product;
}

// One value a channel as (co padded, g); a single value stays one.
PackedConstant pack_channels(const Tensor& tensor, int64_t groups, int64_t channels,
                             int64_t padded) {
  PackedConstant packed;
  if (element_count(tensor.shape) == 1 && groups * channels != 1) {
    packed.extents = {1};
    packed.data = tensor.data;
    return packed;
  }
  packed.extents = {static_cast<int>(padded), static_cast<int>(groups)};
  if (tensor.abstract()) return packed;
  packed.data.assign(elements(packed.extents), 0.0f);
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t c = 0; c < channels; ++c)
      packed.data[g * padded + c] = tensor.data[g * channels + c];
  return packed;
}

}  // namespace

std::vector<PackedConstant> pack_channel_constants(const Conv& conv, int64_t groups,
                                                   int64_t channels, int64_t padded) {
  std::vector<PackedConstant> packed;
  const bool abstract = conv.weight->abstract();
  const Tensor zeros =
      abstract ? *abstract_constant({groups * channels}) : Tensor({groups * channels});
  packed.push_back(pack_channels(conv.bias ? *conv.bias : zeros, groups, channels, padded));
  if (const auto& activation = conv.epilogue.activation; activation && activation->slope)
    packed.push_back(pack_channels(*activation->slope, groups, channels, padded));
  const auto append_input_constant = [&](const Constant& c) {
    packed.push_back({{static_cast<int>(element_count(c->shape))}, c->data});
  };
  if (conv.prologue.scale) {
    append_input_constant(conv.prologue.scale);
    append_input_constant(conv.prologue.shift);
  }
  if (const auto& activation = conv.prologue.activation; activation && activation->slope)
    append_input_constant(activation->slope);
  return packed;
}

std::vector<PackedConstant> pack_conv(const Conv& conv, const ConvSchedule& schedule) {
  const Shape& shape = conv.weight->shape;
  const int64_t groups = schedule.nest.groups, co = shape[0] / groups;
  const int64_t block = schedule.tile("co"), blocks = divide_up(co, block);
  const std::vector<Loop> loops = schedule.reductions();
  PackedConstant weight;
  weight.extents.push_back(static_cast<int>(block));
  for (const Loop& loop : loops) weight.extents.push_back(static_cast<int>(loop.extent));
  weight.extents.push_back(static_cast<int>(blocks));
  weight.extents.push_back(static_cast<int>(groups));
  if (!conv.weight->abstract()) {
    // For each weight within a channel, where it lies: the sum of its loops' positions.
    const int64_t taps = shape[1] * shape[2] * shape[3];
    std::vector<int64_t> places(taps, 0);
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t kx = tap % shape[3], ky = tap / shape[3] % shape[2],
                    ci = tap / shape[3] / shape[2];
      int64_t step = block;
      for (const Loop& loop : loops) {
        const int64_t index = loop.iterator == "ci" ? ci : loop.iterator == "ky" ? ky : kx;
        places[tap] += index / loop.stride % loop.extent * step;
        step *= loop.extent;
      }
    }
    weight.data.assign(elements(weight.extents), 0.0f);
    const float* source = conv.weight->data.data();
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t c = 0; c < co; ++c) {
        float* target = &weight.data[(g * blocks + c / block) * taps * block + c % block];
        for (int64_t tap = 0; tap < taps; ++tap) target[places[tap]] = *source++;
      }
  }
  std::vector<PackedConstant> packed = pack_channel_constants(conv, groups, co, blocks * block);
  packed.insert(packed.begin(), std::move(weight));
  return packed;
}

std::vector<PackedConstant> pack_depthwise(const Conv& conv) {
  const Shape& shape = conv.weight->shape;
  const int64_t channels = shape[0], taps = shape[2] * shape[3];
  PackedConstant weight;
  for (const int64_t extent : {channels, shape[3], shape[2]})
    weight.extents.push_back(static_cast<int>(extent));
  if (!conv.weight->abstract()) {
    weight.data.resize(channels * taps);
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t tap = 0; tap < taps; ++tap)
        weight.data[tap * channels + c] = conv.weight->data[c * taps + tap];
  }
  std::vector<PackedConstant> packed = pack_channel_constants(conv, 1, channels, channels);
  packed.insert(packed.begin(), std::move(weight));
  return packed;
}

}  // namespace emulsion
