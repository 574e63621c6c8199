#include "compile/loaded_network.h"

#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <chrono>

#include "base/file.h"
#include "base/random.h"
#include "compile/link_library.h"

namespace emulsion {
namespace {

// The library's interface, as its header has it.
struct Options {
  int threads = 0;
  const void* weights = nullptr;
  void* workspace = nullptr;
  void (*error)(void* user, const char* message) = nullptr;
  void (*timing)(void* user, int layer, const char* name, double seconds) = nullptr;
  void* user = nullptr;
  int weights_in_place = 0;
  const char* weights_file = nullptr;
};
struct Functions {
  void* (*create)(const Options*) = nullptr;
  int (*run_arrays)(void*, const float* const*, float* const*) = nullptr;
  void (*destroy)(void*) = nullptr;
  const char* (*last_error)(const void*) = nullptr;
};

struct Statistics {
  double min = 0, median = 0;
};
Statistics statistics(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {samples.front(), samples[samples.size() / 2]};
}

}  // namespace

struct LoadedNetwork::State {
  TemporaryDirectory folder;
  CompiledNetwork compiled;
  int threads = 1;
  std::vector<Shape> inputs, outputs;
  void* library = nullptr;
  Functions functions;
  void* context = nullptr;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (context) functions.destroy(context);
    if (library) ::dlclose(library);
  }

  Status open(const std::filesystem::path& path, const std::string& name) {
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) return failure("the compiled network cannot be loaded: {}", ::dlerror());
    const auto find = [&](auto& function, const char* suffix) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(
          ::dlsym(library, (name + suffix).c_str()));
      EMULSION_CHECK(function != nullptr);
    };
    find(functions.create, "_create");
    find(functions.run_arrays, "_run_arrays");
    find(functions.destroy, "_destroy");
    find(functions.last_error, "_last_error");
    TRY(context, create(nullptr, nullptr));
    return ok();
  }

  Result<void*> create(void (*timing)(void*, int, const char*, double), void* user) {
    Options options;
    options.threads = threads;
    options.timing = timing;
    options.user = user;
    if (!compiled.weights.empty()) options.weights_file = compiled.weights.c_str();
    void* const made = functions.create(&options);
    if (!made) return failure("{}", functions.last_error(nullptr));
    return made;
  }

  Result<std::vector<Tensor>> run(void* in, const std::vector<Tensor>& tensors) {
    std::vector<Tensor> results;
    for (const Shape& shape : outputs) results.emplace_back(shape);
    std::vector<const float*> sources;
    std::vector<float*> targets;
    for (const Tensor& t : tensors) sources.push_back(t.data.data());
    for (Tensor& t : results) targets.push_back(t.data.data());
    if (functions.run_arrays(in, sources.data(), targets.data()) != 0) {
      return failure("{}", functions.last_error(in));
    }
    return results;
  }
};

Result<LoadedNetwork> LoadedNetwork::load(const Network& network, const Plan& plan,
                                          KernelCache& cache, const CompileOptions& options) {
  LoadedNetwork result;
  result.state_ = std::make_shared<State>();
  State& state = *result.state_;
  CompileOptions here = options;
  here.directory = state.folder.path();
  here.emit_only = here.shared_runtime = false;
  here.name = "loaded_network";
  state.threads = here.threads;
  for (const ValueId v : network.inputs) state.inputs.push_back(network.shape(v));
  for (const ValueId v : network.outputs) state.outputs.push_back(network.shape(v));
  TRY(state.compiled, compile_network(network, plan, cache, here));
  const std::filesystem::path shared = state.folder.path() / (here.name + ".so");
  TRY_OK(link_shared(here.cc, state.compiled.library, shared));
  TRY_OK(state.open(shared, here.name));
  return result;
}

Result<std::vector<Tensor>> LoadedNetwork::run(const std::vector<Tensor>& inputs) {
  if (inputs.size() != state_->inputs.size()) {
    return error("the network has {} inputs, {} were given", state_->inputs.size(), inputs.size());
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].shape != state_->inputs[i] || inputs[i].abstract()) {
      return error("input {} has shape {}, the network takes {}", i, to_text(inputs[i].shape),
                   to_text(state_->inputs[i]));
    }
  }
  return state_->run(state_->context, inputs);
}

namespace {

// The clock for samples, in milliseconds: of one thread its own time on the processor, which other
// programs do not lengthen while they hold it.
double sample_clock(int threads) {
  timespec now{};
  ::clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Result<NetworkTime> LoadedNetwork::time(double seconds, bool layers) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> by_layer(state_->compiled.kernels.size());
  const auto note = [](void* user, int layer, const char*, double time) {
    (*static_cast<std::vector<std::vector<double>>*>(user))[layer].push_back(1e3 * time);
  };
  std::shared_ptr<void> timed;
  if (layers) {
    TRY(void* const made, state_->create(note, &by_layer));
    timed = std::shared_ptr<void>(made, state_->functions.destroy);
  }
  void* const context = layers ? timed.get() : state_->context;

  std::vector<Tensor> inputs, outputs;
  for (size_t i = 0; i < state_->inputs.size(); ++i) {
    Tensor& t = inputs.emplace_back(state_->inputs[i]);
    const RandomStream noise(0, "network timing", i);
    for (size_t j = 0; j < t.data.size(); ++j) t.data[j] = static_cast<float>(noise.normal(j));
  }
  for (const Shape& shape : state_->outputs) outputs.emplace_back(shape);
  std::vector<const float*> sources;
  std::vector<float*> targets;
  for (const Tensor& t : inputs) sources.push_back(t.data.data());
  for (Tensor& t : outputs) targets.push_back(t.data.data());

  std::vector<double> samples;
  const auto start = Clock::now();
  // The first call is not counted: it brings code and weights into memory.
  for (int call = -1;
       call < 5 || std::chrono::duration<double>(Clock::now() - start).count() < seconds; ++call) {
    const double before = sample_clock(state_->threads);
    if (state_->functions.run_arrays(context, sources.data(), targets.data()) != 0) {
      return failure("{}", state_->functions.last_error(context));
    }
    if (call >= 0) samples.push_back(sample_clock(state_->threads) - before);
  }
  NetworkTime result;
  const Statistics whole = statistics(samples);
  result.min_ms = whole.min;
  result.median_ms = whole.median;
  result.calls = static_cast<int>(samples.size());
  for (std::vector<double>& times : by_layer) {
    if (!layers) break;
    times.erase(times.begin());
    const Statistics layer = statistics(times);
    result.layer_min_ms.push_back(layer.min);
    result.layer_median_ms.push_back(layer.median);
  }
  return result;
}

const CompiledNetwork& LoadedNetwork::compiled() const {
  return state_->compiled;
}

}  // namespace emulsion
