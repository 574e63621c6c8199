#include "onnx/export_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>
#include <set>

#include "onnx/nearest_index.h"

namespace emulsion {

namespace {

constexpr int k_ir_version = 8;
constexpr int k_opset = 13;

void set_int(onnx::NodeProto& node, const char* key, int64_t value) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::INT);
  a->set_i(value);
}

void set_float(onnx::NodeProto& node, const char* key, float value) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::FLOAT);
  a->set_f(value);
}

void set_string(onnx::NodeProto& node, const char* key, const std::string& value) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::STRING);
  a->set_s(value);
}

template <class List>
void set_ints(onnx::NodeProto& node, const char* key, const List& values) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::INTS);
  for (const auto value : values) a->add_ints(value);
}

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
    const int64_t room = size + lead + pool.pad[2 + i] - covered;
    by_floor = by_floor && room >= 0 && pool.out[i] == room / stride + 1;
    int64_t up = (room + stride - 1) / stride + 1;
    if ((up - 1) * stride >= size + lead) --up;
    by_ceil = by_ceil && room >= 0 && pool.out[i] == up;
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

class GraphExporter {
 public:
  GraphExporter(const Network& network, onnx::GraphProto& graph)
      : network_(network), graph_(graph) {}

  Status run() {
    graph_.set_name(network_.name.empty() ? "network" : network_.name);
    for (const Value& value : network_.values) {
      names_.push_back(fresh(value.name.empty() ? "value" : value.name));
    }
    name_outputs();
    for (const ValueId id : network_.inputs) declare(*graph_.add_input(), id, names_[id]);
    for (const Layer& layer : network_.layers) {
      layer_ = &layer;
      const Status status =
          std::visit([&](const auto& op) -> Status { return write(op); }, layer.op);
      if (!status.ok()) return status.error().in(fmt::format("layer '{}'", layer.name));
    }
    declare_outputs();
    return ok();
  }

 private:
  std::string fresh(const std::string& hint) {
    std::string name = hint;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
    return name;
  }

  void declare(onnx::ValueInfoProto& info, ValueId id, const std::string& name) {
    info.set_name(name);
    auto* type = info.mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape();
    for (const int64_t extent : network_.shape(id)) {
      type->mutable_shape()->add_dim()->set_dim_value(extent);
    }
  }

  // An output that is an input, a constant or another output goes through an Identity of its own. A
  // constant gives up its name for it, so that the output keeps the name that callers know.
  void name_outputs() {
    std::set<ValueId> direct, literals;
    for (const Layer& layer : network_.layers) {
      (std::holds_alternative<Literal>(layer.op) ? literals : direct).insert(layer.output);
    }
    for (const ValueId id : network_.outputs) {
      std::string name = names_[id];
      if (literals.erase(id) > 0) {
        names_[id] = fresh(name + "_value");
      } else if (direct.erase(id) == 0) {
        name = fresh(name + "_out");
      }
      output_names_.push_back(name);
    }
  }

  void declare_outputs() {
    for (size_t i = 0; i < network_.outputs.size(); ++i) {
      const ValueId id = network_.outputs[i];
      const std::string& name = output_names_[i];
      if (name != names_[id]) {
        auto* node = graph_.add_node();
        node->set_op_type("Identity");
        node->set_name(fresh_node(name));
        node->add_input(names_[id]);
        node->add_output(name);
      }
      declare(*graph_.add_output(), id, name);
    }
  }

  // ---- Pieces that the ops are written with.

