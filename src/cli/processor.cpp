#include "cli/processor.h"

#include <sched.h>

#include <sstream>
#include <vector>

#include "base/file.h"

namespace emulsion {
namespace {

// The processor flags that our kernels rely on for a feature of a Halide target. Features that are
// not here do not change the instructions used. Matrix units (amx_tile) are not among them: a
// kernel would have to ask for them, and virtual machines often hide them.
struct FeatureFlags {
  const char* feature;
  std::vector<const char*> flags;
};

const std::vector<FeatureFlags>& feature_flags() {
  static const std::vector<FeatureFlags> table = {
      {"sse41", {"sse4_1"}},
      {"avx", {"avx"}},
      {"avx2", {"avx2"}},
      {"fma", {"fma"}},
      {"f16c", {"f16c"}},
      {"avxvnni", {"avx_vnni"}},
      {"avx512", {"avx512f", "avx512cd"}},
      {"avx512_skylake", {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}},
      {"avx512_cannonlake",
       {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi"}},
      {"avx512_zen4",
       {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi",
        "avx512_bf16", "avx512_vnni", "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq"}},
      {"avx512_sapphirerapids",
       {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi",
        "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512_fp16"}},
  };
  return table;
}

}  // namespace

Processor this_processor() {
  Processor processor;
  const auto info = read_file("/proc/cpuinfo");
  std::istringstream lines(info.ok() ? *info : "");
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
    if (line.starts_with("model name")) processor.model = value;
    if (line.starts_with("flags")) {
      std::istringstream words(value);
      for (std::string word; words >> word;) processor.flags.insert(word);
      break;  // the other cores are alike
    }
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) processor.cores = CPU_COUNT(&set);
  return processor;
}

Status check_runs_here(const std::string& target) {
  const Processor processor = this_processor();
#if !defined(__x86_64__)
  return error("target {} does not run here: this machine is not x86-64", target);
#endif
  if (!target.starts_with("x86-64-linux"))
    return error("target {} does not run here: this machine is x86-64-linux", target);
  std::istringstream words(target);
  for (std::string feature; std::getline(words, feature, '-');) {
    for (const FeatureFlags& row : feature_flags()) {
      if (feature != row.feature) continue;
      for (const char* flag : row.flags) {
        if (!processor.flags.contains(flag)) {
          return error("target {} does not run here: this processor ({}) has no {}", target,
                       processor.model, flag);
        }
      }
    }
  }
  return ok();
}

}  // namespace emulsion
