// One input channel for each output channel: vectors run over the channels, and each tap is a
// vector of inputs times a vector of weights.
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
  if (weight[1] == 1 && weight[0] == conv.groups && conv.groups > 1) return true;
  *reason = fmt::format("{} groups, {} input and {} output channels are not one each", conv.groups,
                        weight[1] * conv.groups, weight[0]);
  return false;
}

Result<ConvSchedule> schedule_of(const KernelSpec& spec) {
  return conv_schedule(conv_view(spec).nest, spec.schedule, {"g", false});
}

std::vector<CostedSchedule> costed(const KernelSpec& spec) {
  return depthwise_schedules(conv_view(spec).nest, machine_of(spec.target), spec.threads);
}

std::vector<std::string> schedules(const KernelSpec& spec) {
  return steps_of(costed(spec));
}

CostedSchedule best_guess(const KernelSpec& spec) {
  return costed(spec).front();
}

std::vector<PackedConstant> pack(const KernelSpec&, const Op& op) {
  return pack_depthwise(std::get<Conv>(op));
}

Status check_schedule(const KernelSpec& spec) {
  TRY_OK(schedule_of(spec));
  return ok();
}

bool writes_once(const KernelSpec& spec) {
  const Result<ConvSchedule> schedule = schedule_of(spec);
  return schedule.ok() && !tiles_overlap(*schedule);
}

Result<LoweredKernel> lower_depthwise(const KernelSpec& spec) {
  TRY(const ConvSchedule schedule, schedule_of(spec));
  const Halide::Target target = halide_target(spec.target);
  ConvFuncs funcs = build_depthwise_funcs(std::get<Conv>(spec.op), conv_view(spec));
  schedule_conv(funcs, schedule, target);
  return LoweredKernel{funcs.arguments, funcs.out, target};
}

}  // namespace

AlgorithmRow depthwise_row() {
  return {{"depthwise", "one input channel an output channel: vectors over the channels", applies,
           best_guess, schedules, pack, 1e-5},
          lower_depthwise,
          check_schedule,
          writes_once};
}

}  // namespace emulsion
