// The lines of a PyTorch module, op by op: __init__'s, forward()'s, the helpers that they need and
// the arrays of the state. export_pytorch puts them together.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/npz.h"
#include "network/network.h"
#include "pytorch/python_names.h"

namespace emulsion {

class ModuleWriter {
 public:
  explicit ModuleWriter(const Network& network);

  Status run();

  std::vector<std::string> init, forward;  // without indentation
  std::vector<std::string> parameters;     // forward()'s, one an input
  std::set<std::string> helpers;           // "average_pool", "normalize", "pick", "Affine"
  std::vector<NpzArray> arrays;            // point into the network

 private:
  void choose_variables();
  std::string input(size_t i = 0) const { return variables_[layer_->inputs[i]]; }
  const Shape& input_shape(size_t i = 0) const { return network_.shape(layer_->inputs[i]); }

  void add_module(const std::string& name, const std::string& constructor);
  Status add_array(const std::string& name, const char* what, const Constant& value);
  void assign(const std::string& expression);
  Status finish(const std::string& expression, const std::optional<Activation>& activation);
  Result<std::string> activated(const Activation& activation, const std::string& x,
                                const std::string& name);
  Result<std::string> affine(const std::string& x, const Constant& scale, const Constant& shift,
                             const std::string& name);
  std::string padded_by_index(const Pad& pad) const;
  std::string odd_average_pool(const Pool& pool);

  Status write(const Conv& conv);
  Status write(const Dense& dense);
  Status write(const BatchNorm& norm);
  Status write(const Affine& affine);
  Status write(const Activation& activation);
  Status write(const Normalize& normalize);
  Status write(const Binary& binary);
  Status write(const Literal& literal);
  Status write(const Concat& concat);
  Status write(const Slice& slice);
  Status write(const Pad& pad);
  Status write(const Pool& pool);
  Status write(const ReduceMean& mean);
  Status write(const Reshape& reshape);
  Status write(const Transpose& transpose);
  Status write(const Softmax& softmax);
  Status write(const Resize& resize);
  Status write(const ConvChain& chain);
  Status write(const Copy& copy);

  const Network& network_;
  const Layer* layer_ = nullptr;
  std::string name_;                    // of the layer, as an identifier
  std::vector<std::string> variables_;  // by ValueId: forward()'s
  std::vector<std::string> names_;      // by layer
  PythonNames unique_;
};

}  // namespace emulsion
