// Measurements, kept on disk: times of kernels, and of whole networks beside their original. The
// key is what was measured, on which machine, with how many threads.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "autoschedule/json_lines.h"
#include "kernels/time_kernel.h"

namespace emulsion {

// A network timed in turns with the original that it was made from, and then call by call.
struct NetworkRecord {
  double min_ms = 0, median_ms = 0;
  double original_min_ms = 0, original_median_ms = 0;
  double parts_ms = 0;                       // of all its calls, each at its least
  std::map<std::string, double> kernels_ms;  // by kernel: mean over its calls, each at its least
};

class Records {
 public:
  // Those of this machine count; others stay in the file. docs/formats.md has the format.
  static Result<Records> open(const std::filesystem::path& path, int threads);

  std::optional<KernelTime> kernel(const std::string& name) const;
  // key: says which network and which original.
  std::optional<NetworkRecord> network(const std::string& key) const;
  Status add(const std::string& kernel, const KernelTime& time);
  Status add(const std::string& key, const NetworkRecord& record);
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  JsonLines file_;
  int threads_ = 1;
  std::map<std::string, KernelTime> kernels_;
  std::map<std::string, NetworkRecord> networks_;
};

// A hash of the processor's name and features and the number of cores.
std::string machine_fingerprint();

}  // namespace emulsion
