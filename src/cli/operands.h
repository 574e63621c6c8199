// What run, verify and bench are given besides a network: tensors in .npy files, by name, and a
// plan.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "network/network.h"
#include "network/tensor.h"
#include "plan/plan.h"

namespace emulsion {

// "x.npy" when there is one value, or "name=x.npy": where each of `ids` is to be found, in order.
// `option` names the option in messages. Every value must be named once.
Result<std::vector<std::filesystem::path>> assign_files(const Network& network,
                                                        const std::vector<ValueId>& ids,
                                                        const std::vector<std::string>& arguments,
                                                        const std::string& option);

// The tensors of those files; shapes must fit, NaN and infinities are refused.
Result<std::vector<Tensor>> load_tensors(const Network& network, const std::vector<ValueId>& ids,
                                         const std::vector<std::string>& arguments,
                                         const std::string& option);

// An error unless the tensor has the value's shape and finite elements.
Status check_tensor(const Network& network, ValueId id, const Tensor& tensor,
                    const std::string& file);

// An error unless a file of this name can be written: no folder, no permission.
Status check_writable(const std::filesystem::path& file);

// An error when an output is the file of an input, or that of another output.
Status check_distinct(const std::vector<std::filesystem::path>& inputs,
                      const std::vector<std::filesystem::path>& outputs);

// Standard normal noise for every input of the network.
std::vector<Tensor> seeded_inputs(const Network& network, uint64_t seed);

// The empty plan for "", else the file's, which must be one for the network (as imported).
Result<Plan> load_plan(const std::string& path, const Network& network);

}  // namespace emulsion
