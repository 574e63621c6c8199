#include "compile/compile_network.h"

#include <unistd.h>

#include <fstream>
#include <map>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compile/assemble.h"
#include "compile/link_library.h"
#include "compile/manifest.h"
#include "lower/lower.h"

namespace emulsion {
namespace fs = std::filesystem;
namespace {

// A folder beside the final files, on the same disk, so that they can be renamed into place when
// all are there.
class StagingFolder {
 public:
  static Result<StagingFolder> make(const fs::path& directory) {
    std::string name = (directory / ".emulsion-XXXXXX").string();
    if (!::mkdtemp(name.data())) return error("{}: cannot be written to", directory.string());
    return StagingFolder(name);
  }
  StagingFolder(StagingFolder&& other) noexcept : path_(std::exchange(other.path_, fs::path())) {}
  StagingFolder& operator=(StagingFolder&&) = delete;
  ~StagingFolder() {
    std::error_code ec;
    if (!path_.empty()) fs::remove_all(path_, ec);
  }
  const fs::path& path() const { return path_; }

  Status publish(const std::vector<std::string>& files, const fs::path& directory) const {
    std::error_code ec;
    // Either all files arrive or none.
    for (const std::string& file : files) {
      if (fs::is_directory(directory / file, ec))
        return error("{}: is a folder, not a file", (directory / file).string());
    }
    for (const std::string& file : files) {
      fs::rename(path_ / file, directory / file, ec);
      if (ec) return error("{}: cannot be written: {}", (directory / file).string(), ec.message());
    }
    return ok();
  }

