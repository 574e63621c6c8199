#include "nest/recalibrate.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <thread>

#include "base/interrupt.h"
#include "base/process.h"
#include "nest/rewrite.h"
#include "network/evaluate.h"

namespace emulsion {
namespace {

// A value on all images: one tensor a batch.
using Batches = std::vector<Tensor>;

struct Moments {
  std::vector<float> mean, variance;  // by channel; biased
};

Moments moments_of(const Batches& batches) {
  const Shape& shape = batches[0].shape;
  const int64_t channels = shape[1], inner = element_count(shape) / (shape[0] * channels);
  const double count = static_cast<double>(batches.size()) * static_cast<double>(shape[0] * inner);
  const auto sum_over = [&](int64_t channel, const auto& term) {
    double sum = 0;
    for (const Tensor& batch : batches) {
      for (int64_t n = 0; n < shape[0]; ++n) {
        const float* x = batch.data.data() + (n * channels + channel) * inner;
        for (int64_t i = 0; i < inner; ++i) sum += term(double{x[i]});
      }
    }
    return sum / count;
  };
  Moments result;
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = sum_over(c, [](double x) { return x; });
    const double variance = sum_over(c, [mean](double x) { return (x - mean) * (x - mean); });
    result.mean.push_back(static_cast<float>(mean));
    result.variance.push_back(static_cast<float>(variance));
  }
  return result;
}

Constant per_channel(std::vector<float> data) {
  const auto channels = static_cast<int64_t>(data.size());
  return constant({channels}, std::move(data));
}

// Runs a network forward over the images. before() is given a layer and its first input, and may
// change the layer's op; after() is given the layer and its output.
class ForwardPass {
 public:
  using Before = std::function<void(Layer&, const Batches&)>;
  using After = std::function<void(const Layer&, const Batches&)>;

  // convs: null for the plain reference.
  ForwardPass(Network& network, const Tensor& images, ConvFunction* convs)
      : network_(network), convs_(convs) {
    const Shape& shape = network.shape(network.inputs[0]);
    const int64_t size = element_count(shape), batches = images.shape[0] / shape[0];
    Batches& input = values_[network.inputs[0]];
    for (int64_t b = 0; b < batches; ++b) {
      const float* first = images.data.data() + b * size;
      input.push_back(Tensor(shape, std::vector<float>(first, first + size)));
    }
    last_reader_.assign(network.values.size(), -1);
    for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
      for (const ValueId id : network.layers[i].inputs) last_reader_[id] = i;
    }
  }

  Status run(const Before& before, const After& after) {
    const size_t batches = values_[network_.inputs[0]].size();
    const int workers = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    if (convs_) TRY_OK(convs_->prepare(network_));
    for (int i = 0; i < static_cast<int>(network_.layers.size()); ++i) {
      if (interrupted()) return Error{"interrupted", ExitCode::interrupted};
      Layer& layer = network_.layers[i];
      if (!layer.inputs.empty()) before(layer, values_[layer.inputs[0]]);
      Batches& output = values_[layer.output];
      output.resize(batches);
      std::vector<Status> statuses(batches, ok());
      parallel_for(static_cast<int>(batches), workers,
                   [&](int b) { statuses[b] = run_batch(i, b, output[b]); });
      for (const Status& status : statuses) {
        if (!status.ok()) return status.error().in(fmt::format("layer '{}'", layer.name));
      }
      after(layer, output);
      for (const ValueId id : layer.inputs) {
        if (last_reader_[id] == i) values_.erase(id);
      }
      if (last_reader_[layer.output] < 0) values_.erase(layer.output);
    }
    return ok();
  }

 private:
  Status run_batch(int i, int b, Tensor& output) const {
    const Layer& layer = network_.layers[i];
    if (convs_ && std::holds_alternative<Conv>(layer.op)) {
      TRY(output, convs_->run(i, values_.at(layer.inputs[0])[b]));
      return ok();
    }
    std::vector<Tensor> inputs;
    for (const ValueId id : layer.inputs) inputs.push_back(values_.at(id)[b]);
    output = evaluate(layer.op, inputs);
    return ok();
  }

