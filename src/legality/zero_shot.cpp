#include "legality/zero_shot.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include "base/interrupt.h"
#include "base/process.h"
#include "legality/channel_loops.h"
#include "legality/image_blocks.h"
#include "legality/trained_network.h"
#include "legality/training_kernels.h"
#include "legality/training_network.h"
#include "nest/rewrite.h"

namespace emulsion {
namespace {

// A value on all images, a batch at a time.
using Batches = std::vector<Array<float>>;

struct Moments {
  std::vector<double> mean, variance;  // by channel; biased
};

// y = scale x + shift, by channel.
struct Scaling {
  std::vector<float> scale, shift;
};

// By channel, with mean and variance of x taken to be `from`.
Scaling to_norm(const BatchNorm& norm, const Moments& from) {
  Scaling result;
  for (size_t c = 0; c < from.mean.size(); ++c) {
    const double scale = norm.scale->data[c] / std::sqrt(from.variance[c] + norm.epsilon);
    result.scale.push_back(static_cast<float>(scale));
    result.shift.push_back(static_cast<float>(norm.shift->data[c] - scale * from.mean[c]));
  }
  return result;
}
Scaling to_moments(const Moments& from, const Moments& to) {
  Scaling result;
  for (size_t c = 0; c < from.mean.size(); ++c) {
    const double scale = from.variance[c] > 0 ? std::sqrt(to.variance[c] / from.variance[c]) : 0.0;
    result.scale.push_back(static_cast<float>(scale));
    result.shift.push_back(static_cast<float>(to.mean[c] - scale * from.mean[c]));
  }
  return result;
}
Scaling as_it_is(const BatchNorm& norm) {
  Moments running;
  running.mean.assign(norm.mean->data.begin(), norm.mean->data.end());
  running.variance.assign(norm.variance->data.begin(), norm.variance->data.end());
  return to_norm(norm, running);
}

// Bytes of the values that a layer-by-layer pass holds at once, for one image.
int64_t live_bytes_per_image(const Network& network) {
  std::vector<int> last_reader(network.values.size(), -1);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    for (const ValueId id : network.layers[i].inputs) last_reader[id] = static_cast<int>(i);
  }
  const auto size = [&](ValueId id) {
    const Shape& shape = network.shape(id);
    return shape.empty() ? 0 : element_count(shape) / shape[0] * int64_t{sizeof(float)};
  };
  int64_t live = size(network.inputs[0]), most = live;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    live += size(layer.output);
    most = std::max(most, live);
    const std::set<ValueId> inputs(layer.inputs.begin(), layer.inputs.end());
    for (const ValueId id : inputs) {
      if (last_reader[id] == static_cast<int>(i)) live -= size(id);
    }
  }
  return most;
}

// What happens to values on their way through a network, by the layer that makes them.
struct Treatment {
  std::vector<bool> renewed;                      // a batch norm that takes the images' statistics
  std::map<int, Moments> given;                   // a conv whose output is given these
  std::function<void(int, const Batches&)> seen;  // may be null
};

// Runs a network layer by layer, all images at once, batches in parallel.
class ForwardPass {
 public:
  ForwardPass(const Network& network, const std::vector<LayerWeights<float>>& weights,
              ConvEngine<float>& engine, int workers)
      : network_(network), weights_(weights), engine_(engine), workers_(workers) {}

  Result<Batches> run(const Batches& images, const Treatment& treatment) {
    batches_ = images.size();
    values_.assign(network_.values.size(), Batches(batches_));
    reads_left_.assign(network_.values.size(), 0);
    for (const Layer& layer : network_.layers) {
      for (const ValueId id : layer.inputs) ++reads_left_[id];
    }
    ++reads_left_[network_.outputs[0]];
    ++reads_left_[network_.inputs[0]];  // they are not ours
    images_ = &images;
    for (int i = 0; i < static_cast<int>(network_.layers.size()); ++i) {
      if (interrupted()) return Error{"interrupted", ExitCode::interrupted};
      TRY_OK(run_layer(i, treatment));
      const Layer& layer = network_.layers[i];
      if (treatment.seen) treatment.seen(i, values_[layer.output]);
      for (const ValueId id : layer.inputs) {
        if (--reads_left_[id] == 0) values_[id] = Batches(batches_);
      }
      if (reads_left_[layer.output] == 0) values_[layer.output] = Batches(batches_);
    }
    return std::move(values_[network_.outputs[0]]);
  }

