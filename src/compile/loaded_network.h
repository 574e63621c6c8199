// A compiled network loaded into this process as a shared library: the library that an app would
// link, run and timed layer by layer through its own interface.
#pragma once

#include <memory>

#include "compile/compile_network.h"
#include "network/tensor.h"

namespace emulsion {

struct NetworkTime {
  double min_ms = 0, median_ms = 0;
  int calls = 0;
  std::vector<double> layer_min_ms, layer_median_ms;  // by call, when asked for
};

class LoadedNetwork {
 public:
  // Compiles (through the cache) into a temporary folder, links with cc -shared, and loads.
  static Result<LoadedNetwork> load(const Network& network, const Plan& plan, KernelCache& cache,
                                    const CompileOptions& options);
  // Inputs and outputs in the network's order, row-major.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs);
  // Runs on seeded noise for about `seconds`, at least 5 times. A network of one thread is timed by
  // its processor time, so that a busy machine disturbs it less.
  Result<NetworkTime> time(double seconds, bool layers = false);
  const CompiledNetwork& compiled() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace emulsion
