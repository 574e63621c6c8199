// What an import has built so far: the network, and what each ONNX name stands for. Private to this
// folder.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "network/network.h"
#include "onnx/known.h"

namespace emulsion {

// A value of the network, or a tensor known at import time, or both (a Literal layer's).
struct Imported {
  ValueId id = -1;
  std::optional<Known> known;
};

struct GraphState {
  Network network;
  std::filesystem::path folder;  // of the model
  std::map<std::string, Imported, std::less<>> names;
  std::map<std::string, const onnx::TensorProto*, std::less<>> initialisers;
  std::set<std::string, std::less<>> read;   // names that a node or the graph's outputs read
  std::set<std::string, std::less<>> taken;  // every value's name
  std::set<std::string, std::less<>> layer_names;

  int64_t made_elements = 0;  // of known tensors that nodes gave

  // The import of the same file with the batch that is written in it, when another one was asked
  // for: what tells a batch that is baked into a constant. Null otherwise.
  const GraphState* baked = nullptr;

  // What `name` stands for, loading an initialiser on its first use.
  Result<Imported*> find(const std::string& name);
  // hint, or hint_1, hint_2...: a name that no value (no layer) has yet.
  std::string fresh_value_name(const std::string& hint);
  std::string fresh_layer_name(const std::string& hint);
};

}  // namespace emulsion
