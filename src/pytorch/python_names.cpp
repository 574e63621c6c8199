#include "pytorch/python_names.h"

#include <fmt/format.h>

#include <cctype>

namespace emulsion {
namespace {

// Keywords of Python, the attributes of nn.Module, and the names at the top of the written file.
const std::set<std::string>& reserved() {
  static const std::set<std::string> names = {
      "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
      "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
      "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try",
      "while", "with", "yield",
      // nn.Module
      "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu",
      "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer",
      "get_extra_state", "get_parameter", "get_submodule", "half", "ipu", "load_state_dict",
      "modules", "mtia", "named_buffers", "named_children", "named_modules", "named_parameters",
      "parameters", "register_backward_hook", "register_buffer", "register_forward_hook",
      "register_forward_pre_hook", "register_full_backward_hook", "register_full_backward_pre_hook",
      "register_load_state_dict_post_hook", "register_load_state_dict_pre_hook", "register_module",
      "register_parameter", "register_state_dict_post_hook", "register_state_dict_pre_hook",
      "requires_grad_", "set_extra_state", "set_submodule", "share_memory", "state_dict", "to",
      "to_empty", "train", "training", "type", "xpu", "zero_grad",
      // the file itself
      "self", "super", "x", "torch", "nn", "F", "np", "pathlib", "average_pool", "normalize",
      "pick", "Net", "Affine", "load", "INPUTS", "OUTPUTS"};
  return names;
}

}  // namespace

std::string PythonNames::unique(const std::string& hint) {
  std::string name;
  for (const char c : hint) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0;
    // One underscore for a run of them, and none in front: those are private to Python.
    if (fits) name += c;
    if (!fits && !name.empty() && name.back() != '_') name += '_';
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  if (name.empty()) name = "layer";
  if (std::isdigit(static_cast<unsigned char>(name[0]))) name = "layer_" + name;
  if (reserved().contains(name)) name += '_';
  std::string result = name;
  for (int i = 1; !taken_.insert(result).second; ++i) result = fmt::format("{}_{}", name, i);
  return result;
}

}  // namespace emulsion
