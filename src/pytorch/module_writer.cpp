#include "pytorch/module_writer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace emulsion {
namespace {

std::string number(float value) {
  if (std::isinf(value)) return value > 0 ? "float(\"inf\")" : "float(\"-inf\")";
  return fmt::format("{}", value);
}

template <class List>
std::string tuple(const List& values) {
  return fmt::format("({}{})", fmt::join(values, ", "), std::size(values) == 1 ? "," : "");
}

std::string two(const Extent2& values) {
  if (values[0] == values[1]) return fmt::format("{}", values[0]);
  return tuple(values);
}

// What a constructor of a conv or pool takes beyond the kernel, where it is not the default.
std::string window_arguments(const Extent2& stride, const Extent2& pad, const Extent2& dilation) {
  std::string text;
  if (stride != Extent2{1, 1}) text += ", stride=" + two(stride);
  if (pad != Extent2{0, 0}) text += ", padding=" + two(pad);
  if (dilation != Extent2{1, 1}) text += ", dilation=" + two(dilation);
  return text;
}

// F.pad's order: last dimension first, before and after.
std::string image_padding(int64_t top, int64_t left, int64_t bottom, int64_t right) {
  return fmt::format("({}, {}, {}, {})", left, right, top, bottom);
}

bool symmetric(const Pad4& pad) {
  return pad[0] == pad[2] && pad[1] == pad[3];
}

const char* binary_operator(Binary::Kind kind) {
  switch (kind) {
    case Binary::Kind::add:
      return "+";
    case Binary::Kind::sub:
      return "-";
    case Binary::Kind::mul:
      return "*";
    case Binary::Kind::div:
      return "/";
    case Binary::Kind::pow:
      return "**";
  }
  return "";
}

// How PyTorch would say a pool's output size: plainly, by ceil_mode, or not at all.
enum class PoolSize { floor, ceil, other };
PoolSize pool_size(const Pool& pool, const Shape& x) {
  bool by_floor = true, by_ceil = true;
  for (int i = 0; i < 2; ++i) {
    // PyTorch pads by at most half a kernel, and alike on both sides.
    if (pool.pad[i] != pool.pad[2 + i] || 2 * pool.pad[i] > pool.kernel[i]) return PoolSize::other;
    const int64_t covered = int64_t{pool.kernel[i] - 1} * pool.dilation[i] + 1;
    const auto outputs = [&](bool ceil_mode) {
      return window_outputs(x[2 + i], pool.pad[i], pool.pad[i], covered, pool.stride[i], ceil_mode);
    };
    by_floor = by_floor && pool.out[i] == outputs(false);
    by_ceil = by_ceil && pool.out[i] == outputs(true);
  }
  return by_floor ? PoolSize::floor : by_ceil ? PoolSize::ceil : PoolSize::other;
}

// Rows and columns that the windows reach beyond the image at its end; negative: that they do not
// reach.
Extent2 end_padding(const Pool& pool, const Shape& x) {
  Extent2 more{};
  for (int i = 0; i < 2; ++i) {
    const int64_t covered = int64_t{pool.kernel[i] - 1} * pool.dilation[i] + 1;
    const int64_t reach = int64_t{pool.out[i] - 1} * pool.stride[i] + covered;
    more[i] = static_cast<int>(reach - x[2 + i] - pool.pad[i]);
  }
  return more;
}

// "start:stop:step" of a dimension; a negative step as the positive one that is flipped afterwards.
std::string slice_text(int64_t start, int64_t step, int64_t count, int64_t extent) {
  if (step < 0) {
    start += step * (count - 1);
    step = -step;
  }
  const int64_t stop = start + step * (count - 1) + 1;
  const std::string from = start == 0 ? "" : fmt::format("{}", start);
  // To the end where only the step could go on.
  const std::string to = stop + step > extent ? "" : fmt::format("{}", stop);
  return from + ":" + to + (step == 1 ? "" : fmt::format(":{}", step));
}

bool nearest_by_whole_factor(const std::vector<int>& table, int64_t extent) {
  const auto count = static_cast<int64_t>(table.size());
  if (count % extent != 0) return false;
  for (int64_t i = 0; i < count; ++i) {
    if (table[i] != i / (count / extent)) return false;
  }
  return true;
}

}  // namespace