  // Over all images, the batches' sums added in order.
  Moments moments_of(const Batches& value) const {
    const int64_t c = value[0].shape[1], rows = element_count(value[0].shape) / c;
    const float* const origin = value[0].data.data();
    std::vector<std::vector<double>> sums(batches_), squares(batches_);
    parallel_for(static_cast<int>(batches_), workers_, [&](int b) {
      sums[b].assign(c, 0.0);
      squares[b].assign(c, 0.0);
      channel_moments(value[b].data.data(), rows, c, origin, sums[b].data(), squares[b].data());
    });
    Moments result;
    const double count = static_cast<double>(rows) * static_cast<double>(batches_);
    for (int64_t i = 0; i < c; ++i) {
      double sum = 0, square = 0;
      for (size_t b = 0; b < batches_; ++b) {
        sum += sums[b][i];
        square += squares[b][i];
      }
      const double d = sum / count;
      result.mean.push_back(origin[i] + d);
      result.variance.push_back(std::max(square / count - d * d, 0.0));
    }
    return result;
  }

 private:
  Status run_layer(int i, const Treatment& treatment) {
    const Layer& layer = network_.layers[i];
    std::vector<Status> statuses(batches_, ok());
    if (const auto* norm = std::get_if<BatchNorm>(&layer.op)) {
      const Batches& x = values(layer.inputs[0]);
      const Scaling scaling =
          treatment.renewed[i] ? to_norm(*norm, moments_of(x)) : as_it_is(*norm);
      parallel_for(static_cast<int>(batches_), workers_,
                   [&](int b) { values_[layer.output][b] = scaled(x[b], scaling); });
      return ok();
    }
    parallel_for(static_cast<int>(batches_), workers_,
                 [&](int b) { statuses[b] = run_batch(i, b); });
    for (const Status& status : statuses) TRY_OK(status);
    if (const auto given = treatment.given.find(i); given != treatment.given.end()) {
      Batches& y = values_[layer.output];
      const Scaling scaling = to_moments(moments_of(y), given->second);
      parallel_for(static_cast<int>(batches_), workers_,
                   [&](int b) { y[b] = scaled(y[b], scaling); });
    }
    return ok();
  }

  const Batches& values(ValueId id) const {
    return id == network_.inputs[0] ? *images_ : values_[id];
  }

  static Array<float> scaled(const Array<float>& x, const Scaling& scaling) {
    Array<float> y(x.shape);
    const int64_t c = x.shape[1];
    channel_affine(x.data.data(), element_count(x.shape) / c, c, scaling.scale.data(),
                   scaling.shift.data(), y.data.data());
    return y;
  }

  Status run_batch(int i, int b) {
    const Layer& layer = network_.layers[i];
    const TrainingRule<float>* rule = training_rule<float>(layer.op);
    if (!rule) {
      return error("layer '{}': scoring cannot go through a {}", layer.name, op_name(layer.op));
    }
    std::vector<double> saved;
    LayerPass<float> pass{layer.op, engine_, weights_[i]};
    for (const ValueId id : layer.inputs) {
      const bool last = reads_left_[id] == 1;
      pass.inputs.push_back(&values(id)[b]);
      pass.spare.push_back(last ? &values_[id][b] : nullptr);
    }
    pass.output = &values_[layer.output][b];
    pass.saved = &saved;
    Status status = rule->forward(pass);
    if (!status.ok()) return status.error().in(fmt::format("layer '{}'", layer.name));
    return ok();
  }

  const Network& network_;
  const std::vector<LayerWeights<float>>& weights_;
  ConvEngine<float>& engine_;
  const int workers_;
  size_t batches_ = 0;
  const Batches* images_ = nullptr;
  std::vector<Batches> values_;  // by ValueId
  std::vector<int> reads_left_;  // by ValueId
};

std::vector<LayerWeights<float>> weights_of(const Network& network) {
  const WeightSource<float> source = own_weights(network);
  std::vector<LayerWeights<float>> weights;
  for (size_t i = 0; i < network.layers.size(); ++i) weights.push_back(source(static_cast<int>(i)));
  return weights;
}

// Class probabilities of one image.
std::vector<double> softmax(const float* logits, int64_t classes) {
  const double largest = *std::max_element(logits, logits + classes);
  std::vector<double> p(classes);
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += p[k] = std::exp(logits[k] - largest);
  for (double& v : p) v /= sum;
  return p;
}

// Minus the log of each class's probability.
std::vector<double> surprises(const float* logits, int64_t classes) {
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (int64_t k = 0; k < classes; ++k) sum += std::exp(logits[k] - largest);
  std::vector<double> result(classes);
  for (int64_t k = 0; k < classes; ++k) result[k] = std::log(sum) + largest - logits[k];
  return result;
}

}  // namespace

class ZeroShotJudge::State {
 public:
  State(ConvEngine<float>& engine, const ZeroShotOptions& options)
      : engine_(engine), options_(options) {}

