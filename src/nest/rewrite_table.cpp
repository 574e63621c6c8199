#include "nest/rewrite_table.h"

#include <sstream>

#include "nest/rewrites/rules.h"

namespace emulsion {

const std::vector<RewriteRule>& rewrite_rules() {
  constexpr Factor none = Factor::none, optional = Factor::optional, required = Factor::required;
  // clang-format off
  static const std::vector<RewriteRule> rules = {
      {"group", "Split the channels in g groups that do not see each other.",
       {"group", 0, required}, "", "", make_group, group_instances},
      {"bottleneck", "Compute co/b channels, then widen them with a linear 1x1 conv.",
       {"bottleneck", 1, required}, "co", "", make_bottleneck, bottleneck_instances},
      {"tiled-bottleneck", "Compute co/b channels and repeat them b times.",
       {"bottleneck", 1, required}, "co", "tiled", make_tiled_bottleneck, tiled_bottleneck_instances},
      {"zeros-bottleneck", "Compute co/b channels; the others are zero (the paper's literal shrink).",
       {"bottleneck", 1, required}, "co", "zeros", make_zeros_bottleneck, no_instances},
      {"propagated-bottleneck", "Compute co/b channels, and let the layers after take fewer.",
       {"bottleneck", 1, required}, "co", "propagated", make_propagated_bottleneck,
       propagated_bottleneck_instances},
      {"input-bottleneck", "Narrow the input to ci/b channels with a linear 1x1 conv.",
       {"bottleneck", 1, required}, "ci", "", make_input_bottleneck, input_bottleneck_instances},
      {"spatial-bottleneck", "Compute every b-th row or column and repeat it b times.",
       {"bottleneck", 1, required}, "y x", "", make_spatial_bottleneck, spatial_bottleneck_instances},
      {"split-group", "Split the output channels in s convs with group counts of their own.",
       {"split", 1, required}, "co", "", make_split_group, split_group_instances},
      {"unroll-group", "The first u channels see all of the input, the others a grouped rest of it.",
       {"unroll", 1, optional}, "co", "", make_unroll_group, unroll_group_instances},
      {"split-rows", "Split the rows in s bands with weights and group counts of their own.",
       {"split", 1, required}, "y", "", make_split_rows, split_rows_instances},
      {"separable", "A depthwise conv, then a linear 1x1 conv.",
       {"separable", 0, none}, "", "", make_separable, separable_instances},
      {"depthwise", "As many groups as divide both channel counts.",
       {"depthwise", 0, none}, "", "", make_depthwise, depthwise_instances},
  };
  // clang-format on
  return rules;
}

Result<const RewriteRule*> rule_of(const Step& step) {
  std::string loops;
  for (const RewriteRule& rule : rewrite_rules()) {
    if (step.word != rule.step.word) continue;
    std::istringstream on(rule.on);
    bool works_on = step.loop.empty();
    for (std::string loop; on >> loop;) {
      works_on = works_on || loop == step.loop;
      if (step.variant == rule.variant) loops += (loops.empty() ? "" : ", ") + loop;
    }
    if (works_on && step.variant == rule.variant) return &rule;
  }
  EMULSION_CHECK(!loops.empty());  // parse_steps() knows the words
  const std::string variant = step.variant.empty() ? "" : " " + step.variant;
  return refusal(step,
                 fmt::format("{}{} works on {}, not on {}", step.word, variant, loops, step.loop));
}

std::vector<std::string> no_instances(const Nest&) {
  return {};
}

}  // namespace emulsion
