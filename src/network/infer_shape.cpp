// Shapes of outputs, one function an op; each names the first thing that does not fit.
#include <algorithm>
#include <set>

#include "network/op.h"

namespace emulsion {
namespace {

using Shapes = std::vector<Shape>;

Status check_rank(const Shape& x, size_t rank) {
  if (x.size() == rank) return ok();
  return error("the input {} must have rank {}", to_text(x), rank);
}

Status check_axis(int axis, const Shape& x) {
  if (axis >= 0 && axis < static_cast<int>(x.size())) return ok();
  return error("axis {} is not one of the input {}", axis, to_text(x));
}

Status check_constant(const char* what, const Constant& c, const Shape& expected) {
  if (!c) return error("{} is missing", what);
  if (c->shape == expected) return ok();
  return error("{} has shape {} where {} is needed", what, to_text(c->shape), to_text(expected));
}

Status check_optional(const char* what, const Constant& c, const Shape& expected) {
  return c ? check_constant(what, c, expected) : ok();
}

// shape: of the tensor that the activation works on.
Status check_activation(const Activation& a, const Shape& shape) {
  if (a.kind != Activation::Kind::prelu) return ok();
  if (!a.slope) return error("prelu's slope is missing");
  const bool per_channel = shape.size() >= 2 && a.slope->shape == Shape{shape[1]};
  if (element_count(a.slope->shape) == 1 || per_channel) return ok();
  return error("prelu's slope has shape {}, neither one element nor one for each channel of {}",
               to_text(a.slope->shape), to_text(shape));
}

Status check_activation(const std::optional<Activation>& a, const Shape& shape) {
  return a ? check_activation(*a, shape) : ok();
}

Status check_window(const Extent2& stride, const Extent2& dilation, const Pad4& pad) {
  if (stride[0] < 1 || stride[1] < 1)
    return error("stride {}x{} must be positive", stride[0], stride[1]);
  if (dilation[0] < 1 || dilation[1] < 1) {
    return error("dilation {}x{} must be positive", dilation[0], dilation[1]);
  }
  if (*std::min_element(pad.begin(), pad.end()) < 0) {
    return error("pad {} must not be negative; crop with a layer of its own", fmt::join(pad, ","));
  }
  return ok();
}

Result<Shape> infer(const Conv& conv, const Shapes& inputs) {
  const Shape& x = inputs[0];
  TRY_OK(check_rank(x, 4));
  if (!conv.weight) return error("weight is missing");
  const Shape& w = conv.weight->shape;
  if (w.size() != 4 || element_count(w) == 0) {
    return error("weight has shape {} where four extents of 1 or more are needed", to_text(w));
  }
  TRY_OK(check_window(conv.stride, conv.dilation, conv.pad));
  if (conv.groups < 1 || x[1] % conv.groups != 0 || w[0] % conv.groups != 0) {
    return error("{} groups divide not both {} input and {} output channels", conv.groups, x[1],
                 w[0]);
  }
  if (w[1] * conv.groups != x[1]) {
    return error("weight {} with {} groups is for {} input channels, the input {} has {}",
                 to_text(w), conv.groups, w[1] * conv.groups, to_text(x), x[1]);
  }
  Shape y{x[0], w[0], 0, 0};
  for (int i = 0; i < 2; ++i) {
    const int64_t covered = (w[2 + i] - 1) * conv.dilation[i] + 1;
    const int64_t room = x[2 + i] + conv.pad[i] + conv.pad[2 + i] - covered;
    if (room < 0) {
      return error("the padded {} ({}) are fewer than the {} that the kernel covers",
                   i == 0 ? "rows" : "columns", room + covered, covered);
    }
    y[2 + i] = room / conv.stride[i] + 1;
  }
  TRY_OK(check_optional("bias", conv.bias, {w[0]}));
  TRY_OK(check_optional("the prologue's scale", conv.prologue.scale, {x[1]}));
  TRY_OK(check_optional("the prologue's shift", conv.prologue.shift, {x[1]}));
  if (!conv.prologue.scale != !conv.prologue.shift) {
    return error("the prologue's scale and shift come together");
  }
  TRY_OK(check_activation(conv.prologue.activation, x));
  TRY_OK(check_activation(conv.epilogue.activation, y));
  if (conv.epilogue.residual && inputs[1] != y) {
    return error("the residual {} must have the output's shape {}", to_text(inputs[1]), to_text(y));
  }
  return y;
}

Result<Shape> infer(const Dense& dense, const Shapes& inputs) {
  if (!dense.weight) return error("weight is missing");
  const Shape& w = dense.weight->shape;
  if (w.size() != 2) return error("weight has shape {} where rank 2 is needed", to_text(w));
  if (inputs[0].empty() || inputs[0].back() != w[1]) {
    return error("weight {} is for rows of {}, the input is {}", to_text(w), w[1],
                 to_text(inputs[0]));
  }
  TRY_OK(check_optional("bias", dense.bias, {w[0]}));
  Shape y = inputs[0];
  y.back() = w[0];
  TRY_OK(check_activation(dense.activation, y));
  return y;
}

Status check_per_channel(const Shape& x,
                         std::initializer_list<std::pair<const char*, const Constant*>> list) {
  if (x.size() < 2) return error("the input {} has no channels", to_text(x));
  for (const auto& [what, c] : list) TRY_OK(check_constant(what, *c, {x[1]}));
  return ok();
}

Result<Shape> infer(const BatchNorm& o, const Shapes& inputs) {
  TRY_OK(check_per_channel(
      inputs[0],
      {{"scale", &o.scale}, {"shift", &o.shift}, {"mean", &o.mean}, {"variance", &o.variance}}));
  return inputs[0];
}

Result<Shape> infer(const Affine& o, const Shapes& inputs) {
  TRY_OK(check_per_channel(inputs[0], {{"scale", &o.scale}, {"shift", &o.shift}}));
  TRY_OK(check_activation(o.activation, inputs[0]));
  return inputs[0];
}

Result<Shape> infer(const Activation& o, const Shapes& inputs) {
  TRY_OK(check_activation(o, inputs[0]));
  return inputs[0];
}

Status check_axes(const std::vector<int>& axes, const Shape& x) {
  if (!std::is_sorted(axes.begin(), axes.end(), std::less_equal<>())) {
    return error("axes must be ascending and distinct");
  }
  for (const int axis : axes) TRY_OK(check_axis(axis, x));
  return ok();
}

Result<Shape> infer(const Normalize& o, const Shapes& inputs) {
  if (o.axes.empty()) return error("there are no axes to normalise over");
  TRY_OK(check_axes(o.axes, inputs[0]));
  if (!(o.epsilon >= 0)) return error("epsilon is {}; it must not be negative", o.epsilon);
  return inputs[0];
}

Result<Shape> infer(const Binary& o, const Shapes& inputs) {
  const size_t rank = std::max(inputs[0].size(), inputs[1].size());
  Shape y(rank, 1);
  for (const Shape& x : inputs) {
    for (size_t i = 0; i < x.size(); ++i) {
      int64_t& extent = y[rank - x.size() + i];
      if (extent != 1 && x[i] != 1 && extent != x[i]) {
        return error("{} and {} do not broadcast", to_text(inputs[0]), to_text(inputs[1]));
      }
      extent = std::max(extent, x[i]);
    }
  }
  TRY_OK(check_activation(o.activation, y));
  return y;
}

Result<Shape> infer(const Literal& o, const Shapes&) {
  if (!o.value) return error("value is missing");
  return o.value->shape;
}

Result<Shape> infer(const Concat& o, const Shapes& inputs) {
  TRY_OK(check_axis(o.axis, inputs[0]));
  Shape y = inputs[0];
  for (size_t k = 1; k < inputs.size(); ++k) {
    const Shape& x = inputs[k];
    bool fits = x.size() == y.size();
    for (size_t i = 0; fits && i < x.size(); ++i)
      fits = static_cast<int>(i) == o.axis || x[i] == y[i];
    if (!fits) {
      return error("{} and {} differ outside axis {}", to_text(inputs[0]), to_text(x), o.axis);
    }
    y[o.axis] += x[o.axis];
  }
  return y;
}

Result<Shape> infer(const Slice& o, const Shapes& inputs) {
  const Shape& x = inputs[0];
  if (o.starts.size() != x.size() || o.steps.size() != x.size() || o.shape.size() != x.size()) {
    return error("starts, steps and shape need one entry for each dimension of {}", to_text(x));
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t first = o.starts[i], last = first + (o.shape[i] - 1) * o.steps[i];
    if (o.steps[i] == 0) return error("the step of dimension {} is 0", i);
    if (o.shape[i] < 1 || std::min(first, last) < 0 || std::max(first, last) >= x[i]) {
      return error("elements {} to {} of dimension {} are not all in {}", first, last, i,
                   to_text(x));
    }
  }
  return o.shape;
}

Result<Shape> infer(const Pad& o, const Shapes& inputs) {
  const Shape& x = inputs[0];
  if (o.before.size() != x.size() || o.after.size() != x.size()) {
    return error("before and after need one entry for each dimension of {}", to_text(x));
  }
  Shape y = x;
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] += o.before[i] + o.after[i];
    if (y[i] < 1) return error("dimension {} of {} is cropped to nothing", i, to_text(x));
    if (o.mode == Pad::Mode::reflect && std::max(o.before[i], o.after[i]) >= x[i]) {
      return error("dimension {} of {} is too short to be reflected by {}", i, to_text(x),
                   std::max(o.before[i], o.after[i]));
    }
  }
  return y;
}

