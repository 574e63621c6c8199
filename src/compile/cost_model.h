// What kernels are expected to take on this machine, with cold caches: a roofline of the cycles
// that templates count and of the bytes that must come from memory, in rates that were measured,
// corrected by what kernels of the same algorithm took beside it.
#pragma once

#include <map>
#include <string>

#include "kernels/time_kernel.h"
#include "lower/machine.h"

namespace emulsion {

class CostModel {
 public:
  // Rates of so many threads together, of such machines.
  CostModel(const MachineRates& rates, int threads, const Machine& machine);

  // Of a completed spec whose busiest thread takes so many cycles, uncorrected.
  double roofline_ms(const KernelSpec& spec, double cycles) const;
  double expected_ms(const KernelSpec& spec, double roofline_ms) const;
  // way: of a kernel that took so long (way_of).
  void learn(const std::string& way, double roofline_ms, double cold_ms);
  double cycles_a_ms() const { return cycles_a_ms_; }

 private:
  struct Logs {
    double sum = 0;  // of logarithms of measured over roofline
    int count = 0;
  };

  double cycles_a_ms_, bytes_a_ms_;
  Logs all_;
  std::map<std::string, Logs> by_way_;
};

// What errs alike: its algorithm and the type of its weights.
std::string way_of(const KernelSpec& spec);

}  // namespace emulsion
