// Measures kernels and whole compiled networks, each once: what the records have is not measured
// again, so that the same records give the same answer. What whole networks show corrects the times
// of their kernels.
#pragma once

#include <set>

#include "autoschedule/layer_times.h"
#include "compile/loaded_network.h"
#include "explore/problem.h"
#include "explore/stopping.h"

namespace emulsion {

class Measurer {
 public:
  // problem, cache and stopping outlive it.
  static Result<Measurer> open(const Problem& problem, KernelCache& cache,
                               const Stopping& stopping);

  // Every kernel of the space by its default way and by those other algorithms that are expected to
  // be about as fast. An error when a kernel of the original cannot be timed.
  Status time_kernels();
  // More ways to compute each kernel that a configuration runs. Whether any was new.
  Result<bool> time_more_ways(const Configuration& configuration);
  // The fastest way found to compute the same function, as a whole network: from here on what
  // others are timed beside.
  Status find_same_function();

  // A configuration's network by the best ways known, timed in turns with the same-function
  // network, and recorded. The table is corrected by it.
  Result<NetworkRecord> time_network(const Configuration& configuration);

  const LayerTimes& times() const { return times_; }
  // All choices spelled out.
  Result<Plan> plan(const Configuration& configuration) const;
  const Plan& same_function() const { return same_function_; }
  // Of the same-function network beside what `compile` makes without a plan.
  const NetworkRecord& same_function_time() const { return same_function_time_; }
  // What the network computes for one input of its own batch.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs);

 private:
  Measurer(const Problem& problem, KernelCache& cache, const Stopping& stopping,
           SpaceKernels kernels);
  Status compile(const std::vector<KernelSpec>& specs, const char* title);
  // kernel, way
  Status time_ways(const std::vector<std::pair<int, KernelSpec>>& ways, const char* title);
  Result<KernelTime> time_kernels_of(const KernelSpec& way, const TimingOptions& timing);
  Result<LoadedNetwork> load(const Configuration& configuration, const Plan& plan) const;
  Result<NetworkRecord> time(const Configuration& configuration, const Plan& plan,
                             const Plan& beside);
  Result<LoadedNetwork*> original(const Plan& plan);
  CompileOptions compile_options() const;

  const Problem* problem_;
  KernelCache* cache_;
  const Stopping* stopping_;
  Records records_;
  LayerTimes times_;
  std::map<int, Error> failures_;  // by kernel
  std::set<int> widened_;          // kernels of which more than the default ways were measured
  std::set<std::string> seen_networks_;             // whose times have corrected the table
  std::map<std::string, LoadedNetwork> originals_;  // by their plans
  Plan same_function_;
  NetworkRecord same_function_time_;
};

}  // namespace emulsion
