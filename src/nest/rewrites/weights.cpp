#include "nest/rewrites/weights.h"

namespace emulsion {

Constant gathered(const Constant& weight, const Shape& shape,
                  const std::function<std::pair<int64_t, int64_t>(int64_t, int64_t)>& where) {
  if (weight->abstract()) return abstract_constant(shape);
  const int64_t taps = shape[2] * shape[3], old_ci = weight->shape[1];
  std::vector<float> data;
  data.reserve(element_count(shape));
  for (int64_t o = 0; o < shape[0]; ++o) {
    for (int64_t i = 0; i < shape[1]; ++i) {
      const auto [old_o, old_i] = where(o, i);
      const float* first = weight->data.data() + (old_o * old_ci + old_i) * taps;
      data.insert(data.end(), first, first + taps);
    }
  }
  return constant(shape, std::move(data));
}

Constant channel_range(const Constant& per_channel, int64_t first, int64_t count) {
  if (!per_channel || element_count(per_channel->shape) == 1) return per_channel;
  if (per_channel->abstract()) return abstract_constant({count});
  const auto begin = per_channel->data.begin() + first;
  return constant({count}, {begin, begin + count});
}

Conv output_channels(const Conv& conv, int64_t first, int64_t count) {
  EMULSION_CHECK(conv.groups == 1);
  const Shape& old = conv.weight->shape;
  Conv part = conv;
  part.weight = gathered(conv.weight, {count, old[1], old[2], old[3]},
                         [&](int64_t o, int64_t i) { return std::pair(first + o, i); });
  // A bias or slope of a conv with one channel may have one entry; that stays as well.
  part.bias = channel_range(conv.bias, first, count);
  if (part.epilogue.activation) {
    part.epilogue.activation->slope = channel_range(conv.epilogue.activation->slope, first, count);
  }
  return part;
}

Conv bare(const Conv& conv) {
  Conv result = conv;
  result.bias = nullptr;
  result.epilogue = {};
  return result;
}

Conv pointwise(Constant weight, int groups) {
  Conv conv;
  conv.weight = std::move(weight);
  conv.groups = groups;
  return conv;
}

}  // namespace emulsion
