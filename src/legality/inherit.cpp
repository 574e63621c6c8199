#include "legality/inherit.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/interrupt.h"
#include "base/process.h"
#include "base/random.h"
#include "legality/image_blocks.h"
#include "legality/inherit_sums.h"
#include "legality/trained_network.h"
#include "legality/training_kernels.h"
#include "nest/rewrite.h"

namespace emulsion {
namespace {

// A rewrite of a slot's conv as a network of its own, from what the conv reads to what it makes.
Result<Network> stand_in(const TrainedNetwork& trained, const TrainedSlot& slot, const Steps& steps,
                         bool with_weights) {
  const Layer& layer = trained.network.layers[slot.layer];
  Conv conv = std::get<Conv>(layer.op);
  conv.bias = nullptr;  // statistics take it away again
  if (!with_weights) conv.weight = abstract_constant(conv.weight->shape);
  Network one;
  one.name = layer.name;
  one.inputs = {one.add_value("x", trained.network.shape(slot.input))};
  one.outputs = {one.add_layer(layer.name, std::move(conv), one.inputs)};
  return apply_rewrites(one, {{0, steps}});
}

struct StandIn {
  Network network;
  WeightSource<float> weights;
};

// One cell of the table.
struct Cell {
  size_t slot = 0;    // index into the trained network's slots
  size_t choice = 0;  // index into the slot's rewrites
  int64_t bytes = 0;  // of its weights, and of these as packed for kernels
};

class TableMaker {
 public:
  TableMaker(const std::map<int, std::vector<Steps>>& rewrites, const Minibatch& minibatch,
             ConvEngine<float>& engine, const InheritOptions& options)
      : minibatch_(minibatch), engine_(engine), options_(options) {
    for (const auto& [conv, steps] : rewrites) {
      convs_.push_back(conv);
      rewrites_.push_back(&steps);
    }
  }

  Result<InheritTable> run(const Network& network) {
    TRY_OK(divide(network));
    TRY_OK(collect_cells());
    weights_ = own_weights(trained_.network);
    block_sums_.assign(blocks_.blocks, std::vector<PlaceSums>(convs_.size()));
    block_loss_.assign(blocks_.blocks, 0);
    block_right_.assign(blocks_.blocks, 0);
    cell_sums_.assign(cells_.size(), std::vector<CellSums>(blocks_.blocks));
    size_t first = 0;
    do {
      const size_t last = end_of_wave(first);
      TRY_OK(run_wave(first, last));
      first = last;
    } while (first < cells_.size());
    return table();
  }

 private:
  // Blocks and batches, and the network for a batch.
  Status divide(const Network& network) {
    const int64_t count = minibatch_.images.shape.empty() ? 0 : minibatch_.images.shape[0];
    if (count < 2)
      return error("the inherit score needs 2 images at least, and there are {}", count);
    if (!minibatch_.labels.empty() && static_cast<int64_t>(minibatch_.labels.size()) != count) {
      return error("{} images have {} labels", count, minibatch_.labels.size());
    }
    TRY(trained_, trained_network(network, convs_, 1));
    blocks_ = image_blocks(trained_.network, count, options_.workers, options_.memory_bytes / 2);
    TRY(trained_, trained_network(network, convs_, blocks_.batch));
    Shape expected = trained_.network.shape(trained_.network.inputs[0]),
          got = minibatch_.images.shape;
    expected[0] = got[0];
    if (expected != got) {
      return error("the images have shape {}, the network expects {}", to_text(got),
                   to_text(expected));
    }
    const int64_t classes = trained_.network.shape(trained_.network.outputs[0])[1];
    for (const int label : minibatch_.labels) {
      if (label < 0 || label >= classes) {
        return error("label {} is outside the network's {} classes", label, classes);
      }
    }
    return ok();
  }

  Status collect_cells() {
    std::vector<ConvUse> uses;
    add_conv_uses(trained_.network, true, uses);
    for (size_t s = 0; s < convs_.size(); ++s) {
      for (size_t k = 0; k < rewrites_[s]->size(); ++k) {
        const Steps& steps = (*rewrites_[s])[k];
        if (steps.empty()) continue;  // the identity: zero
        auto one = stand_in(trained_, trained_.slots[s], steps, false);
        if (!one.ok()) return one.error();
        add_conv_uses(*one, false, uses);
        cells_.push_back({s, k, 2 * parameters(*one) * static_cast<int64_t>(sizeof(float))});
      }
    }
    return engine_.prepare(uses, options_.compiling);
  }

  // Cells are worked on in waves whose inherited weights fit in memory together.
  size_t end_of_wave(size_t first) const {
    int64_t bytes = 0;
    size_t last = first;
    while (last < cells_.size()) {
      bytes += cells_[last].bytes;
      if (last > first && bytes > static_cast<int64_t>(options_.memory_bytes / 2)) break;
      ++last;
    }
    return last;
  }

