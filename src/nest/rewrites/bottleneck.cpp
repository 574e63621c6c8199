#include "nest/low_rank.h"
#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

namespace {

struct Pair {
  Constant narrow, widen;
};

// Each group is its own low-rank approximation; the 1x1 conv sees all groups, and starts out with
// zeros where it would mix them.
Pair factors(const Conv& conv, int b) {
  const Shape& old = conv.weight->shape;
  const int64_t groups = conv.groups, co = old[0] / groups, width = co / b;
  const int64_t taps = element_count(old) / old[0];
  const Shape narrow_shape{groups * width, old[1], old[2], old[3]};
  const Shape widen_shape{old[0], groups * width, 1, 1};
  if (conv.weight->abstract()) {
    return {abstract_constant(narrow_shape), abstract_constant(widen_shape)};
  }
  using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  std::vector<float> narrow(element_count(narrow_shape)), widen(element_count(widen_shape));
  Eigen::Map<FloatMatrix> narrow_matrix(narrow.data(), groups * width, taps);
  Eigen::Map<FloatMatrix> widen_matrix(widen.data(), groups * co, groups * width);
  for (int64_t g = 0; g < groups; ++g) {
    const Eigen::Map<const FloatMatrix> block(conv.weight->data.data() + g * co * taps, co, taps);
    const LowRank low = low_rank(block.cast<double>(), width);
    narrow_matrix.middleRows(g * width, width) = low.narrow.cast<float>();
    widen_matrix.block(g * co, g * width, co, width) = low.widen.cast<float>();
  }
  return {constant(narrow_shape, std::move(narrow)), constant(widen_shape, std::move(widen))};
}

}  // namespace

// conv(k, ci->co)  =>  conv(k, ci->co/b), conv(1x1, co/b->co), linear   where b | co
Result<Replacement> make_bottleneck(const RewriteSite& site, const Step& step) {
  if (step.factor < 2) return refusal(step, "the factor must be 2 or more");
  if (site.nest.co % step.factor != 0)
    return refusal(step, fmt::format("{} does not divide co's {}", step.factor, site.nest.co));
  Pair weights = factors(site.conv, step.factor);
  Conv narrow = bare(site.conv);
  narrow.weight = weights.narrow;
  Conv widen = pointwise(weights.widen);
  widen.bias = site.conv.bias;
  widen.epilogue = site.conv.epilogue;

  ReplacementBuilder builder(site);
  const ValueId middle = builder.add_main("narrow", narrow, builder.x());
  std::vector<ValueId> inputs{middle};
  if (widen.epilogue.residual) inputs.push_back(builder.residual());
  return std::move(builder).finish(builder.add("widen", widen, inputs));
}

std::vector<std::string> bottleneck_instances(const Nest&) {
  return {"bottleneck co 2", "bottleneck co 4", "bottleneck co 8"};
}

}  // namespace emulsion
