#include "lower/conv_chain.h"

#include <algorithm>
#include <bit>

namespace emulsion {

namespace {

constexpr std::string_view k_between = " | ";

bool is_depthwise(const Conv& conv) {
  const Shape& weight = conv.weight->shape;
  return conv.groups > 1 && weight[1] == 1 && weight[0] == conv.groups;
}

// What a conv reads to make a region of its output.
ChainRegion read_by(const Conv& conv, const ChainRegion& out) {
  const Shape& weight = conv.weight->shape;
  return {out.y * conv.stride[0] - conv.pad[0], out.x * conv.stride[1] - conv.pad[1],
          (out.rows - 1) * conv.stride[0] + (weight[2] - 1) * conv.dilation[0] + 1,
          (out.columns - 1) * conv.stride[1] + (weight[3] - 1) * conv.dilation[1] + 1};
}

// The nest of a conv that makes so many rows and columns from an input that has all of their taps.
Nest step_nest(Conv conv, int64_t rows, int64_t columns) {
  const ChainRegion input = read_by(conv, {0, 0, rows, columns});
  conv.pad = {0, 0, 0, 0};
  return conv_nest(conv, {1, conv.weight->shape[1] * conv.groups, input.rows, input.columns});
}

Shape chain_input(const ConvChain& chain) {
  const Conv& first = chain.convs.front();
  return {1, first.weight->shape[1] * first.groups, chain.image[0], chain.image[1]};
}

ScheduleRules rules_of(const ChainStage& stage) {
  return stage.depthwise ? ScheduleRules{"g", false} : ScheduleRules{"co", true};
}

bool goes_over_rows(const Loop& loop) {
  return loop.fused.empty() && loop.iterator == "y";
}

// Finds the loops over bands and steps in the last conv's schedule.
Status find_rows(ChainSchedule& chain) {
  const std::vector<Loop>& outer = chain.last().outer;
  for (const Loop& loop : outer)
    if (!loop.fused.empty()) return error("a chain's last conv has no fused loops ({})", loop.name);
  size_t row = outer.size();
  for (size_t i = 0; i < outer.size(); ++i)
    if (goes_over_rows(outer[i])) row = i;
  if (row == outer.size())
    return error("no loop over y lies outside the reductions of the chain's last conv");
  for (size_t i = 0; i < row; ++i) {
    const Loop& loop = outer[i];
    if (loop.iterator != "y" && loop.iterator != "n" && loop.extent > 1)
      return error("loop {} lies outside {}, which goes over the rows of the chain's last conv",
                   loop.name, outer[row].name);
    if (goes_over_rows(loop)) chain.band_loop = loop.name;
  }
  for (size_t i = row + 1; i < outer.size(); ++i)
    if (outer[i].kind == Loop::Kind::parallel)
      return error("loop {} is parallel within a step of the chain's last conv", outer[i].name);
  chain.row_loop = outer[row].name;
  return ok();
}

}  // namespace

int64_t ChainStage::rows_stored() const {
  // A ring is addressed by the last bits of a row's number.
  return slides() ? static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows_held)))
                  : rows_held;
}

int64_t ChainStage::scratch_bytes() const {
  return 4 * rows_stored() * needed.columns * output[1];
}

std::vector<ChainStage> chain_stages(const ConvChain& chain, const Shape& input, int64_t rows) {
  const auto shapes = chain_shapes(chain, input);
  EMULSION_CHECK(shapes.ok());
  std::vector<ChainStage> stages(chain.convs.size());
  for (size_t i = stages.size(); i-- > 0;) {
    ChainStage& stage = stages[i];
    stage.conv = &chain.convs[i];
    stage.depthwise = is_depthwise(*stage.conv);
    stage.input = i == 0 ? input : (*shapes)[i - 1];
    stage.output = (*shapes)[i];
    if (i + 1 == stages.size()) {
      stage.needed = {0, 0, stage.output[2], stage.output[3]};
      stage.rows_a_step = stage.rows_held = rows;
      stage.nest = conv_nest(*stage.conv, stage.input);
      continue;
    }
    const ChainStage& next = stages[i + 1];
    stage.needed = read_by(*next.conv, next.needed);
    const ChainRegion step = read_by(*next.conv, {0, 0, next.rows_a_step, 1});
    stage.rows_held = step.rows;
    stage.rows_a_step = std::min(step.rows, next.rows_a_step * next.conv->stride[0]);
    stage.nest = step_nest(*stage.conv, stage.rows_a_step, stage.needed.columns);
  }
  return stages;
}

