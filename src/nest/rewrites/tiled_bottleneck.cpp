#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

namespace {

Status check(const RewriteSite& site, const Step& step) {
  if (step.factor < 2) return refusal(step, "the factor must be 2 or more");
  if (site.conv.groups > 1)
    return refusal(step, "the conv has groups, whose channels would stand for those of others");
  if (site.nest.co % step.factor != 0)
    return refusal(step, fmt::format("{} does not divide co's {}", step.factor, site.nest.co));
  return ok();
}

// The mean of the channels that are one from now on: o, o + width, o + 2 width, ...
Constant mean_weight(const Constant& weight, int64_t width) {
  const Shape& old = weight->shape;
  const Shape shape{width, old[1], old[2], old[3]};
  if (weight->abstract()) return abstract_constant(shape);
  const int64_t taps = element_count(old) / old[0], copies = old[0] / width;
  std::vector<float> data(element_count(shape));
  for (int64_t i = 0; i < width * taps; ++i) {
    double sum = 0;
    for (int64_t copy = 0; copy < copies; ++copy) sum += weight->data[copy * width * taps + i];
    data[i] = static_cast<float>(sum / static_cast<double>(copies));
  }
  return constant(shape, std::move(data));
}

}  // namespace

// conv(k, ci->co)  =>  y = conv(k, ci->co/b), concat(y, ..., y)   where b | co
Result<Replacement> make_tiled_bottleneck(const RewriteSite& site, const Step& step) {
  TRY_OK(check(site, step));
  Conv narrow = bare(site.conv);
  narrow.weight = mean_weight(site.conv.weight, site.nest.co / step.factor);
  ReplacementBuilder builder(site);
  const ValueId y = builder.add_main("narrow", narrow, builder.x());
  const ValueId tiled = builder.add("tiled", Concat{1}, std::vector<ValueId>(step.factor, y));
  return std::move(builder).finish(builder.epilogue(site.conv, tiled));
}

std::vector<std::string> tiled_bottleneck_instances(const Nest&) {
  return {"bottleneck co 2 tiled", "bottleneck co 4 tiled"};
}

// conv(k, ci->co)  =>  conv(k, ci->co/b), concat with zeros   where b | co
Result<Replacement> make_zeros_bottleneck(const RewriteSite& site, const Step& step) {
  TRY_OK(check(site, step));
  const int64_t width = site.nest.co / step.factor;
  ReplacementBuilder builder(site);
  const ValueId y =
      builder.add_main("narrow", output_channels(bare(site.conv), 0, width), builder.x());
  const Pad zeros{Pad::Mode::constant, {0, 0, 0, 0}, {0, site.nest.co - width, 0, 0}, 0.0f};
  return std::move(builder).finish(builder.epilogue(site.conv, builder.add("zeros", zeros, {y})));
}

}  // namespace emulsion
