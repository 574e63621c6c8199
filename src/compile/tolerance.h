// Choices that err more than is accepted without asking (F(6x6), weights in half precision) and the
// check that keeps them within a tolerance: the whole network is compiled and run on data, and
// while it differs too much from the same network with safe choices, the riskiest are taken back.
#pragma once

#include <string>
#include <vector>

#include "compile/loaded_network.h"
#include "compile/prepare.h"

namespace emulsion {

inline constexpr double k_default_tolerance = 1e-3;  // of the largest output

// What networks are compared on: some times the network's inputs.
struct CheckData {
  std::vector<std::vector<Tensor>> runs;
  std::string from;  // "seeded noise", "4 images of x.npy"
};
// Standard normal noise, a few times.
CheckData seeded_check_data(const Network& network, uint64_t seed = 0);
// Images [N C H W], the first few, in batches of the network's; of networks with one input.
Result<CheckData> check_data_of(const Network& network, const Tensor& images,
                                const std::string& file);

// Whether a kernel errs more than is chosen without asking.
bool is_risky(const KernelSpec& spec);

// A call whose kernel errs more, and what it would be otherwise.
struct RiskyChoice {
  size_t call = 0;  // of PreparedNetwork::calls
  KernelSpec safe, risky;
  double gain = 0;   // time won, in any unit
  double error = 0;  // measured on noise, or bounded: of the layer's largest output
};

// What was risked, for whoever asked for it.
struct ToleranceReport {
  double tolerance = 0, difference = 0;  // largest measured, of the largest output
  std::string data;                      // that it was measured on
  int taken_back = 0;
  std::vector<std::string> inexact_layers;  // by an algorithm that errs more: F(6x6)
  std::vector<std::string> half_layers;     // whose weights are stored in half precision
  int64_t bytes_saved = 0;
};

// Compares networks with one that has safe choices.
class ToleranceCheck {
 public:
  // `safe`: the plan of the network that others are compared with. No data: seeded noise.
  static Result<ToleranceCheck> make(const Network& network, const Plan& safe, KernelCache& cache,
                                     const CompileOptions& options, CheckData data,
                                     double tolerance);
  // The largest difference on the data.
  Result<double> difference(LoadedNetwork& loaded) const;
  bool holds(double difference) const { return difference <= tolerance_; }
  double tolerance() const { return tolerance_; }
  const std::string& data() const { return data_.from; }

 private:
  CheckData data_;
  double tolerance_ = 0;
  std::vector<std::vector<Tensor>> expected_;  // by run
};

// The largest difference between two kernels of one layer on noise, over the largest output.
Result<double> kernel_difference(KernelCache& cache, const KernelSpec& safe,
                                 const KernelSpec& risky);

// Of the choices (whose risky specs are those of the calls) those that stay: the calls of the
// others become safe. Deterministic.
Result<ToleranceReport> keep_within_tolerance(const Network& network, PreparedNetwork& prepared,
                                              const std::vector<RiskyChoice>& choices,
                                              KernelCache& cache, const CompileOptions& options,
                                              const ToleranceCheck& check);

// The layers at risk, as they are now.
void describe_risks(const PreparedNetwork& prepared, ToleranceReport& report);

}  // namespace emulsion
