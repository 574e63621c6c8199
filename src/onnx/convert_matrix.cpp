// Gemm and MatMul as dense layers: the second operand is a constant.
#include <algorithm>

#include "onnx/convert.h"

namespace emulsion {

namespace {

// [rows columns] -> [columns rows], times a factor.
Constant transposed(const Tensor& x, float factor) {
  const int64_t rows = x.shape[0], columns = x.shape[1];
  std::vector<float> values(x.data.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      values[c * rows + r] = factor * x.data[r * columns + c];
    }
  }
  return constant({columns, rows}, std::move(values));
}

Constant scaled(const Constant& x, float factor) {
  if (factor == 1) return x;
  std::vector<float> values = x->data;
  for (float& v : values) v *= factor;
  return constant(x->shape, std::move(values));
}

// C of Gemm as a dense layer's bias [M], when it is known and one row.
Result<Constant> row_bias(const Node& node, float beta, int64_t m) {
  if (!node.has(2) || beta == 0 || !node.known(2)) return Constant();
  TRY(const Constant c, node.floats(2, "C"));
  const bool one_row = c->shape.size() < 2 || (c->shape.size() == 2 && c->shape[0] == 1);
  const int64_t count = element_count(c->shape);
  if (!one_row || (count != 1 && count != m)) return Constant();
  const Constant values = scaled(c, beta);
  if (count == m) return constant({m}, values->data);
  TRY_OK(checked_count({m}, k_most_made_elements));
  return constant({m}, std::vector<float>(m, values->data[0]));
}

// Adds beta C, whatever it is, to the product.
Result<ValueId> add_c(Node& node, ValueId product, float beta) {
  TRY(ValueId c, node.value(2));
  if (beta != 1) {
    TRY(const ValueId factor, node.literal(constant({1}, {beta})));
    TRY(c, node.emit(Binary{Binary::Kind::mul, {}}, {c, factor}));
  }
  return node.emit(Binary{Binary::Kind::add, {}}, {product, c});
}

}  // namespace

// y = alpha op(A) op(B) + beta C
Status convert_gemm(Node& node) {
  TRY(const float alpha, node.float_attribute("alpha", 1));
  TRY(const float beta, node.float_attribute("beta", 1));
  TRY(const int64_t transpose_a, node.int_attribute("transA", 0));
  TRY(const int64_t transpose_b, node.int_attribute("transB", 0));
  TRY(const Shape a_shape, node.shape(0));
  TRY(const Constant b, node.floats(1, "B"));
  if (a_shape.size() != 2 || b->shape.size() != 2) {
    return error("operands {} and {} must be matrices", to_text(a_shape), to_text(b->shape));
  }
  TRY(ValueId a, node.value(0));
  if (transpose_a != 0) {
    TRY(a, node.emit(Transpose{{1, 0}}, {a}));
  }
  Dense dense;
  dense.weight = transpose_b != 0 ? scaled(b, alpha) : transposed(*b, alpha);
  TRY(dense.bias, row_bias(node, beta, dense.weight->shape[0]));
  const bool biased = dense.bias != nullptr;
  TRY(ValueId y, node.emit(std::move(dense), {a}));
  if (node.has(2) && beta != 0 && !biased) {
    const Shape product = node.state().network.shape(y);
    TRY(y, add_c(node, y, beta));
    if (node.state().network.shape(y) != product) {
      return error("C does not broadcast to the product {}", to_text(product));
    }
  }
  return node.set(0, y);
}

Status convert_matmul(Node& node) {
  TRY(const Shape a_shape, node.shape(0));
  TRY(const Constant b, node.floats(1, "B"));
  // Leading extents of 1 add nothing but rank, which a result of lower rank would lack.
  Shape matrix = b->shape;
  while (matrix.size() > 2 && matrix[0] == 1 && matrix.size() <= a_shape.size()) {
    matrix.erase(matrix.begin());
  }
  if (matrix.empty() || matrix.size() > 2) {
    return error("B has shape {}; one constant matrix or vector is supported", to_text(b->shape));
  }
  TRY(const ValueId a, node.value(0));
  Dense dense;
  if (matrix.size() == 1) {
    dense.weight = constant({1, matrix[0]}, b->data);
    TRY(const ValueId column, node.emit(std::move(dense), {a}));
    Shape shape = a_shape;
    if (!shape.empty()) shape.pop_back();
    return node.finish(Reshape{shape}, {column});
  }
  dense.weight = transposed(Tensor(matrix, b->data), 1);
  return node.finish(std::move(dense), {a});
}

}  // namespace emulsion
