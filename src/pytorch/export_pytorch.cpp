#include "pytorch/export_pytorch.h"

#include "pytorch/module_writer.h"

namespace emulsion {
namespace {

constexpr const char* k_head = R"py(import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

)py";

constexpr const char* k_affine = R"py(
class Affine(nn.Module):
    """scale[c] * x + shift[c] for the channels in dimension 1."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        shape = (-1,) + (1,) * (x.dim() - 2)
        return x * self.scale.reshape(shape) + self.shift.reshape(shape)

)py";

constexpr const char* k_average_pool = R"py(
def average_pool(x, kernel, stride, dilation, pad, more, count_include_pad):
    """Means over windows of an image padded by pad; what lies in more, beyond that, is never counted."""
    ones = torch.ones(1, 1, *kernel, device=x.device, dtype=x.dtype)

    def sums(image):
        planes = F.pad(image, more).flatten(0, 1).unsqueeze(1)
        return F.conv2d(planes, ones, stride=stride, dilation=dilation)

    counted = F.pad(torch.ones_like(x[:1, :1]), pad, value=1.0 if count_include_pad else 0.0)
    means = sums(F.pad(x, pad)) / sums(counted)
    return means.reshape(x.shape[:2] + means.shape[2:])

)py";

constexpr const char* k_normalize = R"py(
def normalize(x, dim, eps):
    """Mean 0 and variance 1 over these dimensions."""
    centred = x - x.mean(dim=dim, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(dim=dim, keepdim=True) + eps)

)py";

constexpr const char* k_pick = R"py(
def pick(x, dim, indices):
    """These of the elements of a dimension, in this order."""
    return x.index_select(dim, torch.tensor(indices, device=x.device))

)py";

constexpr const char* k_load = R"py(

def load(weights=None):
    """The network with the weights of an .npz file, by default of the one beside this file; for inference."""
    net = Net()
    state = net.state_dict()
    with np.load(weights or pathlib.Path(__file__).with_suffix(".npz")) as arrays:
        state.update({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    net.load_state_dict(state)
    return net.eval()
)py";

// A Python string literal of an ONNX name.
std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c == '\n' ? ' ' : c;
  }
  return text + '"';
}

std::string names_and_shapes(const Network& network, const std::vector<ValueId>& values) {
  std::string text = "{";
  for (const ValueId id : values) {
    if (text.size() > 1) text += ", ";
    const Shape& shape = network.shape(id);
    text += fmt::format("{}: ({}{})", quoted(network.values[id].name), fmt::join(shape, ", "),
                        shape.size() == 1 ? "," : "");
  }
  return text + "}";
}

std::string comment_text(std::string name) {
  for (char& c : name) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 32) c = '_';
  }
  return name;
}

}  // namespace

Result<PytorchModule> export_pytorch(const Network& network) {
  ModuleWriter writer(network);
  TRY_OK(writer.run());
  std::string source = fmt::format(
      "\"\"\"{} as a PyTorch module; load() gives it the weights in the .npz file beside this "
      "one.\n\nWritten by emulsion transform. Layers have the names of the ONNX nodes.\n\"\"\"\n",
      network.name.empty() ? "A network" : comment_text(network.name));
  source += k_head;
  source += fmt::format(
      "# ONNX names and shapes. The batch may be any.\nINPUTS = {}\nOUTPUTS = {}\n\n",
      names_and_shapes(network, network.inputs), names_and_shapes(network, network.outputs));
  if (writer.helpers.contains("Affine")) source += k_affine;
  if (writer.helpers.contains("average_pool")) source += k_average_pool;
  if (writer.helpers.contains("normalize")) source += k_normalize;
  if (writer.helpers.contains("pick")) source += k_pick;
  source += "\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n";
  for (const std::string& line : writer.init) source += "        " + line + "\n";
  source += "\n    def forward(self";
  for (const std::string& parameter : writer.parameters) source += ", " + parameter;
  source += "):\n";
  for (const std::string& line : writer.forward) source += "        " + line + "\n";
  source += k_load;
  TRY(std::string weights, npz_bytes(writer.arrays));
  return PytorchModule{std::move(source), std::move(weights)};
}

}  // namespace emulsion
