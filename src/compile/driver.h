// The generated C of a compiled network: a header that says how to use it and a driver with one
// call a layer. Pure text from plain data; compile_network fills the data in.
#pragma once

#include <string>
#include <vector>

#include "lower/buffer_layout.h"
#include "network/element_type.h"
#include "network/tensor.h"

namespace emulsion {

// An argument of a kernel call: memory, and how the kernel sees it.
struct DriverBuffer {
  enum class Where { workspace, weights, input, output };
  Where where = Where::workspace;
  int index = 0;       // of the network's input or output
  int64_t offset = 0;  // floats from the start of that memory to the buffer's host pointer
  std::vector<BufferDimension> dimensions;
  std::string comment;  // what it is; not part of its identity
  ElementType type = ElementType::f32;

  bool same_as(const DriverBuffer& other) const {
    return where == other.where && index == other.index && type == other.type &&
           offset == other.offset && dimensions == other.dimensions;
  }
};

struct DriverCall {
  std::string layer, kernel;
  std::string comment;       // how it is computed
  std::vector<int> buffers;  // in the kernel's order
};

struct DriverTensor {
  std::string name;  // as in the ONNX file
  std::string id;    // as in C
  Shape shape;
};

struct Driver {
  std::string name;     // prefix of everything
  std::string version;  // one line for N_version
  std::string target;   // Halide's name
  int threads = 1;      // when the options do not say
  std::vector<DriverTensor> inputs, outputs;
  std::vector<DriverBuffer> buffers;
  std::vector<DriverCall> calls;
  int64_t workspace_bytes = 0, weights_bytes = 0;
  bool weights_beside = false;  // in NAME.weights, which a context reads, and not in the library
  bool huge_pages = true;       // a copy of large weights lies in them
  bool heap_scratch = false;    // some kernel asks the runtime for memory
};

// Weights of this size and more are worth huge pages.
inline constexpr int64_t k_huge_page_bytes = 2 << 20;
// Whether contexts may read the library's weights from a copy in huge pages.
bool copies_weights(const Driver& driver);

std::string driver_header(const Driver& driver);
// Includes NAME.h, and NAME.weights by .incbin where these are inside: compile it in their folder.
std::string driver_source(const Driver& driver);

// The symbols that a library of this driver shows; all others are made local.
std::vector<std::string> driver_symbols(const std::string& name);

}  // namespace emulsion
