#include "onnx/graph_importer.h"

#include <algorithm>
#include <queue>
#include <sstream>

#include "network/evaluate.h"
#include "onnx/node.h"
#include "onnx/op_table.h"

namespace emulsion {

namespace {

// Of a layer whose inputs are all constant, whether its value is worked out now: not what real
// files never have and would be slow.
bool worth_folding(const Op& op, const Shape& shape) {
  constexpr int64_t k_most_folded_elements = int64_t{1} << 24;
  return !std::holds_alternative<Conv>(op) && !std::holds_alternative<Dense>(op) &&
         !std::holds_alternative<Pool>(op) && element_count(shape) <= k_most_folded_elements;
}

std::string node_title(const onnx::NodeProto& proto) {
  if (!proto.name().empty()) return fmt::format("node '{}'", proto.name());
  if (proto.output_size() > 0) return fmt::format("the node of '{}'", proto.output(0));
  return "a node without name";
}

Error in_node(const Error& e, const onnx::NodeProto& proto, int opset) {
  return e.in(fmt::format("{} ({}, opset {})", node_title(proto), proto.op_type(), opset));
}

std::set<std::string> initialiser_names(const onnx::GraphProto& graph) {
  std::set<std::string> names;
  for (const auto& tensor : graph.initializer()) names.insert(tensor.name());
  return names;
}

Result<Shape> declared_shape(const onnx::ValueInfoProto& input, const ImportOptions& options,
                             Shape& baked) {
  const auto& type = input.type().tensor_type();
  if (!input.type().has_tensor_type() || type.elem_type() != onnx::TensorProto::FLOAT) {
    return error("input '{}' is {}; only float32 tensors are supported", input.name(),
                 input.type().has_tensor_type() ? type_name(type.elem_type()) : "not a tensor");
  }
  const auto asked = options.shapes.find(input.name());
  if (asked == options.shapes.end() && !type.has_shape()) {
    return error("input '{}' has no shape; give one with --shape {}=1x3x224x224", input.name(),
                 input.name());
  }
  if (asked != options.shapes.end() && type.has_shape() &&
      static_cast<int>(asked->second.size()) != type.shape().dim_size()) {
    return error("input '{}' has rank {}, the shape {} given for it {}", input.name(),
                 type.shape().dim_size(), to_text(asked->second), asked->second.size());
  }
  Shape shape = asked != options.shapes.end() ? asked->second : Shape(type.shape().dim_size(), -1);
  baked = shape;
  for (int d = 0; d < static_cast<int>(shape.size()); ++d) {
    int64_t extent = -1;
    if (type.has_shape() && type.shape().dim(d).has_dim_value()) {
      extent = type.shape().dim(d).dim_value();
    }
    if (extent <= 0 && d == 0) extent = 1;
    if (d == 0 && type.has_shape()) baked[d] = extent;
    if (asked != options.shapes.end()) continue;
    if (extent <= 0) {
      const std::string& symbol = type.shape().dim(d).dim_param();
      return error("dimension {} ('{}') of input '{}' is open; fix the shape with --shape {}=...",
                   d, symbol, input.name(), input.name());
    }
    shape[d] = baked[d] = extent;
  }
  for (const Shape* each : {&shape, &baked}) {
    const auto count = checked_count(*each, k_most_elements);
    if (!count.ok()) return count.error().in(fmt::format("input '{}'", input.name()));
    if (*count == 0) return error("input '{}' of shape {} is empty", input.name(), to_text(*each));
  }
  return shape;
}

class GraphImporter {
 public:
  GraphImporter(const onnx::GraphProto& graph, int opset, GraphState& state)
      : graph_(graph), opset_(opset), state_(state) {}

  Status run(const std::map<std::string, Shape>& shapes) {
    state_.network.name = graph_.name();
    TRY_OK(declare(shapes));
    TRY(const std::vector<int> order, needed_nodes());
    for (const int n : order) TRY_OK(convert(graph_.node(n)));
    return finish_outputs();
  }

 private:
  Status declare(const std::map<std::string, Shape>& shapes) {
    for (const auto& tensor : graph_.initializer()) {
      if (!state_.initialisers.emplace(tensor.name(), &tensor).second) {
        return error("initialiser '{}' is there twice", tensor.name());
      }
      state_.taken.insert(tensor.name());
    }
    for (const auto& input : graph_.input()) {
      if (state_.initialisers.contains(input.name())) continue;
      if (state_.names.contains(input.name()))
        return error("input '{}' is there twice", input.name());
      const ValueId id = state_.network.add_value(input.name(), shapes.at(input.name()));
      state_.network.inputs.push_back(id);
      state_.names[input.name()].id = id;
      state_.taken.insert(input.name());
    }
    for (int n = 0; n < graph_.node_size(); ++n) {
      for (const std::string& output : graph_.node(n).output()) {
        if (output.empty()) continue;
        if (state_.names.contains(output) || state_.initialisers.contains(output) ||
            !producer_.emplace(output, n).second) {
          return in_node(error("its output '{}' has a name that is taken", output), graph_.node(n),
                         opset_);
        }
        state_.taken.insert(output);
      }
    }
    return ok();
  }