ModuleWriter::ModuleWriter(const Network& network) : network_(network) {}

Status ModuleWriter::run() {
  choose_variables();
  for (size_t i = 0; i < network_.layers.size(); ++i) {
    layer_ = &network_.layers[i];
    name_ = names_[i];
    const Status status = std::visit([&](const auto& op) { return write(op); }, layer_->op);
    if (!status.ok()) return status.error().in(fmt::format("layer '{}'", layer_->name));
  }
  std::vector<std::string> results;
  for (const ValueId output : network_.outputs) results.push_back(variables_[output]);
  forward.push_back(fmt::format("return {}", fmt::join(results, ", ")));
  return ok();
}

// A value that only the next layer reads is x, as in code written by hand, so that its memory is
// free again; others have the name of their layer.
void ModuleWriter::choose_variables() {
  variables_.resize(network_.values.size());
  for (const ValueId input : network_.inputs) {
    if (!variables_[input].empty()) continue;
    variables_[input] = unique_.unique(network_.values[input].name);
    parameters.push_back(variables_[input]);
  }
  const auto readers = consumers(network_);
  for (size_t i = 0; i < network_.layers.size(); ++i) {
    const Layer& layer = network_.layers[i];
    names_.push_back(unique_.unique(layer.name.empty() ? op_name(layer.op) : layer.name));
    const std::vector<int>& list = readers[layer.output];
    const bool next_only = !list.empty() && std::all_of(list.begin(), list.end(), [&](int reader) {
      return reader == static_cast<int>(i) + 1;
    });
    const bool returned = std::find(network_.outputs.begin(), network_.outputs.end(),
                                    layer.output) != network_.outputs.end();
    const bool last = i + 1 == network_.layers.size() && network_.outputs.size() == 1;
    variables_[layer.output] = (next_only && !returned) || (last && returned) ? "x" : names_[i];
  }
}

void ModuleWriter::add_module(const std::string& name, const std::string& constructor) {
  init.push_back(fmt::format("self.{} = {}", name, constructor));
}

Status ModuleWriter::add_array(const std::string& name, const char* what, const Constant& value) {
  if (value->abstract()) return error("its {} has no data; weights are needed", what);
  arrays.push_back({name, value->shape, &value->data});
  return ok();
}

void ModuleWriter::assign(const std::string& expression) {
  const std::string& variable = variables_[layer_->output];
  if (expression != variable) forward.push_back(fmt::format("{} = {}", variable, expression));
}

Status ModuleWriter::finish(const std::string& expression,
                            const std::optional<Activation>& activation) {
  if (!activation) {
    assign(expression);
    return ok();
  }
  TRY(const std::string y, activated(*activation, expression, name_ + "_act"));
  assign(y);
  return ok();
}

// name: of the module, where the activation is one.
Result<std::string> ModuleWriter::activated(const Activation& a, const std::string& x,
                                            const std::string& name) {
  const auto module = [&](const std::string& constructor) {
    add_module(name, constructor);
    return fmt::format("self.{}({})", name, x);
  };
  using Kind = Activation::Kind;
  switch (a.kind) {
    case Kind::relu:
      return module("nn.ReLU()");
    case Kind::leaky_relu:
      return module(fmt::format("nn.LeakyReLU({})", number(a.alpha)));
    case Kind::prelu: {
      // One element as [1], whatever its shape.
      if (a.slope->abstract()) return error("its slope has no data; weights are needed");
      const int64_t count = element_count(a.slope->shape);
      arrays.push_back({name + ".weight", {count}, &a.slope->data});
      return module(fmt::format("nn.PReLU({})", count));
    }
    case Kind::clip:
      if (a.alpha == 0 && a.beta == 6) return module("nn.ReLU6()");
      return fmt::format("torch.clamp({}, {}, {})", x, number(a.alpha), number(a.beta));
    case Kind::sigmoid:
      return module("nn.Sigmoid()");
    case Kind::hard_sigmoid:
      if (a.alpha == 1.0f / 6.0f && a.beta == 0.5f) return module("nn.Hardsigmoid()");
      return fmt::format("torch.clamp({} * {} + {}, 0.0, 1.0)", x, number(a.alpha), number(a.beta));
    case Kind::hard_swish:
      return module("nn.Hardswish()");
    case Kind::silu:
      return module("nn.SiLU()");
    case Kind::gelu:
      return module("nn.GELU()");
    case Kind::gelu_tanh:
      return module("nn.GELU(approximate=\"tanh\")");
    case Kind::mish:
      return module("nn.Mish()");
    case Kind::elu:
      return module(fmt::format("nn.ELU({})", number(a.alpha)));
    case Kind::softplus:
      return module("nn.Softplus()");
    case Kind::tanh:
      return module("nn.Tanh()");
    case Kind::erf:
    case Kind::exp:
    case Kind::log:
    case Kind::sqrt:
    case Kind::abs:
      return fmt::format("torch.{}({})", activation_name(a.kind), x);
    case Kind::power:
      return fmt::format("torch.pow({}, {})", x, number(a.alpha));
  }
  return error("unknown activation");
}

