#include "nest/rewrites/rules.h"

namespace emulsion {

// conv(k)  =>  concat of rows (conv(k) of band 0, ..., conv(k) of band s-1)   where s | input rows
//
// A band is zero-padded at its edges like an image of its own, and its conv has weights, and by the
// steps after it groups, of its own: "split y 2; group[0] 2; group[1] 4" (the paper's third
// sequence).
Result<Replacement> make_split_rows(const RewriteSite& site, const Step& step) {
  const int64_t s = step.factor, rows = site.input[2];
  if (s < 2) return refusal(step, "there must be 2 bands or more");
  if (rows % s != 0)
    return refusal(step, fmt::format("{} does not divide the input's {} rows", s, rows));
  const int64_t height = rows / s;
  const int64_t window = (site.nest.ky - 1) * site.conv.dilation[0] + 1;
  const int64_t room = height + site.conv.pad[0] + site.conv.pad[2] - window;
  const int64_t outputs = room < 0 ? 0 : room / site.conv.stride[0] + 1;
  if (outputs * s != site.nest.y)
    return refusal(step, fmt::format("{} bands of {} rows make {} rows each, not {} in all", s,
                                     height, outputs, site.nest.y));
  ReplacementBuilder builder(site);
  std::vector<ValueId> bands;
  for (int64_t i = 0; i < s; ++i) {
    const std::string name = fmt::format("band{}", i);
    const ValueId input = builder.slice(name + "_input", builder.x(), 2, i * height, height);
    ValueId residual = -1;
    if (site.conv.epilogue.residual)
      residual = builder.slice(name + "_residual", builder.residual(), 2, i * outputs, outputs);
    bands.push_back(builder.add_main(name, site.conv, input, residual));
  }
  return std::move(builder).finish(builder.add("concat", Concat{2}, bands));
}

std::vector<std::string> split_rows_instances(const Nest&) {
  return {"split y 2; group[0] 2; group[1] 2", "split y 2; group[0] 2; group[1] 4"};
}

}  // namespace emulsion