  // The nodes that the outputs need, inputs before users and otherwise in the file's order.
  Result<std::vector<int>> needed_nodes() {
    std::vector<bool> needed(graph_.node_size(), false);
    std::vector<int> open;
    const auto need = [&](const std::string& name) {
      state_.read.insert(name);
      const auto at = producer_.find(name);
      if (at == producer_.end() || needed[at->second]) return;
      needed[at->second] = true;
      open.push_back(at->second);
    };
    for (const auto& output : graph_.output()) need(output.name());
    while (!open.empty()) {
      const int n = open.back();
      open.pop_back();
      for (const std::string& input : graph_.node(n).input()) need(input);
    }
    return sorted(needed);
  }

  Result<std::vector<int>> sorted(const std::vector<bool>& needed) {
    std::vector<int> waiting(graph_.node_size(), 0);
    std::vector<std::vector<int>> users(graph_.node_size());
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    int left = 0;
    for (int n = 0; n < graph_.node_size(); ++n) {
      if (!needed[n]) continue;
      ++left;
      for (const std::string& input : graph_.node(n).input()) {
        const auto at = producer_.find(input);
        if (at == producer_.end()) continue;
        ++waiting[n];
        users[at->second].push_back(n);
      }
      if (waiting[n] == 0) ready.push(n);
    }
    std::vector<int> order;
    while (!ready.empty()) {
      const int n = ready.top();
      ready.pop();
      order.push_back(n);
      for (const int user : users[n]) {
        if (--waiting[user] == 0) ready.push(user);
      }
    }
    if (static_cast<int>(order.size()) == left) return order;
    const auto stuck = std::find_if(waiting.begin(), waiting.end(), [](int w) { return w > 0; });
    return in_node(error("it lies on a cycle, or behind one"),
                   graph_.node(static_cast<int>(stuck - waiting.begin())), opset_);
  }

  Status convert(const onnx::NodeProto& proto) {
    Node node(proto, opset_, state_);
    const Status status = convert_node(node, proto);
    if (!status.ok()) return in_node(status.error(), proto, opset_);
    return ok();
  }

  Status convert_node(Node& node, const onnx::NodeProto& proto) {
    if (!proto.domain().empty() && proto.domain() != "ai.onnx") {
      return error("operators of domain '{}' are not supported; those of ONNX's own are",
                   proto.domain());
    }
    TRY(const OpRow* row, find_op(proto.op_type(), opset_));
    TRY_OK(check_attributes(proto, *row));
    if (proto.output_size() == 0) return error("it has no output");
    TRY_OK(node.resolve());
    TRY_OK(row->convert(node));
    for (const std::string& output : proto.output()) {
      if (!output.empty() && state_.read.contains(output) && !state_.names.contains(output)) {
        return error("its output '{}' is used; it is not supported", output);
      }
    }
    if (node.all_known()) TRY_OK(fold(node));
    return check_batch(proto);
  }

  static Status check_attributes(const onnx::NodeProto& proto, const OpRow& row) {
    for (const auto& attribute : proto.attribute()) {
      std::istringstream known(row.attributes);
      std::string word;
      bool found = false;
      while (!found && known >> word) found = word == attribute.name();
      if (!found) {
        return error("attribute '{}' is not supported; {}", attribute.name(),
                     *row.attributes == '\0' ? std::string("the operator has none")
                                             : fmt::format("known ones are: {}", row.attributes));
      }
      if (!attribute.ref_attr_name().empty()) {
        return error("attribute '{}' refers to a function's; functions are not supported",
                     attribute.name());
      }
    }
    return ok();
  }

  // All inputs of the node were known: so are the results of the layers that it became.
  Status fold(const Node& node) {
    std::map<ValueId, Tensor> known;
    const auto& layers = state_.network.layers;
    for (size_t i = node.first_layer(); i < layers.size(); ++i) {
      const Layer& layer = layers[i];
      if (!worth_folding(layer.op, state_.network.shape(layer.output))) return ok();
      std::vector<Tensor> inputs;
      for (const ValueId id : layer.inputs) {
        if (!known.contains(id)) known[id] = *literal_value(id);
        inputs.push_back(known[id]);
      }
      known[layer.output] = evaluate(layer.op, inputs);
    }
    for (size_t i = node.first_layer(); i < layers.size(); ++i) {
      // Dead layers now: their names are free.
      if (!std::holds_alternative<Literal>(layers[i].op)) state_.layer_names.erase(layers[i].name);
    }
    for (int i = 0; i < node.output_count(); ++i) {
      const auto at = state_.names.find(node.proto().output(i));
      if (at == state_.names.end() || at->second.known || !known.contains(at->second.id)) continue;
      Tensor& value = known[at->second.id];
      // No longer a layer's output: who reads it as a value gets a Literal.
      at->second = {-1, known_floats(value.shape, value.data)};
    }
    return ok();
  }

