// Seeded generator of small valid networks over all ops, for tests that compare two ways to compute
// one. The same seed gives the same network. Values stay small, divisors away from zero, and the
// patterns that simplify() looks for are frequent.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "network/network.h"

namespace emulsion {

class RandomNetworkMaker {
 public:
  explicit RandomNetworkMaker(uint64_t seed) : stream_(seed, "random network") {}

  Network run(int layers) {
    network_.name = "random";
    for (int i = pick(1, 2); i > 0; --i) {
      const ValueId id = network_.add_value(fmt::format("input{}", network_.inputs.size()),
                                            {pick(1, 2), pick(1, 6), pick(4, 9), pick(4, 9)});
      network_.inputs.push_back(id);
    }
    while (static_cast<int>(network_.layers.size()) < layers) extend();
    // The last value, and sometimes one in the middle that passes must not fuse away.
    network_.outputs.push_back(static_cast<ValueId>(network_.values.size()) - 1);
    if (chance(0.3)) {
      const ValueId middle = any_value();
      if (middle != network_.outputs[0]) network_.outputs.push_back(middle);
    }
    return without_dead_layers(network_);
  }

  // The pieces, for tests that build their own.
  int pick(int low, int high) {
    return low + static_cast<int>(stream_.below(draw_++, static_cast<uint64_t>(high - low + 1)));
  }
  bool chance(double p) { return stream_.uniform(draw_++) < p; }
  float real(double low, double high) {
    return static_cast<float>(stream_.uniform(draw_++, low, high));
  }

  Constant random_constant(const Shape& shape, double low, double high) {
    std::vector<float> data(element_count(shape));
    for (float& x : data) x = real(low, high);
    return constant(shape, std::move(data));
  }

  Activation random_activation(int64_t channels) {
    Activation a{
        .kind = static_cast<Activation::Kind>(pick(0, static_cast<int>(Activation::Kind::erf)))};
    switch (a.kind) {
      case Activation::Kind::leaky_relu:
      case Activation::Kind::elu:
        a.alpha = real(0.05, 0.5);
        break;
      case Activation::Kind::prelu:
        a.slope = random_constant({chance(0.5) ? channels : 1}, -0.5, 0.5);
        break;
      case Activation::Kind::clip:
        a.alpha = chance(0.5) ? 0.0f : real(-1, -0.5);
        a.beta = real(0.5, 6);
        break;
      case Activation::Kind::hard_sigmoid:
        a.alpha = chance(0.5) ? 1.0f / 6.0f : real(0.1, 0.3);
        a.beta = 0.5f;
        break;
      default:
        break;
    }
    return a;
  }

  // A conv that fits an input of this shape.
  Conv random_conv(const Shape& x) {
    Conv conv;
    const int channels = static_cast<int>(x[1]);
    if (chance(0.3) && channels > 1)
      conv.groups = chance(0.5) ? channels : smallest_divisor(channels);
    const int co = conv.groups * pick(1, std::max(1, 6 / conv.groups));
    Extent2 kernel{1, 1};
    if (chance(0.6)) {
      kernel = {pick(1, 3), pick(1, 3)};
      for (int& p : conv.pad) p = pick(0, 1);
      conv.dilation = {pick(1, 2), pick(1, 2)};
      for (int i = 0; i < 2; ++i) {
        if ((kernel[i] - 1) * conv.dilation[i] >= x[2 + i]) kernel[i] = conv.dilation[i] = 1;
      }
    }
    if (chance(0.3)) conv.stride = {pick(1, 2), pick(1, 2)};
    const int64_t ci = channels / conv.groups;
    const double reach = 1.5 / std::sqrt(static_cast<double>(ci * kernel[0] * kernel[1]));
    conv.weight = random_constant({co, ci, kernel[0], kernel[1]}, -reach, reach);
    if (chance(0.5)) conv.bias = random_constant({co}, -0.5, 0.5);
    if (chance(0.1)) {
      conv.prologue.scale = random_constant({channels}, 0.5, 1.5);
      conv.prologue.shift = random_constant({channels}, -0.5, 0.5);
    }
    if (chance(0.1)) conv.prologue.activation = random_activation(channels);
    if (chance(0.1)) conv.epilogue.activation = random_activation(co);
    return conv;
  }

 private:
  static int smallest_divisor(int n) {
    int d = 2;
    while (n % d != 0) ++d;
    return d;
  }

  // Mostly one of the latest values, so that networks are deep.
  ValueId any_value() {
    const int count = static_cast<int>(network_.values.size());
    const ValueId id = chance(0.7) ? count - 1 : pick(std::max(0, count - 5), count - 1);
    const auto sum = normal_sums_.find(id);
    return sum == normal_sums_.end() ? id : sum->second;
  }

