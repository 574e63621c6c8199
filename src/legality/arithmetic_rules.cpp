// Two operands with broadcasting, and constants, in a training pass.
#include <cmath>

#include "legality/channel_loops.h"
#include "legality/training_ops.h"

namespace emulsion {
namespace {

// Strides of an operand seen in the output's index space: 0 where it is broadcast.
std::vector<int64_t> broadcast_strides(const Shape& operand, const Shape& output) {
  const std::vector<int64_t> own = array_strides(operand);
  std::vector<int64_t> result(output.size(), 0);
  const size_t skip = output.size() - operand.size();
  for (size_t d = 0; d < operand.size(); ++d) {
    if (operand[d] != 1) result[skip + d] = own[d];
  }
  return result;
}

// d output / d operand at (u, v).
template <class T>
double binary_slope(Binary::Kind kind, int operand, T u, T v) {
  switch (kind) {
    case Binary::Kind::add:
      return 1;
    case Binary::Kind::sub:
      return operand == 0 ? 1 : -1;
    case Binary::Kind::mul:
      return operand == 0 ? v : u;
    case Binary::Kind::div:
      return operand == 0 ? 1.0 / v : -double(u) / (double(v) * v);
    case Binary::Kind::pow:
      return operand == 0 ? double(v) * std::pow(double(u), double(v) - 1)
                          : std::pow(double(u), double(v)) * std::log(double(u));
  }
  return 0;
}

// Into the operand that nothing else needs, where there is one.
template <class T>
Status add_in_place(LayerPass<T>& pass) {
  const int kept = pass.spare[0] ? 1 : 0;
  if (pass.inputs[0] == pass.inputs[1] || !pass.spare[1 - kept]) {
    *pass.output = *pass.inputs[1 - kept];
  } else {
    pass.output->shape = pass.inputs[0]->shape;
    pass.output->data = std::move(pass.spare[1 - kept]->data);
  }
  add_to(pass.output->data.data(), pass.inputs[kept]->data.data(),
         element_count(pass.output->shape));
  return ok();
}

}  // namespace

Kept binary_keeps(const Op& op) {
  const Binary::Kind kind = std::get<Binary>(op).kind;
  return {.inputs = kind != Binary::Kind::add && kind != Binary::Kind::sub};
}

template <class T>
Status binary_forward(LayerPass<T>& pass) {
  const Binary::Kind kind = std::get<Binary>(pass.op).kind;
  if (kind == Binary::Kind::add && pass.inputs[0]->shape == pass.inputs[1]->shape) {
    return add_in_place(pass);
  }
  prepare_output(pass);
  const Array<T>&a = *pass.inputs[0], &b = *pass.inputs[1];
  const Shape& shape = pass.output->shape;
  walk<3>(
      shape,
      {array_strides(shape), broadcast_strides(a.shape, shape), broadcast_strides(b.shape, shape)},
      [&](const auto& at, const auto& step, int64_t n) {
        T* out = pass.output->data.data() + at[0];
        const T *x = a.data.data() + at[1], *y = b.data.data() + at[2];
        const auto each = [&](auto f) {
          for (int64_t i = 0; i < n; ++i) out[i * step[0]] = f(x[i * step[1]], y[i * step[2]]);
        };
        switch (kind) {
          case Binary::Kind::add:
            return each([](T u, T v) { return u + v; });
          case Binary::Kind::sub:
            return each([](T u, T v) { return u - v; });
          case Binary::Kind::mul:
            return each([](T u, T v) { return u * v; });
          case Binary::Kind::div:
            return each([](T u, T v) { return u / v; });
          case Binary::Kind::pow:
            return each([](T u, T v) { return std::pow(u, v); });
        }
      });
  return ok();
}

template <class T>
Status binary_backward(LayerPass<T>& pass) {
  const Binary::Kind kind = std::get<Binary>(pass.op).kind;
  Array<T>& g = *pass.gradient;
  for (int k = 0; k < 2; ++k) {
    if (!pass.wanted[k]) continue;
    const Array<T>&a = *pass.inputs[0], &b = *pass.inputs[1];
    const Shape& shape = pass.inputs[k]->shape;
    if (kind == Binary::Kind::add && shape == g.shape) {
      if (k == 1 || !pass.wanted[1]) {
        pass.gradients[k] = std::move(g);
      } else {
        pass.gradients[k] = g;
      }
      continue;
    }
    const bool reads = binary_keeps(pass.op).inputs;
    std::vector<double> sums(element_count(shape), 0.0);
    walk<4>(g.shape,
            {array_strides(g.shape), broadcast_strides(shape, g.shape),
             broadcast_strides(a.shape, g.shape), broadcast_strides(b.shape, g.shape)},
            [&](const auto& at, const auto& step, int64_t n) {
              for (int64_t i = 0; i < n; ++i) {
                const T u = reads ? a.data[at[2] + i * step[2]] : T(0);
                const T v = reads ? b.data[at[3] + i * step[3]] : T(0);
                sums[at[1] + i * step[1]] +=
                    g.data[at[0] + i * step[0]] * binary_slope(kind, k, u, v);
              }
            });
    pass.gradients[k] = Array<T>(shape);
    std::copy(sums.begin(), sums.end(), pass.gradients[k].data.begin());
  }
  return ok();
}

template <class T>
Status literal_forward(LayerPass<T>& pass) {
  *pass.output = to_array<T>(*std::get<Literal>(pass.op).value);
  return ok();
}

template <class T>
Status literal_backward(LayerPass<T>&) {
  return ok();
}

EMULSION_TRAINING_OP(binary)
EMULSION_TRAINING_OP(literal)

}  // namespace emulsion
