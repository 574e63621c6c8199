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
    return conv_schedule(View(spec).nest, spec.schedule, {"co", true});
  }

  static std::vector<CostedSchedule> costed(const KernelSpec& spec) {
    const Nest nest = View(spec).nest;
    std::vector<CostedSchedule> schedules =
        conv_schedules(nest, machine_of(spec.target, spec.weights));
    // The templates have enough iterations for any few threads.
    if (nest.multiplies() >= k_parallel_multiplies)
      for (CostedSchedule& schedule : schedules) schedule.cycles /= spec.threads;
    return schedules;
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

  static Result<LoweredKernel> lower(const KernelSpec& spec) {
    TRY(const ConvSchedule schedule, schedule_of(spec));
    const Halide::Target target = halide_target(spec.target);
    ConvFuncs funcs = build_conv_funcs(std::get<Conv>(spec.op), View(spec), schedule);
    schedule_conv(funcs, schedule, target);
    return LoweredKernel{funcs.arguments, funcs.out, target};
  }

  static AlgorithmRow row(const char* name, const char* sentence,
                          bool (*applies)(const KernelSpec&, std::string*)) {
    constexpr double k_error_bound = 1e-5, k_half_error = 2e-3;
    return {{name, sentence, applies, best_guess, schedules, pack, k_error_bound, k_half_error},
            lower,
            check_schedule};
  }
};

}  // namespace emulsion
