// What is known of the times of a space's kernels: of each, the ways to compute it that were
// measured, alone and inside whole networks. From it, the table of times that is searched.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "autoschedule/additive_table.h"
#include "autoschedule/records.h"
#include "autoschedule/space_kernels.h"

namespace emulsion {

class LayerTimes {
 public:
  explicit LayerTimes(SpaceKernels kernels);

  const SpaceKernels& kernels() const { return kernels_; }
  // A kernel alone: taken to have cold weights and warm inputs in a network.
  void add(int kernel, const KernelSpec& way, const KernelTime& time);
  // A whole network of these kernels: what each took inside it, and all of it.
  void add(const NetworkRecord& network);

  // The best way to compute a kernel among those measured; none: it cannot be computed.
  std::optional<KernelSpec> best(int kernel) const;
  double ms(int kernel) const;  // of the best way; infinite: none
  // Of the slot alone, without a rewrite.
  double slot_ms(int slot) const { return ms(kernels_.slot_calls[slot]); }
  // What choices add to the original; losses are 0. A choice whose kernels fail is infinitely slow.
  AdditiveTable table() const;
  // The best way for a kernel of the space's, by the name that it has with the defaults.
  std::optional<KernelSpec> best(const std::string& name) const;

 private:
  struct Way {
    KernelSpec spec;
    std::string name;
    double alone_ms = 0;
  };
  double estimate(const Way& way) const;
  const Way* best_way(int kernel) const;

  SpaceKernels kernels_;
  std::vector<std::vector<Way>> ways_;           // by kernel
  std::map<std::string, int> kernel_of_;         // by the default's name
  std::map<std::string, double> alone_ms_;       // by name
  std::map<std::string, double> in_network_ms_;  // by name: the least over networks
  // A network against the sum of its kernels: the least over networks. Other work on the machine
  // only ever adds.
  double overhead_ = 1;
  int networks_ = 0;
  double inside_over_alone_ = 1;  // of kernels known both ways
};

}  // namespace emulsion
