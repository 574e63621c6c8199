// emulsion doctor: is everything here that the other verbs need, and what to do where it is not.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/process.h"
#include "cli/onnx_runtime.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "kernels/loaded_kernel.h"
#include "lower/layout.h"
#include "lower/lower.h"

namespace emulsion {
namespace fs = std::filesystem;
namespace {

struct DoctorOptions : CommonOptions {
  std::string python;
};

struct Finding {
  bool good = false;
  std::string detail;
};

struct Check {
  const char* name;
  bool required;
  const char* remedy;
  Finding (*find)(const DoctorOptions& options);
};

// The version line of a program in PATH.
Finding find_tool(const std::string& program, const char* must_say = "") {
  const std::string path = find_program(program);
  if (path.empty()) return {false, "not in PATH"};
  const auto result = run_process({path, "--version"});
  if (!result.ok()) return {false, result.error().message};
  std::string version = result->output;
  // GNU's tools and LLVM's differ in what they accept.
  if (version.find(must_say) == std::string::npos) {
    return {false, fmt::format("{} is not {}'s", path, must_say)};
  }
  const size_t at = version.find("version");
  if (at != std::string::npos) version = version.substr(version.rfind('\n', at) + 1);
  return {true, fmt::format("{} ({})", path, version.substr(0, version.find('\n')))};
}

// Not only that it is there: a kernel is compiled by a worker, loaded and run.
Finding find_halide(const DoctorOptions& options) {
  const std::string version =
      fmt::format("{}.{}.{}", HALIDE_VERSION_MAJOR, HALIDE_VERSION_MINOR, HALIDE_VERSION_PATCH);
  const Status usable = check_cache(options);
  if (!usable.ok()) return {false, usable.error().message};
  const auto target = resolve_target("host");
  if (!target.ok()) return {false, target.error().message};
  Network network;
  network.inputs = {network.add_value("x", {1, 4, 4, 4})};
  network.outputs = {network.add_layer("y", Activation{}, network.inputs)};
  const LaidOutNetwork laid_out = lay_out(network);
  KernelCache cache = kernel_cache(options);
  for (int i = 0; i < static_cast<int>(laid_out.network.layers.size()); ++i) {
    if (laid_out.elided[i]) continue;
    const auto spec = kernel_spec(laid_out, i, {}, *target);
    if (!spec.ok()) return {false, spec.error().message};
    const auto kernel = LoadedKernel::load(cache, *spec);
    if (!kernel.ok()) return {false, kernel.error().message};
  }
  return {true, version};
}

Finding find_cache(const DoctorOptions& options) {
  const fs::path folder = kernel_cache(options).directory();
  const Status writable = make_directory(folder);
  if (!writable.ok()) return {false, writable.error().message};
  int64_t bytes = 0;
  int files = 0;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    std::error_code size_error;
    const auto size = entry.file_size(size_error);
    if (size_error) continue;
    bytes += static_cast<int64_t>(size);
    ++files;
  }
  return {true, fmt::format("{}: {} files, {:.1f} MB", folder.string(), files,
                            static_cast<double>(bytes) * 1e-6)};
}

Finding find_temporary_folder(const DoctorOptions&) {
  const Status usable = check_temporary_directory();
  std::error_code ec;
  return {usable.ok(), usable.ok() ? fs::temp_directory_path(ec).string() : usable.error().message};
}

Finding find_processor(const DoctorOptions&) {
  const Processor processor = this_processor();
  std::string features;
  for (const char* flag : {"sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile"}) {
    if (processor.flags.contains(flag)) features += std::string(" ") + flag;
  }
  const bool good = processor.flags.contains("sse4_1");
  return {good, fmt::format("{}, {} core{},{}", processor.model, processor.cores,
                            processor.cores == 1 ? "" : "s",
                            features.empty() ? " no vector features" : features)};
}

// What Halide takes for this machine has to be something that it runs.
Finding find_host_target(const DoctorOptions&) {
  const auto target = resolve_target("host");
  if (!target.ok()) return {false, target.error().message};
  const Status runs = check_runs_here(*target);
  return {runs.ok(), runs.ok() ? *target : runs.error().message};
}

Finding find_package(const char* package, const DoctorOptions& options) {
  const auto oracle = find_python_with(package, options.python);
  if (!oracle) return {false, "not installed"};
  return {true, fmt::format("{} in {}", oracle->version, oracle->python)};
}

constexpr Check k_checks[] = {
    {"processor", false, "emulsion runs here; compiled networks need x86-64 with SSE4.1 to be fast",
     find_processor},
    {"cache folder", true, "name a folder that can be written: --cache DIR or EMULSION_CACHE=DIR",
     find_cache},
    {"temporary folder", true, "name a folder that can be written: TMPDIR=DIR",
     find_temporary_folder},
    {"clang", true, "apt-get install clang, or give compile another compiler with --cc",
     [](const DoctorOptions&) { return find_tool("clang", "clang"); }},
    {"ld.lld", true, "apt-get install lld",
     [](const DoctorOptions&) { return find_tool("ld.lld", "LLD"); }},
    {"llvm-objcopy", true, "apt-get install llvm",
     [](const DoctorOptions&) { return find_tool("llvm-objcopy", "llvm-objcopy"); }},
    {"llvm-ar", true, "apt-get install llvm",
     [](const DoctorOptions&) { return find_tool("llvm-ar", "LLVM"); }},
    {"Halide", true, "./dev setup installs the Halide that this program was built with",
     find_halide},
    {"host target", false,
     "name another with --target: `emulsion targets` lists those that run here", find_host_target},
    {"ONNX Runtime", false, "verify compares with it: pip install onnxruntime",
     [](const DoctorOptions& options) { return find_package("onnxruntime", options); }},
    {"OpenVINO", false, "benches compare with it: pip install openvino",
     [](const DoctorOptions& options) { return find_package("openvino", options); }},
};

Status examine(const DoctorOptions& options) {
  nlohmann::json rows = nlohmann::json::array();
  std::string missing;
  for (const Check& check : k_checks) {
    const Finding finding = check.find(options);
    if (!finding.good && check.required)
      missing += (missing.empty() ? "" : ", ") + std::string(check.name);
    const char* mark = finding.good ? "ok" : check.required ? "MISSING" : "absent";
    if (options.json) {
      rows.push_back({{"check", check.name},
                      {"required", check.required},
                      {"good", finding.good},
                      {"detail", finding.detail},
                      {"remedy", finding.good ? "" : check.remedy}});
      continue;
    }
    fmt::print("{:<8} {:<17} {}\n", mark, check.name, finding.detail);
    if (!finding.good) fmt::print("{:<26} -> {}\n", "", check.remedy);
  }
  if (options.json) {
    fmt::print("{}\n", nlohmann::json{{"checks", rows}, {"well", missing.empty()}}.dump(2));
  }
  if (!missing.empty()) return Error{"missing: " + missing, ExitCode::answer_is_no};
  if (!options.json) fmt::print("All that is required is here.\n");
  return ok();
}

}  // namespace

std::function<Status()> define_doctor(CLI::App& app) {
  auto options = std::make_shared<DoctorOptions>();
  add_cache_options(app, *options);
  app.add_option("--python", options->python,
                 "The Python to look for oracles in. Default: python3, then .venv/bin/python")
      ->type_name("PATH");
  app.add_flag("--json", options->json, "Print JSON");
  app.footer("Example:\n  emulsion doctor\nExit code 1 when something required is missing.");
  return [options] { return examine(*options); };
}

}  // namespace emulsion
