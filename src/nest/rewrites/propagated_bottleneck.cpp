#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "nest/rewrites/propagate.h"
#include "nest/rewrites/rules.h"
#include "nest/rewrites/weights.h"

namespace emulsion {

namespace {

// The channels that stay, ascending.
using Kept = std::vector<int64_t>;

// Those with the largest sums of absolute weights.
Kept largest_channels(const Tensor& weight, int64_t count) {
  const int64_t taps = element_count(weight.shape) / weight.shape[0];
  std::vector<double> sums(weight.shape[0], 0.0);
  if (!weight.abstract()) {
    for (size_t i = 0; i < weight.data.size(); ++i) {
      sums[static_cast<int64_t>(i) / taps] += std::abs(weight.data[i]);
    }
  }
  Kept kept(weight.shape[0]);
  std::iota(kept.begin(), kept.end(), 0);
  std::stable_sort(kept.begin(), kept.end(),
                   [&](int64_t a, int64_t b) { return sums[a] > sums[b]; });
  kept.resize(count);
  std::sort(kept.begin(), kept.end());
  return kept;
}

void keep(Constant& per_channel, const Kept& kept) {
  if (!per_channel || element_count(per_channel->shape) == 1) return;
  const Shape shape{static_cast<int64_t>(kept.size())};
  if (per_channel->abstract()) {
    per_channel = abstract_constant(shape);
    return;
  }
  std::vector<float> data;
  for (const int64_t c : kept) data.push_back(per_channel->data[c]);
  per_channel = constant(shape, std::move(data));
}

void keep(std::optional<Activation>& activation, const Kept& kept) {
  if (activation) keep(activation->slope, kept);
}

void keep_outputs(Conv& conv, const Kept& kept) {
  Shape shape = conv.weight->shape;
  shape[0] = static_cast<int64_t>(kept.size());
  conv.weight =
      gathered(conv.weight, shape, [&](int64_t o, int64_t i) { return std::pair(kept[o], i); });
  keep(conv.bias, kept);
  keep(conv.epilogue.activation, kept);
}

void keep_prologue(Conv& conv, const Kept& kept) {
  keep(conv.prologue.scale, kept);
  keep(conv.prologue.shift, kept);
  keep(conv.prologue.activation, kept);
}

void keep_inputs(Conv& conv, const Kept& kept) {
  Shape shape = conv.weight->shape;
  shape[1] = static_cast<int64_t>(kept.size());
  conv.weight =
      gathered(conv.weight, shape, [&](int64_t o, int64_t i) { return std::pair(o, kept[i]); });
  keep_prologue(conv, kept);
}

void keep_columns(Dense& dense, const Kept& kept) {
  const int64_t rows = dense.weight->shape[0], old = dense.weight->shape[1];
  const Shape shape{rows, static_cast<int64_t>(kept.size())};
  if (dense.weight->abstract()) {
    dense.weight = abstract_constant(shape);
    return;
  }
  std::vector<float> data;
  for (int64_t row = 0; row < rows; ++row)
    for (const int64_t c : kept) data.push_back(dense.weight->data[row * old + c]);
  dense.weight = constant(shape, std::move(data));
}

// What a layer does about fewer channels: ends them, hands them on, or needs all of them.
enum class Takes { ends, passes, refuses };

// Makes an op take the kept channels of its input 0. A dense layer's input of more entries than
// channels holds a run of each channel's.
class Narrowing {
 public:
  Narrowing(const Kept& kept, const Shape& input, int64_t channels)
      : kept_(kept), input_(input), channels_(channels) {}

