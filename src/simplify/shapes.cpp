// Passes over layers that only move elements.
#include <algorithm>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

template <class T>
bool counts_up(const std::vector<T>& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] != static_cast<T>(i)) return false;
  }
  return true;
}

template <class T>
bool all_equal(const std::vector<T>& list, T value) {
  return std::all_of(list.begin(), list.end(), [&](T x) { return x == value; });
}

// Whether the layer's output is its input, given that their shapes are equal.
bool passes_on(const Op& op) {
  return std::visit(overloaded{
                        [](const Reshape&) { return true; },
                        [](const Transpose& o) { return counts_up(o.permutation); },
                        [](const Slice& o) { return all_equal<int64_t>(o.starts, 0); },
                        [](const Pad& o) {
                          return all_equal<int64_t>(o.before, 0) && all_equal<int64_t>(o.after, 0);
                        },
                        [](const Concat&) { return true; },
                        [](const ReduceMean& o) { return o.axes.empty(); },
                        [](const Resize& o) { return counts_up(o.rows) && counts_up(o.columns); },
                        [](const auto&) { return false; },
                    },
                    op);
}

}  // namespace

// y = noop(x)  =>  x
Network drop_noops(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    if (edit.dead(i)) continue;
    const Layer& layer = edit.layer(i);
    if (layer.inputs.size() == 1 && edit.shape(layer.inputs[0]) == edit.shape(layer.output) &&
        passes_on(layer.op)) {
      edit.replace_value(layer.output, layer.inputs[0]);
    }
  }
  return edit.finish();
}

// reshape(reshape(x))  =>  reshape(x)
Network merge_reshapes(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    if (!edit.op<Reshape>(i)) continue;
    ValueId& input = edit.layer(i).inputs[0];
    if (!edit.made_by<Reshape>(input)) continue;
    input = edit.layer(edit.producer(input)).inputs[0];
    edit.refresh();
  }
  return edit.finish();
}

}  // namespace emulsion