Result<std::string> ModuleWriter::affine(const std::string& x, const Constant& scale,
                                         const Constant& shift, const std::string& name) {
  helpers.insert("Affine");
  TRY_OK(add_array(name + ".scale", "scale", scale));
  TRY_OK(add_array(name + ".shift", "shift", shift));
  add_module(name, fmt::format("Affine({})", scale->shape[0]));
  return fmt::format("self.{}({})", name, x);
}

// ---- The ops.

Status ModuleWriter::write(const Conv& conv) {
  std::string x = input();
  if (conv.prologue.scale) {
    TRY(x, affine(x, conv.prologue.scale, conv.prologue.shift, name_ + "_scale"));
  }
  if (conv.prologue.activation) {
    TRY(x, activated(*conv.prologue.activation, x, name_ + "_pre"));
  }
  const Shape& w = conv.weight->shape;
  Extent2 pad{conv.pad[0], conv.pad[1]};
  if (!symmetric(conv.pad)) {
    x = fmt::format("F.pad({}, {})", x,
                    image_padding(conv.pad[0], conv.pad[1], conv.pad[2], conv.pad[3]));
    pad = {0, 0};
  }
  std::string arguments = fmt::format("{}, {}, {}", w[1] * conv.groups, w[0],
                                      two({static_cast<int>(w[2]), static_cast<int>(w[3])}));
  arguments += window_arguments(conv.stride, pad, conv.dilation);
  if (conv.groups != 1) arguments += fmt::format(", groups={}", conv.groups);
  if (!conv.bias) arguments += ", bias=False";
  add_module(name_, fmt::format("nn.Conv2d({})", arguments));
  TRY_OK(add_array(name_ + ".weight", "weight", conv.weight));
  if (conv.bias) TRY_OK(add_array(name_ + ".bias", "bias", conv.bias));
  std::string y = fmt::format("self.{}({})", name_, x);
  if (conv.epilogue.residual) y = fmt::format("{} + {}", y, input(1));
  return finish(y, conv.epilogue.activation);
}

Status ModuleWriter::write(const Dense& dense) {
  const Shape& w = dense.weight->shape;
  add_module(name_,
             fmt::format("nn.Linear({}, {}{})", w[1], w[0], dense.bias ? "" : ", bias=False"));
  TRY_OK(add_array(name_ + ".weight", "weight", dense.weight));
  if (dense.bias) TRY_OK(add_array(name_ + ".bias", "bias", dense.bias));
  return finish(fmt::format("self.{}({})", name_, input()), dense.activation);
}

Status ModuleWriter::write(const BatchNorm& norm) {
  const size_t rank = input_shape().size();
  const int kind = rank == 4 ? 2 : rank == 5 ? 3 : 1;
  add_module(name_, fmt::format("nn.BatchNorm{}d({}, eps={})", kind, norm.scale->shape[0],
                                number(norm.epsilon)));
  TRY_OK(add_array(name_ + ".weight", "scale", norm.scale));
  TRY_OK(add_array(name_ + ".bias", "shift", norm.shift));
  TRY_OK(add_array(name_ + ".running_mean", "mean", norm.mean));
  TRY_OK(add_array(name_ + ".running_var", "variance", norm.variance));
  assign(rank <= 5 ? fmt::format("self.{}({})", name_, input())
                   : fmt::format("self.{0}({1}.flatten(2)).reshape({1}.shape)", name_, input()));
  return ok();
}

