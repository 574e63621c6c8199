// One row of the table in algorithm.cpp, with the half that needs Halide: how a layer becomes
// Funcs. Each algorithm defines its row in a file of its own.
#pragma once

#include "lower/algorithm.h"

namespace emulsion {

struct LoweredKernel;  // lower.h

struct AlgorithmRow {
  Algorithm algorithm;
  // The scheduled pipeline of a completed spec to which the algorithm applies.
  Result<LoweredKernel> (*lower)(const KernelSpec& spec);
  // Whether the spec's schedule is one for it. Null for algorithms that take no schedule.
  Status (*check_schedule)(const KernelSpec& spec) = nullptr;
  // Whether no element of the output is computed twice, and each reads of the residual only the
  // element at its own place, as it is stored: Halide lets the compiler take buffers for apart.
  // Null: not known.
  bool (*writes_once)(const KernelSpec& spec) = nullptr;
};

const std::vector<AlgorithmRow>& algorithm_rows();
const AlgorithmRow* find_row(const std::string& algorithm);

// Convolutions: conv_direct.cpp, conv_pointwise.cpp, conv_depthwise.cpp, conv_packed.cpp,
// conv_winograd.cpp, conv_strassen.cpp, and chains of them: conv_chain_funcs.cpp.
AlgorithmRow pointwise_row();
AlgorithmRow depthwise_row();
AlgorithmRow packed_row();
AlgorithmRow direct_row();
AlgorithmRow winograd2_row();
AlgorithmRow winograd4_row();
AlgorithmRow winograd5_row();
AlgorithmRow winograd6_row();
AlgorithmRow strassen_row();
AlgorithmRow chain_row();
// Every other op: elementwise.cpp, pool.cpp, dense.cpp, reduce.cpp,
// normalize.cpp, data_movement.cpp.
AlgorithmRow elementwise_row();
AlgorithmRow pool_row();
AlgorithmRow dense_row();
AlgorithmRow reduce_row();
AlgorithmRow normalize_row();
AlgorithmRow softmax_row();
AlgorithmRow move_row();

}  // namespace emulsion
