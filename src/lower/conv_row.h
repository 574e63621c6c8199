// What the rows of algorithms that sum in registers have in common; they differ in how they view
// the conv's nest and in what they apply to.
#pragma once

#include "lower/algorithm_row.h"
#include "lower/conv_funcs.h"
#include "lower/conv_pack.h"
#include "lower/conv_templates.h"
#include "lower/lower.h"
#include "lower/target.h"

namespace emulsion {

// The row's functions for a view of the spec: View is conv_view or flattened_view.
template <ConvView (*View)(const KernelSpec&)>
struct TiledConv {
  static Result<ConvSchedule> schedule_of(const KernelSpec& spec) {
    const ConvView view = View(spec);
    TRY(ConvSchedule schedule, conv_schedule(view.nest, spec.schedule, {"co", true}));
    // Beyond the last channel there is no group whose input could be read.
    if (const int64_t tile = schedule.tile("co"); view.packed > 1 && view.nest.co % tile != 0)
      return error("a tile of {} channels does not divide the {} that share a vector", tile,
                   view.nest.co);
    return schedule;
  }

  static std::vector<CostedSchedule> costed(const KernelSpec& spec) {
    const ConvView view = View(spec);
    const Nest& nest = view.nest;
    const Machine machine = machine_of(spec.target, spec.weights);
    const bool prologue = !std::get<Conv>(spec.op).prologue.empty();
    if (prologue && nest.ky * nest.kx == 1 && nest.groups == 1 && view.packed == 1)
      return pointwise_prologue_schedules(nest, machine, spec.threads);
    const std::vector<CostedSchedule> schedules =
        view.packed > 1 ? packed_schedules(nest, view.packed, machine, spec.threads)
                        : conv_schedules(nest, machine, spec.threads);
    if (!prologue) return schedules;
    return with_prologue(schedules, nest, view.packed, machine, spec.threads);
  }
  static std::vector<std::string> schedules(const KernelSpec& spec) {
    return steps_of(costed(spec));
  }
  static CostedSchedule best_guess(const KernelSpec& spec) { return costed(spec).front(); }

  static std::vector<PackedConstant> pack(const KernelSpec& spec, const Op& op) {
    const Result<ConvSchedule> schedule = schedule_of(spec);
    EMULSION_CHECK(schedule.ok());  // completed specs only
    return pack_conv(std::get<Conv>(op), *schedule);
  }

  static Status check_schedule(const KernelSpec& spec) {
    TRY_OK(schedule_of(spec));
    return ok();
  }

  static bool writes_once(const KernelSpec& spec) {
    const Result<ConvSchedule> schedule = schedule_of(spec);
    return schedule.ok() && !tiles_overlap(*schedule);
  }

  static Result<LoweredKernel> lower(const KernelSpec& spec) {
    TRY(const ConvSchedule schedule, schedule_of(spec));
    const Halide::Target target = halide_target(spec.target);
    const ConvView view = View(spec);
    ConvFuncs funcs = build_conv_funcs(std::get<Conv>(spec.op), view, schedule);
    schedule_conv(funcs, schedule, target);
    LoweredKernel kernel{funcs.arguments, funcs.out, target};
    if (packing_shuffles(view.packed)) {
      kernel.shuffled_buffer = funcs.prologue.defined() ? funcs.prologue.name() : "in";
      kernel.shuffled_block = static_cast<int>(view.packed * view.nest.ci);
    }
    return kernel;
  }

  static AlgorithmRow row(const char* name, const char* sentence,
                          bool (*applies)(const KernelSpec&, std::string*)) {
    constexpr double k_error_bound = 1e-5, k_half_error = 2e-3;
    return {{name, sentence, applies, best_guess, schedules, pack, k_error_bound, k_half_error},
            lower,
            check_schedule,
            writes_once};
  }
};

}  // namespace emulsion
