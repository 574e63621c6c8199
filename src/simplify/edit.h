// A network under edit by a pass: who makes and who reads each value, kept up to date, and the few
// edits that passes are made of. Layers keep their indices until finish(), unless move_layer is
// used.
#pragma once

#include <functional>
#include <vector>

#include "network/network.h"

namespace emulsion {

class NetworkEdit {
 public:
  explicit NetworkEdit(Network network);

  int layer_count() const { return static_cast<int>(network_.layers.size()); }
  const Network& network() const { return network_; }
  // Changing an op or the inputs through this needs refresh() before the next question.
  Layer& layer(int index) { return network_.layers[index]; }
  const Shape& shape(ValueId id) const { return network_.shape(id); }
  bool dead(int index) const { return dead_[index]; }

  // The layer that makes a value, or -1.
  int producer(ValueId id) const { return producer_[id]; }
  const std::vector<int>& readers(ValueId id) const { return readers_[id]; }
  bool is_output(ValueId id) const { return is_output_[id]; }
  // Nothing but this layer reads the value, and that once.
  bool only_reader(ValueId id, int index) const;

  // The op of the layer that makes a value, if that is a T; else null.
  template <class T>
  T* made_by(ValueId id) {
    return producer_[id] < 0 ? nullptr : std::get_if<T>(&network_.layers[producer_[id]].op);
  }
  // The op of a layer that is alive, if it is a T; else null.
  template <class T>
  T* op(int index) {
    return dead_[index] ? nullptr : std::get_if<T>(&network_.layers[index].op);
  }

  // Layer `into` makes what `index` made; index is gone. `into` must come before all that read
  // that.
  void absorb(int into, int index);
  // Whoever read `from` reads `to`, which has the same content. False (and no change) where that
  // would lose the name of an output of the network.
  bool replace_value(ValueId from, ValueId to);
  void move_layer(int from, int to);
  // Puts a new layer in front of layer `index`, which moves one place down; its value gets a name
  // like the layer's.
  ValueId insert(int index, const std::string& name, Op op, const std::vector<ValueId>& inputs);
  void refresh();

  // Without what nothing needs any more.
  Network finish();

 private:
  Network network_;
  std::vector<bool> dead_;
  std::vector<int> producer_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> is_output_;
};

// The same network with values numbered as they come: inputs, then the layers' outputs.
Network in_order(const Network& network);

// A constant whose element i is f(i): abstract when one of the sources (null ones are passed over)
// is, null when an element is not finite.
Constant derived_constant(const Shape& shape, const std::vector<Constant>& sources,
                          const std::function<double(int64_t)>& f);
// Element i, or 0 of a null constant.
inline double element(const Constant& c, int64_t i) {
  return c ? c->data[i] : 0.0;
}

}  // namespace emulsion
