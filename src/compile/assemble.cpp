#include "compile/assemble.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "compile/compile_network.h"
#include "compile/memory_plan.h"
#include "lower/algorithm.h"

namespace emulsion {
namespace {

// The words of C and C++ that cannot be names, and those that the driver uses for parameters.
const std::set<std::string>& taken_words() {
  static const std::set<std::string> words = {"alignas",
                                              "alignof",
                                              "and",
                                              "and_eq",
                                              "asm",
                                              "auto",
                                              "bitand",
                                              "bitor",
                                              "bool",
                                              "break",
                                              "case",
                                              "catch",
                                              "char",
                                              "char8_t",
                                              "char16_t",
                                              "char32_t",
                                              "class",
                                              "compl",
                                              "concept",
                                              "const",
                                              "consteval",
                                              "constexpr",
                                              "constinit",
                                              "const_cast",
                                              "continue",
                                              "co_await",
                                              "co_return",
                                              "co_yield",
                                              "decltype",
                                              "default",
                                              "delete",
                                              "do",
                                              "double",
                                              "dynamic_cast",
                                              "else",
                                              "enum",
                                              "explicit",
                                              "export",
                                              "extern",
                                              "false",
                                              "float",
                                              "for",
                                              "friend",
                                              "goto",
                                              "if",
                                              "inline",
                                              "int",
                                              "long",
                                              "mutable",
                                              "namespace",
                                              "new",
                                              "noexcept",
                                              "not",
                                              "not_eq",
                                              "nullptr",
                                              "operator",
                                              "or",
                                              "or_eq",
                                              "private",
                                              "protected",
                                              "public",
                                              "register",
                                              "reinterpret_cast",
                                              "requires",
                                              "restrict",
                                              "return",
                                              "short",
                                              "signed",
                                              "sizeof",
                                              "static",
                                              "static_assert",
                                              "static_cast",
                                              "struct",
                                              "switch",
                                              "template",
                                              "this",
                                              "thread_local",
                                              "throw",
                                              "true",
                                              "try",
                                              "typedef",
                                              "typeid",
                                              "typename",
                                              "union",
                                              "unsigned",
                                              "using",
                                              "virtual",
                                              "void",
                                              "volatile",
                                              "wchar_t",
                                              "while",
                                              "xor",
                                              "xor_eq",
                                              "main",
                                              "linux",
                                              "unix",
                                              "context",
                                              "arguments",
                                              "all_inputs",
                                              "all_outputs",
                                              "buffer",
                                              "fail",
                                              "seconds",
                                              "nothing",
                                              "is_query",
                                              "fill_bounds",
                                              "check_buffer",
                                              "layer_failed",
                                              "run_layers",
                                              "run_on_default",
                                              "start_threads",
                                              "missing_cpu_feature",
                                              "thread_error"};
  return words;
}

std::vector<DriverTensor> tensors(const Network& network, const std::vector<ValueId>& values,
                                  const std::vector<std::string>& names,
                                  std::set<std::string>& taken) {
  std::vector<DriverTensor> result;
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string base = c_identifier(names[i]);
    std::string id = base;
    for (int n = 2; !taken.insert(id).second; ++n) id = fmt::format("{}_{}", base, n);
    result.push_back({names[i], id, network.shape(values[i])});
  }
  return result;
}

std::vector<std::string> names_of(const Network& network, const std::vector<ValueId>& values) {
  std::vector<std::string> names;
  for (const ValueId v : values) names.push_back(network.values[v].name);
  return names;
}

// The elements of a constant as its descriptor lays them out.
std::vector<float> laid_out_data(const Tensor& tensor, const TensorDescriptor& d) {
  std::vector<float> result(storage_elements(d), 0.0f);
  std::vector<int64_t> index(d.shape.size(), 0);
  for (const float x : tensor.data) {
    int64_t at = origin_offset(d);
    for (size_t i = 0; i < index.size(); ++i) at += index[i] * d.strides[i];
    result[at] = x;
    for (int i = static_cast<int>(index.size()) - 1; i >= 0 && ++index[i] == d.shape[i]; --i)
      index[i] = 0;
  }
  return result;
}

std::string_view as_bytes(const std::vector<float>& data) {
  return {reinterpret_cast<const char*>(data.data()), data.size() * sizeof(float)};
}

// By layer: whether its kernel may write over its residual.
std::vector<bool> may_overwrite(const PreparedNetwork& prepared) {
  std::vector<bool> result(prepared.laid_out.network.layers.size(), false);
  for (const KernelCall& call : prepared.calls)
    result[call.layer] = may_overwrite_residual(call.spec);
  return result;
}

// Makes the table of buffers, each different one once.
class Assembler {
 public:
  explicit Assembler(const PreparedNetwork& prepared)
      : prepared_(prepared),
        laid_out_(prepared.laid_out),
        memory_(plan_memory(laid_out_, may_overwrite(prepared))) {}