  Network& network_;
  ConvFunction* const convs_;
  std::map<ValueId, Batches> values_;  // those that some layer will still read
  std::vector<int> last_reader_;       // by value
};

// Whether every path from a value meets a batch norm before anything that is not linear.
class NormSearch {
 public:
  explicit NormSearch(const Network& network) : normed_(network.values.size(), true) {
    for (const ValueId id : network.outputs) normed_[id] = false;
    // From the back: a layer's output is decided before its inputs are.
    for (auto layer = network.layers.rbegin(); layer != network.layers.rend(); ++layer) {
      const bool through = std::visit(
          overloaded{[](const BatchNorm&) { return true; }, [](const Activation&) { return false; },
                     [](const Binary&) { return false; }, [](const Softmax&) { return false; },
                     [](const Normalize&) { return false; },
                     [&](const auto&) { return static_cast<bool>(normed_[layer->output]); }},
          layer->op);
      for (const ValueId id : layer->inputs) normed_[id] = normed_[id] && through;
    }
  }
  bool normed(ValueId value) const { return normed_[value]; }

 private:
  std::vector<bool> normed_;
};

// Values that depend on one of the layers that make the given values.
std::vector<bool> behind(const Network& network, const std::set<std::string>& names) {
  std::vector<bool> result(network.values.size(), false);
  for (const Layer& layer : network.layers) {
    bool any = names.contains(network.values[layer.output].name);
    for (const ValueId id : layer.inputs) any = any || result[id];
    result[layer.output] = any;
  }
  return result;
}

// A conv of the original that is rewritten, or reads fewer channels because one before it is.
struct ChangedConv {
  ValueId value = -1;  // its output in the original
  // Of its output; otherwise they are some of the original's, as they were.
  bool same_channels = false;
};
std::vector<ChangedConv> changed_convs(const Network& network, const Network& plain,
                                       const std::map<int, Steps>& rewrites) {
  // The value of a conv and of its replacement have the same name.
  std::map<std::string, const Layer*> by_value;
  for (const Layer& layer : plain.layers) by_value[plain.values[layer.output].name] = &layer;
  std::vector<ChangedConv> result;
  int position = 0;
  for (const int i : conv_layers(network)) {
    const Layer& before = network.layers[i];
    const Layer& after = *by_value.at(network.values[before.output].name);
    const auto* conv = std::get_if<Conv>(&after.op);
    const bool narrowed = conv && conv->weight->shape != std::get<Conv>(before.op).weight->shape;
    if (rewrites.contains(position++) || narrowed) {
      result.push_back({before.output, network.shape(before.output) == plain.shape(after.output)});
    }
  }
  return result;
}

// A batch norm behind each of the named values, which takes over the name.
Network with_norms(const Network& network, const std::set<std::string>& names) {
  Network result;
  result.name = network.name;
  std::vector<ValueId> renumbered(network.values.size(), -1);
  for (const ValueId id : network.inputs) {
    renumbered[id] = result.add_value(network.values[id].name, network.shape(id));
    result.inputs.push_back(renumbered[id]);
  }
  for (const Layer& layer : network.layers) {
    std::vector<ValueId> inputs;
    for (const ValueId id : layer.inputs) inputs.push_back(renumbered[id]);
    ValueId output = result.add_layer(layer.name, layer.op, inputs);
    const std::string& name = network.values[layer.output].name;
    if (names.contains(name)) {
      result.values[output].name = name + "_raw";
      const auto channels = static_cast<size_t>(network.shape(layer.output)[1]);
      const Constant zero = per_channel(std::vector<float>(channels, 0.0f));
      const Constant one = per_channel(std::vector<float>(channels, 1.0f));
      output = result.add_layer(layer.name + "_norm", BatchNorm{one, zero, zero, one}, {output});
    }
    result.values[output].name = name;
    renumbered[layer.output] = output;
  }
  for (const ValueId id : network.outputs) result.outputs.push_back(renumbered[id]);
  return result;
}

