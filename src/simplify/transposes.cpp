// Transpositions move down through layers that work on any order of dimensions until they meet
// their inverse: a network (or a block of one) written for channels-last images becomes one for N C
// H W, which is only a name for an order here: memory is channels-innermost either way. Others that
// read the transposed value do not hold it up: what a network does in another order from end to end
// moves as a whole, residual connections included.
#include <algorithm>
#include <numeric>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

using Permutation = std::vector<int>;

bool is_identity(const Permutation& p) {
  return std::is_sorted(p.begin(), p.end());
}

// Dimension i of the tensor that a transposition by p makes is dimension p[i] of the one it reads.
std::vector<int> mapped(const std::vector<int>& axes, const Permutation& p) {
  std::vector<int> result;
  for (const int axis : axes) result.push_back(p[axis]);
  std::sort(result.begin(), result.end());
  return result;
}

// Whether an activation's slope may be one for each element of dimension 1.
bool per_channel(const std::optional<Activation>& a) {
  return a && a->slope && element_count(a->slope->shape) > 1;
}

// A literal that broadcasts against a transposed tensor, as one against the tensor itself. Null: it
// would make that larger.
Constant untransposed(const Constant& literal, const Permutation& p, const Shape& transposed) {
  const Shape& own = literal->shape;
  const size_t rank = p.size();
  if (own.size() > rank) return nullptr;
  Shape wide(rank, 1), shape(rank);
  std::copy(own.begin(), own.end(), wide.end() - static_cast<std::ptrdiff_t>(own.size()));
  std::vector<int64_t> strides(rank);  // of the result, along the literal's dimensions
  for (size_t i = 0; i < rank; ++i) {
    if (wide[i] != 1 && wide[i] != transposed[i]) return nullptr;
    shape[p[i]] = wide[i];
  }
  const std::vector<int64_t> result_strides = row_major(shape).strides;
  for (size_t i = 0; i < rank; ++i) strides[i] = result_strides[p[i]];
  const std::vector<int64_t> own_strides = row_major(wide).strides;
  std::vector<int64_t> source(static_cast<size_t>(element_count(own)));
  for (size_t at = 0; at < source.size(); ++at) {
    int64_t target = 0;
    for (size_t i = 0; i < rank; ++i) {
      target += static_cast<int64_t>(at) / own_strides[i] % wide[i] * strides[i];
    }
    source[target] = static_cast<int64_t>(at);
  }
  return derived_constant(shape, {literal}, [&](int64_t i) { return literal->data[source[i]]; });
}

// What a layer is on the tensor before the transposition of its input by p. The layer's own output
// is then the new op's, transposed by `after`.
struct Moved {
  Op op;
  Permutation after;
};

std::optional<Moved> moved(const Dense& dense, const Permutation& p) {
  if (p.size() != 4 || p[3] != 1 || per_channel(dense.activation)) return std::nullopt;
  Conv conv;
  const Shape& shape = dense.weight->shape;
  conv.weight = derived_constant({shape[0], shape[1], 1, 1}, {dense.weight},
                                 [&](int64_t i) { return dense.weight->data[i]; });
  if (!conv.weight) return std::nullopt;
  conv.bias = dense.bias;
  conv.epilogue.activation = dense.activation;
  return Moved{conv, p};
}

std::optional<Moved> moved(const ReduceMean& mean, const Permutation& p) {
  const ReduceMean result{mapped(mean.axes, p), mean.keep};
  if (mean.keep) return Moved{result, p};
  // The kept dimensions close ranks: their order is what is left of the permutation.
  Permutation after;
  for (size_t i = 0; i < p.size(); ++i) {
    const int from = p[i];
    if (std::count(result.axes.begin(), result.axes.end(), from) > 0) continue;
    const auto before = std::count_if(result.axes.begin(), result.axes.end(),
                                      [&](int axis) { return axis < from; });
    after.push_back(from - static_cast<int>(before));
  }
  return Moved{result, after};
}

// For ops of one input. They change nothing but their axes, if they have any.
std::optional<Moved> moved_single(const Op& op, const Permutation& p) {
  const bool keeps_channels = p.size() > 1 && p[1] == 1;
  return std::visit(overloaded{
                        [&](const Activation& o) -> std::optional<Moved> {
                          if (per_channel(o) && !keeps_channels) return std::nullopt;
                          return Moved{o, p};
                        },
                        [&](const Affine& o) -> std::optional<Moved> {
                          if (!keeps_channels) return std::nullopt;
                          return Moved{o, p};
                        },
                        [&](const BatchNorm& o) -> std::optional<Moved> {
                          if (!keeps_channels) return std::nullopt;
                          return Moved{o, p};
                        },
                        [&](const Normalize& o) -> std::optional<Moved> {
                          return Moved{Normalize{mapped(o.axes, p), o.epsilon}, p};
                        },
                        [&](const Softmax& o) -> std::optional<Moved> {
                          return Moved{Softmax{p[o.axis]}, p};
                        },
                        [&](const Dense& o) { return moved(o, p); },
                        [&](const ReduceMean& o) { return moved(o, p); },
                        [](const auto&) -> std::optional<Moved> { return std::nullopt; },
                    },
                    op);
}