  std::string fresh_node(const std::string& hint) {
    std::string name = hint.empty() ? "layer" : hint;
    for (int i = 1; !node_names_.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
    return name;
  }

  onnx::NodeProto& add(const char* op, const std::vector<std::string>& inputs) {
    auto* node = graph_.add_node();
    node->set_op_type(op);
    for (const std::string& input : inputs) node->add_input(input);
    node->set_name(fresh_node(layer_->name + "/" + op));
    node->add_output(fresh(names_[layer_->output] + "/" + op));
    return *node;
  }

  // The node that carries the layer's name.
  onnx::NodeProto& add_main(const char* op, const std::vector<std::string>& inputs) {
    onnx::NodeProto& node = add(op, inputs);
    node_names_.erase(node.name());
    node.set_name(fresh_node(layer_->name));
    return node;
  }

  // The last node's output is the layer's.
  Status finish() {
    auto* node = graph_.mutable_node(graph_.node_size() - 1);
    taken_.erase(node->output(0));
    node->set_output(0, names_[layer_->output]);
    return ok();
  }

  const std::string& input(size_t i = 0) const { return names_[layer_->inputs[i]]; }
  const Shape& input_shape(size_t i = 0) const { return network_.shape(layer_->inputs[i]); }
  const Shape& output_shape() const { return network_.shape(layer_->output); }

  Result<std::string> constant_name(const char* what, const Constant& value, Shape shape) {
    if (value->abstract()) return error("its {} has no data; weights are needed to export", what);
    const auto key = std::pair(value.get(), shape);
    if (const auto at = written_.find(key); at != written_.end()) return at->second;
    const std::string name = fresh(fmt::format("{}.{}", layer_->name, what));
    write_floats(name, shape, value->data);
    written_[key] = name;
    return name;
  }

  Result<std::string> constant_name(const char* what, const Constant& value) {
    return constant_name(what, value, value->shape);
  }

  std::string floats(const char* what, const Shape& shape, const std::vector<float>& values) {
    const std::string name = fresh(fmt::format("{}.{}", layer_->name, what));
    write_floats(name, shape, values);
    return name;
  }

  void write_floats(const std::string& name, const Shape& shape, const std::vector<float>& values) {
    auto* tensor = graph_.add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t extent : shape) tensor->add_dims(extent);
    tensor->set_raw_data(values.data(), values.size() * sizeof(float));
  }

  std::string ints(const char* what, const std::vector<int64_t>& values) {
    const std::string name = fresh(fmt::format("{}.{}", layer_->name, what));
    auto* tensor = graph_.add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(onnx::TensorProto::INT64);
    tensor->add_dims(static_cast<int64_t>(values.size()));
    tensor->set_raw_data(values.data(), values.size() * sizeof(int64_t));
    return name;
  }

  // A per-channel scale and shift is a batch norm of mean 0 and variance 1: exact, and one node.
  Result<std::string> add_affine(const std::string& x, const Constant& scale, const Constant& shift,
                                 bool main) {
    TRY(const std::string scale_name, constant_name("scale", scale));
    TRY(const std::string shift_name, constant_name("shift", shift));
    const auto count = static_cast<size_t>(scale->shape[0]);
    const std::string mean = floats("mean", scale->shape, std::vector<float>(count, 0.0f));
    const std::string variance = floats("variance", scale->shape, std::vector<float>(count, 1.0f));
    const std::vector<std::string> inputs{x, scale_name, shift_name, mean, variance};
    auto& node = main ? add_main("BatchNormalization", inputs) : add("BatchNormalization", inputs);
    set_float(node, "epsilon", 0.0f);
    return std::string(node.output(0));
  }

