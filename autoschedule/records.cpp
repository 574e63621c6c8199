#include "autoschedule/records.h"

#include <sstream>
#include <thread>

#include "base/file.h"
#include "base/hash.h"
#include "lower/kernel_spec.h"

namespace emulsion {

using nlohmann::json;

std::string machine_fingerprint() {
  std::string text = fmt::format("{} cores\n", std::thread::hardware_concurrency());
  const auto info = read_file("/proc/cpuinfo");
  if (!info.ok()) return hash_text(text);
  // The first processor's lines that do not change with clock or load; "Features" is Arm's word.
  std::istringstream lines(info.value());
  for (std::string line; std::getline(lines, line) && !line.empty();) {
    for (const char* key : {"model name", "flags", "cache size", "Features", "CPU part"}) {
      if (line.starts_with(key)) text += line + "\n";
    }
  }
  return hash_text(text);
}

std::string network_key(const Plan& original, const Plan& plan) {
  return hash_text(fmt::format("network {} {}\n{}{}", EMULSION_VERSION, codegen_version(),
                               to_json(original), to_json(plan)));
}

Result<Records> Records::open(const std::filesystem::path& path, int threads) {
  Records records;
  records.threads_ = threads;
  TRY(records.file_, JsonLines::open(path));
  const std::string machine = machine_fingerprint();
  int number = 0;
  for (const json& line : records.file_.lines()) {
    ++number;
    try {
      if (line.at("machine") != machine || line.at("threads") != threads) continue;
      if (line.contains("kernel")) {
        records.kernels_[line.at("kernel")] = {line.at("min_ms"), line.at("median_ms"),
                                               line.at("cold_min_ms"), line.at("cold_median_ms"),
                                               line.at("calls")};
        if (line.contains("roofline_ms"))
          records.modelled_.push_back(
              {line.at("way"), line.at("roofline_ms"), line.at("cold_min_ms")});
      } else if (line.contains("peak_gflops")) {
        records.rates_ = {line.at("peak_gflops"), line.at("stream_gbps")};
      } else {
        records.networks_[line.at("network")] = {
            line.at("min_ms"),          line.at("median_ms"),
            line.at("original_min_ms"), line.at("original_median_ms"),
            line.at("parts_ms"),        line.at("kernels_ms")};
      }
    } catch (const json::exception&) {
      return error("{}: line {} is not a record; see docs/formats.md", path.string(), number);
    }
  }
  return records;
}

std::optional<KernelTime> Records::kernel(const std::string& name) const {
  const auto found = kernels_.find(name);
  return found == kernels_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<NetworkRecord> Records::network(const std::string& key) const {
  const auto found = networks_.find(key);
  return found == networks_.end() ? std::nullopt : std::optional(found->second);
}

Status Records::add(const std::string& kernel, const KernelTime& time, const std::string& way,
                    double roofline_ms) {
  kernels_[kernel] = time;
  json line = {{"kernel", kernel},
               {"machine", machine_fingerprint()},
               {"threads", threads_},
               {"min_ms", time.min_ms},
               {"median_ms", time.median_ms},
               {"cold_min_ms", time.cold_min_ms},
               {"cold_median_ms", time.cold_median_ms},
               {"calls", time.calls}};
  if (roofline_ms > 0) {
    modelled_.push_back({way, roofline_ms, time.cold_min_ms});
    line["way"] = way;
    line["roofline_ms"] = roofline_ms;
  }
  return file_.append(line);
}

Status Records::add(const MachineRates& rates) {
  rates_ = rates;
  return file_.append({{"machine", machine_fingerprint()},
                       {"threads", threads_},
                       {"peak_gflops", rates.peak_gflops},
                       {"stream_gbps", rates.stream_gbps}});
}

Status Records::add(const std::string& key, const NetworkRecord& record) {
  networks_[key] = record;
  return file_.append({{"network", key},
                       {"machine", machine_fingerprint()},
                       {"threads", threads_},
                       {"min_ms", record.min_ms},
                       {"median_ms", record.median_ms},
                       {"original_min_ms", record.original_min_ms},
                       {"original_median_ms", record.original_median_ms},
                       {"parts_ms", record.parts_ms},
                       {"kernels_ms", record.kernels_ms}});
}

}  // namespace emulsion
