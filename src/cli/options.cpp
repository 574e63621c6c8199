// The options that several verbs share, and what they lead to.
#include <charconv>
#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "base/process.h"
#include "cli/verb.h"
#include "network/tensor.h"

namespace emulsion {

void add_model_argument(CLI::App& app, CommonOptions& options) {
  app.add_option("model", options.model, "The network, an .onnx file")
      ->required()
      ->type_name("M.onnx");
  app.add_option("--shape", options.shapes,
                 "Shape of an input whose dimensions the file leaves open, as INPUT=1x3x32x32, or "
                 "1x3x32x32 when there is one input. May be repeated")
      ->type_name("[INPUT=]NxCxHxW");
}

void add_target_option(CLI::App& app, CommonOptions& options) {
  app.add_option("--target", options.target,
                 "What to compile for, `host` is this machine. `emulsion targets` lists them")
      ->capture_default_str();
}

void add_cache_options(CLI::App& app, CommonOptions& options) {
  app.add_option("--cache", options.cache,
                 "Folder of compiled kernels. Default: $EMULSION_CACHE, else emulsion in "
                 "$XDG_CACHE_HOME or ~/.cache")
      ->type_name("DIR");
  app.add_option("--jobs", options.jobs, "Kernels compiled at once. 0: one a core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

CLI::Validator number_between(double least, double most) {
  return CLI::Validator(
      [least, most](const std::string& text) -> std::string {
        double value = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool number = code == std::errc() && end == text.data() + text.size();
        if (number && value >= least && value <= most) return "";
        return fmt::format("'{}' is not a number from {:g} to {:g}", text, least, most);
      },
      "");
}

CLI::Validator whole_number() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        uint64_t value = 0;
        const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (code == std::errc() && end == text.data() + text.size()) return "";
        return fmt::format("'{}' is not a whole number from 0 to 18446744073709551615", text);
      },
      "");
}

Result<Network> load_network(const CommonOptions& options) {
  ImportOptions import;
  for (const std::string& option : options.shapes) {
    // Input names may contain '=', shapes do not.
    const size_t equals = option.rfind('=');
    const std::string name = equals == std::string::npos ? "" : option.substr(0, equals);
    auto shape = parse_shape(equals == std::string::npos ? option : option.substr(equals + 1));
    if (!shape.ok()) return shape.error().in("--shape " + option);
    import.shapes[name] = std::move(*shape);
  }
  return import_onnx(options.model, import);
}

KernelCache kernel_cache(const CommonOptions& options) {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  std::filesystem::path folder = options.cache;
  if (folder.empty()) folder = environment("EMULSION_CACHE");
  if (folder.empty() && !environment("XDG_CACHE_HOME").empty()) {
    folder = environment("XDG_CACHE_HOME") / "emulsion";
  }
  if (folder.empty() && !environment("HOME").empty()) {
    folder = environment("HOME") / ".cache" / "emulsion";
  }
  // A program without a home, as some services are.
  if (folder.empty()) folder = std::filesystem::temp_directory_path() / "emulsion-cache";
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return KernelCache(folder, this_program(), options.jobs > 0 ? options.jobs : cores);
}

Status check_cache(const CommonOptions& options) {
  const Status made = make_directory(kernel_cache(options).directory());
  if (!made.ok()) return made.error().in("the cache of kernels");
  return check_temporary_directory();
}

}  // namespace emulsion