Status ModuleWriter::write(const Affine& op) {
  TRY(const std::string y, affine(input(), op.scale, op.shift, name_));
  return finish(y, op.activation);
}

Status ModuleWriter::write(const Activation& activation) {
  TRY(const std::string y, activated(activation, input(), name_));
  assign(y);
  return ok();
}

Status ModuleWriter::write(const Normalize& normalize) {
  helpers.insert("normalize");
  assign(fmt::format("normalize({}, {}, eps={})", input(), tuple(normalize.axes),
                     number(normalize.epsilon)));
  return ok();
}

Status ModuleWriter::write(const Binary& binary) {
  std::string y = fmt::format("{} {} {}", input(0), binary_operator(binary.kind), input(1));
  if (binary.activation) y = "(" + y + ")";
  return finish(y, binary.activation);
}

// A tensor is trained like a weight; a single number (a divisor, an epsilon) is not.
Status ModuleWriter::write(const Literal& literal) {
  const Shape& shape = literal.value->shape;
  TRY_OK(add_array(name_, "value", literal.value));
  if (element_count(shape) > 1) {
    add_module(name_, fmt::format("nn.Parameter(torch.zeros({}))", tuple(shape)));
  } else {
    init.push_back(
        fmt::format("self.register_buffer(\"{}\", torch.zeros({}))", name_, tuple(shape)));
  }
  assign("self." + name_);
  return ok();
}

Status ModuleWriter::write(const Concat& concat) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < layer_->inputs.size(); ++i) parts.push_back(input(i));
  assign(fmt::format("torch.cat({}, dim={})", tuple(parts), concat.axis));
  return ok();
}

Status ModuleWriter::write(const Slice& slice) {
  std::vector<std::string> parts;
  std::vector<size_t> backwards;
  for (size_t d = 0; d < slice.shape.size(); ++d) {
    parts.push_back(slice_text(slice.starts[d], slice.steps[d], slice.shape[d], input_shape()[d]));
    if (slice.steps[d] < 0) backwards.push_back(d);
  }
  while (parts.size() > 1 && parts.back() == ":") parts.pop_back();
  std::string y = parts.empty() ? input() : fmt::format("{}[{}]", input(), fmt::join(parts, ", "));
  if (!backwards.empty()) y = fmt::format("{}.flip({})", y, tuple(backwards));
  assign(y);
  return ok();
}

// Dimension by dimension, by the indices that each output reads.
std::string ModuleWriter::padded_by_index(const Pad& pad) const {
  std::string y = input();
  for (size_t d = 0; d < pad.before.size(); ++d) {
    if (pad.before[d] == 0 && pad.after[d] == 0) continue;
    const int64_t extent = input_shape()[d];
    std::vector<int64_t> indices;
    for (int64_t at = -pad.before[d]; at < extent + pad.after[d]; ++at) {
      const int64_t mirrored = at < 0 ? -at : at < extent ? at : 2 * (extent - 1) - at;
      indices.push_back(pad.mode == Pad::Mode::edge ? std::clamp<int64_t>(at, 0, extent - 1)
                                                    : mirrored);
    }
    y = fmt::format("pick({}, {}, [{}])", y, d, fmt::join(indices, ", "));
  }
  return y;
}

Status ModuleWriter::write(const Pad& pad) {
  if (pad.mode != Pad::Mode::constant) {
    helpers.insert("pick");
    assign(padded_by_index(pad));
    return ok();
  }
  std::vector<int64_t> amounts;  // last dimension first, up to the first that is padded
  for (size_t d = pad.before.size(); d-- > 0;) {
    amounts.push_back(pad.before[d]);
    amounts.push_back(pad.after[d]);
  }
  while (!amounts.empty() && amounts.back() == 0) amounts.pop_back();
  if (amounts.size() % 2 != 0) amounts.push_back(0);
  assign(amounts.empty() ? input()
         : pad.value == 0
             ? fmt::format("F.pad({}, {})", input(), tuple(amounts))
             : fmt::format("F.pad({}, {}, value={})", input(), tuple(amounts), number(pad.value)));
  return ok();
}