// Whether every window has a tap to pool: one inside the image, or with padded inside its padding
// too.
Status check_windows(const Pool& o, const Shape& x) {
  for (int i = 0; i < 2; ++i) {
    const int64_t size = x[2 + i], lead = o.pad[i];
    const bool padded = o.kind == Pool::Kind::average && o.count_include_pad;
    const int64_t low = padded ? -lead : 0, high = padded ? size + o.pad[2 + i] : size;
    for (int64_t y = 0; y < o.out[i]; ++y) {
      bool any = false;
      for (int64_t k = 0; k < o.kernel[i] && !any; ++k) {
        const int64_t at = y * o.stride[i] - lead + k * o.dilation[i];
        any = at >= low && at < high;
      }
      if (!any) {
        return error("the window of output {} {} has no tap inside the image",
                     i == 0 ? "row" : "column", y);
      }
    }
  }
  return ok();
}

Result<Shape> infer(const Pool& o, const Shapes& inputs) {
  const Shape& x = inputs[0];
  TRY_OK(check_rank(x, 4));
  TRY_OK(check_window(o.stride, o.dilation, o.pad));
  if (o.kernel[0] < 1 || o.kernel[1] < 1) {
    return error("kernel {}x{} must be positive", o.kernel[0], o.kernel[1]);
  }
  TRY_OK(check_windows(o, x));
  return Shape{x[0], x[1], o.out[0], o.out[1]};
}

