#include <algorithm>

#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

// conv(k, ci->co)  =>  concat(conv(k, ci->u), conv(k, ci-u->co-u) of inputs u..)   where u < ci, co
//
// The rest is given groups by the steps after it: "unroll co 16; group[1] 2" (the paper's second
// sequence).
Result<Replacement> make_unroll_group(const RewriteSite& site, const Step& step) {
  const int64_t u = step.factor, ci = site.nest.ci, co = site.nest.co;
  if (site.conv.groups > 1)
    return refusal(step, "the conv has groups already: unroll it first, then group its rest");
  for (const auto& [name, extent] : {std::pair{"ci", ci}, std::pair{"co", co}})
    if (u >= extent) return refusal(step, fmt::format("nothing is left of {}'s {}", name, extent));
  ReplacementBuilder builder(site);
  const bool residual = site.conv.epilogue.residual;
  const auto residual_of = [&](const std::string& name, int64_t first, int64_t count) {
    return residual ? builder.slice(name, builder.residual(), 1, first, count) : ValueId{-1};
  };
  const ValueId first_residual = residual_of("unrolled_residual", 0, u);
  const ValueId unrolled =
      builder.add_main("unrolled", output_channels(site.conv, 0, u), builder.x(), first_residual);
  Conv rest = output_channels(site.conv, u, co - u);
  const Shape& old = rest.weight->shape;
  rest.weight = gathered(rest.weight, {co - u, ci - u, old[2], old[3]},
                         [&](int64_t o, int64_t i) { return std::pair(o, u + i); });
  rest.prologue.scale = channel_range(rest.prologue.scale, u, ci - u);
  rest.prologue.shift = channel_range(rest.prologue.shift, u, ci - u);
  if (rest.prologue.activation) {
    Constant& slope = rest.prologue.activation->slope;
    slope = channel_range(slope, u, ci - u);
  }
  const ValueId input = builder.slice("rest_input", builder.x(), 1, u, ci - u);
  const ValueId rest_residual = residual_of("rest_residual", u, co - u);
  const ValueId grouped = builder.add_main("rest", rest, input, rest_residual);
  return std::move(builder).finish(builder.add("concat", Concat{1}, {unrolled, grouped}));
}

std::vector<std::string> unroll_group_instances(const Nest& nest) {
  // 16 channels, as in the paper; fewer where that is much of a narrow conv.
  const int64_t u = std::min<int64_t>(16, std::min(nest.ci, nest.co) / 4);
  if (u < 1) return {};
  return {fmt::format("unroll co {}; group[1] 2", u), fmt::format("unroll co {}; group[1] 4", u)};
}

}  // namespace emulsion
