#include "cli/operands.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/npy.h"
#include "base/random.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace fs = std::filesystem;
namespace {

std::string names(const Network& network, const std::vector<ValueId>& ids) {
  std::string text;
  for (const ValueId id : ids) {
    text += fmt::format("{}{} [{}]", text.empty() ? "" : ", ", network.values[id].name,
                        to_text(network.shape(id)));
  }
  return text;
}

}  // namespace

Result<std::vector<fs::path>> assign_files(const Network& network, const std::vector<ValueId>& ids,
                                           const std::vector<std::string>& arguments,
                                           const std::string& option) {
  std::vector<fs::path> files(ids.size());
  for (const std::string& argument : arguments) {
    // A name may contain '=', and so may a path: the first split whose left side is a name counts.
    size_t place = ids.size();
    fs::path file;
    for (size_t at = argument.find('='); at != std::string::npos && place == ids.size();
         at = argument.find('=', at + 1)) {
      for (size_t i = 0; i < ids.size(); ++i) {
        if (network.values[ids[i]].name != argument.substr(0, at)) continue;
        place = i;
        file = argument.substr(at + 1);
      }
    }
    if (place == ids.size() && ids.size() == 1) {
      place = 0;
      file = argument;
    }
    if (place == ids.size()) {
      return error("{} {}: write it as NAME=FILE, with NAME one of {}", option, argument,
                   names(network, ids));
    }
    if (!files[place].empty()) {
      return error("{}: {} is given twice", option, network.values[ids[place]].name);
    }
    files[place] = file;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (files[i].empty()) {
      return error("{}: nothing given for {}", option, names(network, {ids[i]}));
    }
  }
  return files;
}

Status check_tensor(const Network& network, ValueId id, const Tensor& tensor,
                    const std::string& file) {
  const Value& value = network.values[id];
  if (tensor.shape != value.shape) {
    return error("{}: its shape is {}, but {} of the network has {}", file, to_text(tensor.shape),
                 value.name, to_text(value.shape));
  }
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    if (!std::isfinite(tensor.data[i])) {
      return error("{}: element {} is {}; every element must be finite", file, i, tensor.data[i]);
    }
  }
  return ok();
}

Result<std::vector<Tensor>> load_tensors(const Network& network, const std::vector<ValueId>& ids,
                                         const std::vector<std::string>& arguments,
                                         const std::string& option) {
  TRY(const auto files, assign_files(network, ids, arguments, option));
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < ids.size(); ++i) {
    TRY(Npy npy, read_npy(files[i]));
    Tensor tensor(npy.shape, std::vector<float>(npy.values.begin(), npy.values.end()));
    TRY_OK(check_tensor(network, ids[i], tensor, files[i].string()));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Status check_writable(const fs::path& file) {
  if (file.empty()) return error("the name of an output is empty");
  std::error_code ec;
  if (fs::is_directory(file, ec)) return error("{}: is a folder, not a file", file.string());
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!fs::is_directory(folder, ec)) {
    return error("{}: cannot be written: there is no folder {}", file.string(), folder.string());
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    return error("{}: cannot be written: {}", file.string(), std::strerror(errno));
  }
  return ok();
}

Status check_distinct(const std::vector<fs::path>& inputs, const std::vector<fs::path>& outputs) {
  std::error_code ec;
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (const fs::path& input : inputs) {
      if (fs::is_regular_file(input, ec) && fs::equivalent(outputs[i], input, ec)) {
        return error("{}: is an input and would be overwritten; write to another file",
                     outputs[i].string());
      }
    }
    for (size_t k = 0; k < i; ++k) {
      if (fs::weakly_canonical(outputs[i], ec) == fs::weakly_canonical(outputs[k], ec)) {
        return error("{}: two outputs would go there", outputs[i].string());
      }
    }
  }
  return ok();
}

std::vector<Tensor> seeded_inputs(const Network& network, uint64_t seed) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < network.inputs.size(); ++i) {
    const RandomStream random(seed, "input", i);
    Tensor& tensor = inputs.emplace_back(network.shape(network.inputs[i]));
    for (size_t e = 0; e < tensor.data.size(); ++e) {
      tensor.data[e] = static_cast<float>(random.normal(e));
    }
  }
  return inputs;
}

Result<Plan> load_plan(const std::string& path, const Network& network) {
  if (path.empty()) return Plan{};
  TRY(const std::string text, read_file(path));
  TRY(Plan plan, parse_plan(text, path));
  const Status fits = check(plan, simplify(network));
  if (!fits.ok()) return fits.error().in(path);
  return plan;
}

}  // namespace emulsion