  ValueId add(Op op, std::vector<ValueId> inputs) {
    return network_.add_layer(fmt::format("{}{}", op_name(op), network_.layers.size()),
                              std::move(op), std::move(inputs));
  }
  ValueId literal(const Shape& shape, double low, double high) {
    return add(Literal{random_constant(shape, low, high)}, {});
  }

  void extend() {
    const ValueId x = any_value();
    const Shape shape = network_.shape(x);
    if (element_count(shape) > 3000) {  // keeps chains of concatenations and pads small
      const Shape line{element_count(shape)};
      add(Slice{{0}, {1}, {pick(1, 99)}}, {add(Reshape{line}, {x})});
    } else if (shape.size() == 4) {
      extend_image(x, shape);
    } else {
      extend_other(x, shape);
    }
  }

  void extend_image(ValueId x, const Shape& shape) {
    switch (pick(0, 15)) {
      case 0:
      case 1:
      case 2:
        add_conv_block(x, shape);
        break;
      case 3:
        add(batch_norm(shape[1]), {x});
        break;
      case 4: {
        const ValueId y = add_norm_and_activation(x);
        add(random_conv(network_.shape(y)), {y});
        break;
      }
      case 5:
        add_binary_with_literal(x, shape);
        break;
      case 6:
        add(Concat{1}, {x, add_any_activation(x)});
        break;
      case 7:
        add_image_pad(x, shape);
        break;
      case 8:
        add_pool(x);
        break;
      case 9:
        add(Resize{indices(shape[2]), indices(shape[3])}, {x});
        break;
      case 10:
        add(ReduceMean{{2, 3}, chance(0.8)}, {x});
        break;
      case 11:
        add_transpose_pair(x);
        break;
      case 12:
        if (chance(0.3)) {
          add(Copy{}, {x});
        } else {
          add(Reshape{{shape[0], element_count(shape) / shape[0]}}, {x});
        }
        break;
      default:
        extend_other(x, shape);
    }
  }

  void extend_other(ValueId x, const Shape& shape) {
    const int rank = static_cast<int>(shape.size());
    const int axis = rank > 0 ? pick(0, rank - 1) : -1;
    switch (pick(0, rank > 0 ? 10 : 2)) {
      case 0:
        add_any_activation(x);
        break;
      case 1:
        add_gate(x, shape);
        break;
      case 2:
        add_binary_with_literal(x, shape);
        break;
      case 3:
        add_binary_with_value(x, shape);
        break;
      case 4:
        add_dense(x, shape);
        break;
      case 5:
        add_slice(x, shape);
        break;
      case 6:
        add(Softmax{axis}, {x});
        break;
      case 7:
        add_pad(x, shape);
        break;
      case 8:
        add(Reshape{chance(0.3) ? shape : Shape{1, element_count(shape)}}, {x});
        break;
      case 9:
        add(Concat{axis}, chance(0.3) ? std::vector{x} : std::vector{x, x});
        break;
      case 10:
        add_normalize(x, rank);
        break;
    }
  }

  void add_normalize(ValueId x, int rank) {
    Normalize normalize{{}, real(0.1, 1)};
    for (int axis = 0; axis < rank; ++axis) {
      if (chance(0.4)) normalize.axes.push_back(axis);
    }
    if (normalize.axes.empty()) normalize.axes.push_back(rank - 1);
    // Read as a sum with something only: a normal tensor's mean is nothing but rounding errors.
    const ValueId other = chance(0.5) ? x : literal({}, 1, 2);
    const ValueId y = add(std::move(normalize), {x});
    normal_sums_[y] = add(Binary{}, {y, other});
  }

  // Another order of dimensions, something there, and mostly the first order again.
  void add_transpose_pair(ValueId x) {
    std::vector<int> p = chance(0.5) ? std::vector{0, 2, 3, 1} : std::vector{0, 1, 3, 2};
    std::vector<int> back(4);
    for (int i = 0; i < 4; ++i) back[p[i]] = i;
    x = add(Transpose{p}, {x});
    for (int i = pick(0, 2); i > 0; --i) {
      extend_other(x, network_.shape(x));
      const ValueId next = static_cast<ValueId>(network_.values.size()) - 1;
      if (network_.shape(next).size() == 4) x = next;
    }
    if (chance(0.8)) add(Transpose{back}, {x});
  }

  static int64_t channels_of(const Shape& shape) { return shape.size() >= 2 ? shape[1] : 1; }

