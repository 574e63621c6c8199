#include "nest/low_rank.h"
#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

namespace {

struct Pair {
  Constant depthwise, mix;
};

// Input channel by input channel, the best weights of the form mix(co) depthwise(ky, kx).
Pair factors(const Conv& conv) {
  const Shape& old = conv.weight->shape;
  const int64_t ci = old[1], channels = ci * conv.groups, co = old[0] / conv.groups;
  const int64_t taps = old[2] * old[3];
  const Shape depthwise_shape{channels, 1, old[2], old[3]}, mix_shape{old[0], ci, 1, 1};
  if (conv.weight->abstract()) {
    return {abstract_constant(depthwise_shape), abstract_constant(mix_shape)};
  }
  std::vector<float> depthwise(channels * taps), mix(element_count(mix_shape));
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t first = c / ci * co, i = c % ci;  // the group's first output, the input in it
    DoubleMatrix matrix(co, taps);
    for (int64_t o = 0; o < co; ++o)
      for (int64_t t = 0; t < taps; ++t)
        matrix(o, t) = conv.weight->data[((first + o) * ci + i) * taps + t];
    const LowRank low = low_rank(matrix, 1);
    for (int64_t t = 0; t < taps; ++t)
      depthwise[c * taps + t] = static_cast<float>(low.narrow(0, t));
    for (int64_t o = 0; o < co; ++o)
      mix[(first + o) * ci + i] = static_cast<float>(low.widen(o, 0));
  }
  return {constant(depthwise_shape, std::move(depthwise)), constant(mix_shape, std::move(mix))};
}

}  // namespace

// conv(k, ci->co)  =>  conv(k, ci->ci, groups ci), conv(1x1, ci->co), linear   where k > 1x1
Result<Replacement> make_separable(const RewriteSite& site, const Step& step) {
  if (site.nest.ky * site.nest.kx == 1) return refusal(step, "the conv is 1x1 already");
  if (site.nest.ci == 1) return refusal(step, "each output channel sees one input channel already");
  Pair weights = factors(site.conv);
  Conv depthwise = bare(site.conv);
  depthwise.weight = weights.depthwise;
  depthwise.groups = static_cast<int>(weights.depthwise->shape[0]);
  Conv mix = pointwise(weights.mix, site.conv.groups);
  mix.bias = site.conv.bias;
  mix.epilogue = site.conv.epilogue;
  ReplacementBuilder builder(site);
  const ValueId middle = builder.add("depthwise", depthwise, {builder.x()});
  return std::move(builder).finish(builder.add_main("mix", mix, middle));
}

std::vector<std::string> separable_instances(const Nest&) {
  return {"separable"};
}

}  // namespace emulsion
