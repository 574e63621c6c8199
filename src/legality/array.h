// The tensors of a training pass: rank-4 arrays lie channels innermost (n, y, x, c), as kernels
// want them; all others row-major. Copies between strided views are the one primitive of the ops
// that only move data.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <numeric>
#include <vector>

#include "network/tensor.h"

namespace emulsion {

// 64-byte aligned memory. Large blocks are kept by the thread that frees them, up to a limit, and
// handed out again for the same size: a pass asks for the same arrays over and over, and fresh
// pages from the system cost as much as the arithmetic on them.
void* take_block(size_t bytes);
void give_block(void* block, size_t bytes);

// Memory that is not touched before it is written.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}  // NOLINT: implicit as the standard asks
  T* allocate(size_t n) { return static_cast<T*>(take_block(n * sizeof(T))); }
  void deallocate(T* p, size_t n) { give_block(p, n * sizeof(T)); }
  template <class U>
  void construct(U* p) {
    ::new (static_cast<void*>(p)) U;
  }
  template <class U, class... Args>
  void construct(U* p, Args&&... args) {
    ::new (static_cast<void*>(p)) U(std::forward<Args>(args)...);
  }
  bool operator==(const AlignedAllocator&) const { return true; }
};

template <class T>
struct Array {
  Shape shape;                               // ONNX order
  std::vector<T, AlignedAllocator<T>> data;  // uninitialised unless filled

  Array() = default;
  explicit Array(Shape shape_in)
      : shape(std::move(shape_in)), data(static_cast<size_t>(element_count(shape))) {}
  Array(Shape shape_in, T fill)
      : shape(std::move(shape_in)), data(static_cast<size_t>(element_count(shape)), fill) {}

  bool empty() const { return data.empty(); }
};

// Elements between neighbours in each dimension, ONNX order, of an Array of this shape.
std::vector<int64_t> array_strides(const Shape& shape);
std::vector<int64_t> onnx_order_strides(const Shape& shape);

template <class T>
Array<T> to_array(const Tensor& tensor);
Tensor to_tensor(const Array<float>& array);

// Calls row(offsets, steps, count) for every innermost run of an index space, for K strided views
// of it at once; strides may be 0 (broadcast) or negative. Runs follow the first view's memory
// order.
template <size_t K, class F>
void walk(const Shape& extents, const std::array<std::vector<int64_t>, K>& strides, F row) {
  if (element_count(extents) == 0) return;
  std::vector<int> order(extents.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return std::abs(strides[0][a]) > std::abs(strides[0][b]); });
  // A dimension of extent 1 must not be the innermost run.
  std::erase_if(order, [&](int d) { return extents[d] == 1; });
  std::array<int64_t, K> offsets{}, steps{};
  if (order.empty()) {
    row(offsets, steps, int64_t{1});
    return;
  }
  const int inner = order.back();
  for (size_t k = 0; k < K; ++k) steps[k] = strides[k][inner];
  std::vector<int64_t> index(order.size(), 0);
  while (true) {
    row(offsets, steps, extents[inner]);
    int d = static_cast<int>(order.size()) - 2;
    for (; d >= 0; --d) {
      const int dim = order[d];
      for (size_t k = 0; k < K; ++k) offsets[k] += strides[k][dim];
      if (++index[d] < extents[dim]) break;
      for (size_t k = 0; k < K; ++k) offsets[k] -= strides[k][dim] * extents[dim];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

// to[i] = from[i] over the index space.
template <class T>
void copy_strided(const Shape& extents, T* to, const std::vector<int64_t>& to_strides,
                  const T* from, const std::vector<int64_t>& from_strides) {
  walk<2>(extents, {to_strides, from_strides}, [&](const auto& at, const auto& step, int64_t n) {
    T* out = to + at[0];
    const T* in = from + at[1];
    if (step[0] == 1 && step[1] == 1) {
      std::copy(in, in + n, out);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i * step[0]] = in[i * step[1]];
    }
  });
}

}  // namespace emulsion
