#include "onnx/export_graph.h"

#include <limits>
#include <numeric>

#include "onnx/export_activation.h"
#include "onnx/graph_writer.h"
#include "onnx/nearest_index.h"

namespace emulsion {

namespace {

constexpr int k_ir_version = 8;
constexpr int k_opset = 13;

const char* binary_op(Binary::Kind kind) {
  switch (kind) {
    case Binary::Kind::add:
      return "Add";
    case Binary::Kind::sub:
      return "Sub";
    case Binary::Kind::mul:
      return "Mul";
    case Binary::Kind::div:
      return "Div";
    case Binary::Kind::pow:
      return "Pow";
  }
  return "";
}

const char* pad_mode(Pad::Mode mode) {
  switch (mode) {
    case Pad::Mode::constant:
      return "constant";
    case Pad::Mode::reflect:
      return "reflect";
    case Pad::Mode::edge:
      return "edge";
  }
  return "";
}

// How a pool's explicit output size is said in ONNX: by ceil_mode, or by more padding at the end,
// which no window counts (unless count_include_pad).
struct PoolForm {
  bool ceil_mode = false;
  Pad4 pad;
};
Result<PoolForm> pool_form(const Pool& pool, const Shape& x) {
  PoolForm form{false, pool.pad};
  bool by_floor = true, by_ceil = true;
  Pad4 more = pool.pad;
  for (int i = 0; i < 2; ++i) {
    const int64_t size = x[2 + i], stride = pool.stride[i], lead = pool.pad[i];
    const int64_t covered = int64_t{pool.kernel[i] - 1} * pool.dilation[i] + 1;
    const auto outputs = [&](bool ceil_mode) {
      return window_outputs(size, lead, pool.pad[2 + i], covered, stride, ceil_mode);
    };
    by_floor = by_floor && pool.out[i] == outputs(false);
    by_ceil = by_ceil && pool.out[i] == outputs(true);
    more[2 + i] = static_cast<int>((pool.out[i] - 1) * stride + covered - size - lead);
  }
  if (by_floor) return form;
  form.ceil_mode = by_ceil;
  if (by_ceil) return form;
  if (pool.count_include_pad || more[2] < 0 || more[3] < 0) {
    return error("a pool with {}x{} outputs of {} has no ONNX form", pool.out[0], pool.out[1],
                 to_text(x));
  }
  form.pad = more;
  return form;
}

// Writes one layer at a time.
class OpExporter {
 public:
  explicit OpExporter(GraphWriter& writer) : w_(writer) {}

  Status write_layer(const Layer& layer) {
    w_.begin(layer);
    const Status status = std::visit([&](const auto& op) -> Status { return write(op); }, layer.op);
    if (!status.ok()) return status.error().in(fmt::format("layer '{}'", layer.name));
    return ok();
  }

 private:
  // A per-channel scale and shift is a batch norm of mean 0 and variance 1: exact, and one node.
  Result<std::string> add_affine(const std::string& x, const Constant& scale, const Constant& shift,
                                 bool main) {
    TRY(const std::string scale_name, w_.constant_name("scale", scale));
    TRY(const std::string shift_name, w_.constant_name("shift", shift));
    const auto count = static_cast<size_t>(scale->shape[0]);
    const std::string mean = w_.floats("mean", scale->shape, std::vector<float>(count, 0.0f));
    const std::string variance =
        w_.floats("variance", scale->shape, std::vector<float>(count, 1.0f));
    const std::vector<std::string> inputs{x, scale_name, shift_name, mean, variance};
    auto& node =
        main ? w_.add_main("BatchNormalization", inputs) : w_.add("BatchNormalization", inputs);
    set_float(node, "epsilon", 0.0f);
    return std::string(node.output(0));
  }

  Status finish_activation(const std::optional<Activation>& a, const std::string& x) {
    if (a) {
      TRY_OK(add_activation(w_, *a, x, w_.output_shape().size()));
    }
    return w_.finish();
  }

  // ---- The ops.

  Status write(const Conv& conv) {
    std::string x = w_.input();
    if (conv.prologue.scale) {
      TRY(x, add_affine(x, conv.prologue.scale, conv.prologue.shift, false));
    }
    if (conv.prologue.activation) {
      TRY(x, add_activation(w_, *conv.prologue.activation, x, 4));
    }
    TRY(const std::string weight, w_.constant_name("weight", conv.weight));
    std::vector<std::string> inputs{x, weight};
    if (conv.bias) {
      TRY(const std::string bias, w_.constant_name("bias", conv.bias));
      inputs.push_back(bias);
    }
    auto& node = w_.add_main("Conv", inputs);
    set_ints(
        node, "kernel_shape",
        Extent2{static_cast<int>(conv.weight->shape[2]), static_cast<int>(conv.weight->shape[3])});
    set_ints(node, "strides", conv.stride);
    set_ints(node, "dilations", conv.dilation);
    set_ints(node, "pads", conv.pad);
    set_int(node, "group", conv.groups);
    std::string y = node.output(0);
    if (conv.epilogue.residual) y = w_.add("Add", {y, w_.input(1)}).output(0);
    return finish_activation(conv.epilogue.activation, y);
  }

