#include "explore/minibatch.h"

#include <algorithm>
#include <cmath>

#include "base/npy.h"
#include "base/random.h"
#include "legality/initial_weights.h"

namespace emulsion {
namespace {

constexpr int k_smallest_minibatch = 2;  // batch norm needs a batch

struct Sizes {
  Shape image;  // C H W
  int64_t classes = 0;
};

Result<Sizes> sizes_of(const Network& network) {
  if (network.inputs.size() != 1 || network.outputs.size() != 1) {
    return error("legality needs a network with one input and one output, this one has {} and {}",
                 network.inputs.size(), network.outputs.size());
  }
  const Shape& input = network.shape(network.inputs[0]);
  const Shape& output = network.shape(network.outputs[0]);
  if (input.size() != 4) {
    return error("legality needs images N x C x H x W, this network's input is {}", to_text(input));
  }
  if (output.size() != 2 || output[0] != input[0]) {
    return error("legality needs an output of shape [N, classes], this network's is {}",
                 to_text(output));
  }
  return Sizes{{input[1], input[2], input[3]}, output[1]};
}

Result<Tensor> load_images(const std::string& file, const Shape& image, int size) {
  TRY(const Npy npy, read_npy(file));
  const Shape& s = npy.shape;
  if (s.size() != 4 || !std::equal(image.begin(), image.end(), s.begin() + 1)) {
    return error("{}: its shape is {}, the network takes images N x {}", file, to_text(s),
                 to_text(image));
  }
  const int64_t count = std::min<int64_t>(s[0], size);
  if (count < k_smallest_minibatch) {
    return error("{}: {} image(s), at least {} are needed", file, count, k_smallest_minibatch);
  }
  Tensor images({count, image[0], image[1], image[2]});
  for (size_t i = 0; i < images.data.size(); ++i) {
    images.data[i] = static_cast<float>(npy.values[i]);
    if (!std::isfinite(images.data[i])) {
      return error("{}: element {} is {}; every element must be finite", file, i, npy.values[i]);
    }
  }
  return images;
}

// expected: how many images the images' file has; 0: any.
Result<std::vector<int>> load_labels(const std::string& file, int64_t images, int64_t count,
                                     int64_t classes) {
  TRY(const Npy npy, read_npy(file));
  if (npy.shape.size() != 1 || !npy.integral) {
    return error("{}: labels must be integers of shape [N], these are {}of shape {}", file,
                 npy.integral ? "" : "not integers and ", to_text(npy.shape));
  }
  if (npy.shape[0] != images) {
    return error("{}: {} labels for {} images", file, npy.shape[0], images);
  }
  for (size_t i = 0; i < npy.values.size(); ++i) {
    if (npy.values[i] < 0 || npy.values[i] >= static_cast<double>(classes)) {
      return error("{}: label {} is {}, outside the network's {} classes", file, i, npy.values[i],
                   classes);
    }
  }
  return std::vector<int>(npy.values.begin(), npy.values.begin() + count);
}

Tensor noise_images(const Shape& image, int size, uint64_t seed) {
  Tensor images({std::max(size, k_smallest_minibatch), image[0], image[1], image[2]});
  const RandomStream random(seed, "noise images");
  for (size_t i = 0; i < images.data.size(); ++i) {
    images.data[i] = static_cast<float>(random.normal(i));
  }
  return images;
}

}  // namespace

Result<LoadedMinibatch> load_minibatch(const Network& network, const MinibatchOptions& options) {
  TRY(const Sizes sizes, sizes_of(network));
  if (options.data.empty() && !options.labels.empty()) {
    return error("--labels {} without the images they belong to: give --data too", options.labels);
  }
  LoadedMinibatch loaded;
  Minibatch& minibatch = loaded.minibatch;
  if (options.data.empty()) {
    minibatch.images = noise_images(sizes.image, options.size, options.seed);
    loaded.images_from = "seeded noise";
    loaded.notes.push_back(
        "No --data: legality is judged on seeded noise, which says less about these architectures "
        "than images of the task would. Trust its verdicts less, and give --data images.npy.");
  } else {
    TRY(minibatch.images, load_images(options.data, sizes.image, options.size));
    loaded.images_from = options.data;
  }
  const int64_t count = minibatch.images.shape[0];
  if (!options.labels.empty()) {
    TRY(const Npy images, read_npy(options.data));
    TRY(minibatch.labels, load_labels(options.labels, images.shape[0], count, sizes.classes));
    loaded.labels_from = options.labels;
    return loaded;
  }
  const RandomStream random(options.seed, "labels");
  for (int64_t n = 0; n < count; ++n) {
    minibatch.labels.push_back(static_cast<int>(random.below(n, sizes.classes)));
  }
  loaded.answers_wanted = !looks_untrained(network);
  loaded.labels_from = loaded.answers_wanted ? "the model's own answers" : "seeded, uniform";
  loaded.notes.push_back(loaded.answers_wanted
                             ? "No --labels: the labels are the model's own answers."
                             : "No --labels: the network's weights look untrained, so the labels "
                               "are drawn uniformly.");
  return loaded;
}

Status answer(LoadedMinibatch& loaded, const Network& network,
              const std::function<Result<std::vector<Tensor>>(const std::vector<Tensor>&)>& run) {
  Tensor input(network.shape(network.inputs[0]));
  const Tensor& images = loaded.minibatch.images;
  const int64_t batch = input.shape[0], count = images.shape[0];
  const int64_t image = element_count(images.shape) / count;
  for (int64_t first = 0; first < count; first += batch) {
    // The last batch is filled up with the last image.
    for (int64_t n = 0; n < batch; ++n) {
      const int64_t from = std::min(first + n, count - 1);
      std::copy_n(&images.data[from * image], image, &input.data[n * image]);
    }
    TRY(const std::vector<Tensor> outputs, run({input}));
    const int64_t classes = outputs[0].shape[1];
    for (int64_t n = 0; n < batch && first + n < count; ++n) {
      const float* row = &outputs[0].data[n * classes];
      loaded.minibatch.labels[first + n] =
          static_cast<int>(std::max_element(row, row + classes) - row);
    }
  }
  return ok();
}

}  // namespace emulsion