  Takes operator()(Conv& conv) const {
    if (conv.groups == 1) {
      keep_inputs(conv, kept_);
      return Takes::ends;
    }
    // Only a depthwise conv keeps channels apart; one with a residual would need it narrowed too.
    if (conv.groups != channels_ || conv.weight->shape[0] != channels_ || conv.epilogue.residual)
      return Takes::refuses;
    conv.groups = static_cast<int>(kept_.size());
    keep_outputs(conv, kept_);
    keep_prologue(conv, kept_);
    return Takes::passes;
  }
  Takes operator()(Dense& dense) const {
    if (input_.size() != 2) return Takes::refuses;
    const int64_t run = input_[1] / channels_;
    Kept columns;
    for (const int64_t c : kept_)
      for (int64_t i = 0; i < run; ++i) columns.push_back(c * run + i);
    keep_columns(dense, columns);
    return Takes::ends;
  }
  Takes operator()(BatchNorm& norm) const {
    for (Constant* c : {&norm.scale, &norm.shift, &norm.mean, &norm.variance}) keep(*c, kept_);
    return of_image();
  }
  Takes operator()(Affine& affine) const {
    keep(affine.scale, kept_);
    keep(affine.shift, kept_);
    keep(affine.activation, kept_);
    return of_image();
  }
  Takes operator()(Activation& activation) const {
    if (input_.size() != 4 && activation.slope) return Takes::refuses;
    keep(activation.slope, kept_);
    return Takes::passes;
  }
  Takes operator()(Pool&) const { return Takes::passes; }
  Takes operator()(Resize&) const { return Takes::passes; }
  Takes operator()(ReduceMean& mean) const {
    const bool of_channels = std::count(mean.axes.begin(), mean.axes.end(), 1) > 0;
    return of_channels || input_.size() != 4 ? Takes::refuses : Takes::passes;
  }
  // Flattening leaves a run of entries a channel.
  Takes operator()(Reshape& reshape) const {
    if (reshape.shape.size() != 2 || reshape.shape[0] != input_[0]) return Takes::refuses;
    reshape.shape[1] = reshape.shape[1] / channels_ * static_cast<int64_t>(kept_.size());
    return Takes::passes;
  }
  template <class T>
  Takes operator()(T&) const {
    return Takes::refuses;
  }

 private:
  Takes of_image() const { return input_.size() == 4 ? Takes::passes : Takes::refuses; }

  const Kept& kept_;
  const Shape& input_;
  int64_t channels_;
};

}  // namespace

bool is_propagated(const Step& step) {
  return is_neural(step) && step.word == "bottleneck" && step.variant == "propagated";
}

// conv(k, ci->co), ..., conv(k', co->z)  =>  conv(k, ci->co/b), ..., conv(k', co/b->z)   where b |
// co and only per-channel layers lie between
Result<Network> propagate_bottleneck(const Network& network, int layer, const Step& step) {
  Network result = network;
  Conv& conv = std::get<Conv>(result.layers[layer].op);
  const int64_t channels = conv.weight->shape[0];
  if (step.factor < 2) return refusal(step, "the factor must be 2 or more");
  if (conv.groups > 1) return refusal(step, "the conv has groups");
  if (conv.epilogue.residual)
    return refusal(step, "a residual of all channels is added to the conv's sum");
  if (channels % step.factor != 0)
    return refusal(step, fmt::format("{} does not divide co's {}", step.factor, channels));
  const Kept kept = largest_channels(*conv.weight, channels / step.factor);
  keep_outputs(conv, kept);

  const std::vector<std::vector<int>> readers = consumers(network);
  std::vector<ValueId> todo{result.layers[layer].output};
  while (!todo.empty()) {
    const ValueId value = todo.back();
    todo.pop_back();
    if (std::count(network.outputs.begin(), network.outputs.end(), value) > 0)
      return refusal(step, "all its channels are an output of the network");
    for (const int index : readers[value]) {
      Layer& reader = result.layers[index];
      const bool once = reader.inputs[0] == value &&
                        std::count(reader.inputs.begin(), reader.inputs.end(), value) == 1;
      const Narrowing narrowing(kept, network.shape(value), channels);
      const Takes takes = once ? std::visit(narrowing, reader.op) : Takes::refuses;
      if (takes == Takes::refuses) {
        return refusal(step, fmt::format("layer '{}' ({}) needs all its channels", reader.name,
                                         op_name(reader.op)));
      }
      if (takes == Takes::passes) todo.push_back(reader.output);
    }
  }
  return infer_shapes(std::move(result));
}

Result<Replacement> make_propagated_bottleneck(const RewriteSite&, const Step& step) {
  return refusal(step,
                 "it changes the layers after the conv, and comes first in the rewrite of a "
                 "conv of a network");
}

// rewrites_of() offers none of them, as its question is about a conv alone and what they save is
// not the conv's alone; inspect --space, which knows the network, does.
std::vector<std::string> propagated_bottleneck_instances(const Nest&) {
  return {"bottleneck co 2 propagated", "bottleneck co 4 propagated"};
}

}  // namespace emulsion
