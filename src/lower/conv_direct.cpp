// The sums as they are written: any groups, stride, dilation and kernel, a tile of channels by
// pixels in registers, each input broadcast against vectors of weights.
#include "lower/algorithm_row.h"
#include "lower/conv_funcs.h"
#include "lower/conv_pack.h"
#include "lower/conv_templates.h"
#include "lower/lower.h"
#include "lower/target.h"

namespace emulsion {

namespace {

Result<ConvSchedule> schedule_of(const KernelSpec& spec) {
  return conv_schedule(conv_view(spec).nest, spec.schedule, {"co", true});
}

std::vector<std::string> schedules(const KernelSpec& spec) {
  return conv_schedules(conv_view(spec).nest, machine_of(spec.target));
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

Result<LoweredKernel> lower_direct(const KernelSpec& spec) {
  TRY(const ConvSchedule schedule, schedule_of(spec));
  const Halide::Target target = halide_target(spec.target);
  ConvFuncs funcs = build_conv_funcs(std::get<Conv>(spec.op), conv_view(spec), schedule);
  schedule_conv(funcs, schedule, target);
  return LoweredKernel{funcs.arguments, funcs.out, target};
}

}  // namespace

AlgorithmRow direct_row() {
  return {{"direct", "the sums as they are written, a tile of channels by pixels in registers",
           takes_conv, default_schedule, schedules, pack, 1e-5},
          lower_direct,
          check_schedule};
}

}  // namespace emulsion