Result<Shape> infer(const ReduceMean& o, const Shapes& inputs) {
  TRY_OK(check_axes(o.axes, inputs[0]));
  Shape y = inputs[0];
  for (size_t k = o.axes.size(); k-- > 0;) {
    if (o.keep) {
      y[o.axes[k]] = 1;
    } else {
      y.erase(y.begin() + o.axes[k]);
    }
  }
  return y;
}

Result<Shape> infer(const Reshape& o, const Shapes& inputs) {
  if (element_count(o.shape) == element_count(inputs[0])) return o.shape;
  return error("{} has not as many elements as {}", to_text(inputs[0]), to_text(o.shape));
}

Result<Shape> infer(const Transpose& o, const Shapes& inputs) {
  const Shape& x = inputs[0];
  const std::set<int> distinct(o.permutation.begin(), o.permutation.end());
  if (o.permutation.size() != x.size() || distinct.size() != x.size() ||
      (!x.empty() &&
       (*distinct.begin() != 0 || *distinct.rbegin() != static_cast<int>(x.size()) - 1))) {
    return error("{} is not a permutation of the dimensions of {}", fmt::join(o.permutation, ","),
                 to_text(x));
  }
  Shape y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[o.permutation[i]];
  return y;
}

Result<Shape> infer(const Softmax& o, const Shapes& inputs) {
  TRY_OK(check_axis(o.axis, inputs[0]));
  return inputs[0];
}

