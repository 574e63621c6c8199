// Convs whose shapes fit no tile: what each property of one may be, and lists of convs in which
// any two values of two properties meet.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "conv_harness.h"

namespace emulsion {

// What a conv is drawn from.
enum OddProperty {
  k_algorithm,  // place in the family's list
  k_target,     // place in targets_here()
  k_threads,    // that schedules are made for
  k_batch,
  k_ci,  // of a group
  k_co,
  k_rows,
  k_columns,
  k_groups,  // 0: each channel of ci is one
  k_kernel,
  k_stride_y,
  k_stride_x,
  k_dilation_y,
  k_dilation_x,
  k_padding,   // 0: none, 1: the same size with stride 1, 2: uneven
  k_epilogue,  // 0: none, 1: residual, 2: relu, 3: both
  k_prologue,  // 0: none, 1: scale, shift and relu
  k_layout,    // 0: dense, 1: rims and slices of wider tensors
  k_weights,   // 0: f32, 1: f16
  k_odd_properties
};
using OddConv = std::array<int, k_odd_properties>;
using OddValues = std::array<std::vector<int>, k_odd_properties>;

// Convs that some algorithms are for.
struct OddFamily {
  const char* name;
  std::vector<const char*> algorithms;
  OddValues values;
};
const std::vector<OddFamily>& odd_families();
// Channels and images that suit the templates' own tiles better.
const OddFamily& large_family();

// "host", AVX2 where the host has wider vectors too, and NEON where it can be emulated.
const std::vector<std::string>& targets_here();

// The kernel without schedule, or none where the kernel exceeds the image or the algorithm does not
// apply.
std::optional<KernelSpec> spec_of(const OddFamily& family, const OddConv& conv);

// A number less than n.
using Pick = std::function<size_t(size_t n)>;

// For every property one of its values. Some are no kernels.
OddConv draw(const OddFamily& family, const Pick& pick);

// Two or three convs for the algorithm "fused", or none where they do not fit.
std::optional<KernelSpec> draw_chain(const Pick& pick);

// Kernels of one target in which any two values meet that are in one kernel at all; the same list
// each time.
std::vector<OddConv> pairwise(const OddFamily& family, int target);

// Schedules with the same steps, whatever the integers, are of one template.
std::string template_of(const std::string& schedule);

}  // namespace emulsion
