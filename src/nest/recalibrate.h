// Rewrites with the batch norms of the result set from data: those behind a rewritten conv get the
// statistics of what they now see, and a conv whose batch norm an exporter has folded away gets one
// back.
#pragma once

#include <functional>
#include <map>

#include "nest/step.h"
#include "network/network.h"

namespace emulsion {

// How the convs of a pass over data are computed.
class ConvFunction {
 public:
  virtual ~ConvFunction() = default;
  // Whose convs are coming, until the next call. Convs have no prologues and epilogues.
  virtual Status prepare(const Network& network) = 0;
  // A layer of that network, which is a conv, with its bias. Called by several threads at once.
  virtual Result<Tensor> run(int layer, const Tensor& x) = 0;
};

struct RecalibratedNetwork {
  Network network;
  int renewed = 0;   // batch norms with new statistics
  int inserted = 0;  // batch norms put behind convs
};

// apply_rewrites(network, rewrites), then one forward pass over the images [N, ...], a multiple of
// the network's batch and two at least, in training mode behind the first rewritten conv: each
// batch norm there takes the mean and the biased variance of its input over all images.
//
// Where the output of a rewritten conv, or of one that reads fewer channels now, meets an
// activation, an arithmetic layer, a softmax or the network's output before any batch norm, a batch
// norm is put right behind the conv whose scale and shift give each channel the mean and variance
// that the original conv's output has on these images. A conv with fewer output channels (a
// propagated bottleneck) gets none: they are as they were.
//
// `network` is as imported (no prologues or epilogues) and has one input. on_layer(done, all) is
// called as work goes on. Images in parallel; convs by `convs`, or by the plain reference when it
// is null, everything else by the plain reference.
Result<RecalibratedNetwork> rewrite_on_data(const Network& network,
                                            const std::map<int, Steps>& rewrites,
                                            const Tensor& images, ConvFunction* convs = nullptr,
                                            const std::function<void(int, int)>& on_layer = {});

}  // namespace emulsion
