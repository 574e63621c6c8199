#include "autoschedule/layer_times.h"

#include <limits>

#include "base/interrupt.h"
#include "nest/rewrite.h"

namespace emulsion {
namespace {

class Collector {
 public:
  Collector(SpaceKernels& kernels, std::string target)
      : kernels_(kernels), target_(std::move(target)) {}

  Result<int> index(const LaidOutNetwork& laid_out, int layer) {
    TRY(KernelSpec spec, kernel_spec(laid_out, layer, {}, target_));
    const auto [found, fresh] =
        indices_.emplace(kernel_name(spec), static_cast<int>(kernels_.specs.size()));
    if (fresh) kernels_.specs.push_back(std::move(spec));
    return found->second;
  }

 private:
  SpaceKernels& kernels_;
  std::string target_;
  std::map<std::string, int> indices_;
};

// The kernels of the slots that have a k-th choice, all taking it at once. A layer's kernel depends
// on its own choice alone: rims follow from the largest window, which rewrites keep.
Status collect_choice(const Network& network, const SearchSpace& space, size_t k,
                      Collector& collector, SpaceKernels& kernels) {
  std::map<int, Steps> chosen;
  std::map<int, size_t> slot_of_conv;
  for (size_t s = 0; s < space.slots.size(); ++s) {
    if (k >= space.slots[s].choices.size()) continue;
    slot_of_conv[space.slots[s].conv] = s;
    if (k > 0) chosen[space.slots[s].conv] = space.slots[s].choices[k].rewrite;
  }
  TRY(const Network changed, apply_rewrites(network, chosen));
  TRY(const std::vector<int> counts, convs_after(network, chosen));
  const LaidOutNetwork laid_out = lay_out(changed);
  const std::vector<int> convs = conv_layers(laid_out.network);
  size_t next = 0;
  std::vector<bool> of_slot(laid_out.network.layers.size(), false);
  const int count = static_cast<int>(conv_layers(network).size());
  for (int position = 0; position < count; ++position) {
    const int parts = counts[position];
    const auto slot = slot_of_conv.find(position);
    for (int part = 0; part < parts; ++part) {
      const int layer = convs[next++];
      if (slot == slot_of_conv.end()) continue;
      of_slot[layer] = true;
      TRY(const int kernel, collector.index(laid_out, layer));
      kernels.slots[slot->second][k].push_back(kernel);
    }
  }
  EMULSION_CHECK(next == convs.size());
  if (k > 0) return ok();
  for (size_t i = 0; i < laid_out.network.layers.size(); ++i) {
    if (laid_out.elided[i] || of_slot[i]) continue;
    TRY(const int kernel, collector.index(laid_out, static_cast<int>(i)));
    kernels.rest.push_back(kernel);
  }
  return ok();
}

}  // namespace

Result<SpaceKernels> space_kernels(const Network& network, const SearchSpace& space,
                                   const std::string& target) {
  const Network bare = without_weights(network);
  SpaceKernels kernels;
  size_t most = 1;
  for (const SpaceSlot& slot : space.slots) {
    kernels.slots.emplace_back(slot.choices.size());
    most = std::max(most, slot.choices.size());
  }
  Collector collector(kernels, target);
  for (size_t k = 0; k < most; ++k) {
    TRY_OK(collect_choice(bare, space, k, collector, kernels));
  }
  return kernels;
}

double LayerTimes::predict(const Configuration& configuration) const {
  double ms = rest_ms;
  for (size_t s = 0; s < configuration.size(); ++s) ms += slots_ms[s][configuration[s]];
  return ms;
}

Result<LayerTimes> layer_times(KernelCache& cache, const SpaceKernels& kernels, Records& records,
                               const TimingOptions& options,
                               const std::function<void(int, int)>& progress) {
  constexpr double k_never = std::numeric_limits<double>::infinity();
  const int total = static_cast<int>(kernels.specs.size());
  std::vector<double> ms(total, k_never);
  std::vector<Error> errors(total);
  for (int i = 0; i < total; ++i) {
    if (interrupted()) return Error{"interrupted", ExitCode::interrupted};
    const std::string name = kernel_name(kernels.specs[i]);
    std::optional<KernelTime> time = records.kernel(name);
    if (!time) {
      // One at a time, so that each is on disk before the next begins.
      auto timed = time_kernels(cache, {kernels.specs[i]}, options);
      if (timed[0].ok()) {
        time = *timed[0];
        TRY_OK(records.add(name, *time));
      } else if (timed[0].error().code == ExitCode::interrupted) {
        return timed[0].error();
      } else {
        errors[i] = timed[0].error();
      }
    }
    // In a network a layer's weights come from memory or the outer cache, not from the inner one.
    if (time) ms[i] = time->cold_min_ms > 0 ? time->cold_min_ms : time->min_ms;
    if (progress) progress(i + 1, total);
  }
  LayerTimes times;
  for (const int kernel : kernels.rest) {
    if (ms[kernel] == k_never) return errors[kernel].in("a layer of the original cannot be timed");
    times.rest_ms += ms[kernel];
  }
  for (const auto& slot : kernels.slots) {
    std::vector<double>& row = times.slots_ms.emplace_back();
    for (const std::vector<int>& choice : slot) {
      double sum = 0;
      for (const int kernel : choice) sum += ms[kernel];
      row.push_back(sum);
    }
    if (row[0] == k_never) {
      return errors[slot[0][0]].in("a layer of the original cannot be timed");
    }
  }
  return times;
}

}  // namespace emulsion
