// emulsion compile: an ONNX file and a plan -> a static library, a header, a driver and a manifest.
#include <dlfcn.h>

#include "base/file.h"
#include "base/interrupt.h"
#include "base/npy.h"
#include "cli/operands.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "compile/assemble.h"
#include "compile/compile_network.h"
#include "compile/half_weights.h"
#include "compile/refine.h"
#include "lower/lower.h"
#include "lower/machine.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;

// Files are named after it, with endings, and so are symbols.
constexpr size_t k_longest_name = 200;

struct CompileVerbOptions : CommonOptions {
  std::string plan, directory, name, records, data;
  std::string cc = "clang";
  std::string weights = "f32";
  double budget = 0;
  double tolerance = k_default_tolerance;
  bool tolerance_given = false;
  int threads = 0;  // 0: the plan's
  bool emit_only = false, shared_runtime = false, weights_beside = false;
};

// Whether the C library has a symbol of that name: an app that links ours would call it instead.
bool in_c_library(const std::string& name) {
  for (const char* library : {"libc.so.6", "libm.so.6"}) {
    void* const handle = ::dlopen(library, RTLD_LAZY);
    const bool found = handle && ::dlsym(handle, name.c_str());
    if (handle) ::dlclose(handle);
    if (found) return true;
  }
  return false;
}

std::string default_name(const std::string& model) {
  const std::string name = c_identifier(fs::path(model).stem().string());
  return is_c_name(name) && !in_c_library(name) ? name : name + "_network";
}

void print_rewrites(const CompiledNetwork& compiled) {
  for (const KernelUse& use : compiled.kernels) {
    if (!use.rewrite.empty()) fmt::print("rewritten: {}: {}\n", use.layer, use.rewrite);
  }
}

