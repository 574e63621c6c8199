// A verb of the command: its row in the table in main.cpp, and what verbs share.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"
#include "kernels/kernel_cache.h"
#include "onnx/import.h"

namespace emulsion {

struct Verb {
  const char* name;
  const char* sentence;
  // Adds the verb's options to its subcommand and returns what to do when it was chosen. An Error's
  // code is the program's exit code. Option values live in what the returned function captures (a
  // shared_ptr).
  std::function<Status()> (*define)(CLI::App& subcommand);
};

std::function<Status()> define_inspect(CLI::App& app);
std::function<Status()> define_compile(CLI::App& app);
std::function<Status()> define_explore(CLI::App& app);
std::function<Status()> define_transform(CLI::App& app);
std::function<Status()> define_run(CLI::App& app);
std::function<Status()> define_verify(CLI::App& app);
std::function<Status()> define_bench(CLI::App& app);
std::function<Status()> define_model(CLI::App& app);
std::function<Status()> define_targets(CLI::App& app);
std::function<Status()> define_doctor(CLI::App& app);

// Options that several verbs have.
struct CommonOptions {
  std::string model;                // the .onnx
  std::vector<std::string> shapes;  // "input=1x3x32x32", or "1x3x32x32" for a single input
  std::string target = "host";
  std::string cache;  // folder of compiled kernels; default by cache_directory()
  int jobs = 0;       // worker processes; 0: one a core
  bool json = false;
};
void add_model_argument(CLI::App& app, CommonOptions& options);  // M.onnx and --shape
void add_target_option(CLI::App& app, CommonOptions& options);   // --target
void add_cache_options(CLI::App& app, CommonOptions& options);   // --cache and --jobs

// Checks of options: a number in [least, most], and a whole number of 64 bits. CLI11's own accept
// NaN, and wrap what is negative or too large.
CLI::Validator number_between(double least, double most);
CLI::Validator whole_number();

// Of a compiled network.
constexpr int k_most_threads = 256;

// Imports options.model with options.shapes.
Result<Network> load_network(const CommonOptions& options);
// The kernel cache: --cache, else EMULSION_CACHE, else XDG_CACHE_HOME/emulsion, else
// ~/.cache/emulsion.
KernelCache kernel_cache(const CommonOptions& options);
// An error unless kernels can be compiled there: the cache and the temporary folder take files.
Status check_cache(const CommonOptions& options);

}  // namespace emulsion
