// The convs of a pass over data (nest/recalibrate.h) through compiled kernels.
#pragma once

#include <functional>

#include "legality/pass.h"
#include "nest/recalibrate.h"

namespace emulsion {

// The engine must outlive it.
class KernelConvs : public ConvFunction {
 public:
  // compiling(done, all): progress of prepare().
  explicit KernelConvs(ConvEngine<float>& engine, std::function<void(int, int)> compiling = {})
      : engine_(engine), compiling_(std::move(compiling)) {}
  Status prepare(const Network& network) override;
  Result<Tensor> run(int layer, const Tensor& x) override;

 private:
  ConvEngine<float>& engine_;
  std::function<void(int, int)> compiling_;
  const Network* network_ = nullptr;
  WeightSource<float> weights_;  // packed once, for all images
};

}  // namespace emulsion
