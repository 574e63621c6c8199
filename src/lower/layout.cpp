#include "lower/layout.h"

#include <algorithm>

#include "lower/algorithm.h"
#include "lower/conv_chain.h"

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

// A concatenation of images along channels or rows: its parts can be written in place.
bool is_image_concat(const Layer& layer, const Network& network) {
  const auto* concat = op_of<Concat>(layer);
  return concat && (concat->axis == 1 || concat->axis == 2) &&
         is_image(network.shape(layer.output));
}

// A Slice that takes a run along one axis and everything else whole.
bool is_run(const Layer& layer, const Network& network, int axis) {
  const auto* slice = op_of<Slice>(layer);
  if (!slice || !is_image(network.shape(layer.output))) return false;
  const Shape& whole = network.shape(layer.inputs[0]);
  for (int d = 0; d < 4; ++d) {
    if (slice->steps[d] != 1 && slice->shape[d] != 1) return false;
    if (d != axis && (slice->starts[d] != 0 || slice->shape[d] != whole[d])) return false;
  }
  return true;
}

bool is_channel_slice(const Layer& layer, const Network& network) {
  return is_run(layer, network, 1);
}

// The zeroed border that the layers reading a value want around it. Only convs read padding from
// memory.
Pad4 rim_wanted(const Layer& layer, ValueId value) {
  if (layer.inputs.empty() || layer.inputs[0] != value) return {0, 0, 0, 0};
  if (const auto* chain = op_of<ConvChain>(layer)) return chain_rim(*chain);
  const auto* conv = op_of<Conv>(layer);
  return conv ? conv->pad : Pad4{0, 0, 0, 0};
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
             is_image_concat(layer, original);
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
                                   !is_image_concat(*maker, original) &&
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

// What decides the descriptors: for every value the one it is a slice of, and from which channel
// and row.
struct Place {
  ValueId parent = -1;
  int64_t channel = 0, row = 0;
  // A run of the parent's rows. What lies above and below it is the parent's, and not zero: no conv
  // may read padding there.
  bool by_rows = false;
};
using Slicing = std::vector<Place>;

// Finds a place inside another value for each slice and each part of a concatenation, adding copies
// for parts that cannot be written in place.
//
// Concatenations are taken last to first, so that one feeding the next (DenseNet) finds its own
// place before its parts do. One whose parts already lie side by side in a later one is a slice of
// it and needs nothing.
class Slicer {
 public:
  explicit Slicer(Network network) : network_(std::move(network)) {
    slicing_.resize(network_.values.size());
    makers_ = producers(network_);
    find_padded_rows();
  }

  void run() {
    for (const Layer& layer : network_.layers) {
      const auto* slice = op_of<Slice>(layer);
      if (!slice || is_edge(layer.output) || is_edge(layer.inputs[0])) continue;
      const bool by_rows = !is_run(layer, network_, 1) && is_run(layer, network_, 2);
      if (!by_rows && !is_run(layer, network_, 1)) continue;
      const Place place{layer.inputs[0], slice->starts[1], slice->starts[2], by_rows};
      if ((by_rows || lies_by_rows(place.parent)) && padded_rows_[layer.output]) continue;
      slicing_[layer.output] = place;
    }
    for (int i = static_cast<int>(network_.layers.size()) - 1; i >= 0; --i) {
      if (is_image_concat(network_.layers[i], network_)) place_parts(i);
    }
  }

  const Network& network() const { return network_; }
  const Slicing& slicing() const { return slicing_; }

 private:
  bool is_edge(ValueId value) const {
    return std::count(network_.inputs.begin(), network_.inputs.end(), value) != 0 ||
           std::count(network_.outputs.begin(), network_.outputs.end(), value) != 0;
  }

  // Values that a conv reads with padding above or below, as they are or as part of a view.
  void find_padded_rows() {
    padded_rows_.assign(network_.values.size(), false);
    for (auto layer = network_.layers.rbegin(); layer != network_.layers.rend(); ++layer) {
      const bool view = op_of<Slice>(*layer) || op_of<Concat>(*layer);
      for (const ValueId input : layer->inputs) {
        const Pad4 rim = rim_wanted(*layer, input);
        if (rim[0] > 0 || rim[2] > 0 || (view && padded_rows_[layer->output]))
          padded_rows_[input] = true;
      }
    }
  }

  bool lies_by_rows(ValueId value) const {
    for (; value >= 0; value = slicing_[value].parent)
      if (slicing_[value].by_rows) return true;
    return false;
  }

  bool parts_lie_side_by_side(const Layer& concat) const {
    const Place first = slicing_[concat.inputs[0]];
    if (first.parent < 0 || slicing_[concat.output].parent >= 0) return false;
    const bool rows = op_of<Concat>(concat)->axis == 2;
    int64_t channel = first.channel, row = first.row;
    for (const ValueId part : concat.inputs) {
      const Place& place = slicing_[part];
      if (place.parent != first.parent || place.channel != channel || place.row != row ||
          place.by_rows != first.by_rows) {
        return false;
      }
      (rows ? row : channel) += network_.shape(part)[rows ? 2 : 1];
    }
    return !(first.by_rows || lies_by_rows(first.parent)) || !padded_rows_[concat.output];
  }

  // Whether a value's memory may still be chosen by whoever holds it.
  bool is_free(ValueId value) const {
    if (slicing_[value].parent >= 0 || is_edge(value) || makers_[value] < 0) return false;
    const Layer& maker = network_.layers[makers_[value]];
    return !op_of<Literal>(maker) && !op_of<Reshape>(maker);
  }

  void place_parts(int index) {
    const ValueId whole = network_.layers[index].output;
    if (parts_lie_side_by_side(network_.layers[index])) {
      // The parts stay slices of the later concatenation, and this one is a slice of it as well.
      slicing_[whole] = slicing_[network_.layers[index].inputs[0]];
      return;
    }
    const bool rows = op_of<Concat>(network_.layers[index])->axis == 2;
    Place place{whole, 0, 0, rows};
    for (size_t part = 0; part < network_.layers[index].inputs.size(); ++part) {
      ValueId value = network_.layers[index].inputs[part];
      const bool by_rows = rows || lies_by_rows(whole);
      if (!is_free(value) || (by_rows && read_with_padded_rows(value)))
        value = insert_copy(index, part);
      slicing_[value] = place;
      (rows ? place.row : place.channel) += network_.shape(value)[rows ? 2 : 1];
    }
  }

  // A part whose only padded reading is by way of the whole may lie among other rows: it is the
  // whole's rim that is read then.
  bool read_with_padded_rows(ValueId value) const {
    for (const Layer& layer : network_.layers) {
      if (std::count(layer.inputs.begin(), layer.inputs.end(), value) == 0) continue;
      const Pad4 rim = rim_wanted(layer, value);
      if (rim[0] > 0 || rim[2] > 0) return true;
      if (op_of<Slice>(layer) && padded_rows_[layer.output]) return true;
    }
    return false;
  }

  // Puts a copy of a part before the concatenation, which moves one place down (index is updated).
  ValueId insert_copy(int& index, size_t part) {
    const ValueId source = network_.layers[index].inputs[part];
    const std::string name = fmt::format("{}_part{}", network_.layers[index].name, part);
    const ValueId copy = network_.add_layer(name, Copy{}, {source});
    std::rotate(network_.layers.begin() + index, network_.layers.end() - 1, network_.layers.end());
    ++index;
    network_.layers[index].inputs[part] = copy;
    slicing_.emplace_back();
    padded_rows_.push_back(false);
    makers_ = producers(network_);
    return copy;
  }

  Network network_;
  Slicing slicing_;
  std::vector<int> makers_;
  std::vector<bool> padded_rows_;  // by value
};

std::vector<TensorDescriptor> describe(const Network& network, const Slicing& slicing) {
  const auto count = static_cast<ValueId>(network.values.size());
  std::vector<ValueId> roots(count);
  for (ValueId v = 0; v < count; ++v) {
    roots[v] = v;
    while (slicing[roots[v]].parent >= 0) roots[v] = slicing[roots[v]].parent;
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
    result[v] = result[roots[v]];
    result[v].shape = network.shape(v);
    result[v].parent = roots[v];
    for (ValueId p = v; slicing[p].parent >= 0; p = slicing[p].parent) {
      result[v].parent_offset +=
          slicing[p].channel * result[v].strides[1] + slicing[p].row * result[v].strides[2];
      if (slicing[p].by_rows) result[v].rim[0] = result[v].rim[2] = 0;
    }
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

// Whether a Slice's output lies in its input's memory.
bool is_view(const LaidOutNetwork& laid_out, const Layer& layer) {
  const Placement from = placement(laid_out, layer.inputs[0]);
  const Placement to = placement(laid_out, layer.output);
  const TensorDescriptor& d = laid_out.descriptors[layer.output];
  int64_t offset = from.offset;
  for (size_t i = 0; i < d.strides.size(); ++i)
    offset += op_of<Slice>(layer)->starts[i] * d.strides[i];
  return d.parent >= 0 && from.root == to.root && to.offset == offset;
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
    const bool sliced_in_place = op_of<Slice>(layer) && is_view(result, layer);
    add(layer, op_of<Literal>(layer) || is_image_concat(layer, network) || sliced_in_place);
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
                               const KernelChoice& choice, const std::string& target, int threads) {
  EMULSION_CHECK(!laid_out.elided[layer]);
  const auto alone = [&](ValueId value) {
    TensorDescriptor d = laid_out.descriptors[value];
    d.parent = -1;
    d.parent_offset = 0;
    return d;
  };
  const Layer& l = laid_out.network.layers[layer];
  KernelSpec spec{l.op, {}, alone(l.output), choice.algorithm, choice.schedule, target, threads};
  spec.weights = choice.weights;
  for (const ValueId input : l.inputs) spec.inputs.push_back(alone(input));
  auto result = completed(std::move(spec));
  if (!result.ok()) return result.error().in(fmt::format("layer '{}'", l.name));
  return result;
}

}  // namespace emulsion