  Status prepare(const Network& network, const Minibatch& minibatch) {
    const int64_t count = minibatch.images.shape.empty() ? 0 : minibatch.images.shape[0];
    if (count < 2) return error("zero-shot loss needs 2 images at least, and there are {}", count);
    if (!minibatch.labels.empty() && static_cast<int64_t>(minibatch.labels.size()) != count) {
      return error("{} images have {} labels", count, minibatch.labels.size());
    }
    TRY(const TrainingNetwork one, plain_network(network, 1));
    const int64_t fitting = std::max<int64_t>(
        2, static_cast<int64_t>(options_.memory_bytes) / live_bytes_per_image(one.network));
    const ImageBlocks blocks = image_blocks(one.network, std::min(count, fitting), options_.workers,
                                            options_.memory_bytes);
    TRY(TrainingNetwork plain, plain_network(network, blocks.batch));
    plain_ = std::move(plain.network);
    convs_ = std::move(plain.convs);
    TRY_OK(take_images(minibatch, blocks));
    TRY_OK(check_weights());
    return run_original(minibatch);
  }

  Result<ZeroShot> judge(const std::map<int, Steps>& rewrites) {
    std::vector<int> came_from;
    TRY(const Network changed, apply_rewrites(plain_, rewrites, &came_from));
    TRY(const Treatment treatment, treatment_of(changed, came_from, rewrites));
    TRY_OK(compile(changed));
    const std::vector<LayerWeights<float>> weights = weights_of(changed);
    ForwardPass pass(changed, weights, engine_, options_.workers);
    TRY(const Batches logits, pass.run(images_, treatment));
    return score(logits);
  }

  const ZeroShot& original() const { return original_; }

 private:
  Status take_images(const Minibatch& minibatch, const ImageBlocks& blocks) {
    Shape shape = minibatch.images.shape;
    const Shape& expected = plain_.shape(plain_.inputs[0]);
    const int64_t size = element_count(shape) / shape[0];
    shape[0] = expected[0];
    if (shape != expected) {
      shape[0] = minibatch.images.shape[0];
      return error("the images have shape {}, the network expects {}", to_text(shape),
                   to_text(expected));
    }
    for (int64_t first = 0; first < blocks.images(); first += blocks.batch) {
      const float* begin = minibatch.images.data.data() + first * size;
      images_.push_back(
          to_array<float>(Tensor(shape, std::vector<float>(begin, begin + blocks.batch * size))));
    }
    const int64_t classes = plain_.shape(plain_.outputs[0])[1];
    for (const int label : minibatch.labels) {
      if (label < 0 || label >= classes) {
        return error("label {} is outside the network's {} classes", label, classes);
      }
    }
    return ok();
  }

  Status check_weights() const {
    for (const Layer& layer : plain_.layers) {
      for (const Constant& c : constants(layer.op)) {
        if (c && c->abstract()) {
          return error("layer '{}' has no weights: a trained network is needed", layer.name);
        }
      }
    }
    return ok();
  }

  Status compile(const Network& network, const std::function<void(int, int)>& progress = nullptr) {
    std::vector<ConvUse> uses;
    add_conv_uses(network, false, uses);
    return engine_.prepare(uses, progress);
  }

  // Runs it, remembers the moments of convs without a norm behind them, and sets the targets.
  Status run_original(const Minibatch& minibatch) {
    TRY_OK(compile(plain_, options_.compiling));
    const std::vector<std::vector<int>> readers = consumers(plain_);
    const std::vector<LayerWeights<float>> weights = weights_of(plain_);
    ForwardPass pass(plain_, weights, engine_, options_.workers);
    Treatment treatment;
    treatment.renewed.assign(plain_.layers.size(), false);
    treatment.seen = [&](int i, const Batches& value) {
      if (convs_[i] < 0) return;
      const std::vector<int>& behind = readers[plain_.layers[i].output];
      const bool normed =
          behind.size() == 1 && std::holds_alternative<BatchNorm>(plain_.layers[behind[0]].op);
      if (!normed) bare_[i] = pass.moments_of(value);
    };
    TRY(const Batches logits, pass.run(images_, treatment));
    const int64_t classes = logits[0].shape[1];
    size_t image = 0;
    for (const Array<float>& batch : logits) {
      for (int64_t n = 0; n < batch.shape[0]; ++n, ++image) {
        const float* row = &batch.data[n * classes];
        answers_.push_back(static_cast<int>(std::max_element(row, row + classes) - row));
        targets_.push_back(softmax(row, classes));
        if (minibatch.labels.empty()) continue;
        answers_.back() = minibatch.labels[image];
        targets_.back().assign(classes, 0.0);
        targets_.back()[answers_.back()] = 1;
      }
    }
    original_ = score(logits);
    return ok();
  }