  Status run_wave(size_t first, size_t last) {
    std::vector<StandIn> stand_ins(last - first);
    TRY_OK(in_parallel(static_cast<int>(last - first), [&](int i) -> Status {
      const Cell& cell = cells_[first + i];
      TRY(stand_ins[i].network, stand_in(trained_, trained_.slots[cell.slot],
                                         (*rewrites_[cell.slot])[cell.choice], true));
      stand_ins[i].weights = own_weights(stand_ins[i].network);
      return ok();
    }));
    const int all = blocks_.blocks;
    std::atomic<int> done = 0;
    std::mutex mutex;
    return in_parallel(all, [&](int block) -> Status {
      TRY_OK(run_block(block, first, stand_ins));
      ++done;
      const std::lock_guard lock(mutex);
      if (options_.computing) {
        const double share = static_cast<double>(done) / all;
        options_.computing(static_cast<int>(first + share * static_cast<double>(last - first)),
                           static_cast<int>(cells_.size()));
      }
      return ok();
    });
  }

  Status run_block(int block, size_t first, const std::vector<StandIn>& stand_ins) {
    for (int64_t from = 0; from < blocks_.block; from += blocks_.batch) {
      if (interrupted()) return Error{"interrupted", ExitCode::interrupted};
      TRY_OK(run_batch(block, block * blocks_.block + from, first, stand_ins));
    }
    return ok();
  }

  Status run_batch(int block, int64_t first_image, size_t first,
                   const std::vector<StandIn>& stand_ins) {
    const bool first_wave = first == 0;
    TrainingPass<float> pass(trained_.network, weights_, engine_);
    for (const TrainedSlot& slot : trained_.slots) {
      pass.observe(slot.output);
      pass.keep(slot.input);
    }
    const Array<float> images = images_from(first_image);
    TRY_OK(pass.forward(images));
    const std::vector<int> labels = labels_of(pass.output(), first_image);
    const double loss = pass.cross_entropy(labels);
    if (first_wave) {
      block_loss_[block] += loss;
      block_right_[block] += right_answers(pass.output(), labels);
    }
    return pass.backward([&](ValueId value) -> Result<bool> {
      for (size_t s = 0; s < trained_.slots.size(); ++s) {
        if (trained_.slots[s].output != value) continue;
        const Weighted weighted(pass.value(value), pass.gradient(value));
        if (first_wave) weighted.add_to(block_sums_[block][s]);
        for (size_t i = 0; i < stand_ins.size(); ++i) {
          if (cells_[first + i].slot != s) continue;
          TrainingPass<float> part(stand_ins[i].network, stand_ins[i].weights, engine_);
          TRY_OK(part.forward(pass.value(trained_.slots[s].input)));
          weighted.add_to(part.output(), cell_sums_[first + i][block]);
        }
      }
      return true;
    });
  }

  Array<float> images_from(int64_t first) const {
    Shape shape = minibatch_.images.shape;
    const int64_t size = element_count(shape) / shape[0];
    shape[0] = blocks_.batch;
    const float* begin = minibatch_.images.data.data() + first * size;
    return to_array<float>(Tensor(shape, std::vector<float>(begin, begin + blocks_.batch * size)));
  }

  // The given ones, or drawn from the softmax of the output.
  std::vector<int> labels_of(const Array<float>& logits, int64_t first) const {
    const int64_t classes = logits.shape[1];
    std::vector<int> labels;
    for (int64_t n = 0; n < blocks_.batch; ++n) {
      if (!minibatch_.labels.empty()) {
        labels.push_back(minibatch_.labels[first + n]);
        continue;
      }
      const float* row = &logits.data[n * classes];
      const double largest = *std::max_element(row, row + classes);
      std::vector<double> odds(classes);
      for (int64_t k = 0; k < classes; ++k) odds[k] = std::exp(row[k] - largest);
      const RandomStream random(options_.seed, "labels of the model's own");
      double left = random.uniform(first + n) * std::accumulate(odds.begin(), odds.end(), 0.0);
      int label = 0;
      while (label + 1 < classes && left >= odds[label]) left -= odds[label++];
      labels.push_back(label);
    }
    return labels;
  }

  static int64_t right_answers(const Array<float>& logits, const std::vector<int>& labels) {
    const int64_t classes = logits.shape[1];
    int64_t right = 0;
    for (size_t n = 0; n < labels.size(); ++n) {
      const float* row = &logits.data[n * classes];
      right += std::max_element(row, row + classes) - row == labels[n];
    }
    return right;
  }