  Assembly run() {
    add_literals();
    Driver& driver = result_.driver;
    driver.workspace_bytes = memory_.elements * static_cast<int64_t>(sizeof(float));
    std::set<std::string> taken = taken_words();
    const Network& network = laid_out_.network;
    // The copies at the edges have names of their own: the caller's names are those of the network
    // given.
    driver.inputs = tensors(network, network.inputs,
                            names_of(prepared_.simplified, prepared_.simplified.inputs), taken);
    driver.outputs = tensors(network, network.outputs,
                             names_of(prepared_.simplified, prepared_.simplified.outputs), taken);
    for (const KernelCall& call : prepared_.calls) add_call(call);
    driver.weights_bytes = static_cast<int64_t>(result_.weights.bytes().size());
    return std::move(result_);
  }

 private:
  void add_literals() {
    literals_.assign(laid_out_.network.values.size(), -1);
    for (const Layer& layer : laid_out_.network.layers) {
      const auto* literal = std::get_if<Literal>(&layer.op);
      if (!literal) continue;
      const TensorDescriptor& d = laid_out_.descriptors[layer.output];
      literals_[layer.output] =
          result_.weights.add(as_bytes(laid_out_data(*literal->value, d))) + origin_offset(d);
    }
  }

  void add_call(const KernelCall& call) {
    const Layer& layer = laid_out_.network.layers[call.layer];
    DriverCall made{layer.name, kernel_name(call.spec), {}, {}};
    made.comment =
        fmt::format("{}, {} -> {}, {}", op_name(layer.op),
                    layer.inputs.empty() ? "" : to_text(laid_out_.network.shape(layer.inputs[0])),
                    to_text(laid_out_.network.shape(layer.output)), call.spec.algorithm);
    if (call.spec.weights == ElementType::f16) made.comment += ", 16-bit weights";
    for (const ValueId input : layer.inputs) {
      made.buffers.push_back(add_value(input, input_layout(laid_out_.descriptors[input])));
    }
    for (const PackedConstant& constant : pack_constants(call.spec, layer.op)) {
      DriverBuffer buffer;
      buffer.where = DriverBuffer::Where::weights;
      buffer.type = constant.type;
      buffer.offset = constant.type == ElementType::f32
                          ? result_.weights.add(as_bytes(constant.data))
                          : result_.weights.add(stored_bytes(constant));
      int64_t stride = 1;
      for (const int extent : constant.extents) {
        buffer.dimensions.push_back({0, extent, static_cast<int>(stride)});
        stride *= extent;
      }
      buffer.comment = "a constant of " + layer.name;
      made.buffers.push_back(add(std::move(buffer)));
    }
    made.buffers.push_back(
        add_value(layer.output, output_layout(laid_out_.descriptors[layer.output])));
    result_.driver.calls.push_back(std::move(made));
  }

  int add_value(ValueId value, BufferLayout layout) {
    using Where = DriverBuffer::Where;
    const Network& network = laid_out_.network;
    const Placement place = placement(laid_out_, value);
    DriverBuffer buffer;
    buffer.comment = network.values[value].name;
    buffer.dimensions = std::move(layout.dimensions);
    const auto position = [&](const std::vector<ValueId>& edges) {
      return static_cast<int>(std::find(edges.begin(), edges.end(), place.root) - edges.begin());
    };
    const int input = position(network.inputs), output = position(network.outputs);
    if (input < static_cast<int>(network.inputs.size())) {
      buffer.where = Where::input;
      buffer.index = input;
      buffer.offset = place.offset;
    } else if (output < static_cast<int>(network.outputs.size())) {
      buffer.where = Where::output;
      buffer.index = output;
      buffer.offset = place.offset;
    } else if (literals_[place.root] >= 0) {
      buffer.where = Where::weights;
      buffer.offset = literals_[place.root] + place.offset;
    } else {
      buffer.offset = memory_.offsets[value];
      EMULSION_CHECK(buffer.offset >= 0);
    }
    buffer.offset += layout.host_offset;
    return add(std::move(buffer));
  }

  int add(DriverBuffer buffer) {
    auto& buffers = result_.driver.buffers;
    const auto same = std::find_if(buffers.begin(), buffers.end(),
                                   [&](const DriverBuffer& b) { return b.same_as(buffer); });
    if (same != buffers.end()) return static_cast<int>(same - buffers.begin());
    buffers.push_back(std::move(buffer));
    return static_cast<int>(buffers.size()) - 1;
  }

  const PreparedNetwork& prepared_;
  const LaidOutNetwork& laid_out_;
  MemoryPlan memory_;
  std::vector<int64_t> literals_;  // by ValueId: the element (0, 0, ...) in the weights, or -1
  Assembly result_;
};

}  // namespace

Assembly assemble(const PreparedNetwork& prepared) {
  return Assembler(prepared).run();
}

std::string c_identifier(const std::string& onnx_name) {
  std::string result = onnx_name;
  for (char& c : result) {
    if (!std::isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) >= 128)
      c = '_';
  }
  if (result.empty() || std::isdigit(static_cast<unsigned char>(result[0]))) result = "_" + result;
  return result;
}

bool is_c_name(const std::string& word) {
  return !word.empty() && c_identifier(word) == word && !taken_words().contains(word);
}

}  // namespace emulsion