  // came_from: by layer of the changed network, the layer of the plain one that it is or replaces.
  Result<Treatment> treatment_of(const Network& changed, const std::vector<int>& came_from,
                                 const std::map<int, Steps>& rewrites) const {
    Treatment treatment;
    treatment.renewed.assign(changed.layers.size(), false);
    std::vector<bool> differs(changed.values.size(), false);
    for (size_t i = 0; i < changed.layers.size(); ++i) {
      const Layer& layer = changed.layers[i];
      const int source = came_from[i];
      bool any = false;
      for (const ValueId id : layer.inputs) any = any || differs[id];
      const bool replaced = convs_[source] >= 0 && rewrites.contains(convs_[source]);
      differs[layer.output] = any || replaced;
      treatment.renewed[i] = any && std::holds_alternative<BatchNorm>(layer.op);
      const bool last = i + 1 == came_from.size() || came_from[i + 1] != source;
      const auto bare = bare_.find(source);
      if (!replaced || !last || bare == bare_.end()) continue;
      if (static_cast<int64_t>(bare->second.mean.size()) != changed.shape(layer.output)[1]) {
        return error(
            "conv {}: its batch norm is folded away, and it now has other channels; judge the "
            "network as it was before its norms were folded",
            layer.name);
      }
      treatment.given[static_cast<int>(i)] = bare->second;
    }
    return treatment;
  }

  ZeroShot score(const Batches& logits) const {
    const int64_t classes = logits[0].shape[1];
    std::vector<double> losses;
    int right = 0;
    for (const Array<float>& batch : logits) {
      for (int64_t n = 0; n < batch.shape[0]; ++n) {
        const float* row = &batch.data[n * classes];
        const std::vector<double> surprise = surprises(row, classes);
        const std::vector<double>& target = targets_[losses.size()];
        right += std::max_element(row, row + classes) - row == answers_[losses.size()];
        double loss = 0;
        for (int64_t k = 0; k < classes; ++k) {
          if (target[k] > 0) loss += target[k] * surprise[k];
        }
        losses.push_back(loss);
      }
    }
    ZeroShot result;
    const double count = static_cast<double>(losses.size());
    for (const double loss : losses) result.loss += loss / count;
    double squares = 0;
    for (const double loss : losses) squares += (loss - result.loss) * (loss - result.loss);
    result.standard_error = std::sqrt(squares / (count - 1) / count);
    result.accuracy = right / count;
    result.images = static_cast<int>(losses.size());
    return result;
  }

  ConvEngine<float>& engine_;
  const ZeroShotOptions options_;
  Network plain_;
  std::vector<int> convs_;  // by layer of plain_: position in conv_layers(), or -1
  Batches images_;
  std::map<int, Moments> bare_;               // by layer: of a conv without a norm behind it
  std::vector<std::vector<double>> targets_;  // by image: probabilities of classes
  std::vector<int> answers_;                  // by image
  ZeroShot original_;
};

ZeroShotJudge::ZeroShotJudge(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZeroShotJudge::ZeroShotJudge(ZeroShotJudge&&) noexcept = default;
ZeroShotJudge::~ZeroShotJudge() = default;

Result<ZeroShotJudge> ZeroShotJudge::create(const Network& network, const Minibatch& minibatch,
                                            ConvEngine<float>& engine,
                                            const ZeroShotOptions& options) {
  auto state = std::make_unique<State>(engine, options);
  TRY_OK(state->prepare(network, minibatch));
  return ZeroShotJudge(std::move(state));
}

const ZeroShot& ZeroShotJudge::original() const {
  return state_->original();
}

Result<ZeroShot> ZeroShotJudge::judge(const std::map<int, Steps>& rewrites) {
  return state_->judge(rewrites);
}

TrainingSigns training_signs(const ZeroShot& original, const std::vector<int>& labels,
                             int64_t classes) {
  std::vector<int> counts(classes, 0);
  for (const int label : labels) ++counts[label];
  const double images = static_cast<double>(labels.size());
  const double chance_loss = std::log(static_cast<double>(classes));
  const double chance = *std::max_element(counts.begin(), counts.end()) / images;
  const double deviation = std::sqrt(chance * (1 - chance) / images);
  const bool by_loss = original.loss + 3 * original.standard_error < chance_loss;
  const bool by_accuracy = original.accuracy > chance + 3 * deviation;
  TrainingSigns signs;
  signs.trained = by_loss || by_accuracy;
  signs.sentence = fmt::format(
      "on the data its loss is {:.2f} and {:.0f} % of its answers are right; guessing has {:.2f} "
      "and "
      "{:.0f} %: {}",
      original.loss, 100 * original.accuracy, chance_loss, 100 * chance,
      signs.trained ? "trained" : "not trained");
  return signs;
}

}  // namespace emulsion
