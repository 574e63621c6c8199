#include "lower/layout.h"

#include <algorithm>

#include "lower/algorithm.h"

namespace emulsion {
namespace {

bool is_image(const Shape& shape) {
  return shape.size() == 4;
}

// Channels innermost and row-major are the same order when an image has one pixel or one channel.
bool one_order(const Shape& shape) {
  return !is_image(shape) || shape[1] == 1 || (shape[2] == 1 && shape[3] == 1);
}

template <class T>
const T* op_of(const Layer& layer) {
  return std::get_if<T>(&layer.op);
}

bool is_channel_concat(const Layer& layer, const Network& network) {
  const auto* concat = op_of<Concat>(layer);
  return concat && concat->axis == 1 && is_image(network.shape(layer.output));
}

// A Slice that takes a run of channels and everything else whole.
bool is_channel_slice(const Layer& layer, const Network& network) {
  const auto* slice = op_of<Slice>(layer);
  if (!slice || !is_image(network.shape(layer.output))) return false;
  const Shape& whole = network.shape(layer.inputs[0]);
  for (int d = 0; d < 4; ++d) {
    if (slice->steps[d] != 1 && slice->shape[d] != 1) return false;
    if (d != 1 && (slice->starts[d] != 0 || slice->shape[d] != whole[d])) return false;
  }
  return true;
}

// The zeroed border that the layers reading a value want around it. Only convs read padding from
// memory.
Pad4 rim_wanted(const Layer& layer, ValueId value) {
  const auto* conv = op_of<Conv>(layer);
  return conv && layer.inputs[0] == value ? conv->pad : Pad4{0, 0, 0, 0};
}

Pad4 larger(const Pad4& a, const Pad4& b) {
  Pad4 result;
  for (int i = 0; i < 4; ++i) result[i] = std::max(a[i], b[i]);
  return result;
}

constexpr Pad4 k_no_rim{0, 0, 0, 0};

// Rebuilds a network layer by layer, so that copies can be put in between. Values keep their
// numbers.
class Editor {
 public:
  explicit Editor(const Network& network) : network_(network), renamed_(network.values.size(), -1) {
    network_.layers.clear();
  }

  Network& network() { return network_; }

  // Reads of `value` after this point are reads of `replacement`.
  void rename(ValueId value, ValueId replacement) { renamed_[value] = replacement; }
  ValueId current(ValueId value) const { return renamed_[value] < 0 ? value : renamed_[value]; }

  void append(Layer layer) {
    for (ValueId& input : layer.inputs) input = current(input);
    network_.layers.push_back(std::move(layer));
  }
  // A copy of a value, read by nobody yet.
  ValueId copy(ValueId value, const std::string& suffix) {
    const std::string name = network_.values[value].name + suffix;
    const ValueId result = network_.add_layer(name, Copy{}, {value});
    network_.values[result].name = name;
    renamed_.push_back(-1);
    return result;
  }

 private:
  Network network_;
  std::vector<ValueId> renamed_;
};

// Inputs: one copy of each image to channels innermost, unless the orders agree and no rim is
// wanted. Reshapes to images: a copy likewise, because their memory is their source's, row-major.
// Outputs: every one a value of its own that a kernel writes, in row-major order.
Network with_edge_copies(const Network& original) {
  const auto readers = consumers(original);
  const auto wants_rim_or_slicing = [&](ValueId value) {
    return std::any_of(readers[value].begin(), readers[value].end(), [&](int reader) {
      const Layer& layer = original.layers[reader];
      return rim_wanted(layer, value) != k_no_rim || is_channel_slice(layer, original) ||
             is_channel_concat(layer, original);
    });
  };
  const auto needs_copy = [&](ValueId value) {
    const Shape& shape = original.shape(value);
    return is_image(shape) && !readers[value].empty() &&
           (!one_order(shape) || wants_rim_or_slicing(value));
  };

  Editor editor(original);
  for (const ValueId input : original.inputs) {
    if (needs_copy(input)) editor.rename(input, editor.copy(input, "_image"));
  }
  for (const Layer& layer : original.layers) {
    editor.append(layer);
    if (op_of<Reshape>(layer) && needs_copy(layer.output)) {
      editor.rename(layer.output, editor.copy(layer.output, "_image"));
    }
  }

  const auto makers = producers(original);
  std::vector<bool> taken(original.values.size(), false);
  for (ValueId& output : editor.network().outputs) {
    const Layer* maker = makers[output] < 0 ? nullptr : &original.layers[makers[output]];
    const bool written_by_kernel = maker && !op_of<Literal>(*maker) && !op_of<Reshape>(*maker) &&
                                   !is_channel_concat(*maker, original) &&
                                   !is_channel_slice(*maker, original);
    const bool is_direct = written_by_kernel && !taken[output] &&
                           one_order(original.shape(output)) && !wants_rim_or_slicing(output);
    taken[output] = true;
    if (is_direct) continue;
    // The copy takes the output's name; the value inside gives it up.
    const ValueId source = output;
    output = editor.copy(source, "_output");
  }
  return std::move(editor.network());
}

// What decides the descriptors: for every value the one it is a slice of, and from which channel.
struct Slicing {
  std::vector<ValueId> parent;
  std::vector<int64_t> channel;
};

// Finds a place inside another value for each slice and each part of a concatenation, adding copies
// for parts that cannot be written in place.
//
// Concatenations are taken last to first, so that one feeding the next (DenseNet) finds its own
// place before its parts do. One whose parts already lie side by side in a later one is a slice of
// it and needs nothing.
class Slicer {
 public:
  explicit Slicer(Network network) : network_(std::move(network)) {
    slicing_.parent.assign(network_.values.size(), -1);
    slicing_.channel.assign(network_.values.size(), 0);
    makers_ = producers(network_);
  }

