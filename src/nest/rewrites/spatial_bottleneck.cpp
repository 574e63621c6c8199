#include <algorithm>
#include <numeric>

#include "nest/rewrites/rules.h"

namespace emulsion {

namespace {

bool lies_outside(const Nest& nest, const std::string& outer, const std::string& inner) {
  const auto place = [&](const std::string& name) {
    return std::find_if(nest.loops.begin(), nest.loops.end(),
                        [&](const Loop& loop) { return loop.name == name; });
  };
  return place(outer) < place(inner);
}

}  // namespace

// conv(k, stride s)  =>  conv(k, stride s b), each row (column) b times   where b | rows (columns)
Result<Replacement> make_spatial_bottleneck(const RewriteSite& site, const Step& step) {
  if (step.factor < 2) return refusal(step, "the factor must be 2 or more");
  // A bottleneck shrinks the outermost loop, which is co until an interchange.
  if (!lies_outside(site.nest, step.loop, "co"))
    return refusal(step, fmt::format("loop {} lies inside co: 'interchange co {}' comes first",
                                     step.loop, step.loop));
  const int axis = step.loop == "y" ? 0 : 1;
  const int64_t extent = axis == 0 ? site.nest.y : site.nest.x;
  if (extent % step.factor != 0)
    return refusal(step, fmt::format("{} does not divide {}'s {}", step.factor, step.loop, extent));
  Conv coarse = site.conv;
  coarse.stride[axis] *= step.factor;
  // Activations may come before the rows are repeated, but the residual is added at full size.
  const bool residual = coarse.epilogue.residual;
  const std::optional<Activation> activation = coarse.epilogue.activation;
  if (residual) coarse.epilogue = {};

  Resize repeat;
  repeat.rows.resize(axis == 0 ? extent / step.factor : site.nest.y);
  repeat.columns.resize(axis == 1 ? extent / step.factor : site.nest.x);
  for (std::vector<int>* indices : {&repeat.rows, &repeat.columns})
    std::iota(indices->begin(), indices->end(), 0);
  std::vector<int>& repeated = axis == 0 ? repeat.rows : repeat.columns;
  repeated.resize(extent);
  for (int64_t i = 0; i < extent; ++i) repeated[i] = static_cast<int>(i / step.factor);

  ReplacementBuilder builder(site);
  const ValueId y = builder.add_main("coarse", coarse, builder.x());
  ValueId output = builder.add("repeated", repeat, {y});
  if (residual) {
    output =
        builder.add("add", Binary{Binary::Kind::add, activation}, {output, builder.residual()});
  }
  return std::move(builder).finish(output);
}

std::vector<std::string> spatial_bottleneck_instances(const Nest& nest) {
  // A depthwise conv is cheap as it is.
  if (nest.ci == 1 && nest.co == 1) return {};
  return {"interchange co y; bottleneck y 2; interchange co x; bottleneck x 2"};
}

}  // namespace emulsion
