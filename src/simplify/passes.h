// The passes of simplify(); simplify.cpp has the table that orders and describes them.
#pragma once

#include "network/network.h"

namespace emulsion {

// shapes.cpp
Network drop_noops(const Network& network);
Network merge_reshapes(const Network& network);
// fold_constants.cpp
Network fold_constants(const Network& network);
// fold_pads.cpp
Network fold_pads(const Network& network);
// recognise.cpp
Network recognise_norms(const Network& network);
Network recognise_gelus(const Network& network);
Network recognise_hard_gates(const Network& network);
Network recognise_mish(const Network& network);
// transposes.cpp
Network move_transposes(const Network& network);
Network transposes_to_reshapes(const Network& network);
// affine.cpp
Network batch_norms_to_affine(const Network& network);
Network literals_to_affine(const Network& network);
Network merge_affines(const Network& network);
// fold_affine.cpp
Network fold_dense_bias(const Network& network);
Network fold_affines_back(const Network& network);
Network fold_affines_forward(const Network& network);
// hoist.cpp
Network hoist_over_resizes(const Network& network);
Network distribute_over_concats(const Network& network);
Network distribute_additions(const Network& network);
// fuse.cpp
Network recognise_gates(const Network& network);
Network fuse_residuals(const Network& network);
Network fuse_activations(const Network& network);
Network fuse_prologues(const Network& network);

}  // namespace emulsion
