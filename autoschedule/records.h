// Measurements, kept on disk: times of kernels, of whole networks beside their original, and the
// machine's own rates. The key is what was measured, on which machine, with how many threads.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "autoschedule/json_lines.h"
#include "kernels/time_kernel.h"
#include "plan/plan.h"

namespace emulsion {

// A network timed in turns with the original that it was made from, and then call by call.
struct NetworkRecord {
  double min_ms = 0, median_ms = 0;
  double original_min_ms = 0, original_median_ms = 0;
  double parts_ms = 0;                       // of all its calls, each at its least
  std::map<std::string, double> kernels_ms;  // by kernel: mean over its calls, each at its least
};

// What the cost model expected of a kernel beside what it took.
struct ModelledKernel {
  std::string way;         // of computing it: see cost_model.h
  double roofline_ms = 0;  // expected, uncorrected
  double cold_ms = 0;
};

class Records {
 public:
  // Those of this machine count; others stay in the file. docs/formats.md has the format.
  static Result<Records> open(const std::filesystem::path& path, int threads);

  std::optional<KernelTime> kernel(const std::string& name) const;
  // key: network_key of it.
  std::optional<NetworkRecord> network(const std::string& key) const;
  // In the file's order.
  const std::vector<ModelledKernel>& modelled() const { return modelled_; }
  std::optional<MachineRates> rates() const { return rates_; }
  // roofline_ms: of the kernel, where it is known.
  Status add(const std::string& kernel, const KernelTime& time, const std::string& way = "",
             double roofline_ms = 0);
  Status add(const std::string& key, const NetworkRecord& record);
  Status add(const MachineRates& rates);
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  JsonLines file_;
  int threads_ = 1;
  std::map<std::string, KernelTime> kernels_;
  std::map<std::string, NetworkRecord> networks_;
  std::vector<ModelledKernel> modelled_;
  std::optional<MachineRates> rates_;
};

// Which network, beside which original, in which version of the code that is generated. A plan
// names the shapes of its network's layers.
std::string network_key(const Plan& original, const Plan& plan);

// A hash of the processor's name and features and the number of cores.
std::string machine_fingerprint();

}  // namespace emulsion