  ValueId add_any_activation(ValueId x) {
    return add(random_activation(channels_of(network_.shape(x))), {x});
  }

  BatchNorm batch_norm(int64_t channels) {
    return {random_constant({channels}, 0.5, 1.5), random_constant({channels}, -0.5, 0.5),
            random_constant({channels}, -0.5, 0.5), random_constant({channels}, 0.5, 2), 1e-3f};
  }

  Op norm_or_affine(int64_t channels) {
    if (chance(0.5)) return batch_norm(channels);
    Affine affine{
        random_constant({channels}, -1.5, 1.5), random_constant({channels}, -0.5, 0.5), {}};
    if (chance(0.3)) affine.activation = random_activation(channels);
    return affine;
  }

  ValueId add_norm_and_activation(ValueId x) {
    x = add(norm_or_affine(network_.shape(x)[1]), {x});
    return chance(0.7) ? add_any_activation(x) : x;
  }

  // conv, batch norm, addition, activation: each there or not.
  void add_conv_block(ValueId x, const Shape& shape) {
    Conv conv = random_conv(shape);
    std::vector<ValueId> inputs{x};
    if (chance(0.1)) {
      const Shape y = *infer_shape(conv, {shape});
      inputs.push_back(literal(y, -1, 1));
      conv.epilogue.residual = true;
    }
    ValueId y = add(std::move(conv), inputs);
    if (chance(0.6)) y = add(norm_or_affine(network_.shape(y)[1]), {y});
    if (chance(0.6)) y = add_residual(y);
    if (chance(0.6)) add_any_activation(y);
  }

  // Adds another value of the same shape, or a conv's: of something that came before.
  ValueId add_residual(ValueId y) {
    const Shape shape = network_.shape(y);
    for (ValueId other = y - 1; other >= 0; --other) {
      const Shape candidate = network_.shape(other);
      if (candidate.size() != 4) continue;
      if (candidate != shape) {
        if (candidate[0] != shape[0] || candidate[2] != shape[2] || candidate[3] != shape[3])
          continue;
        Conv shortcut;
        shortcut.weight = random_constant({shape[1], candidate[1], 1, 1}, -1, 1);
        other = add(std::move(shortcut), {other});
      }
      std::vector<ValueId> inputs{y, other};
      if (chance(0.5)) std::swap(inputs[0], inputs[1]);
      Binary sum;
      if (chance(0.2)) sum.activation = random_activation(shape[1]);
      return add(std::move(sum), inputs);
    }
    return y;
  }

  // x * f(x)
  void add_gate(ValueId x, const Shape&) {
    Activation f{.kind = chance(0.5) ? Activation::Kind::sigmoid : Activation::Kind::hard_sigmoid};
    if (f.kind == Activation::Kind::hard_sigmoid) {
      f.alpha = 1.0f / 6.0f;
      f.beta = 0.5f;
    }
    std::vector<ValueId> inputs{x, add(f, {x})};
    if (chance(0.5)) std::swap(inputs[0], inputs[1]);
    add(Binary{Binary::Kind::mul, {}}, inputs);
  }

  void add_binary_with_literal(ValueId x, const Shape& shape) {
    Shape literal_shape = shape;
    switch (pick(0, 4)) {
      case 0:
        literal_shape = {};
        break;
      case 1:
        literal_shape = {1};
        break;
      case 2:
        if (!shape.empty()) literal_shape = {shape.back()};
        break;
      case 3:
        break;
      case 4:
        for (size_t i = 0; i < shape.size(); ++i) literal_shape[i] = i == 1 ? shape[1] : 1;
        break;
    }
    Binary binary{static_cast<Binary::Kind>(pick(0, 3)), {}};
    if (chance(0.2)) binary.activation = random_activation(channels_of(shape));
    std::vector<ValueId> inputs{x, literal(literal_shape, 0.5, 1.5)};
    if (binary.kind != Binary::Kind::div && chance(0.3)) std::swap(inputs[0], inputs[1]);
    add(std::move(binary), inputs);
  }

  void add_binary_with_value(ValueId x, const Shape& shape) {
    std::vector<ValueId> inputs{x, x};
    const ValueId other = any_value();
    if (network_.shape(other) == shape) inputs[1] = other;
    add(Binary{static_cast<Binary::Kind>(pick(0, 2)), {}}, inputs);
  }

  void add_dense(ValueId x, const Shape& shape) {
    const int64_t k = shape.back(), m = pick(1, 6);
    const double reach = 1.5 / std::sqrt(static_cast<double>(k));
    Dense dense{random_constant({m, k}, -reach, reach), nullptr, {}};
    if (chance(0.5)) dense.bias = random_constant({m}, -0.5, 0.5);
    const ValueId y = add(std::move(dense), {x});
    if (chance(0.5)) add(Binary{}, {y, literal({m}, -1, 1)});
  }

