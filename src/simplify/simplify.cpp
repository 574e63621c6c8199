#include "simplify/simplify.h"

#include "simplify/passes.h"

namespace emulsion {
namespace {

// Runs one pass; a network that does not verify after it is our bug.
Network checked(const SimplifyPass& pass, const Network& network) {
  Network result = pass.run(network);
  if (const Status status = verify_structure(result); !status.ok()) {
    fmt::print(stderr, "emulsion: after {}: {}\n", pass.name, status.error().message);
    EMULSION_CHECK(status.ok());
  }
  return result;
}

// One pass makes work for an earlier one, so the list runs until nothing changes. Every change
// removes a layer, moves a transpose down or an elementwise layer up, or replaces an op by one that
// no pass turns back, so that this ends.
Network fixed_point(const Network& network, const std::vector<SimplifyPass>& passes) {
  Network now = without_dead_layers(network);
  std::string before;
  for (std::string text = to_text(now); text != before; text = to_text(now)) {
    before = text;
    for (const SimplifyPass& pass : passes) now = checked(pass, now);
  }
  return now;
}

}  // namespace

const std::vector<SimplifyPass>& reform_passes() {
  static const std::vector<SimplifyPass> k_passes = {
      {"drop_noops", "layers that pass their input on are dropped", drop_noops},
      {"fold_constants", "layers that read only literals become literals", fold_constants},
      {"merge_reshapes", "a reshape of a reshape reads the first one's input", merge_reshapes},
      {"recognise_norms", "a tensor less its mean, over its deviation, is a normalize",
       recognise_norms},
      {"recognise_gelus", "x (1 + erf(x / sqrt 2)) / 2 is gelu; the form with tanh likewise",
       recognise_gelus},
      {"recognise_hard_gates", "clip(x + 3, 0, 6) / 6 is hard_sigmoid, x times that hard_swish",
       recognise_hard_gates},
      {"recognise_mish", "x tanh(softplus(x)) is mish", recognise_mish},
      {"move_transposes",
       "transposes move down until they meet their inverse; a dense layer across channels is a 1x1 "
       "conv",
       move_transposes},
      {"transposes_to_reshapes", "a transpose of dimensions of one element is a reshape",
       transposes_to_reshapes},
  };
  return k_passes;
}

const std::vector<SimplifyPass>& simplify_passes() {
  static const std::vector<SimplifyPass> k_passes = {
      {"drop_noops", "layers that pass their input on are dropped", drop_noops},
      {"fold_constants", "layers that read only literals become literals", fold_constants},
      {"merge_reshapes", "a reshape of a reshape reads the first one's input", merge_reshapes},
      {"fold_pads", "zero rows and columns become the padding of a conv or pool", fold_pads},
      {"recognise_gates", "x sigmoid(x) is silu, x hard_sigmoid(x) is hard_swish", recognise_gates},
      {"batch_norms_to_affine", "a batch norm with its statistics is a scale and a shift",
       batch_norms_to_affine},
      {"fold_dense_bias", "an added literal becomes the bias of a dense layer", fold_dense_bias},
      {"literals_to_affine", "arithmetic with a scalar or per-channel literal is an affine",
       literals_to_affine},
      {"merge_affines", "an affine of an affine is one affine", merge_affines},
      {"hoist_over_resizes", "an affine or activation of repeated rows comes before the repeating",
       hoist_over_resizes},
      {"distribute_over_concats",
       "an affine or activation of concatenated convs goes to each of them",
       distribute_over_concats},
      {"distribute_additions", "an addition to concatenated convs goes to each of them",
       distribute_additions},
      {"fold_affines_back", "an affine goes into the weights of the conv or dense layer before it",
       fold_affines_back},
      {"fold_affines_forward", "an affine goes into the weights of the unpadded convs after it",
       fold_affines_forward},
      {"fuse_residuals",
       "an addition goes into the epilogue of the conv that makes its later operand",
       fuse_residuals},
      {"fuse_activations", "an activation goes into the epilogue of the layer before it",
       fuse_activations},
      {"fuse_prologues", "an affine or activation goes into the prologue of the 1x1 convs after it",
       fuse_prologues},
  };
  return k_passes;
}

Network reform(const Network& network) {
  return fixed_point(network, reform_passes());
}

Network simplify(const Network& network) {
  const Network now = fixed_point(reform(network), simplify_passes());
  EMULSION_CHECK(verify(now).ok());
  return now;
}

}  // namespace emulsion