class TransposeMover {
 public:
  explicit TransposeMover(const Network& network) : edit_(network) {}

  Network run() {
    for (index_ = 0; index_ < edit_.layer_count(); ++index_) {
      if (edit_.dead(index_)) continue;
      if (edit_.op<Transpose>(index_)) {
        merge();
      } else if (edit_.op<Binary>(index_)) {
        move_through_binary();
      } else if (edit_.layer(index_).inputs.size() == 1) {
        move_through_single();
      }
    }
    return in_order(edit_.finish());
  }

 private:
  const std::vector<ValueId>& inputs() { return edit_.layer(index_).inputs; }
  ValueId before_transpose(ValueId id) { return edit_.layer(edit_.producer(id)).inputs[0]; }

  // transpose(transpose(x))  =>  transpose(x), or x
  void merge() {
    const ValueId between = inputs()[0];
    const Transpose* first = edit_.made_by<Transpose>(between);
    if (!first) return;
    Permutation p;
    for (const int axis : std::get<Transpose>(edit_.layer(index_).op).permutation) {
      p.push_back(first->permutation[axis]);
    }
    const ValueId x = before_transpose(between);
    if (is_identity(p) && edit_.replace_value(edit_.layer(index_).output, x)) return;
    edit_.layer(index_).op = Transpose{p};
    edit_.layer(index_).inputs = {x};
    edit_.refresh();
  }

  // op(transpose(x))  =>  transpose(op'(x))
  void move_through_single() {
    const ValueId between = inputs()[0];
    const Transpose* transpose = edit_.made_by<Transpose>(between);
    if (!transpose) return;
    const auto result = moved_single(edit_.layer(index_).op, transpose->permutation);
    if (result) put(*result, {before_transpose(between)});
  }

  // binary(transpose(x), literal)  =>  transpose(binary(x, literal'))
  // binary(transpose(x), transpose(y))  =>  transpose(binary(x, y))   by the same permutation
  void move_through_binary() {
    const auto binary = std::get<Binary>(edit_.layer(index_).op);
    for (const int side : {0, 1}) {
      const ValueId between = inputs()[side], other = inputs()[1 - side];
      const Transpose* transpose = edit_.made_by<Transpose>(between);
      if (!transpose) continue;
      const Permutation p = transpose->permutation;
      if (edit_.shape(between) != edit_.shape(edit_.layer(index_).output)) continue;
      if (per_channel(binary.activation) && (p.size() < 2 || p[1] != 1)) continue;
      std::vector<ValueId> operands(2, before_transpose(between));
      if (const Literal* literal = edit_.made_by<Literal>(other)) {
        const Constant value = untransposed(literal->value, p, edit_.shape(between));
        if (!value) continue;
        operands[1 - side] = insert("_literal", Literal{value}, {});
      } else if (const Transpose* same = edit_.made_by<Transpose>(other);
                 same && same->permutation == p && edit_.shape(other) == edit_.shape(between)) {
        operands[1 - side] = before_transpose(other);
      } else {
        continue;
      }
      put({binary, p}, operands);
      return;
    }
  }

  ValueId insert(const std::string& suffix, Op op, const std::vector<ValueId>& operands) {
    const std::string name = edit_.layer(index_).name;
    return edit_.insert(index_++, name + suffix, std::move(op), operands);
  }

  // The new layer takes the old one's name; the old one becomes the transposition behind it.
  void put(const Moved& result, const std::vector<ValueId>& operands) {
    const ValueId value = insert("", result.op, operands);
    Layer& layer = edit_.layer(index_);
    const bool plain = is_identity(result.after);
    if (plain && edit_.replace_value(layer.output, value)) return;
    layer.name += "_transpose";
    layer.op = Transpose{result.after};
    layer.inputs = {value};
    edit_.refresh();
  }

  NetworkEdit edit_;
  int index_ = 0;
};

}  // namespace

Network move_transposes(const Network& network) {
  return TransposeMover(network).run();
}

// transpose(x)  =>  reshape(x)   where only dimensions of one element move
Network transposes_to_reshapes(const Network& network) {
  NetworkEdit edit(network);
  for (int i = 0; i < edit.layer_count(); ++i) {
    const Transpose* transpose = edit.op<Transpose>(i);
    if (!transpose) continue;
    const Shape& x = edit.shape(edit.layer(i).inputs[0]);
    Permutation longer;
    for (const int axis : transpose->permutation) {
      if (x[axis] != 1) longer.push_back(axis);
    }
    if (!is_identity(longer)) continue;
    edit.layer(i).op = Reshape{edit.shape(edit.layer(i).output)};
  }
  return edit.finish();
}

}  // namespace emulsion
