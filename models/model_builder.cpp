#include "models/model_builder.h"

#include <cmath>
#include <numbers>

#include "base/random.h"

namespace emulsion {
namespace {

// The share of a kernel's taps that fall on the image, along one dimension.
double taps_inside(int64_t in, int64_t out, int kernel, int stride, int pad) {
  int64_t inside = 0;
  for (int64_t o = 0; o < out; ++o) {
    for (int k = 0; k < kernel; ++k) {
      const int64_t at = o * stride - pad + k;
      inside += at >= 0 && at < in;
    }
  }
  return static_cast<double>(inside) / static_cast<double>(out * kernel);
}

Constant seeded(const Shape& shape, const auto& draw) {
  std::vector<float> data(element_count(shape));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(draw(i));
  return constant(shape, std::move(data));
}

}  // namespace

ModelBuilder::ModelBuilder(std::string name, uint64_t seed) : seed_(seed) {
  network_.name = std::move(name);
}

ValueId ModelBuilder::record(ValueId value, std::vector<Moments> moments) {
  moments_.resize(value + 1);
  moments_[value] = std::move(moments);
  return value;
}

ValueId ModelBuilder::input(const Shape& shape) {
  const ValueId x = network_.add_value("input", shape);
  network_.inputs.push_back(x);
  return record(x, std::vector<Moments>(shape[1]));
}

ValueId ModelBuilder::conv(const std::string& name, ValueId x, int co, int kernel, int stride,
                           int pad, int groups) {
  const Shape in = network_.shape(x);
  const int64_t ci = in[1] / groups;
  const double deviation = std::sqrt(2.0 / static_cast<double>(ci * kernel * kernel));
  const RandomStream random(seed_, name);
  Conv op;
  op.stride = {stride, stride};
  op.pad = {pad, pad, pad, pad};
  op.groups = groups;
  op.weight =
      seeded({co, ci, kernel, kernel}, [&](uint64_t i) { return deviation * random.normal(i); });
  const ValueId y = network_.add_layer(name, op, {x});

  const Shape& out = network_.shape(y);
  const double inside = taps_inside(in[2], out[2], kernel, stride, pad) *
                        taps_inside(in[3], out[3], kernel, stride, pad);
  std::vector<Moments> moments(co);
  for (int64_t o = 0; o < co; ++o) {
    const int64_t first = o / (co / groups) * ci;
    double power = 0;
    for (int64_t i = 0; i < ci; ++i) power += moments_[x][first + i].power;
    moments[o] = {0, 2 * inside * power / static_cast<double>(ci)};
  }
  return record(y, std::move(moments));
}

ValueId ModelBuilder::batch_norm(const std::string& name, ValueId x) {
  const Shape shape{network_.shape(x)[1]};
  const std::vector<Moments>& in = moments_[x];
  const RandomStream random(seed_, name);
  const auto draw = [&](uint64_t which, uint64_t c, double low, double high) {
    return random.uniform(4 * c + which, low, high);
  };
  BatchNorm op;
  op.mean = seeded(shape, [&](uint64_t c) {
    return in[c].mean + draw(0, c, -0.2, 0.2) * std::sqrt(in[c].power);
  });
  op.variance = seeded(shape, [&](uint64_t c) {
    return draw(1, c, 0.8, 1.25) * std::max(in[c].power - in[c].mean * in[c].mean, 1e-6);
  });
  op.scale = seeded(shape, [&](uint64_t c) { return draw(2, c, 0.7, 1.3); });
  op.shift = seeded(shape, [&](uint64_t c) { return draw(3, c, -0.3, 0.3); });

  std::vector<Moments> moments(in.size());
  for (size_t c = 0; c < in.size(); ++c) {
    const double gain = op.scale->data[c] / std::sqrt(op.variance->data[c] + op.epsilon);
    const double mean = gain * (in[c].mean - op.mean->data[c]) + op.shift->data[c];
    moments[c] = {mean, gain * gain * (in[c].power - in[c].mean * in[c].mean) + mean * mean};
  }
  return record(network_.add_layer(name, op, {x}), std::move(moments));
}

// The moments of max(x, 0) for a normal x. A clip at 6 hardly changes them.
ValueId ModelBuilder::activation(const std::string& name, ValueId x, const Activation& activation) {
  std::vector<Moments> moments = moments_[x];
  for (Moments& m : moments) {
    const double deviation = std::sqrt(std::max(m.power - m.mean * m.mean, 1e-12));
    const double t = m.mean / deviation;
    const double below = 0.5 * std::erfc(-t / std::numbers::sqrt2);  // the normal distribution at t
    const double density = std::exp(-t * t / 2) / std::sqrt(2 * std::numbers::pi);
    m = {m.mean * below + deviation * density, m.power * below + m.mean * deviation * density};
  }
  return record(network_.add_layer(name, activation, {x}), std::move(moments));
}

ValueId ModelBuilder::relu(const std::string& name, ValueId x) {
  return activation(name, x, {Activation::Kind::relu});
}

ValueId ModelBuilder::relu6(const std::string& name, ValueId x) {
  return activation(name, x, {Activation::Kind::clip, 0.0f, 6.0f});
}

ValueId ModelBuilder::add(const std::string& name, ValueId a, ValueId b) {
  std::vector<Moments> moments = moments_[a];
  for (size_t c = 0; c < moments.size(); ++c) {
    const Moments &p = moments_[a][c], &q = moments_[b][c];
    moments[c] = {p.mean + q.mean, p.power + q.power + 2 * p.mean * q.mean};
  }
  return record(network_.add_layer(name, Binary{Binary::Kind::add}, {a, b}), std::move(moments));
}

ValueId ModelBuilder::concat(const std::string& name, const std::vector<ValueId>& parts) {
  if (parts.size() == 1) return parts[0];
  std::vector<Moments> moments;
  for (const ValueId part : parts) {
    moments.insert(moments.end(), moments_[part].begin(), moments_[part].end());
  }
  return record(network_.add_layer(name, Concat{1}, parts), std::move(moments));
}

ValueId ModelBuilder::max_pool(const std::string& name, ValueId x, int kernel, int stride,
                               int pad) {
  const Shape& in = network_.shape(x);
  const auto extent = [&](int64_t size) {
    return static_cast<int>((size + 2 * pad - kernel) / stride + 1);
  };
  Pool op{Pool::Kind::max,
          {kernel, kernel},
          {stride, stride},
          {1, 1},
          {pad, pad, pad, pad},
          false,
          {extent(in[2]), extent(in[3])}};
  // Neighbours look alike, so the largest of nine is about half a deviation above, not one and a
  // half.
  std::vector<Moments> moments = moments_[x];
  for (Moments& m : moments) m = {1.5 * m.mean, 2 * m.power};
  return record(network_.add_layer(name, op, {x}), std::move(moments));
}

ValueId ModelBuilder::average_pool(const std::string& name, ValueId x, int kernel, int stride) {
  const Shape& in = network_.shape(x);
  const auto extent = [&](int64_t size) { return static_cast<int>((size - kernel) / stride + 1); };
  Pool op{Pool::Kind::average,
          {kernel, kernel},
          {stride, stride},
          {1, 1},
          {0, 0, 0, 0},
          false,
          {extent(in[2]), extent(in[3])}};
  return record(network_.add_layer(name, op, {x}), moments_[x]);
}

ValueId ModelBuilder::classifier(const std::string& name, ValueId x, int classes) {
  const int64_t batch = network_.shape(x)[0], features = network_.shape(x)[1];
  const ValueId pooled = network_.add_layer("avgpool", ReduceMean{{2, 3}, true}, {x});
  const ValueId flat = network_.add_layer("flatten", Reshape{{batch, features}}, {pooled});
  const double bound = 1 / std::sqrt(static_cast<double>(features));
  const RandomStream weight(seed_, name, 0), bias(seed_, name, 1);
  Dense op;
  op.weight =
      seeded({classes, features}, [&](uint64_t i) { return weight.uniform(i, -bound, bound); });
  op.bias = seeded({classes}, [&](uint64_t i) { return bias.uniform(i, -bound, bound); });
  return network_.add_layer(name, op, {flat});
}

ValueId ModelBuilder::conv_bn(const std::string& conv_name, const std::string& norm_name, ValueId x,
                              int co, int kernel, int stride, int pad, int groups) {
  return batch_norm(norm_name, conv(conv_name, x, co, kernel, stride, pad, groups));
}

Network ModelBuilder::finish(ValueId output) {
  network_.values[output].name = "output";
  network_.outputs.push_back(output);
  return std::move(network_);
}

}  // namespace emulsion
