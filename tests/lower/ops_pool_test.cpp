// Pool kernels compute what evaluate() does, whatever the window has outside the image.
#include "op_harness.h"

namespace emulsion {
namespace {

Pool pool(Pool::Kind kind, Extent2 kernel, Extent2 stride, Pad4 pad, Extent2 dilation = {1, 1}) {
  Pool p;
  p.kind = kind;
  p.kernel = kernel;
  p.stride = stride;
  p.pad = pad;
  p.dilation = dilation;
  return p;
}

// With the output's size, and when `ceil` one more row and column than windows wholly inside.
Pool sized(Pool p, const Shape& in, bool ceil = false) {
  for (const int side : {0, 1}) {
    const int64_t span = in[2 + side] + p.pad[side] + p.pad[side + 2] -
                         (int64_t{p.kernel[side]} - 1) * p.dilation[side] - 1;
    p.out[side] = static_cast<int>((ceil ? span + p.stride[side] - 1 : span) / p.stride[side]) + 1;
  }
  return p;
}

constexpr auto k_max = Pool::Kind::max;
constexpr auto k_average = Pool::Kind::average;

TEST(Pool, MaxAndAverageInEveryLayout) {
  for (const Shape& in : {Shape{2, 17, 7, 9}, Shape{1, 3, 9, 21}}) {
    check_op(sized(pool(k_max, {3, 3}, {2, 2}, {1, 1, 1, 1}), in), {in});
    check_op(sized(pool(k_average, {3, 3}, {2, 2}, {1, 1, 1, 1}), in), {in});
  }
}

TEST(Pool, Table) {
  const std::vector<Pool> table = {
      pool(k_max, {2, 2}, {2, 2}, {0, 0, 0, 0}),
      pool(k_max, {3, 2}, {1, 2}, {2, 0, 1, 1}),
      pool(k_max, {3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}),
      pool(k_max, {2, 3}, {2, 1}, {1, 3, 0, 4}, {3, 2}),
      pool(k_max, {5, 5}, {2, 1}, {2, 2, 2, 2}),
      pool(k_average, {1, 1}, {2, 2}, {0, 0, 0, 0}),
      pool(k_average, {5, 6}, {1, 2}, {2, 3, 4, 2}),
      pool(k_average, {3, 3}, {1, 1}, {2, 1, 0, 2}, {2, 2}),
      pool(k_average, {7, 7}, {1, 1}, {0, 0, 0, 0}),
  };
  const Shape in = {2, 17, 7, 9};
  for (const Pool& p : table) {
    for (const bool ceil : {false, true}) {
      Pool q = sized(p, in, ceil);
      check_op(q, {in}, Layout::channels_last, Layout::channels_last);
      check_op(q, {in}, Layout::row_major, Layout::row_major);
      if (q.kind == k_average) {
        q.count_include_pad = true;
        check_op(q, {in}, Layout::rim, Layout::slice);
        check_op(q, {in}, Layout::row_major, Layout::row_major);
      }
    }
  }
}

TEST(Pool, FewAndManyChannels) {
  for (const int c : {1, 2, 5, 16, 64, 70}) {
    const Shape in = {1, c, 5, 11};
    check_op(sized(pool(k_max, {3, 3}, {2, 2}, {1, 1, 1, 1}), in), {in}, Layout::rim, Layout::rim);
    check_op(sized(pool(k_average, {5, 5}, {1, 1}, {2, 2, 2, 2}), in), {in}, Layout::rim,
             Layout::rim);
  }
}

}  // namespace
}  // namespace emulsion