double megabytes(int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// What needs something else to have a meaning, or a target that can do it.
Status check_accuracy_options(const CompileVerbOptions& verb) {
  const bool risky = verb.budget > 0 || verb.weights == "f16";
  if (!risky && (verb.tolerance_given || !verb.data.empty()))
    return error("{}: without --budget or --weights f16 nothing is chosen that needs it",
                 verb.data.empty() ? "--tolerance" : "--data");
  TRY(const std::string target, resolve_target(verb.target));
  if (verb.weights == "f16" && !converts_halves(target))
    return error("--weights f16: target '{}' has no f16c to convert them", target);
  return risky ? check_runs_here(target) : ok();
}

// What the tolerance is checked on.
Result<CheckData> check_data(const CompileVerbOptions& verb, const Network& network) {
  if (verb.data.empty()) return seeded_check_data(network);
  TRY(const Npy array, read_npy(verb.data));
  return check_data_of(
      network, Tensor(array.shape, std::vector<float>(array.values.begin(), array.values.end())),
      verb.data);
}

std::string layers(size_t count) {
  return fmt::format("{} layer{}", count, count == 1 ? "" : "s");
}

void print_report(const ToleranceReport& report) {
  for (const std::string& layer : report.inexact_layers) fmt::print("F(6x6): {}\n", layer);
  if (!report.half_layers.empty())
    fmt::print("16-bit weights: {}, {:.2f} MB of weights saved\n",
               layers(report.half_layers.size()), megabytes(report.bytes_saved));
  if (report.taken_back > 0)
    fmt::print("taken back to stay within the tolerance: {}\n", layers(report.taken_back));
  if (!report.inexact_layers.empty() || !report.half_layers.empty())
    fmt::print("largest difference: {:.1e} of the largest output, on {} ({:g} accepted)\n",
               report.difference, report.data, report.tolerance);
}

void print_search(const Refined& refined) {
  if (refined.chains_tried > 0)
    fmt::print("fused convs: {} kinds fused or taken apart, {} of them faster\n",
               refined.chains_tried, refined.chains_taken);
  if (refined.networks && refined.networks->by_default)
    fmt::print("measured as a whole, the network with default kernels is no slower: it is kept\n");
  if (refined.networks && refined.networks->tried > 0)
    fmt::print("whole networks: {} variants timed, {} of them faster\n", refined.networks->tried,
               refined.networks->taken);
  if (refined.report) print_report(*refined.report);
}

fs::path plan_path(const CompileOptions& options) {
  return options.directory / (options.name + ".plan.json");
}

fs::path records_path(const CompileVerbOptions& verb, const CompileOptions& options) {
  if (!verb.records.empty()) return verb.records;
  return options.directory / (options.name + ".records.jsonl");
}

Status write_plan(const Plan& plan, const CompileOptions& options) {
  return write_file(plan_path(options), to_json(plan));
}

// The plan that a search, or the wish for 16-bit weights, makes of the one given.
Result<Plan> improved_plan(const CompileVerbOptions& verb, const Network& network, const Plan& plan,
                           KernelCache& cache, const CompileOptions& options) {
  TRY(CheckData data, check_data(verb, network));
  const ElementType weights = *parse_element_type(verb.weights);
  if (verb.budget > 0) {
    const auto best_so_far = [&](const Plan& best) { return write_plan(best, options); };
    TRY(const Refined refined, refine(network, plan, cache,
                                      {options.target, options.threads, options.cc, verb.budget,
                                       records_path(verb, options), verb.tolerance, weights,
                                       std::move(data), best_so_far}));
    print_search(refined);
    return refined.plan;
  }
  TRY(const HalfWeights halved,
      with_half_weights(network, plan, cache, {options, verb.tolerance, std::move(data)}));
  print_report(halved.report);
  if (halved.report.half_layers.empty())
    fmt::print("16-bit weights: no layer gains from them within the tolerance\n");
  return halved.plan;
}

Status compile_verb(const CompileVerbOptions& verb) {
  CompileOptions options;
  options.name = verb.name.empty() ? default_name(verb.model) : verb.name;
  options.directory = verb.directory;
  options.target = verb.target;
  options.cc = verb.cc;
  options.emit_only = verb.emit_only;
  options.shared_runtime = verb.shared_runtime;
  options.weights_beside = verb.weights_beside;
  // What takes no time to know is said before what does.
  if (!is_c_name(options.name)) {
    return error(
        "--name {}: is not a name in C; use letters, digits and _, and no word of the language",
        options.name);
  }
  if (in_c_library(options.name)) {
    return error("--name {}: the C library has a function of that name; take another",
                 options.name);
  }
  if (options.name.size() > k_longest_name) {
    return error("the name has {} letters; take one of at most {} with --name", options.name.size(),
                 k_longest_name);
  }
  if (options.cc.empty()) return error("--cc: the compiler's name is empty");
  TRY_OK(check_accuracy_options(verb));
  TRY(const Network network, load_network(verb));
  TRY(Plan plan, load_plan(verb.plan, network));
  options.threads = verb.threads > 0 ? verb.threads : plan.threads;
  TRY_OK(check_cache(verb));
  KernelCache cache = kernel_cache(verb);
  if (verb.budget > 0 || verb.weights == "f16") {
    TRY_OK(make_directory(options.directory));  // or why not, before the search and not after
    TRY(plan, improved_plan(verb, network, plan, cache, options));
    TRY_OK(write_plan(plan, options));
    fmt::print("plan: {}\n", plan_path(options).string());
  }
  if (verb.budget > 0 && interrupted()) {
    return Error{"interrupted; the best plan so far is written, and no library",
                 ExitCode::interrupted};
  }
  TRY(const CompiledNetwork compiled, compile_network(network, plan, cache, options));
  print_rewrites(compiled);
  fmt::print("{} kernel calls, {:.2f} MB of code, {:.2f} MB of weights, {:.2f} MB of workspace\n",
             compiled.kernels.size(), megabytes(compiled.code_bytes),
             megabytes(compiled.weights_bytes), megabytes(compiled.workspace_bytes));
  fmt::print("header: {}\n", compiled.header.string());
  if (!compiled.weights.empty())
    fmt::print("weights: {}; the app names it in options.weights_file\n",
               compiled.weights.string());
  if (compiled.library.empty()) {
    fmt::print("driver: {}; compile it in its folder: cc -c {}\n", compiled.driver.string(),
               compiled.driver.filename().string());
    fmt::print("link: c++ app.cpp {0}.o k_*.o{1} -lpthread -ldl\n", options.name,
               options.shared_runtime ? "" : " runtime_*.o");
  } else {
    fmt::print("link: c++ app.cpp {} -lpthread -ldl\n", compiled.library.string());
  }
  return ok();
}

}  // namespace

