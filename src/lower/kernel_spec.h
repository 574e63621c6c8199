// Everything that a compiled kernel depends on, and nothing else: its canonical text is the
// kernel's key.
//
// A kernel is a function  int name(void *user_context, halide_buffer_t *inputs..., *packed
// constants..., *output). Rank-4 values appear as buffers with dimensions (c, x, y, n), others with
// their dimensions reversed (innermost first); strides and rims are fixed by the descriptors. It
// never allocates nor aborts.
#pragma once

#include <string>
#include <vector>

#include "network/descriptor.h"
#include "network/element_type.h"
#include "network/op.h"

namespace emulsion {

struct KernelSpec {
  Op op;  // constants count by shape only
  std::vector<TensorDescriptor>
      inputs;  // of the layer's inputs, in order; a parent does not enter the key
  TensorDescriptor output;
  std::string algorithm;  // a row of algorithms()
  std::string schedule;   // steps in text form, "" for ops that take none
  std::string target;     // a Halide target, features included
  int threads = 1;        // that a default schedule is made for; no part of the text
  ElementType weights = ElementType::f32;  // as they are stored; sums are f32 always
  int prefetch_next_kb = 0;  // of the next layer's weights, which lie behind the kernel's constants
};

// What the same spec's code depends on besides the spec: Halide, and the sources of this folder.
std::string codegen_version();

// The canonical text: that and the spec.
std::string to_text(const KernelSpec& spec);
Result<KernelSpec> parse_kernel_spec(const std::string& text);

// "k_" and the hash of the canonical text: the kernel's C symbol and its name in the cache.
std::string kernel_name(const KernelSpec& spec);

}  // namespace emulsion
