// The Funcs of a chain of convs (conv_chain.h), from those of its convs: each conv but the last is
// computed within the loop over the last one's rows, and sums in registers as it does alone.
#include "lower/algorithm_row.h"
#include "lower/buffers.h"
#include "lower/conv_chain.h"
#include "lower/conv_funcs.h"
#include "lower/conv_pack.h"
#include "lower/lower.h"
#include "lower/target.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::MemoryType;
using Halide::Var;

namespace {

Result<ChainSchedule> schedule_of(const KernelSpec& spec) {
  return chain_schedule(std::get<ConvChain>(spec.op), spec.inputs[0].shape, spec.schedule);
}

bool applies(const KernelSpec& spec, std::string* reason) {
  const auto* chain = std::get_if<ConvChain>(&spec.op);
  if (!chain) return false;
  for (const TensorDescriptor* d : {&spec.inputs.front(), &spec.output, &spec.inputs.back()}) {
    if (d->channel_block == 0 && (d->strides[1] == 1 || d->shape[1] == 1)) continue;
    *reason = fmt::format("{} is not stored channels innermost", to_text(*d));
    return false;
  }
  const Pad4 needed = chain_rim(*chain);
  for (int side = 0; side < 4; ++side) {
    if (spec.inputs[0].rim[side] >= needed[side]) continue;
    *reason = fmt::format("the input's rim {} is smaller than the chain's padding {}",
                          fmt::join(spec.inputs[0].rim, ","), fmt::join(needed, ","));
    return false;
  }
  return takes_chain(*chain, spec.inputs[0].shape, reason);
}

std::vector<CostedSchedule> costed(const KernelSpec& spec) {
  return chain_schedules(std::get<ConvChain>(spec.op), spec.inputs[0].shape,
                         machine_of(spec.target), spec.threads);
}

std::vector<std::string> schedules(const KernelSpec& spec) {
  std::vector<std::string> result;
  for (const CostedSchedule& schedule : costed(spec)) result.push_back(schedule.steps);
  return result;
}

CostedSchedule best_guess(const KernelSpec& spec) {
  return costed(spec).front();
}

std::vector<PackedConstant> pack(const KernelSpec& spec, const Op& op) {
  const Result<ChainSchedule> schedule = schedule_of(spec);
  EMULSION_CHECK(schedule.ok());  // completed specs only
  const auto& convs = std::get<ConvChain>(op).convs;
  std::vector<PackedConstant> packed;
  for (size_t i = 0; i < convs.size(); ++i)
    for (PackedConstant& constant : schedule->stages[i].depthwise
                                        ? pack_depthwise(convs[i])
                                        : pack_conv(convs[i], schedule->schedules[i]))
      packed.push_back(std::move(constant));
  return packed;
}

Status check_schedule(const KernelSpec& spec) {
  TRY_OK(schedule_of(spec));
  return ok();
}

// Whether (x, y) is a pixel of the stage's image; undefined when all that is needed is. What lies
// outside is the next conv's padding.
Expr inside_image(const ChainStage& stage, const Expr& x, const Expr& y) {
  Expr inside;
  const auto require = [&](const Expr& condition) {
    inside = inside.defined() ? inside && condition : condition;
  };
  const ChainRegion& needed = stage.needed;
  const int height = narrow(stage.output[2]), width = narrow(stage.output[3]);
  if (needed.y < 0) require(y >= 0);
  if (needed.y + needed.rows > height) require(y < height);
  // The first and last tiles of a row get code of their own.
  if (needed.x < 0) require(likely(x >= 0));
  if (needed.x + needed.columns > width) require(likely(x < width));
  return inside;
}

std::vector<ConvFuncs> build_chain_funcs(const KernelSpec& spec, const ChainSchedule& chain,
                                         ConvParameters& parameters) {
  std::vector<ConvFuncs> funcs;
  for (size_t i = 0; i < chain.stages.size(); ++i) {
    const ChainStage& stage = chain.stages[i];
    ConvPart part;
    if (i > 0) {
      const Func before = funcs.back().out;
      part.in = [before](const Expr& c, const Expr& x, const Expr& y, const Expr& n) {
        return before(c, x, y, n);
      };
    } else {
      // Steps may ask for rows above the first that counts or below the last.
      const TensorDescriptor& d = spec.inputs[0];
      const int first = -d.rim[0], last = narrow(d.shape[2]) - 1 + d.rim[2];
      part.in = [first, last, in = parameters.inputs[0]](const Expr& c, const Expr& x,
                                                         const Expr& y, const Expr& n) {
        return in(c, x, clamp(y, first, last), n);
      };
    }
    part.inside = [&stage](const Expr& x, const Expr& y) { return inside_image(stage, x, y); };
    const ConvView view{stage.nest, spec.inputs, spec.output};
    funcs.push_back(stage.depthwise
                        ? build_depthwise_part(*stage.conv, view, parameters, part)
                        : build_conv_part(*stage.conv, view, chain.schedules[i], parameters, part));
  }
  return funcs;
}

Result<LoweredKernel> lower_chain(const KernelSpec& spec) {
  TRY(const ChainSchedule chain, schedule_of(spec));
  const Halide::Target target = halide_target(spec.target);
  const ConvView view{chain.stages.back().nest, spec.inputs, spec.output};
  ConvParameters parameters(view, pack(spec, spec.op));
  std::vector<ConvFuncs> funcs = build_chain_funcs(spec, chain, parameters);

  Func& out = funcs.back().out;
  bind_output(out, output_layout(spec.output));
  const auto loops = schedule_conv(funcs.back(), chain.last(), target);
  const Var row = loops.at(chain.row_loop).var;
  const Var band = loops.at(chain.band_loop.empty() ? "n" : chain.band_loop).var;
  for (size_t i = 0; i + 1 < funcs.size(); ++i) {
    const ChainStage& stage = chain.stages[i];
    Func& f = funcs[i].out;
    f.compute_at(out, row).store_in(MemoryType::Stack);
    f.bound_extent(f.args()[0], narrow(stage.output[1]));
    f.bound(f.args()[1], narrow(stage.needed.x), narrow(stage.needed.columns));
    if (stage.slides())
      f.store_at(out, band).fold_storage(f.args()[2], narrow(stage.rows_stored()));
    schedule_conv(funcs[i], chain.schedules[i], target);
  }
  return LoweredKernel{parameters.arguments(), out, target};
}

}  // namespace

AlgorithmRow chain_row() {
  return {{"fused", "convs one after the other, some rows at a time", applies, best_guess,
           schedules, pack, 1e-5},
          lower_chain,
          check_schedule};
}

}  // namespace emulsion