std::string ModuleWriter::odd_average_pool(const Pool& pool) {
  helpers.insert("average_pool");
  // The image's own padding, which count_include_pad counts, then what the windows reach beyond.
  const Extent2 end = end_padding(pool, input_shape());
  return fmt::format("average_pool({}, {}, {}, {}, {}, {}, {})", input(), tuple(pool.kernel),
                     tuple(pool.stride), tuple(pool.dilation),
                     image_padding(pool.pad[0], pool.pad[1], pool.pad[2], pool.pad[3]),
                     image_padding(0, 0, end[0] - pool.pad[2], end[1] - pool.pad[3]),
                     pool.count_include_pad ? "True" : "False");
}

Status ModuleWriter::write(const Pool& pool) {
  const bool max = pool.kind == Pool::Kind::max;
  const PoolSize size = pool_size(pool, input_shape());
  if (size == PoolSize::other || (!max && pool.dilation != Extent2{1, 1})) {
    if (!max) {
      assign(odd_average_pool(pool));
      return ok();
    }
    const Extent2 end = end_padding(pool, input_shape());
    const std::string padded = fmt::format("F.pad({}, {}, value=float(\"-inf\"))", input(),
                                           image_padding(pool.pad[0], pool.pad[1], end[0], end[1]));
    // A pool's own default stride is its kernel.
    assign(fmt::format("F.max_pool2d({}, {}, {}, dilation={})", padded, two(pool.kernel),
                       two(pool.stride), two(pool.dilation)));
    return ok();
  }
  std::string arguments = fmt::format("{}, stride={}", two(pool.kernel), two(pool.stride));
  arguments += window_arguments({1, 1}, {pool.pad[0], pool.pad[1]}, pool.dilation);
  if (size == PoolSize::ceil) arguments += ", ceil_mode=True";
  if (!max && pool.pad != Pad4{0, 0, 0, 0} && !pool.count_include_pad) {
    arguments += ", count_include_pad=False";
  }
  add_module(name_, fmt::format("nn.{}Pool2d({})", max ? "Max" : "Avg", arguments));
  assign(fmt::format("self.{}({})", name_, input()));
  return ok();
}

Status ModuleWriter::write(const ReduceMean& mean) {
  assign(mean.axes.empty() ? input()
                           : fmt::format("{}.mean(dim={}{})", input(), tuple(mean.axes),
                                         mean.keep ? ", keepdim=True" : ""));
  return ok();
}

// The first extent is left open, so that any batch fits.
Status ModuleWriter::write(const Reshape& reshape) {
  const Shape& from = input_shape();
  Shape shape = reshape.shape;
  if (shape.size() == 2 && from.size() > 2 && shape[0] == from[0]) {
    assign(fmt::format("torch.flatten({}, 1)", input()));
    return ok();
  }
  if (!shape.empty()) shape[0] = -1;
  assign(fmt::format("{}.reshape({})", input(), tuple(shape)));
  return ok();
}

Status ModuleWriter::write(const Transpose& transpose) {
  assign(transpose.permutation.empty()
             ? input()
             : fmt::format("{}.permute({})", input(), fmt::join(transpose.permutation, ", ")));
  return ok();
}

Status ModuleWriter::write(const Softmax& softmax) {
  assign(fmt::format("torch.softmax({}, dim={})", input(), softmax.axis));
  return ok();
}

Status ModuleWriter::write(const Resize& resize) {
  const Shape& from = input_shape();
  if (nearest_by_whole_factor(resize.rows, from[2]) &&
      nearest_by_whole_factor(resize.columns, from[3])) {
    assign(fmt::format("F.interpolate({}, size=({}, {}), mode=\"nearest\")", input(),
                       resize.rows.size(), resize.columns.size()));
    return ok();
  }
  helpers.insert("pick");
  assign(fmt::format("pick(pick({}, 2, [{}]), 3, [{}])", input(), fmt::join(resize.rows, ", "),
                     fmt::join(resize.columns, ", ")));
  return ok();
}

Status ModuleWriter::write(const ConvChain&) {
  // Networks are written before they are compiled.
  return failure("a chain of convs has no module");
}

Status ModuleWriter::write(const Copy&) {
  assign(input());
  return ok();
}

}  // namespace emulsion
