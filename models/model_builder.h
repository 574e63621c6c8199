// Adds layers with seeded weights to a network. It keeps an estimate of each channel's mean and
// second moment along, so that the statistics of batch norms fit the activations that they will
// see, and activations stay of order one at any depth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "network/network.h"

namespace emulsion {

class ModelBuilder {
 public:
  ModelBuilder(std::string name, uint64_t seed);

  ValueId input(const Shape& shape);
  // A square kernel without bias; He-normal weights (He et al. 2015: variance 2 / fan-in).
  ValueId conv(const std::string& name, ValueId x, int co, int kernel, int stride, int pad,
               int groups = 1);
  ValueId batch_norm(const std::string& name, ValueId x);
  ValueId relu(const std::string& name, ValueId x);
  ValueId relu6(const std::string& name, ValueId x);
  ValueId add(const std::string& name, ValueId a, ValueId b);
  ValueId concat(const std::string& name, const std::vector<ValueId>& parts);
  ValueId max_pool(const std::string& name, ValueId x, int kernel, int stride, int pad);
  ValueId average_pool(const std::string& name, ValueId x, int kernel, int stride);
  // Global average, flatten, fully connected: uniform weights of +-1/sqrt(fan-in).
  ValueId classifier(const std::string& name, ValueId x, int classes);

  ValueId conv_bn(const std::string& conv_name, const std::string& norm_name, ValueId x, int co,
                  int kernel, int stride, int pad, int groups = 1);

  int channels(ValueId x) const { return static_cast<int>(network_.shape(x)[1]); }
  Network finish(ValueId output);

 private:
  struct Moments {
    double mean = 0, power = 1;  // of one channel: E[x], E[x^2]
  };
  ValueId record(ValueId value, std::vector<Moments> moments);
  ValueId activation(const std::string& name, ValueId x, const Activation& activation);

  Network network_;
  uint64_t seed_;
  std::vector<std::vector<Moments>> moments_;  // by value, by channel
};

}  // namespace emulsion
