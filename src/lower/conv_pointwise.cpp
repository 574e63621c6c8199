// A 1x1 conv of stride 1 as a matrix product: the rows of an image become one row of pixels, so
// that tiles need not end at the end of a row.
#include "lower/algorithm_row.h"
#include "lower/conv_funcs.h"
#include "lower/conv_pack.h"
#include "lower/conv_templates.h"
#include "lower/lower.h"
#include "lower/target.h"

namespace emulsion {

namespace {

bool applies(const KernelSpec& spec, std::string* reason) {
  if (!takes_conv(spec, reason)) return false;
  const auto& conv = std::get<Conv>(spec.op);
  const Shape& weight = conv.weight->shape;
  if (weight[2] != 1 || weight[3] != 1)
    *reason = fmt::format("the kernel is {}x{}, not 1x1", weight[2], weight[3]);
  else if (conv.stride != Extent2{1, 1})
    *reason = fmt::format("the stride is {}x{}, not 1x1", conv.stride[0], conv.stride[1]);
  else if (conv.pad != Pad4{0, 0, 0, 0})
    *reason = "it has padding";
  else
    return true;
  return false;
}

Result<ConvSchedule> schedule_of(const KernelSpec& spec) {
  return conv_schedule(flattened_view(spec).nest, spec.schedule, {"co", true});
}

std::vector<std::string> schedules(const KernelSpec& spec) {
  return conv_schedules(flattened_view(spec).nest, machine_of(spec.target));
}

std::string default_schedule(const KernelSpec& spec) {
  return schedules(spec).front();
}

std::vector<PackedConstant> pack(const KernelSpec& spec, const Op& op) {
  const Result<ConvSchedule> schedule = schedule_of(spec);
  EMULSION_CHECK(schedule.ok());  // completed specs only
  return pack_conv(std::get<Conv>(op), *schedule);
}

Status check_schedule(const KernelSpec& spec) {
  TRY_OK(schedule_of(spec));
  return ok();
}

Result<LoweredKernel> lower_pointwise(const KernelSpec& spec) {
  TRY(const ConvSchedule schedule, schedule_of(spec));
  const Halide::Target target = halide_target(spec.target);
  ConvFuncs funcs = build_conv_funcs(std::get<Conv>(spec.op), flattened_view(spec), schedule);
  schedule_conv(funcs, schedule, target);
  return LoweredKernel{funcs.arguments, funcs.out, target};
}

}  // namespace

AlgorithmRow pointwise_row() {
  return {{"pointwise", "1x1, stride 1: a matrix product over all pixels", applies,
           default_schedule, schedules, pack, 1e-5},
          lower_pointwise,
          check_schedule};
}

}  // namespace emulsion