// The batch norm that maps these statistics to those of the original conv.
BatchNorm mapping(const Moments& from, const Moments& to) {
  BatchNorm norm;
  norm.mean = per_channel(from.mean);
  norm.variance = per_channel(from.variance);
  norm.shift = per_channel(to.mean);
  std::vector<float> scale;
  for (size_t c = 0; c < to.mean.size(); ++c) {
    // The epsilon is made up for, so that the variance is the original's exactly.
    const double variance = from.variance[c];
    const double gain = variance > 0 ? std::sqrt((variance + norm.epsilon) / variance) : 0;
    scale.push_back(static_cast<float>(gain * std::sqrt(double{to.variance[c]})));
  }
  norm.scale = per_channel(std::move(scale));
  return norm;
}

Status check_images(const Network& network, const Tensor& images) {
  if (network.inputs.size() != 1) {
    return error("statistics are set from one array of images, and {} has {} inputs", network.name,
                 network.inputs.size());
  }
  const Shape& expected = network.shape(network.inputs[0]);
  Shape got = images.shape;
  if (got.empty() || got.size() != expected.size()) {
    return error("the images have shape {}, the network's input {}", to_text(images.shape),
                 to_text(expected));
  }
  const int64_t count = got[0];
  got[0] = expected[0];
  if (got != expected) {
    return error(
        "the images have shape {}, the network's input {}; only the first number may differ",
        to_text(images.shape), to_text(expected));
  }
  if (count < 2) return error("statistics need 2 images at least, and there is {}", count);
  if (count % expected[0] != 0) {
    return error("there are {} images, which is no multiple of the network's batch of {}", count,
                 expected[0]);
  }
  for (const float x : images.data) {
    if (!std::isfinite(x)) return error("the images hold a NaN or an infinity");
  }
  return ok();
}

}  // namespace

Result<RecalibratedNetwork> rewrite_on_data(const Network& network,
                                            const std::map<int, Steps>& rewrites,
                                            const Tensor& images, ConvFunction* convs,
                                            const std::function<void(int, int)>& on_layer) {
  TRY_OK(check_images(network, images));
  TRY(const Network plain, apply_rewrites(network, rewrites));

  std::set<std::string> rewritten_values, bare_values;
  const NormSearch search(network);
  for (const ChangedConv& conv : changed_convs(network, plain, rewrites)) {
    const std::string& name = network.values[conv.value].name;
    rewritten_values.insert(name);
    if (conv.same_channels && !search.normed(conv.value)) bare_values.insert(name);
  }

  RecalibratedNetwork result{with_norms(plain, bare_values), 0,
                             static_cast<int>(bare_values.size())};
  const int all = static_cast<int>(result.network.layers.size() +
                                   (bare_values.empty() ? 0 : network.layers.size()));
  int done = 0;
  const auto count = [&] {
    if (on_layer) on_layer(++done, all);
  };

  std::map<std::string, Moments> original;  // of the convs whose norm was folded away
  if (!bare_values.empty()) {
    Network copy = network;
    const auto remember = [&](const Layer& layer, const Batches& output) {
      const std::string& name = network.values[layer.output].name;
      if (bare_values.contains(name)) original[name] = moments_of(output);
      count();
    };
    TRY_OK(ForwardPass(copy, images, convs).run([](Layer&, const Batches&) {}, remember));
  }
  const std::vector<bool> changed = behind(result.network, rewritten_values);
  const auto renew = [&](Layer& layer, const Batches& input) {
    auto* norm = std::get_if<BatchNorm>(&layer.op);
    if (!norm) return;
    const auto folded = original.find(result.network.values[layer.output].name);
    if (folded == original.end() && !changed[layer.inputs[0]]) return;
    const Moments now = moments_of(input);
    if (folded != original.end()) {
      *norm = mapping(now, folded->second);
      return;
    }
    norm->mean = per_channel(now.mean);
    norm->variance = per_channel(now.variance);
    ++result.renewed;
  };
  TRY_OK(ForwardPass(result.network, images, convs).run(renew, [&](const Layer&, const Batches&) {
    count();
  }));
  return result;
}

}  // namespace emulsion