std::function<Status()> define_compile(CLI::App& app) {
  auto options = std::make_shared<CompileVerbOptions>();
  add_model_argument(app, *options);
  app.add_option("-o,--output", options->directory,
                 "Folder for NAME.a, NAME.h, NAME.c and manifest.json; made when missing")
      ->required()
      ->type_name("DIR");
  app.add_option("--plan", options->plan,
                 "What to compute and how, from `explore` or an earlier --budget. Without one: the "
                 "network as it is, "
                 "with default algorithms and schedules. A plan's rewrites change the function: "
                 "they are listed")
      ->type_name("P.json");
  app.add_option("--name", options->name, "Prefix of every C name. Default: from the file's name")
      ->type_name("NAME");
  app.add_option("--budget", options->budget,
                 "Measure alternative algorithms and schedules on this machine for about so many "
                 "seconds, which convs to fuse, and how weights reach the caches, keep the "
                 "fastest, and write the plan to DIR/NAME.plan.json")
      ->check(number_between(0, 1e9))
      ->type_name("SECONDS");
  app.add_option("--records", options->records,
                 "With --budget: times measured before are taken from this file, new ones added. "
                 "Those of other kinds of machines stay apart. Default: DIR/NAME.records.jsonl, so "
                 "that the same command goes on where it stopped")
      ->type_name("FILE");
  app.add_option("--tolerance", options->tolerance,
                 "With --budget or --weights f16: the largest difference accepted of the whole "
                 "network, relative to its largest output, when faster choices round more (F(6x6) "
                 "Winograd, 16-bit weights). It is measured; what breaks it is taken back. 0: no "
                 "such choice with --budget")
      ->check(number_between(0, 1e9))
      ->each([options](const std::string&) { options->tolerance_given = true; })
      ->capture_default_str();
  app.add_option("--data", options->data,
                 "Images, float32 [N, C, H, W] as the network expects them, that the tolerance is "
                 "checked on. Default: seeded noise")
      ->type_name("IMAGES.npy");
  app.add_option("--weights", options->weights,
                 "f16: may store a layer's weights in half precision where that is faster and "
                 "within the tolerance; sums stay f32")
      ->check(CLI::IsMember({"f32", "f16"}))
      ->capture_default_str();
  app.add_option("--threads", options->threads,
                 "Threads that run a layer when the app does not say. 0: as the plan says, else 1")
      ->check(CLI::Range(0, k_most_threads))
      ->capture_default_str();
  app.add_option("--cc", options->cc, "C compiler for the driver; when there is no clang: cc")
      ->capture_default_str();
  app.add_flag("--emit-only", options->emit_only,
               "Write the driver, the weights and the kernels' objects; build no library");
  app.add_flag("--weights-beside", options->weights_beside,
               "Leave the weights out of the library; the app reads them from DIR/NAME.weights. "
               "More than 1.9 GB, as kernels read them, always lie there");
  app.add_flag("--shared-runtime", options->shared_runtime,
               "Leave Halide's runtime out of the library; the program has one");
  add_target_option(app, *options);
  add_cache_options(app, *options);
  app.footer(
      "Example:\n  emulsion compile resnet18.onnx -o out\n  c++ app.cpp out/resnet18.a -Iout "
      "-lpthread -ldl\n"
      "The header's first lines are an app of ten lines. Tensors are dense floats in ONNX's order "
      "(N C H W).");
  return [options] { return compile_verb(*options); };
}

}  // namespace emulsion