  void run() {
    for (const Layer& layer : network_.layers) {
      if (is_channel_slice(layer, network_) && !is_edge(layer.output) &&
          !is_edge(layer.inputs[0])) {
        place(layer.output, layer.inputs[0], op_of<Slice>(layer)->starts[1]);
      }
    }
    for (int i = static_cast<int>(network_.layers.size()) - 1; i >= 0; --i) {
      if (is_channel_concat(network_.layers[i], network_)) place_parts(i);
    }
  }

  const Network& network() const { return network_; }
  const Slicing& slicing() const { return slicing_; }

 private:
  bool is_edge(ValueId value) const {
    return std::count(network_.inputs.begin(), network_.inputs.end(), value) != 0 ||
           std::count(network_.outputs.begin(), network_.outputs.end(), value) != 0;
  }
  void place(ValueId value, ValueId parent, int64_t channel) {
    slicing_.parent[value] = parent;
    slicing_.channel[value] = channel;
  }

  bool parts_lie_side_by_side(const Layer& concat) const {
    const ValueId parent = slicing_.parent[concat.inputs[0]];
    int64_t channel = slicing_.channel[concat.inputs[0]];
    if (parent < 0 || slicing_.parent[concat.output] >= 0) return false;
    for (const ValueId part : concat.inputs) {
      if (slicing_.parent[part] != parent || slicing_.channel[part] != channel) return false;
      channel += network_.shape(part)[1];
    }
    return true;
  }

  // Whether a value's memory may still be chosen by whoever holds it.
  bool is_free(ValueId value) const {
    if (slicing_.parent[value] >= 0 || is_edge(value) || makers_[value] < 0) return false;
    const Layer& maker = network_.layers[makers_[value]];
    return !op_of<Literal>(maker) && !op_of<Reshape>(maker);
  }

  void place_parts(int index) {
    const ValueId whole = network_.layers[index].output;
    if (parts_lie_side_by_side(network_.layers[index])) {
      const ValueId first = network_.layers[index].inputs[0];
      // The parts stay slices of the later concatenation, and this one is a slice of it as well.
      place(whole, slicing_.parent[first], slicing_.channel[first]);
      return;
    }
    int64_t channel = 0;
    for (size_t part = 0; part < network_.layers[index].inputs.size(); ++part) {
      ValueId value = network_.layers[index].inputs[part];
      if (!is_free(value)) value = insert_copy(index, part);
      place(value, whole, channel);
      channel += network_.shape(value)[1];
    }
  }

  // Puts a copy of a part before the concatenation, which moves one place down (index is updated).
  ValueId insert_copy(int& index, size_t part) {
    const ValueId source = network_.layers[index].inputs[part];
    const std::string name = fmt::format("{}_part{}", network_.layers[index].name, part);
    const ValueId copy = network_.add_layer(name, Copy{}, {source});
    std::rotate(network_.layers.begin() + index, network_.layers.end() - 1, network_.layers.end());
    ++index;
    network_.layers[index].inputs[part] = copy;
    slicing_.parent.push_back(-1);
    slicing_.channel.push_back(0);
    makers_ = producers(network_);
    return copy;
  }

