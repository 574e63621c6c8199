// The text form of networks, and the hash of it that forgets names.
//
//   network "resnet"
//   input %0 : 1x3x32x32 "image"
//   %1 = conv stride=1x1 ... weight=[64x3x3x3] <- %0 : 1x64x32x32 "conv1_out" "conv1"
//   output %1
#include <charconv>
#include <sstream>

#include "base/hash.h"
#include "network/network.h"

namespace emulsion {
namespace {

constexpr int k_most_values = 10'000'000;

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text + '"';
}

std::string references(const std::vector<ValueId>& ids) {
  std::string text;
  for (const ValueId id : ids) text += fmt::format(" %{}", id);
  return text;
}

// What a layer's line says beside names, with values numbered as given.
std::string definition(const Network& network, const Layer& layer,
                       const std::vector<ValueId>& inputs, ValueId output) {
  std::string text = fmt::format("%{} = {}", output, to_text(layer.op));
  if (!inputs.empty()) text += " <-" + references(inputs);
  return text + " : " + to_text(network.shape(layer.output));
}

// A cursor over one line.
class Line {
 public:
  explicit Line(const std::string& text) : text_(text) {}

  bool done() const { return at_ == text_.size(); }
  bool take(std::string_view prefix) {
    if (text_.compare(at_, prefix.size(), prefix) != 0) return false;
    at_ += prefix.size();
    return true;
  }
  // Up to (and past) the mark.
  bool take_until(std::string_view mark, std::string& out) {
    const size_t end = text_.find(mark, at_);
    if (end == std::string::npos) return false;
    out = text_.substr(at_, end - at_);
    at_ = end + mark.size();
    return true;
  }
  bool take_id(ValueId& id) {
    if (!take("%")) return false;
    const char* const end = text_.data() + text_.size();
    const auto [next, failed] = std::from_chars(text_.data() + at_, end, id);
    at_ = next - text_.data();
    return failed == std::errc() && id >= 0 && id < k_most_values;
  }
  bool take_name(std::string& name) {
    if (!take("\"")) return false;
    name.clear();
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        name += text_[at_] == 'n' ? '\n' : text_[at_];
      } else {
        name += text_[at_];
      }
    }
    return take("\"");
  }

 private:
  const std::string& text_;
  size_t at_ = 0;
};

class Parser {
 public:
  Result<Network> run(const std::string& text) {
    std::istringstream stream(text);
    std::string line;
    for (int number = 1; std::getline(stream, line); ++number) {
      if (line.empty()) continue;
      const Status status = parse_line(line);
      if (!status.ok()) return status.error().in(fmt::format("line {}", number));
    }
    for (size_t id = 0; id < network_.values.size(); ++id) {
      if (!defined_[id]) return error("value %{} is not defined", id);
    }
    return std::move(network_);
  }

 private:
  Status define(ValueId id, const std::string& name, const Shape& shape) {
    if (id >= static_cast<ValueId>(network_.values.size())) {
      network_.values.resize(id + 1);
      defined_.resize(id + 1, false);
    }
    if (defined_[id]) return error("value %{} is defined twice", id);
    defined_[id] = true;
    network_.values[id] = {name, shape};
    return ok();
  }

  Status check_defined(ValueId id) const {
    if (id < static_cast<ValueId>(defined_.size()) && defined_[id]) return ok();
    return error("value %{} is read before it is defined", id);
  }

  Status parse_line(const std::string& text) {
    Line line(text);
    if (line.take("network ")) {
      if (line.take_name(network_.name) && line.done()) return ok();
    } else if (line.take("input ")) {
      ValueId id = -1;
      std::string shape_text, name;
      if (line.take_id(id) && line.take(" : ") && line.take_until(" ", shape_text) &&
          line.take_name(name) && line.done()) {
        TRY(const Shape shape, parse_shape(shape_text));
        network_.inputs.push_back(id);
        return define(id, name, shape);
      }
    } else if (line.take("output ")) {
      ValueId id = -1;
      if (line.take_id(id) && line.done()) {
        network_.outputs.push_back(id);
        return check_defined(id);
      }
    } else {
      return parse_layer(line);
    }
    return error("it is not a network, input, output or layer");
  }

  Status parse_layer(Line& line) {
    Layer layer;
    std::string head, shape_text, value_name;
    if (!line.take_id(layer.output) || !line.take(" = ") || !line.take_until(" : ", head) ||
        !line.take_until(" ", shape_text) || !line.take_name(value_name) || !line.take(" ") ||
        !line.take_name(layer.name) || !line.done()) {
      return error("it is not a layer of the form %1 = op ... <- %0 : shape \"value\" \"layer\"");
    }
    const size_t arrow = head.find(" <-");
    if (arrow != std::string::npos) {
      const std::string list = head.substr(arrow + 3);
      head.resize(arrow);
      Line ids(list);
      while (!ids.done()) {
        ValueId id = -1;
        if (!ids.take(" ") || !ids.take_id(id)) return error("'{}' is not a list of values", list);
        TRY_OK(check_defined(id));
        layer.inputs.push_back(id);
      }
    }
    TRY(layer.op, parse_op(head));
    TRY(const Shape shape, parse_shape(shape_text));
    TRY_OK(define(layer.output, value_name, shape));
    network_.layers.push_back(std::move(layer));
    return ok();
  }

  Network network_;
  std::vector<bool> defined_;
};

}  // namespace

std::string to_text(const Network& network) {
  std::string text = fmt::format("network {}\n", quoted(network.name));
  for (const ValueId id : network.inputs) {
    text += fmt::format("input %{} : {} {}\n", id, to_text(network.shape(id)),
                        quoted(network.values[id].name));
  }
  for (const Layer& layer : network.layers) {
    text += definition(network, layer, layer.inputs, layer.output);
    text += fmt::format(" {} {}\n", quoted(network.values[layer.output].name), quoted(layer.name));
  }
  for (const ValueId id : network.outputs) text += fmt::format("output %{}\n", id);
  return text;
}

Result<Network> parse_network(const std::string& text) {
  return Parser().run(text);
}

std::string structure_hash(const Network& network) {
  // Values are numbered in the order of their definition.
  std::vector<ValueId> number(network.values.size(), -1);
  ValueId next = 0;
  std::string text;
  for (const ValueId id : network.inputs) {
    number[id] = next++;
    text += fmt::format("input %{} : {}\n", number[id], to_text(network.shape(id)));
  }
  for (const Layer& layer : network.layers) {
    std::vector<ValueId> inputs;
    for (const ValueId id : layer.inputs) inputs.push_back(number[id]);
    number[layer.output] = next++;
    text += definition(network, layer, inputs, number[layer.output]) + "\n";
  }
  for (const ValueId id : network.outputs) text += fmt::format("output %{}\n", number[id]);
  return hash_text(text);
}

}  // namespace emulsion