  Status write(const Dense& dense) {
    if (dense.weight->abstract())
      return error("its weight has no data; weights are needed to export");
    if (w_.input_shape().size() == 2) {
      TRY(const std::string weight, w_.constant_name("weight", dense.weight));
      std::vector<std::string> inputs{w_.input(), weight};
      if (dense.bias) {
        TRY(const std::string bias, w_.constant_name("bias", dense.bias));
        inputs.push_back(bias);
      }
      auto& node = w_.add_main("Gemm", inputs);
      set_int(node, "transB", 1);
      return finish_activation(dense.activation, node.output(0));
    }
    const int64_t m = dense.weight->shape[0], k = dense.weight->shape[1];
    std::vector<float> transposed(dense.weight->data.size());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < k; ++j) transposed[j * m + i] = dense.weight->data[i * k + j];
    }
    const std::string weight = w_.floats("weight", {k, m}, transposed);
    std::string y = w_.add_main("MatMul", {w_.input(), weight}).output(0);
    if (dense.bias) {
      TRY(const std::string bias, w_.constant_name("bias", dense.bias));
      y = w_.add("Add", {y, bias}).output(0);
    }
    return finish_activation(dense.activation, y);
  }

  Status write(const BatchNorm& norm) {
    std::vector<std::string> inputs{w_.input()};
    const std::pair<const char*, const Constant*> parts[] = {{"scale", &norm.scale},
                                                             {"shift", &norm.shift},
                                                             {"mean", &norm.mean},
                                                             {"variance", &norm.variance}};
    for (const auto& [what, value] : parts) {
      TRY(const std::string name, w_.constant_name(what, *value));
      inputs.push_back(name);
    }
    set_float(w_.add_main("BatchNormalization", inputs), "epsilon", norm.epsilon);
    return w_.finish();
  }

  Status write(const Affine& affine) {
    TRY(const std::string y, add_affine(w_.input(), affine.scale, affine.shift, true));
    return finish_activation(affine.activation, y);
  }

  Status write(const Activation& activation) {
    TRY_OK(add_activation(w_, activation, w_.input(), w_.input_shape().size(), true));
    return w_.finish();
  }

  Status write(const Binary& binary) {
    auto& node = w_.add_main(binary_op(binary.kind), {w_.input(0), w_.input(1)});
    return finish_activation(binary.activation, node.output(0));
  }

  Status write(const Literal& literal) {
    if (literal.value->abstract()) return error("it has no data; weights are needed to export");
    w_.write_floats(w_.output(), literal.value->shape, literal.value->data);
    return ok();
  }

  Status write(const Concat& concat) {
    set_int(w_.add_main("Concat", w_.inputs()), "axis", concat.axis);
    return w_.finish();
  }

  Status write(const Slice& slice) {
    std::vector<int64_t> ends, axes(slice.shape.size());
    std::iota(axes.begin(), axes.end(), 0);
    for (size_t d = 0; d < slice.shape.size(); ++d) {
      const int64_t end = slice.starts[d] + slice.steps[d] * slice.shape[d];
      // Backwards past element 0: a plain -1 would mean the last element.
      ends.push_back(end < 0 ? std::numeric_limits<int64_t>::min() : end);
    }
    const std::string starts_name = w_.ints("starts", slice.starts),
                      ends_name = w_.ints("ends", ends);
    const std::string axes_name = w_.ints("axes", axes), steps_name = w_.ints("steps", slice.steps);
    w_.add_main("Slice", {w_.input(), starts_name, ends_name, axes_name, steps_name});
    return w_.finish();
  }

  Status write(const Pad& pad) {
    std::vector<int64_t> pads = pad.before;
    pads.insert(pads.end(), pad.after.begin(), pad.after.end());
    const std::string pads_name = w_.ints("pads", pads),
                      value = w_.floats("value", {}, {pad.value});
    set_string(w_.add_main("Pad", {w_.input(), pads_name, value}), "mode", pad_mode(pad.mode));
    return w_.finish();
  }