  // The first job's error, if any has one.
  Status in_parallel(int count, const std::function<Status(int)>& job) const {
    std::vector<Status> statuses(count, ok());
    parallel_for(count, std::max(1, options_.workers), [&](int i) { statuses[i] = job(i); });
    for (const Status& status : statuses) TRY_OK(status);
    return ok();
  }

  // Scores from all blocks but one (without < 0: from all).
  struct Scores {
    double energy = 0;
    std::vector<double> cells;  // not yet divided by the energy
  };
  Scores scores_without(int without) const {
    Scores scores;
    const double images =
        static_cast<double>(blocks_.block * (blocks_.blocks - (without >= 0 ? 1 : 0)));
    std::vector<PlaceSums> places(convs_.size());
    for (size_t s = 0; s < places.size(); ++s) {
      for (int b = 0; b < blocks_.blocks; ++b) {
        if (b != without) places[s] += block_sums_[b][s];
      }
      scores.energy += identity_energy(places[s]) / (2 * images);
    }
    for (size_t i = 0; i < cells_.size(); ++i) {
      CellSums sums;
      for (int b = 0; b < blocks_.blocks; ++b) {
        if (b != without) sums += cell_sums_[i][b];
      }
      const TrainedSlot& slot = trained_.slots[cells_[i].slot];
      scores.cells.push_back(reconstruction_error(places[cells_[i].slot], sums, slot) /
                             (2 * images));
    }
    return scores;
  }

  Result<InheritTable> table() const {
    InheritTable table;
    table.images = static_cast<int>(blocks_.images());
    table.labels_drawn = minibatch_.labels.empty();
    const Scores all = scores_without(-1);
    table.energy = all.energy;
    table.mean_loss = std::accumulate(block_loss_.begin(), block_loss_.end(), 0.0) / table.images;
    const int64_t right = std::accumulate(block_right_.begin(), block_right_.end(), int64_t{0});
    table.accuracy = static_cast<double>(right) / table.images;
    if (!(all.energy > 0) || !std::isfinite(all.energy)) {
      return error("the inherit score is not defined here: the loss's gradient is {} everywhere",
                   all.energy == 0 ? "zero" : "not finite");
    }
    for (size_t s = 0; s < convs_.size(); ++s) {
      table.scores[convs_[s]].assign(rewrites_[s]->size(),
                                     {0, std::vector<double>(blocks_.blocks, 0.0)});
    }
    const auto score_of = [&](size_t cell) -> InheritScore& {
      return table.scores[convs_[cells_[cell].slot]][cells_[cell].choice];
    };
    for (size_t i = 0; i < cells_.size(); ++i) score_of(i).value = all.cells[i] / all.energy;
    for (int b = 0; b < blocks_.blocks; ++b) {
      const Scores part = scores_without(b);
      for (size_t i = 0; i < cells_.size(); ++i) {
        score_of(i).without_block[b] = part.cells[i] / part.energy;
      }
    }
    return table;
  }

  const Minibatch& minibatch_;
  ConvEngine<float>& engine_;
  const InheritOptions& options_;
  std::vector<int> convs_;                           // by slot
  std::vector<const std::vector<Steps>*> rewrites_;  // by slot
  TrainedNetwork trained_;
  WeightSource<float> weights_;
  ImageBlocks blocks_;
  std::vector<Cell> cells_;
  std::vector<std::vector<PlaceSums>> block_sums_;  // by block and slot
  std::vector<std::vector<CellSums>> cell_sums_;    // by cell and block
  std::vector<double> block_loss_;
  std::vector<int64_t> block_right_;
};

}  // namespace

double InheritScore::standard_error() const {
  const double blocks = static_cast<double>(without_block.size());
  if (blocks < 2) return 0;
  const double mean = std::accumulate(without_block.begin(), without_block.end(), 0.0) / blocks;
  double sum = 0;
  for (const double v : without_block) sum += (v - mean) * (v - mean);
  return std::sqrt(sum * (blocks - 1) / blocks);
}

InheritScore& InheritScore::operator+=(const InheritScore& other) {
  value += other.value;
  if (without_block.empty()) without_block.assign(other.without_block.size(), 0.0);
  EMULSION_CHECK(without_block.size() == other.without_block.size());
  for (size_t b = 0; b < without_block.size(); ++b) without_block[b] += other.without_block[b];
  return *this;
}

InheritScore InheritTable::total(const std::map<int, int>& choice) const {
  InheritScore sum;
  for (const auto& [slot, index] : choice) sum += scores.at(slot).at(index);
  return sum;
}

Result<InheritTable> inherit_table(const Network& network,
                                   const std::map<int, std::vector<Steps>>& rewrites,
                                   const Minibatch& minibatch, ConvEngine<float>& engine,
                                   const InheritOptions& options) {
  return TableMaker(rewrites, minibatch, engine, options).run(network);
}

}  // namespace emulsion
