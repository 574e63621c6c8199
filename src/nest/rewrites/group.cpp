#include <numeric>

#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

namespace {

// The weight of a conv with `factor` times the groups keeps the diagonal blocks of the old one.
Conv grouped(const Conv& conv, int64_t factor) {
  const Shape& old = conv.weight->shape;
  const int64_t ci = old[1] / factor;
  const int64_t co_per_old_group = old[0] / conv.groups, co_per_group = co_per_old_group / factor;
  Conv result = conv;
  result.groups = static_cast<int>(conv.groups * factor);
  result.weight = gathered(conv.weight, {old[0], ci, old[2], old[3]}, [&](int64_t o, int64_t i) {
    return std::pair(o, o % co_per_old_group / co_per_group * ci + i);
  });
  return result;
}

Result<Replacement> with_groups(const RewriteSite& site, const Step& step, int64_t factor) {
  for (const auto& [name, extent] : {std::pair{"ci", site.nest.ci}, std::pair{"co", site.nest.co}})
    if (extent % factor != 0)
      return refusal(step, fmt::format("{} does not divide {}'s {}", factor, name, extent));
  ReplacementBuilder builder(site);
  const ValueId output = builder.add_main("grouped", grouped(site.conv, factor), builder.x());
  return std::move(builder).finish(output);
}

}  // namespace

// conv(k, ci->co)  =>  conv(k, ci->co, groups g)   where g | ci and g | co
Result<Replacement> make_group(const RewriteSite& site, const Step& step) {
  // A part of a split may have one group: its weights alone set it apart.
  if (step.factor < 2 && step.part < 0) return refusal(step, "the factor must be 2 or more");
  return with_groups(site, step, step.factor);
}

std::vector<std::string> group_instances(const Nest& nest) {
  std::vector<std::string> result;
  const int64_t all = std::gcd(nest.ci, nest.co);  // as many groups as there can be: depthwise
  for (int64_t g = 2; g < all && all % g == 0; g *= 2) result.push_back(fmt::format("group {}", g));
  return result;
}

// conv(k, ci->co)  =>  conv(k, ci->co, groups gcd(ci, co))   where gcd(ci, co) > 1
Result<Replacement> make_depthwise(const RewriteSite& site, const Step& step) {
  const int64_t factor = std::gcd(site.nest.ci, site.nest.co);
  if (factor < 2) {
    return refusal(
        step, fmt::format("ci {} and co {} have no common divisor", site.nest.ci, site.nest.co));
  }
  return with_groups(site, step, factor);
}

std::vector<std::string> depthwise_instances(const Nest&) {
  return {"depthwise"};
}

}  // namespace emulsion