Pad4 chain_rim(const ConvChain& chain) {
  const Shape input = chain_input(chain);
  const std::vector<ChainStage> stages = chain_stages(chain, input, 1);
  const ChainRegion read = read_by(chain.convs.front(), stages.front().needed);
  const auto beyond = [](int64_t extent) { return static_cast<int>(std::max<int64_t>(0, extent)); };
  return {beyond(-read.y), beyond(-read.x), beyond(read.y + read.rows - input[2]),
          beyond(read.x + read.columns - input[3])};
}

bool takes_chain(const ConvChain& chain, const Shape& input, std::string* reason) {
  for (size_t i = 0; i < chain.convs.size(); ++i) {
    const Conv& conv = chain.convs[i];
    if (conv.groups > 1 && !is_depthwise(conv))
      *reason =
          fmt::format("conv {} of the chain has {} groups and is not depthwise", i, conv.groups);
    else if (!conv.prologue.empty())
      *reason = fmt::format("conv {} of the chain has a prologue", i);
    else
      continue;
    return false;
  }
  int64_t bytes = 0;
  const std::vector<ChainStage> stages = chain_stages(chain, input, 1);
  for (size_t i = 0; i + 1 < stages.size(); ++i) bytes += stages[i].scratch_bytes();
  if (bytes > k_most_chain_scratch) {
    *reason = fmt::format("the rows between its convs need {} bytes of scratch ({} at most)", bytes,
                          k_most_chain_scratch);
    return false;
  }
  return true;
}

Result<ChainSchedule> chain_schedule(const ConvChain& chain, const Shape& input,
                                     const std::string& text) {
  const std::vector<std::string> texts = split_schedules(text);
  if (texts.size() != chain.convs.size())
    return error("a chain of {} convs has as many schedules with '{}' between them, not {}",
                 chain.convs.size(), k_between, texts.size());
  ChainSchedule result;
  // How many rows a step makes is what the last conv's tiles say.
  result.stages = chain_stages(chain, input, 1);
  TRY(const ConvSchedule last,
      conv_schedule(result.stages.back().nest, texts.back(), rules_of(result.stages.back())));
  result.stages = chain_stages(chain, input, last.tile("y"));
  int64_t bytes = 0;
  for (size_t i = 0; i + 1 < texts.size(); ++i) {
    const ChainStage& stage = result.stages[i];
    auto schedule = conv_schedule(stage.nest, texts[i], rules_of(stage));
    if (!schedule.ok()) return schedule.error().in(fmt::format("conv {} of the chain", i));
    for (const Loop& loop : schedule->nest.loops)
      if (loop.kind == Loop::Kind::parallel)
        return error("loop {} of conv {} of the chain is parallel; only the last conv's may be",
                     loop.name, i);
    // A step may begin with fewer rows than a tile.
    if (schedule->tile("y") > 1)
      return error("conv {} of the chain has tiles of {} rows (1 at most)", i, schedule->tile("y"));
    result.schedules.push_back(*std::move(schedule));
    bytes += stage.scratch_bytes();
  }
  if (bytes > k_most_chain_scratch)
    return error("steps of {} rows need {} bytes of scratch ({} at most)", last.tile("y"), bytes,
                 k_most_chain_scratch);
  result.schedules.push_back(last);
  TRY_OK(find_rows(result));
  return result;
}

std::string join_schedules(const std::vector<std::string>& schedules) {
  return fmt::format("{}", fmt::join(schedules, k_between));
}

std::vector<std::string> split_schedules(const std::string& text) {
  std::vector<std::string> result;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(k_between, begin);
    result.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) return result;
    begin = end + k_between.size();
  }
}

}  // namespace emulsion
