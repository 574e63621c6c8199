// ONNX names as Python identifiers: each character outside [A-Za-z0-9_] becomes _, and what Python,
// nn.Module or the written file use themselves gains one at the end.
#pragma once

#include <set>
#include <string>

namespace emulsion {

class PythonNames {
 public:
  // An identifier that no earlier call returned. An empty hint gives "layer".
  std::string unique(const std::string& hint);

 private:
  std::set<std::string> taken_;
};

}  // namespace emulsion
