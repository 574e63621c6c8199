// The convs of a pass over data (nest/recalibrate.h) through compiled kernels.
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "legality/conv_engine.h"
#include "nest/recalibrate.h"

namespace emulsion {

// Safe to share between threads. engine must outlive it.
class KernelConvs : public ConvFunction {
 public:
  // compiling(done, all): progress of prepare().
  explicit KernelConvs(ConvEngine<float>& engine, std::function<void(int, int)> compiling = {})
      : engine_(engine), compiling_(std::move(compiling)) {}
  Status prepare(const Network& network) override;
  Result<Tensor> run(const Conv& conv, const Tensor& x) override;

 private:
  LayerWeights<float> weights_of(const Constant& weight);

  ConvEngine<float>& engine_;
  std::function<void(int, int)> compiling_;
  std::mutex mutex_;
  std::map<Constant, LayerWeights<float>> weights_;  // packed once, for all images
};

}  // namespace emulsion
