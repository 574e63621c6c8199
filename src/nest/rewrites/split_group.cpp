#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

// conv(k, ci->co)  =>  concat(conv(k, ci->co/s), ..., conv(k, ci->co/s))   where s | co
//
// Each part is a conv of all inputs, which the steps after it give groups of its own:
// "split co 2; group[0] 2; group[1] 4" (the paper's first sequence).
Result<Replacement> make_split_group(const RewriteSite& site, const Step& step) {
  if (step.factor < 2) return refusal(step, "there must be 2 parts or more");
  if (site.conv.groups > 1)
    return refusal(step, "the conv has groups already: split it first, then group its parts");
  if (site.nest.co % step.factor != 0)
    return refusal(step, fmt::format("{} does not divide co's {}", step.factor, site.nest.co));
  const int64_t width = site.nest.co / step.factor;
  ReplacementBuilder builder(site);
  std::vector<ValueId> parts;
  for (int i = 0; i < step.factor; ++i) {
    const std::string name = fmt::format("part{}", i);
    ValueId residual = -1;
    if (site.conv.epilogue.residual)
      residual = builder.slice(name + "_residual", builder.residual(), 1, i * width, width);
    parts.push_back(builder.add_main(name, output_channels(site.conv, i * width, width),
                                     builder.x(), residual));
  }
  return std::move(builder).finish(builder.add("concat", Concat{1}, parts));
}

std::vector<std::string> split_group_instances(const Nest&) {
  return {"split co 2; group[0] 2; group[1] 4", "split co 2; group[0] 4; group[1] 8"};
}

}  // namespace emulsion