  Result<std::string> add_activation(const Activation& a, const std::string& x, size_t rank,
                                     bool main = false) {
    const auto put = [&](const char* op, const std::vector<std::string>& inputs) -> auto& {
      return main ? add_main(op, inputs) : add(op, inputs);
    };
    using Kind = Activation::Kind;
    switch (a.kind) {
      case Kind::relu:
        return std::string(put("Relu", {x}).output(0));
      case Kind::sigmoid:
        return std::string(put("Sigmoid", {x}).output(0));
      case Kind::leaky_relu: {
        auto& node = put("LeakyRelu", {x});
        set_float(node, "alpha", a.alpha);
        return std::string(node.output(0));
      }
      case Kind::prelu: {
        // One element broadcasts to any rank as a scalar; [C] aligns with dimension 1.
        Shape shape;
        if (element_count(a.slope->shape) > 1) {
          shape = a.slope->shape;
          shape.resize(rank - 1, 1);
        }
        TRY(const std::string slope, constant_name("slope", a.slope, shape));
        return std::string(put("PRelu", {x, slope}).output(0));
      }
      case Kind::clip: {
        const std::string least = floats("min", {}, {a.alpha}), most = floats("max", {}, {a.beta});
        return std::string(put("Clip", {x, least, most}).output(0));
      }
      case Kind::hard_sigmoid: {
        auto& node = put("HardSigmoid", {x});
        set_float(node, "alpha", a.alpha);
        set_float(node, "beta", a.beta);
        return std::string(node.output(0));
      }
      case Kind::hard_swish: {
        auto& gate = add("HardSigmoid", {x});
        set_float(gate, "alpha", 1.0f / 6.0f);
        set_float(gate, "beta", 0.5f);
        return std::string(put("Mul", {x, gate.output(0)}).output(0));
      }
      case Kind::silu: {
        auto& gate = add("Sigmoid", {x});
        return std::string(put("Mul", {x, gate.output(0)}).output(0));
      }
      case Kind::mish: {
        const std::string inner = add("Softplus", {x}).output(0);
        return std::string(put("Mul", {x, add("Tanh", {inner}).output(0)}).output(0));
      }
      case Kind::gelu: {
        const std::string scaled = arithmetic("Div", x, std::numbers::sqrt2_v<float>);
        const std::string gate = arithmetic("Add", add("Erf", {scaled}).output(0), 1);
        const std::string half = floats("half", {}, {0.5f});
        return std::string(put("Mul", {add("Mul", {x, gate}).output(0), half}).output(0));
      }
      case Kind::gelu_tanh: {
        const std::string cube = arithmetic("Mul", arithmetic("Pow", x, 3), 0.044715f);
        const std::string scaled = arithmetic("Mul", add("Add", {x, cube}).output(0),
                                              std::sqrt(2 * std::numbers::inv_pi_v<float>));
        const std::string gate = arithmetic("Add", add("Tanh", {scaled}).output(0), 1);
        const std::string half = floats("half", {}, {0.5f});
        return std::string(put("Mul", {add("Mul", {x, gate}).output(0), half}).output(0));
      }
      case Kind::elu: {
        auto& node = put("Elu", {x});
        set_float(node, "alpha", a.alpha);
        return std::string(node.output(0));
      }
      case Kind::softplus:
        return std::string(put("Softplus", {x}).output(0));
      case Kind::tanh:
        return std::string(put("Tanh", {x}).output(0));
      case Kind::erf:
        return std::string(put("Erf", {x}).output(0));
      case Kind::exp:
        return std::string(put("Exp", {x}).output(0));
      case Kind::log:
        return std::string(put("Log", {x}).output(0));
      case Kind::sqrt:
        return std::string(put("Sqrt", {x}).output(0));
      case Kind::abs:
        return std::string(put("Abs", {x}).output(0));
      case Kind::power:
        return std::string(put("Pow", {x, floats("exponent", {}, {a.alpha})}).output(0));
    }
    return error("unknown activation");
  }

  // x (op) a number.
  std::string arithmetic(const char* op, const std::string& x, float number) {
    const std::string name = floats("number", {}, {number});
    return add(op, {x, name}).output(0);
  }

  Status finish_activation(const std::optional<Activation>& a, const std::string& x) {
    if (a) {
      TRY_OK(add_activation(*a, x, output_shape().size()));
    }
    return finish();
  }

  // ---- The ops.

  Status write(const Conv& conv) {
    std::string x = input();
    if (conv.prologue.scale) {
      TRY(x, add_affine(x, conv.prologue.scale, conv.prologue.shift, false));
    }
    if (conv.prologue.activation) {
      TRY(x, add_activation(*conv.prologue.activation, x, 4));
    }
    TRY(const std::string weight, constant_name("weight", conv.weight));
    std::vector<std::string> inputs{x, weight};
    if (conv.bias) {
      TRY(const std::string bias, constant_name("bias", conv.bias));
      inputs.push_back(bias);
    }
    auto& node = add_main("Conv", inputs);
    set_ints(
        node, "kernel_shape",
        Extent2{static_cast<int>(conv.weight->shape[2]), static_cast<int>(conv.weight->shape[3])});
    set_ints(node, "strides", conv.stride);
    set_ints(node, "dilations", conv.dilation);
    set_ints(node, "pads", conv.pad);
    set_int(node, "group", conv.groups);
    std::string y = node.output(0);
    if (conv.epilogue.residual) y = add("Add", {y, input(1)}).output(0);
    return finish_activation(conv.epilogue.activation, y);
  }

