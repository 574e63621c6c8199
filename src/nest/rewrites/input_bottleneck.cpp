#include "nest/low_rank.h"
#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

namespace {

struct Pair {
  Constant narrow, after;
};

// Each group's weight as a matrix with a row an input channel is approximated by one of rank ci/b;
// the 1x1 conv sees all groups, and starts out with zeros where it would mix them.
Pair factors(const Conv& conv, int b) {
  const Shape& old = conv.weight->shape;
  const int64_t groups = conv.groups, ci = old[1], width = ci / b, co = old[0] / groups;
  const int64_t taps = old[2] * old[3];
  const Shape narrow_shape{groups * width, groups * ci, 1, 1};
  const Shape after_shape{old[0], width, old[2], old[3]};
  if (conv.weight->abstract()) {
    return {abstract_constant(narrow_shape), abstract_constant(after_shape)};
  }
  std::vector<float> narrow(element_count(narrow_shape)), after(element_count(after_shape));
  for (int64_t g = 0; g < groups; ++g) {
    DoubleMatrix matrix(ci, co * taps);
    for (int64_t o = 0; o < co; ++o)
      for (int64_t i = 0; i < ci; ++i)
        for (int64_t t = 0; t < taps; ++t)
          matrix(i, o * taps + t) = conv.weight->data[((g * co + o) * ci + i) * taps + t];
    const LowRank low = low_rank(matrix, width);
    for (int64_t w = 0; w < width; ++w) {
      for (int64_t i = 0; i < ci; ++i)
        narrow[(g * width + w) * groups * ci + g * ci + i] = static_cast<float>(low.widen(i, w));
      for (int64_t o = 0; o < co; ++o)
        for (int64_t t = 0; t < taps; ++t)
          after[((g * co + o) * width + w) * taps + t] =
              static_cast<float>(low.narrow(w, o * taps + t));
    }
  }
  return {constant(narrow_shape, std::move(narrow)), constant(after_shape, std::move(after))};
}

}  // namespace

// conv(k, ci->co)  =>  conv(1x1, ci->ci/b), linear, conv(k, ci/b->co)   where b | ci
Result<Replacement> make_input_bottleneck(const RewriteSite& site, const Step& step) {
  if (step.factor < 2) return refusal(step, "the factor must be 2 or more");
  if (site.nest.ci % step.factor != 0)
    return refusal(step, fmt::format("{} does not divide ci's {}", step.factor, site.nest.ci));
  Pair weights = factors(site.conv, step.factor);
  Conv narrow = pointwise(weights.narrow);
  narrow.prologue = site.conv.prologue;
  Conv after = site.conv;
  after.prologue = {};
  after.weight = weights.after;
  ReplacementBuilder builder(site);
  const ValueId middle = builder.add("narrow", narrow, {builder.x()});
  return std::move(builder).finish(builder.add_main("after", after, middle));
}

std::vector<std::string> input_bottleneck_instances(const Nest&) {
  return {"bottleneck ci 2", "bottleneck ci 4"};
}

}  // namespace emulsion