  void add_slice(ValueId x, const Shape& shape) {
    Slice slice;
    for (const int64_t extent : shape) {
      const int64_t step = chance(0.2) ? -1 : pick(1, 2);
      const int64_t start = step < 0 ? extent - 1 : pick(0, extent > 1 ? 1 : 0);
      const int64_t room = step < 0 ? extent : (extent - start + step - 1) / step;
      slice.starts.push_back(start);
      slice.steps.push_back(step);
      slice.shape.push_back(std::max<int64_t>(1, room - pick(0, 1)));
    }
    add(std::move(slice), {x});
  }

  void add_pad(ValueId x, const Shape& shape) {
    Pad pad{.mode = static_cast<Pad::Mode>(pick(0, 2)), .value = real(-1, 1)};
    for (const int64_t extent : shape) {
      const int low = extent > 3 ? -1 : 0, high = extent > 1 ? 1 : 0;
      pad.before.push_back(pick(low, high));
      pad.after.push_back(pick(low, high));
    }
    add(std::move(pad), {x});
  }

  // Zero rows and columns, then a conv or pool.
  void add_image_pad(ValueId x, const Shape& shape) {
    if (chance(0.5)) x = add(Activation{.kind = Activation::Kind::relu}, {x});
    Pad pad{.before = {0, 0, pick(0, 1), pick(0, 1)}, .after = {0, 0, pick(0, 1), pick(0, 1)}};
    const ValueId padded = add(std::move(pad), {x});
    if (chance(0.5)) {
      add(random_conv(network_.shape(padded)), {padded});
    } else if (shape[2] > 1) {
      add_pool(padded);
    }
  }

  void add_pool(ValueId x) {
    Pool pool{.kind = chance(0.5) ? Pool::Kind::max : Pool::Kind::average};
    pool.count_include_pad = pool.kind == Pool::Kind::average && chance(0.5);
    const Shape& shape = network_.shape(x);
    for (int i = 0; i < 2; ++i) {
      pool.kernel[i] = std::min<int>(pick(1, 3), static_cast<int>(shape[2 + i]));
      pool.stride[i] = pick(1, 2);
      if (pool.kernel[i] > 1) {
        pool.pad[i] = pick(0, 1);
        pool.pad[2 + i] = pick(0, 1);
      }
      const int64_t room = shape[2 + i] + pool.pad[i] + pool.pad[2 + i] - pool.kernel[i];
      pool.out[i] = static_cast<int>(room / pool.stride[i] + 1);
    }
    add(std::move(pool), {x});
  }

  std::vector<int> indices(int64_t extent) {
    std::vector<int> list(pick(1, 8));
    for (size_t i = 0; i < list.size(); ++i) {
      list[i] = static_cast<int>(i * static_cast<size_t>(extent) / list.size());
    }
    return list;
  }

  RandomStream stream_;
  uint64_t draw_ = 0;
  Network network_;
  std::map<ValueId, ValueId> normal_sums_;  // of each normalize's output: the value to read instead
};

inline Network random_network(uint64_t seed, int layers = 12) {
  return RandomNetworkMaker(seed).run(layers);
}

// Values in [-1, 1) for every input.
inline std::vector<Tensor> random_inputs(const Network& network, uint64_t seed) {
  std::vector<Tensor> inputs;
  for (const ValueId id : network.inputs) {
    const RandomStream stream(seed, "input", inputs.size());
    Tensor& x = inputs.emplace_back(network.shape(id));
    for (size_t i = 0; i < x.data.size(); ++i)
      x.data[i] = static_cast<float>(stream.uniform(i, -1, 1));
  }
  return inputs;
}

// The largest difference of two tensors of one shape over the largest element of `expected`;
// infinite where shapes differ or an element is not a number.
inline double relative_error(const Tensor& actual, const Tensor& expected) {
  if (actual.shape != expected.shape || actual.data.size() != expected.data.size()) return INFINITY;
  double largest = 0, difference = 0;
  for (size_t i = 0; i < expected.data.size(); ++i) {
    const double d = std::abs(double{actual.data[i]} - expected.data[i]);
    if (!(d < INFINITY)) return INFINITY;
    largest = std::max(largest, std::abs(double{expected.data[i]}));
    difference = std::max(difference, d);
  }
  return difference == 0 ? 0 : difference / std::max(largest, 1e-30);
}

}  // namespace emulsion