  Status write(const Dense& dense) {
    if (dense.weight->abstract())
      return error("its weight has no data; weights are needed to export");
    if (input_shape().size() == 2) {
      TRY(const std::string weight, constant_name("weight", dense.weight));
      std::vector<std::string> inputs{input(), weight};
      if (dense.bias) {
        TRY(const std::string bias, constant_name("bias", dense.bias));
        inputs.push_back(bias);
      }
      auto& node = add_main("Gemm", inputs);
      set_int(node, "transB", 1);
      return finish_activation(dense.activation, node.output(0));
    }
    const int64_t m = dense.weight->shape[0], k = dense.weight->shape[1];
    std::vector<float> transposed(dense.weight->data.size());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < k; ++j) transposed[j * m + i] = dense.weight->data[i * k + j];
    }
    const std::string weight = floats("weight", {k, m}, transposed);
    std::string y = add_main("MatMul", {input(), weight}).output(0);
    if (dense.bias) {
      TRY(const std::string bias, constant_name("bias", dense.bias));
      y = add("Add", {y, bias}).output(0);
    }
    return finish_activation(dense.activation, y);
  }

  Status write(const BatchNorm& norm) {
    std::vector<std::string> inputs{input()};
    const std::pair<const char*, const Constant*> parts[] = {{"scale", &norm.scale},
                                                             {"shift", &norm.shift},
                                                             {"mean", &norm.mean},
                                                             {"variance", &norm.variance}};
    for (const auto& [what, value] : parts) {
      TRY(const std::string name, constant_name(what, *value));
      inputs.push_back(name);
    }
    set_float(add_main("BatchNormalization", inputs), "epsilon", norm.epsilon);
    return finish();
  }

  Status write(const Affine& affine) {
    TRY(const std::string y, add_affine(input(), affine.scale, affine.shift, true));
    return finish_activation(affine.activation, y);
  }

  Status write(const Activation& activation) {
    TRY_OK(add_activation(activation, input(), input_shape().size(), true));
    return finish();
  }

  Status write(const Binary& binary) {
    auto& node = add_main(binary_op(binary.kind), {input(0), input(1)});
    return finish_activation(binary.activation, node.output(0));
  }

  Status write(const Literal& literal) {
    if (literal.value->abstract()) return error("it has no data; weights are needed to export");
    write_floats(names_[layer_->output], literal.value->shape, literal.value->data);
    return ok();
  }

  Status write(const Concat& concat) {
    std::vector<std::string> inputs;
    for (size_t i = 0; i < layer_->inputs.size(); ++i) inputs.push_back(input(i));
    set_int(add_main("Concat", inputs), "axis", concat.axis);
    return finish();
  }

  Status write(const Slice& slice) {
    std::vector<int64_t> ends, axes(slice.shape.size());
    std::iota(axes.begin(), axes.end(), 0);
    for (size_t d = 0; d < slice.shape.size(); ++d) {
      const int64_t end = slice.starts[d] + slice.steps[d] * slice.shape[d];
      // Backwards past element 0: a plain -1 would mean the last element.
      ends.push_back(end < 0 ? std::numeric_limits<int64_t>::min() : end);
    }
    const std::string starts_name = ints("starts", slice.starts), ends_name = ints("ends", ends);
    const std::string axes_name = ints("axes", axes), steps_name = ints("steps", slice.steps);
    add_main("Slice", {input(), starts_name, ends_name, axes_name, steps_name});
    return finish();
  }

  Status write(const Pad& pad) {
    std::vector<int64_t> pads = pad.before;
    pads.insert(pads.end(), pad.after.begin(), pad.after.end());
    const std::string pads_name = ints("pads", pads), value = floats("value", {}, {pad.value});
    set_string(add_main("Pad", {input(), pads_name, value}), "mode", pad_mode(pad.mode));
    return finish();
  }

  Status write(const Pool& pool) {
    const bool max = pool.kind == Pool::Kind::max;
    if (!max && pool.dilation != Extent2{1, 1}) {
      return error("an average pool with dilation has no form at opset {}", k_opset);
    }
    TRY(const PoolForm form, pool_form(pool, input_shape()));
    auto& node = add_main(max ? "MaxPool" : "AveragePool", {input()});
    set_ints(node, "kernel_shape", pool.kernel);
    set_ints(node, "strides", pool.stride);
    set_ints(node, "pads", form.pad);
    set_int(node, "ceil_mode", form.ceil_mode ? 1 : 0);
    if (max) set_ints(node, "dilations", pool.dilation);
    if (!max) set_int(node, "count_include_pad", pool.count_include_pad ? 1 : 0);
    return finish();
  }

  Status write(const ReduceMean& mean) {
    // Without axes ONNX reduces all of them.
    if (mean.axes.empty()) {
      add_main("Identity", {input()});
      return finish();
    }
    auto& node = add_main("ReduceMean", {input()});
    set_ints(node, "axes", mean.axes);
    set_int(node, "keepdims", mean.keep ? 1 : 0);
    return finish();
  }

  // In parts: LayerNormalization, which opset 13 does not have, is over last dimensions only.
  Status write(const Normalize& o) {
    const auto mean_of = [&](const std::string& x) {
      auto& node = add("ReduceMean", {x});
      set_ints(node, "axes", o.axes);
      return node.output(0);
    };
    const std::string centred = add("Sub", {input(), mean_of(input())}).output(0);
    const std::string variance = mean_of(arithmetic("Pow", centred, 2));
    const std::string sum = arithmetic("Add", variance, o.epsilon);
    add_main("Div", {centred, add("Sqrt", {sum}).output(0)});
    return finish();
  }

  Status write(const Reshape& reshape) {
    const std::string shape = ints("shape", reshape.shape);
    add_main("Reshape", {input(), shape});
    return finish();
  }

  Status write(const Transpose& transpose) {
    set_ints(add_main("Transpose", {input()}), "perm", transpose.permutation);
    return finish();
  }

  Status write(const Softmax& softmax) {
    set_int(add_main("Softmax", {input()}), "axis", softmax.axis);
    return finish();
  }

  // The ONNX mode that gives these tables, or, when none does, rows and columns gathered one by
  // one.
  Status write(const Resize& resize) {
    const Shape &x = input_shape(), &y = output_shape();
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
        const std::string sizes = ints("sizes", y);
        auto& node = add_main("Resize", {input(), "", "", sizes});
        set_string(node, "coordinate_transformation_mode", coordinates);
        set_string(node, "mode", "nearest");
        set_string(node, "nearest_mode", rounding);
        return finish();
      }
    }
    const std::string rows = ints("rows", {resize.rows.begin(), resize.rows.end()});
    const std::string columns = ints("columns", {resize.columns.begin(), resize.columns.end()});
    auto& by_rows = add("Gather", {input(), rows});
    set_int(by_rows, "axis", 2);
    set_int(add_main("Gather", {by_rows.output(0), columns}), "axis", 3);
    return finish();
  }

  // Networks are written before they are compiled.
  Status write(const ConvChain&) { return failure("a chain of convs has no ONNX operator"); }

  Status write(const Copy&) {
    add_main("Identity", {input()});
    return finish();
  }

  const Network& network_;
  onnx::GraphProto& graph_;
  const Layer* layer_ = nullptr;
  std::vector<std::string> names_;         // by ValueId
  std::vector<std::string> output_names_;  // in the order of network.outputs
  std::set<std::string> taken_, node_names_;
  std::map<std::pair<const Tensor*, Shape>, std::string> written_;
};

}  // namespace

Result<onnx::ModelProto> export_model(const Network& network) {
  onnx::ModelProto model;
  model.set_ir_version(k_ir_version);
  model.set_producer_name("emulsion");
  auto* opset = model.add_opset_import();
  opset->set_domain("");
  opset->set_version(k_opset);
  TRY_OK(GraphExporter(network, *model.mutable_graph()).run());
  return model;
}

}  // namespace emulsion