  Network network_;
  Slicing slicing_;
  std::vector<int> makers_;
};

std::vector<TensorDescriptor> describe(const Network& network, const Slicing& slicing) {
  const auto count = static_cast<ValueId>(network.values.size());
  std::vector<ValueId> roots(count);
  for (ValueId v = 0; v < count; ++v) {
    roots[v] = v;
    while (slicing.parent[roots[v]] >= 0) roots[v] = slicing.parent[roots[v]];
  }
  std::vector<Pad4> rims(count, k_no_rim);
  for (const Layer& layer : network.layers) {
    for (const ValueId input : layer.inputs) {
      rims[roots[input]] = larger(rims[roots[input]], rim_wanted(layer, input));
    }
  }
  std::vector<bool> edge(count, false);
  for (const ValueId v : network.inputs) edge[v] = true;
  for (const ValueId v : network.outputs) edge[v] = true;
  // A reshape's memory is its source's; that of an image from a reshape is copied elsewhere when
  // orders differ.
  for (const Layer& layer : network.layers) {
    if (op_of<Reshape>(layer)) edge[layer.output] = true;
  }

  std::vector<TensorDescriptor> result(count);
  for (ValueId v = 0; v < count; ++v) {
    const Shape& shape = network.shape(v);
    if (roots[v] != v) continue;
    // Where the orders agree, the strides of channels innermost are taken: kernels are written for
    // them.
    const bool image = is_image(shape) && (!edge[v] || one_order(shape));
    result[v] = image ? channels_last(shape, rims[v]) : row_major(shape);
  }
  for (ValueId v = 0; v < count; ++v) {
    if (roots[v] == v) continue;
    int64_t channel = 0;
    for (ValueId p = v; slicing.parent[p] >= 0; p = slicing.parent[p])
      channel += slicing.channel[p];
    result[v] = result[roots[v]];
    result[v].shape = network.shape(v);
    result[v].parent = roots[v];
    result[v].parent_offset = channel * result[v].strides[1];
  }
  return result;
}

// Whether walking the shape in row-major order walks memory element by element.
bool is_row_major(const TensorDescriptor& d) {
  int64_t expected = 1;
  for (int i = static_cast<int>(d.shape.size()) - 1; i >= 0; --i) {
    if (d.shape[i] != 1 && d.strides[i] != expected) return false;
    expected *= d.shape[i];
  }
  return true;
}

// Every Reshape becomes a view: of its source if that lies in row-major order, else of a copy that
// does.
LaidOutNetwork with_views(const Network& network, std::vector<TensorDescriptor> descriptors) {
  LaidOutNetwork result{network, std::move(descriptors), {}};
  result.network.layers.clear();
  const auto add = [&](const Layer& layer, bool elided) {
    result.network.layers.push_back(layer);
    result.elided.push_back(elided);
  };
  for (Layer layer : network.layers) {
    if (op_of<Reshape>(layer)) {
      ValueId source = layer.inputs[0];
      if (!is_row_major(result.descriptors[source])) {
        source = result.network.add_layer(layer.name + "_source", Copy{}, {source});
        result.elided.push_back(false);
        result.descriptors.push_back(row_major(result.network.shape(source)));
        layer.inputs[0] = source;
      }
      TensorDescriptor& view = result.descriptors[layer.output];
      const Placement place = placement(result, source);
      view.parent = place.root;
      view.parent_offset = place.offset;
      add(layer, true);
      continue;
    }
    const bool sliced_in_place =
        op_of<Slice>(layer) && result.descriptors[layer.output].parent >= 0 &&
        placement(result, layer.output).root == placement(result, layer.inputs[0]).root;
    add(layer, op_of<Literal>(layer) || is_channel_concat(layer, network) || sliced_in_place);
  }
  return result;
}

}  // namespace

Placement placement(const LaidOutNetwork& laid_out, ValueId value) {
  Placement result{value, 0};
  while (laid_out.descriptors[result.root].parent >= 0) {
    result.offset += laid_out.descriptors[result.root].parent_offset;
    result.root = laid_out.descriptors[result.root].parent;
  }
  return result;
}

LaidOutNetwork lay_out(const Network& simplified) {
  Slicer slicer(with_edge_copies(simplified));
  slicer.run();
  return with_views(slicer.network(), describe(slicer.network(), slicer.slicing()));
}

Result<KernelSpec> kernel_spec(const LaidOutNetwork& laid_out, int layer,
                               const KernelChoice& choice, const std::string& target) {
  EMULSION_CHECK(!laid_out.elided[layer]);
  const auto alone = [&](ValueId value) {
    TensorDescriptor d = laid_out.descriptors[value];
    d.parent = -1;
    d.parent_offset = 0;
    return d;
  };
  const Layer& l = laid_out.network.layers[layer];
  KernelSpec spec{l.op, {}, alone(l.output), choice.algorithm, choice.schedule, target};
  for (const ValueId input : l.inputs) spec.inputs.push_back(alone(input));
  auto result = completed(std::move(spec));
  if (!result.ok()) return result.error().in(fmt::format("layer '{}'", l.name));
  return result;
}

}  // namespace emulsion