  // Known tensors enter layers as Literals.
  Constant literal_value(ValueId id) const {
    for (const Layer& layer : state_.network.layers) {
      if (layer.output == id) return std::get<Literal>(layer.op).value;
    }
    EMULSION_CHECK(!"a folded layer reads a value that no layer makes");
    return nullptr;
  }

  // With another batch than the file's, a result that stays as it was has lost the images: a
  // constant fixes it.
  Status check_batch(const onnx::NodeProto& proto) {
    if (state_.baked == nullptr || proto.op_type() == "ReduceMean") return ok();
    const auto differs = [&](const std::string& name) -> std::optional<bool> {
      const auto now = state_.names.find(name);
      const auto then = state_.baked->names.find(name);
      if (now == state_.names.end() || then == state_.baked->names.end()) return std::nullopt;
      if (now->second.id < 0 || then->second.id < 0) return std::nullopt;
      return state_.network.shape(now->second.id) != state_.baked->network.shape(then->second.id);
    };
    const auto changes = [&](const std::string& name) { return differs(name).value_or(false); };
    if (std::none_of(proto.input().begin(), proto.input().end(), changes)) return ok();
    const auto stays = [&](const std::string& name) { return !differs(name).value_or(true); };
    if (std::none_of(proto.output().begin(), proto.output().end(), stays)) return ok();
    return error(
        "the file's batch is fixed in its constants; export the model with a symbolic batch");
  }

  Status finish_outputs() {
    std::set<ValueId> named(state_.network.inputs.begin(), state_.network.inputs.end());
    if (graph_.output_size() == 0) return error("the graph has no output");
    for (const auto& output : graph_.output()) {
      auto found = state_.find(output.name());
      if (!found.ok()) return found.error().in("the graph's output");
      Imported& imported = **found;
      if (imported.id < 0) TRY_OK(materialise(output.name(), imported));
      state_.network.outputs.push_back(imported.id);
      if (named.insert(imported.id).second) state_.network.values[imported.id].name = output.name();
    }
    return ok();
  }

  Status materialise(const std::string& name, Imported& imported) {
    const Known& known = *imported.known;
    if (known.type != onnx::TensorProto::FLOAT) {
      return error("output '{}' is {}; only float32 is supported", name, type_name(known.type));
    }
    if (element_count(known.shape) == 0) return error("output '{}' is empty", name);
    imported.id =
        state_.network.add_layer(state_.fresh_layer_name(name), Literal{known.floats}, {});
    return ok();
  }

  const onnx::GraphProto& graph_;
  int opset_;
  GraphState& state_;
  std::map<std::string, int> producer_;
};

}  // namespace

Result<GraphInputs> input_shapes(const onnx::GraphProto& graph, const ImportOptions& asked) {
  const std::set<std::string> initialisers = initialiser_names(graph);
  ImportOptions options = asked;
  if (auto unnamed = options.shapes.extract(""); !unnamed.empty()) {
    std::vector<std::string> names;
    for (const auto& input : graph.input()) {
      if (!initialisers.contains(input.name())) names.push_back(input.name());
    }
    if (names.size() != 1) {
      return error("a shape without a name is for a network of one input; its inputs are: {}",
                   fmt::join(names, ", "));
    }
    unnamed.key() = names[0];
    options.shapes.insert(std::move(unnamed));
  }
  GraphInputs result;
  for (const auto& input : graph.input()) {
    if (initialisers.contains(input.name())) continue;
    Shape baked;
    TRY(const Shape shape, declared_shape(input, options, baked));
    result.another_batch = result.another_batch || shape != baked;
    result.shapes[input.name()] = shape;
    result.baked[input.name()] = baked;
  }
  for (const auto& [name, shape] : options.shapes) {
    if (result.shapes.contains(name)) continue;
    std::vector<std::string> names;
    for (const auto& [known, unused] : result.shapes) names.push_back(known);
    return error("there is no input '{}'; the inputs are: {}", name, fmt::join(names, ", "));
  }
  return result;
}

Status import_graph(const onnx::GraphProto& graph, int opset,
                    const std::map<std::string, Shape>& shapes, GraphState& state) {
  return GraphImporter(graph, opset, state).run(shapes);
}

}  // namespace emulsion