 private:
  explicit StagingFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// Staged files need no syncing of their own: nothing has their final name yet.
Status stage(const fs::path& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  if (!out)
    return failure("{}: writing failed; is the disk full?",
                   path.parent_path().parent_path().string());
  return ok();
}

// A library is linked with this machine's tools; for another kind of machine there is --emit-only.
Status check_target(const std::string& target, const CompileOptions& options) {
  if (target.starts_with("x86-64-linux")) return ok();
  if (options.emit_only && target.starts_with("arm-64-linux")) return ok();
  return error(
      "target '{}': libraries are made for x86-64-linux; for arm-64-linux --emit-only writes what "
      "to build one from",
      target);
}

Error interruption() {
  return {"interrupted; nothing was written", ExitCode::interrupted};
}

// The object of each distinct kernel, by C symbol.
using Objects = std::map<std::string, fs::path>;

Result<Objects> compile_kernels(const PreparedNetwork& prepared, KernelCache& cache) {
  std::vector<KernelSpec> specs;
  for (const KernelCall& call : prepared.calls) specs.push_back(call.spec);
  Progress bar("compiling kernels", static_cast<int64_t>(specs.size()));
  Objects objects;
  const auto compiled = cache.compile(
      specs, [&](int done, int total) { bar.update(done, fmt::format("of {}", total)); });
  for (size_t i = 0; i < compiled.size(); ++i) {
    if (!compiled[i].ok()) {
      if (compiled[i].error().code == ExitCode::interrupted) return interruption();
      const Layer& layer = prepared.laid_out.network.layers[prepared.calls[i].layer];
      return compiled[i].error().in(fmt::format("layer '{}'", layer.name));
    }
    objects[compiled[i]->name] = compiled[i]->object;
  }
  return objects;
}

// In text form; of a chain's convs one after the other.
std::string rewrites_of(const KernelCall& call) {
  std::string text;
  for (const ConvOrigin& conv : call.convs) {
    const std::string rewrite = to_text(conv.rewrite);
    if (!rewrite.empty()) text += (text.empty() ? "" : " + ") + rewrite;
  }
  return text;
}

Result<CompiledNetwork> describe(const PreparedNetwork& prepared, const Driver& driver,
                                 const Objects& objects) {
  CompiledNetwork result;
  result.workspace_bytes = driver.workspace_bytes;
  result.weights_bytes = driver.weights_bytes;
  std::map<std::string, int64_t> sizes;
  for (const auto& [name, object] : objects) {
    TRY(sizes[name], code_bytes(object));
    result.code_bytes += sizes[name];
  }
  for (const KernelCall& call : prepared.calls) {
    const Layer& layer = prepared.laid_out.network.layers[call.layer];
    KernelUse use;
    use.layer = layer.name;
    use.kernel = kernel_name(call.spec);
    use.op = op_name(layer.op);
    use.algorithm = call.spec.algorithm;
    use.schedule = call.spec.schedule;
    use.weights = call.spec.weights;
    use.rewrite = rewrites_of(call);
    use.multiplies = multiplies(layer.op, prepared.laid_out.network.shape(layer.output));
    use.code_bytes = sizes[use.kernel];
    result.kernels.push_back(std::move(use));
  }
  return result;
}

}  // namespace

Result<CompiledNetwork> compile_network(const Network& network, const Plan& plan,
                                        KernelCache& cache, const CompileOptions& options) {
  if (!is_c_name(options.name)) {
    return error("'{}' cannot be the name of a C function; pass --name with letters, digits and _",
                 options.name);
  }
  if (options.threads < 1 || options.threads > 256)
    return error("threads must be 1 to 256, not {}", options.threads);
  TRY(const std::string target, resolve_target(options.target));
  TRY_OK(check_target(target, options));
  TRY(PreparedNetwork prepared, prepare(network, plan, target, options.threads));
  prefetch_next_weights(prepared);
  TRY_OK(make_directory(options.directory));
  TRY(const StagingFolder staging, StagingFolder::make(options.directory));

  TRY(const Objects kernels, compile_kernels(prepared, cache));
  std::vector<fs::path> objects;
  for (const auto& [name, object] : kernels) objects.push_back(object);

  Assembly assembly = assemble(prepared);
  Driver& driver = assembly.driver;
  driver.name = options.name;
  driver.version =
      fmt::format("emulsion {}, Halide {}, {}", EMULSION_VERSION, EMULSION_HALIDE_VERSION, target);
  driver.target = target;
  driver.threads = options.threads;
  driver.huge_pages = prepared.streaming.huge_pages;
  driver.weights_beside = options.weights_beside || !library_holds(driver.weights_bytes);
  TRY(driver.heap_scratch, refers_to(objects, "halide_malloc"));
  TRY(CompiledNetwork result, describe(prepared, driver, kernels));

  const std::string header = options.name + ".h", source = options.name + ".c",
                    weights = options.name + ".weights", library = options.name + ".a",
                    object = options.name + ".o";
  TRY_OK(stage(staging.path() / header, driver_header(driver)));
  TRY_OK(stage(staging.path() / source, driver_source(driver)));
  TRY_OK(stage(staging.path() / weights, assembly.weights.bytes()));
  TRY_OK(stage(staging.path() / "manifest.json", manifest_json(result, driver, options)));
  std::vector<std::string> files = {header, source};

  if (!options.shared_runtime) {
    TRY(const fs::path runtime, cache.runtime_object(target));
    objects.push_back(runtime);
  }
  if (options.emit_only || driver.weights_beside) files.push_back(weights);
  if (driver.weights_beside) result.weights = options.directory / weights;
  if (options.emit_only) {
    for (const fs::path& o : objects) {
      TRY(const std::string bytes, read_file(o));
      TRY_OK(stage(staging.path() / o.filename(), bytes));
      files.push_back(o.filename().string());
    }
  } else {
    TRY_OK(compile_c(options.cc, staging.path(), source, "driver.o"));
    objects.insert(objects.begin(), staging.path() / "driver.o");
    TRY_OK(link_library(objects, driver_symbols(options.name), staging.path() / object,
                        staging.path() / library));
    files.push_back(library);
    result.library = options.directory / library;
  }
  files.push_back("manifest.json");
  if (interrupted()) return interruption();
  TRY_OK(staging.publish(files, options.directory));
  result.header = options.directory / header;
  result.driver = options.directory / source;
  result.manifest = options.directory / "manifest.json";
  return result;
}

}  // namespace emulsion
