// The ONNX operators that import knows: one row each, and a second one where a later opset changed
// the operator's form. Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "onnx/node.h"

namespace emulsion {

struct OpRow {
  const char* name;
  int first, last;  // opsets, both included
  Status (*convert)(Node& node);
  const char* attributes;  // those that the convert function understands, separated by blanks
  const char* sentence;    // what is supported
};

inline constexpr int k_first_opset = 7;
inline constexpr int k_last_opset = 22;

const std::vector<OpRow>& op_table();
// The row for an operator at an opset; or an error that names the nearest one.
Result<const OpRow*> find_op(const std::string& name, int opset);

}  // namespace emulsion