  Status write(const Pool& pool) {
    const bool max = pool.kind == Pool::Kind::max;
    if (!max && pool.dilation != Extent2{1, 1}) {
      return error("an average pool with dilation has no form at opset {}", k_opset);
    }
    TRY(const PoolForm form, pool_form(pool, w_.input_shape()));
    auto& node = w_.add_main(max ? "MaxPool" : "AveragePool", {w_.input()});
    set_ints(node, "kernel_shape", pool.kernel);
    set_ints(node, "strides", pool.stride);
    set_ints(node, "pads", form.pad);
    set_int(node, "ceil_mode", form.ceil_mode ? 1 : 0);
    if (max) set_ints(node, "dilations", pool.dilation);
    if (!max) set_int(node, "count_include_pad", pool.count_include_pad ? 1 : 0);
    return w_.finish();
  }

  Status write(const ReduceMean& mean) {
    // Without axes ONNX reduces all of them.
    if (mean.axes.empty()) {
      w_.add_main("Identity", {w_.input()});
      return w_.finish();
    }
    auto& node = w_.add_main("ReduceMean", {w_.input()});
    set_ints(node, "axes", mean.axes);
    set_int(node, "keepdims", mean.keep ? 1 : 0);
    return w_.finish();
  }

  // In parts: LayerNormalization, which opset 13 does not have, is over last dimensions only.
  Status write(const Normalize& o) {
    const auto mean_of = [&](const std::string& x) {
      auto& node = w_.add("ReduceMean", {x});
      set_ints(node, "axes", o.axes);
      return node.output(0);
    };
    const std::string centred = w_.add("Sub", {w_.input(), mean_of(w_.input())}).output(0);
    const std::string variance = mean_of(w_.arithmetic("Pow", centred, 2));
    const std::string sum = w_.arithmetic("Add", variance, o.epsilon);
    w_.add_main("Div", {centred, w_.add("Sqrt", {sum}).output(0)});
    return w_.finish();
  }

  Status write(const Reshape& reshape) {
    const std::string shape = w_.ints("shape", reshape.shape);
    w_.add_main("Reshape", {w_.input(), shape});
    return w_.finish();
  }

  Status write(const Transpose& transpose) {
    set_ints(w_.add_main("Transpose", {w_.input()}), "perm", transpose.permutation);
    return w_.finish();
  }

  Status write(const Softmax& softmax) {
    set_int(w_.add_main("Softmax", {w_.input()}), "axis", softmax.axis);
    return w_.finish();
  }

  // The ONNX mode that gives these tables, or, when none does, rows and columns gathered one by
  // one.
  Status write(const Resize& resize) {
    const Shape &x = w_.input_shape(), &y = w_.output_shape();
    for (const char* coordinates : {"asymmetric", "half_pixel", "align_corners"}) {
      for (const char* rounding : {"floor", "round_prefer_floor", "round_prefer_ceil", "ceil"}) {
        const NearestMode mode{coordinates, rounding};
        const auto table = [&](int d) {
          return nearest_index(mode, x[d], y[d],
                               static_cast<double>(y[d]) / static_cast<double>(x[d]));
        };
        TRY(const std::vector<int> rows, table(2));
        TRY(const std::vector<int> columns, table(3));
        if (rows != resize.rows || columns != resize.columns) continue;
        const std::string sizes = w_.ints("sizes", y);
        auto& node = w_.add_main("Resize", {w_.input(), "", "", sizes});
        set_string(node, "coordinate_transformation_mode", coordinates);
        set_string(node, "mode", "nearest");
        set_string(node, "nearest_mode", rounding);
        return w_.finish();
      }
    }
    const std::string rows = w_.ints("rows", {resize.rows.begin(), resize.rows.end()});
    const std::string columns = w_.ints("columns", {resize.columns.begin(), resize.columns.end()});
    auto& by_rows = w_.add("Gather", {w_.input(), rows});
    set_int(by_rows, "axis", 2);
    set_int(w_.add_main("Gather", {by_rows.output(0), columns}), "axis", 3);
    return w_.finish();
  }

  // Networks are written before they are compiled.
  Status write(const ConvChain&) { return failure("a chain of convs has no ONNX operator"); }

  Status write(const Copy&) {
    w_.add_main("Identity", {w_.input()});
    return w_.finish();
  }

  GraphWriter& w_;
};

}  // namespace

Result<onnx::ModelProto> export_model(const Network& network) {
  onnx::ModelProto model;
  model.set_ir_version(k_ir_version);
  model.set_producer_name("emulsion");
  auto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(k_opset);
  model.mutable_graph()->set_name(network.name.empty() ? "network" : network.name);
  GraphWriter writer(network, *model.mutable_graph());
  OpExporter exporter(writer);
  writer.declare_inputs();
  for (const Layer& layer : network.layers) TRY_OK(exporter.write_layer(layer));
  writer.declare_outputs();
  return model;
}

}  // namespace emulsion