Result<Shape> infer(const Resize& o, const Shapes& inputs) {
  const Shape& x = inputs[0];
  TRY_OK(check_rank(x, 4));
  for (const auto& [table, extent] : {std::pair{&o.rows, x[2]}, std::pair{&o.columns, x[3]}}) {
    for (const int at : *table) {
      if (at < 0 || at >= extent)
        return error("index {} is not inside the input {}", at, to_text(x));
    }
  }
  return Shape{x[0], x[1], static_cast<int64_t>(o.rows.size()),
               static_cast<int64_t>(o.columns.size())};
}

Result<Shape> infer(const ConvChain& chain, const Shapes& inputs) {
  if (chain.convs.size() < 2) return error("it has {} convs, not two or more", chain.convs.size());
  const Shape& x = inputs[0];
  TRY_OK(check_rank(x, 4));
  if (x[2] != chain.image[0] || x[3] != chain.image[1])
    return error("it is for images of {}x{}, the input is {}", chain.image[0], chain.image[1],
                 to_text(x));
  for (size_t i = 0; i + 1 < chain.convs.size(); ++i)
    if (chain.convs[i].epilogue.residual) return error("conv {} of it has a residual", i);
  Shapes of_conv = inputs;
  for (const Conv& conv : chain.convs) {
    TRY(of_conv[0], infer(conv, of_conv));
  }
  return of_conv[0];
}

Result<Shape> infer(const Copy&, const Shapes& inputs) {
  return inputs[0];
}

// How many inputs an op takes: at least first, at most second.
std::pair<size_t, size_t> input_count(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) {
    const size_t count = conv->epilogue.residual ? 2 : 1;
    return {count, count};
  }
  if (const auto* chain = std::get_if<ConvChain>(&op)) {
    const size_t count = !chain->convs.empty() && chain->convs.back().epilogue.residual ? 2 : 1;
    return {count, count};
  }
  if (std::holds_alternative<Binary>(op)) return {2, 2};
  if (std::holds_alternative<Literal>(op)) return {0, 0};
  if (std::holds_alternative<Concat>(op)) return {1, 1'000'000};
  return {1, 1};
}

}  // namespace

Result<Shape> infer_shape(const Op& op, const std::vector<Shape>& inputs) {
  const auto [fewest, most] = input_count(op);
  if (inputs.size() < fewest || inputs.size() > most) {
    return error("{}: it has {} inputs where {} are needed", op_name(op), inputs.size(), fewest);
  }
  for (const Shape& x : inputs) {
    if (element_count(x) < 1)
      return error("{}: the input {} has no elements", op_name(op), to_text(x));
  }
  Result<Shape> shape = std::visit([&](const auto& o) { return infer(o, inputs); }, op);
  if (!shape.ok()) return shape.error().in(op_name(op));
  if (std::any_of(shape->begin(), shape->end(), [](int64_t extent) { return extent < 1; })) {
    return error("{}: the output {} has no elements", op_name(op), to_text(*shape));
  }
  return shape;
}

Result<std::vector<Shape>> chain_shapes(const ConvChain& chain, const Shape& input) {
  std::vector<Shape> shapes;
  for (Conv conv : chain.convs) {
    conv.epilogue.residual = false;
    TRY(shapes.emplace_back(), infer_shape(conv, {shapes.empty() ? input : shapes.back()}));
  }
  return shapes;
}

}  // namespace emulsion
